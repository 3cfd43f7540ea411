// SPDX-License-Identifier: Apache-2.0
#include "tests/release/cbor_tree.h"

#include "tests/attest/test_card.h"

namespace qpcseal::testing {
namespace {

using cbor::Type;

Node build(const cbor::Value& value, int embedding_depth, std::int64_t embedding) {
  Node out;
  out.type = value.type();
  switch (out.type) {
    case Type::Unsigned:
    case Type::Negative:
      out.number = value.as_int("tree");
      break;
    case Type::ByteString:
      out.string = copy(value.as_bytes("tree"));
      out.embedded = embedding_depth == 2;
      if (out.embedded)
        out.children.push_back(build(cbor::parse(out.string, cbor::Level::Strict, "tree"), -1, embedding));
      break;
    case Type::Text:
      out.string = copy(view(value.as_text("tree")));
      break;
    case Type::Array:
      for (const cbor::Value& item : value.as_array("tree"))
        out.children.push_back(build(item, embedding_depth < 0 ? -1 : embedding_depth + 1, embedding));
      break;
    case Type::Map:
      for (const auto& [key, item] : value.as_map("tree")) {
        const bool embeds = !key.is(Type::Text) && key.as_int("tree") == embedding;
        out.children.push_back(build(key, -1, embedding));
        out.children.push_back(build(item, embeds ? 0 : -1, embedding));
      }
      break;
    case Type::Tag:
      out.number = static_cast<std::int64_t>(value.tag_number("tree"));
      out.children.push_back(build(value.tagged("tree"), -1, embedding));
      break;
    case Type::Bool:
      out.flag = value.as_bool("tree");
      break;
    case Type::Null:
      break;
  }
  return out;
}

void write(cbor::Writer& writer, const Node& node) {
  switch (node.type) {
    case Type::Unsigned:
    case Type::Negative:
      writer.integer(node.number);
      return;
    case Type::ByteString:
      writer.bytes(node.embedded ? encode(node.children.front()) : node.string);
      return;
    case Type::Text:
      writer.text(text_view(node.string));
      return;
    case Type::Array:
      writer.array(node.children.size());
      break;
    case Type::Map:
      writer.map(node.children.size() / 2);
      break;
    case Type::Tag:
      writer.tag(static_cast<std::uint64_t>(node.number));
      break;
    case Type::Bool:
      writer.boolean(node.flag);
      return;
    case Type::Null:
      writer.null();
      return;
  }
  for (const Node& child : node.children) write(writer, child);
}

std::vector<Node> samples() {
  std::vector<Node> out(8);
  out[0] = {Type::Unsigned, 9, false, {}, false, {}};
  out[1] = {Type::Negative, -9, false, {}, false, {}};
  out[2] = {Type::ByteString, 0, false, Bytes(33, 1), false, {}};
  out[3] = {Type::Text, 0, false, copy(view("x")), false, {}};
  out[4] = {Type::Array, 0, false, {}, false, {}};
  out[5] = {Type::Map, 0, false, {}, false, {}};
  out[6] = {Type::Bool, 0, true, {}, false, {}};
  out[7] = {Type::Null, 0, false, {}, false, {}};
  return out;
}

std::string name_of(const Node& key) {
  return key.type == Type::Text ? std::string(text_view(key.string)) : std::to_string(key.number);
}

class Breaker {
 public:
  Breaker(const Node& root, const std::function<void(const Mutant&)>& see)
      : see_(see), work_(root), root_(work_) {}

  void run() {
    for (std::size_t i = 0; i + 1 < root_.children.size(); i += 2) {
      top_ = name_of(root_.children[i]);
      place(root_, i, 2, false);
      descend(root_.children[i + 1]);
    }
  }

 private:
  void emit(Break kind, bool inside, const std::string& what) {
    see_({encode(root_), kind, top_, inside, top_ + ": " + what});
  }

  // All that can be done to the `width` children (a pair of a map, an item) at `at`.
  void place(Node& parent, std::size_t at, std::size_t width, bool inside) {
    const std::vector<Node> before = parent.children;
    const auto first = [&](std::vector<Node>& list) {
      return list.begin() + static_cast<std::ptrdiff_t>(at);
    };
    const auto span = static_cast<std::ptrdiff_t>(width);
    parent.children.erase(first(parent.children), first(parent.children) + span);
    emit(Break::Remove, inside, "removed");
    parent.children = before;
    const auto from = before.begin() + static_cast<std::ptrdiff_t>(at);
    parent.children.insert(first(parent.children), from, from + span);
    emit(Break::Duplicate, inside, "twice");
    parent.children = before;
    if (at + 2 * width <= before.size()) {
      for (std::size_t i = 0; i < width; ++i)
        std::swap(parent.children[at + i], parent.children[at + width + i]);
      emit(Break::Swap, inside, "swapped with the next");
      parent.children = before;
    }
    retype(parent.children[at + width - 1], inside);
    if (width == 2) rename(parent.children[at], inside);
  }

  void retype(Node& node, bool inside) {
    const Node before = node;
    for (const Node& sample : samples()) {
      if (sample.type == before.type) continue;
      node = sample;
      emit(Break::Retype, inside, "of type " + std::to_string(static_cast<int>(sample.type)));
    }
    node = before;
  }

  void rename(Node& key, bool inside) {
    const Node before = key;
    key = {Type::Unsigned, 70000, false, {}, false, {}};
    emit(Break::Rename, inside, "under another key");
    key = before;
  }

  void descend(Node& node) {
    if (node.embedded) return descend(node.children.front());
    const std::size_t width = node.type == Type::Map ? 2 : 1;
    if (node.type != Type::Map && node.type != Type::Array) return;
    for (std::size_t i = 0; i + width <= node.children.size(); i += width) {
      place(node, i, width, true);
      descend(node.children[i + width - 1]);
    }
  }

  const std::function<void(const Mutant&)>& see_;
  Node work_;
  Node& root_;
  std::string top_;
};

}  // namespace

Node tree_of(ByteView encoded, std::int64_t embedding) {
  return build(cbor::parse(encoded, cbor::Level::Strict, "tree"), -1, embedding);
}

Bytes encode(const Node& node) {
  cbor::Writer writer;
  write(writer, node);
  return writer.take();
}

void for_each_mutant(const Node& root, const std::function<void(const Mutant&)>& see) {
  Breaker(root, see).run();
}

}  // namespace qpcseal::testing
