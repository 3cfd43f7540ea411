// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/inspect_container.h"

#include <optional>

#include "appliance/audit/read.h"
#include "appliance/keys/wrap.h"
#include "appliance/seal/format.h"
#include "appliance/seal/reader.h"
#include "appliance/site/home.h"
#include "base/error.h"

namespace qpcseal::cli {

namespace {

using Rows = std::vector<std::vector<std::string>>;
using OrderedJson = nlohmann::ordered_json;

const std::vector<std::string> kHead{"SEGMENT", "SIZE", "CLEAR", "OFFSET", "KIND"};

struct Row {
  std::string name, kind;
  std::uint64_t size = 0, clear = 0, offset = 0;  // clear: bytes that are not sealed
};

void add_row(OrderedJson& json, Rows& rows, const Row& row, const std::string& indent) {
  rows.push_back({indent + printable(row.name), std::to_string(row.size), std::to_string(row.clear),
                  std::to_string(row.offset), row.kind});
  json.push_back({{"name", row.name},
                  {"size", row.size},
                  {"clear_bytes", row.clear},
                  {"offset", row.offset},
                  {"kind", row.kind}});
}

OrderedJson add_plain(const Fd& file, const qpc::Container& container, Rows& rows,
                      const std::string& indent) {
  OrderedJson out = OrderedJson::array();
  for (const qpc::Segment& segment : container.segments()) {
    const bool inner = indent.empty() && qpc::is_qpc(file, segment.data_position, segment.size);
    add_row(out, rows,
            {segment.name, inner ? "inner container" : "plain", segment.size, segment.size, segment.offset},
            indent);
    if (inner)
      out.back()["segments"] = add_plain(
          file, qpc::Container::read(file, segment.data_position, segment.size), rows, indent + "  ");
  }
  return out;
}

Report inspect_plain(const Fd& file, const qpc::Container& container) {
  Report report;
  Rows rows{kHead};
  report.json = {
      {"type", "qpc"}, {"size", container.file_size()}, {"segments", add_plain(file, container, rows, "")}};
  report.text = "plain QPC, " + std::to_string(container.file_size()) + " bytes, " +
                std::to_string(container.segments().size()) + " segments\n" + table(rows);
  return report;
}

std::string kind_of(seal::SegmentKind kind) {
  if (kind == seal::SegmentKind::Sealed) return "sealed";
  return kind == seal::SegmentKind::Inner ? "inner container" : "clear";
}

const seal::SealedNode* partition_named(const seal::SealedTree& tree, const std::string& name) {
  for (const seal::SealedNode& node : tree.partitions())
    if (node.segment == name) return &node;
  return nullptr;
}

// Bytes that everybody can read; of an inner container its own rows say it.
std::uint64_t clear_bytes(const seal::ManifestSegment& listed) {
  if (listed.kind != seal::SegmentKind::Sealed)
    return listed.kind == seal::SegmentKind::Clear ? listed.size : 0;
  return listed.size - seal::sealed_bytes(listed.clear, {0, listed.size});
}

OrderedJson add_sealed(const seal::SealedTree& tree, const seal::SealedNode& node, Rows& rows,
                       const std::string& indent) {
  OrderedJson out = OrderedJson::array();
  for (const seal::ManifestSegment& listed : node.manifest.segments) {
    add_row(out, rows, {listed.name, kind_of(listed.kind), listed.size, clear_bytes(listed), listed.offset},
            indent);
    if (listed.kind == seal::SegmentKind::Sealed) {
      out.back()["clear"] = OrderedJson::array();
      for (const qpc::Extent& range : listed.clear) out.back()["clear"].push_back({range.first, range.size});
    }
    if (listed.kind != seal::SegmentKind::Inner) continue;
    const seal::SealedNode* inner = partition_named(tree, listed.name);
    out.back()["partition"] = inner->manifest.partition_index;
    out.back()["segments"] = add_sealed(tree, *inner, rows, indent + "  ");
  }
  return out;
}

// Of the first sealed segment; all of a model have the same.
std::string mode_of(const seal::SealedTree& tree) {
  std::vector<const seal::SealedNode*> nodes = tree.loads();
  nodes.push_back(&tree.root());
  for (const seal::SealedNode* node : nodes)
    if (!node->headers.empty()) return std::string(seal::to_string(node->headers.front().mode));
  return "none";
}

// label#generation, where there is a home whose log knows the id.
std::optional<std::string> label_of(const Bytes& mek_id) {
  try {
    const audit::State state = audit::read_log(site::locate_home().log(), std::nullopt).state;
    const auto found = state.meks.find(mek_id);
    if (found != state.meks.end()) return found->second.label;
  } catch (const Error&) {
    return std::nullopt;  // no home, or none that can be read: the id must do
  }
  return std::nullopt;
}

void add_binding(Report& report, OrderedJson& json, const seal::SealedNode& node) {
  const auto slots = node.slots();
  const std::string what = node.segment.empty()
                               ? ""
                               : "partition " + std::to_string(node.manifest.partition_index) + " (" +
                                     printable(node.segment) + "): ";
  json["bound"] = slots.has_value();
  if (!slots) {
    report.text += what + "not bound to a card\n";
    return;
  }
  const auto head = seal::parse_wrap_head(slots->encrypt);
  const auto suite = head ? keys::suite_from(head->suite) : std::nullopt;
  const std::string name = suite ? std::string(keys::to_string(*suite)) : "unknown";
  json["suite"] = name;
  json["nonce"] = to_hex(slots->nonce);
  json["wrapped_sha256"] = sha256_hex(slots->encrypt);
  report.text += what + "bound to a card's session: suite " + name + ", nonce " + to_hex(slots->nonce) + "\n";
}

void add_bindings(Report& report, const seal::SealedTree& tree) {
  if (tree.partitions().empty()) {
    add_binding(report, report.json, tree.root());
    return;
  }
  report.json["partitions"] = OrderedJson::array();
  for (const seal::SealedNode& node : tree.partitions()) {
    OrderedJson one{{"segment", node.segment}, {"seal_id", to_hex(node.manifest.seal_id)}};
    add_binding(report, one, node);
    report.json["partitions"].push_back(std::move(one));
  }
}

Report inspect_sealed(const Fd& file) {
  const seal::SealedTree tree = seal::SealedTree::read(file);
  const seal::Manifest& manifest = tree.root().manifest;
  const std::string mode = mode_of(tree);
  const auto label = label_of(manifest.mek_id);
  Report report;
  Rows rows{kHead};
  report.json = {{"type", "sealed qpc"},
                 {"size", tree.file_size()},
                 {"mode", mode},
                 {"mek_id", to_hex(manifest.mek_id)},
                 {"mek", label ? OrderedJson(*label) : OrderedJson(nullptr)},
                 {"seal_id", to_hex(manifest.seal_id)},
                 {"model", manifest.model_name},
                 {"model_version", manifest.model_version},
                 {"created", format_time(manifest.created)},
                 {"segments", add_sealed(tree, tree.root(), rows, "")}};
  report.text = "sealed QPC, " + std::to_string(tree.file_size()) +
                " bytes (the seal itself is NOT verified here)\nmodel " + printable(manifest.model_name) +
                ", version " + std::to_string(manifest.model_version) + ", sealed " +
                format_time(manifest.created) + "\nMEK     " + (label ? printable(*label) + ", id " : "id ") +
                to_hex(manifest.mek_id) + "\nseal id " + to_hex(manifest.seal_id) + "\nmode    " + mode +
                "\n";
  add_bindings(report, tree);
  report.text += table(rows);
  return report;
}

}  // namespace

Report inspect_container(const Fd& file) {
  const qpc::Container container = qpc::Container::read(file);
  return container.is_sealed() ? inspect_sealed(file) : inspect_plain(file, container);
}

}  // namespace qpcseal::cli
