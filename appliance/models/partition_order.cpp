// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/partition_order.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"

namespace qpcseal::models {

namespace {

using nlohmann::json;

constexpr std::size_t kMaxInfo = std::size_t{1} << 20;  // bytes
constexpr unsigned kMaxDepth = 16;

using Names = std::vector<std::string>;

// The one name that this element stands for; empty: none, or more than one.
std::string named_by(const json& element, const Names& names) {
  const auto known = [&](const json& value) {
    return value.is_string() &&
           std::find(names.begin(), names.end(), value.get_ref<const std::string&>()) != names.end();
  };
  if (known(element)) return element.get<std::string>();
  std::string found;
  if (!element.is_object()) return found;
  for (const json& member : element) {
    if (!known(member)) continue;
    if (!found.empty()) return {};
    found = member.get<std::string>();
  }
  return found;
}

// All arrays that list every name once, in document order.
void collect(const json& value, const Names& names, unsigned depth, std::vector<Names>& found) {
  if (depth > kMaxDepth || !value.is_structured()) return;
  if (value.is_array() && value.size() == names.size()) {
    Names listed;
    for (const json& element : value) listed.push_back(named_by(element, names));
    const std::set<std::string> distinct(listed.begin(), listed.end());
    if (distinct.size() == names.size() && !distinct.contains("")) found.push_back(std::move(listed));
  }
  for (const json& member : value) collect(member, names, depth + 1, found);
}

Names order_in_container(const std::vector<seal::Partition>& partitions) {
  Names out;
  for (const seal::Partition& partition : partitions) out.push_back(partition.name);
  return out;
}

[[noreturn]] void refuse(const std::string& why) {
  throw Error(
      ErrorKind::Malformed,
      std::string(kPartitionInfo) + " " + why + ", so which card gets which partition is not known",
      "where the names of the partitions count the cards (X_slice00, X_slice01, ...): --partition-order "
      "slices; where they lie in the order of the cards: --partition-order container");
}

Names order_by_metadata(const Fd& input, const qpc::Container& container, const Names& names) {
  const qpc::Segment* info = container.find(kPartitionInfo);
  if (info == nullptr) refuse("is not there");
  if (info->size > kMaxInfo) refuse("is larger than 1 MiB");
  Bytes bytes(info->size);
  read_exact(input, bytes, info->data_position);
  Names order = order_in_json(text_view(bytes), names);
  if (order.empty()) refuse("is not JSON with one array that lists the partitions");
  return order;
}

}  // namespace

std::vector<std::string> order_in_json(std::string_view text, const std::vector<std::string>& names) {
  const json document = json::parse(text, nullptr, false);
  if (document.is_discarded()) return {};
  std::vector<Names> found;
  collect(document, names, 0, found);
  return found.size() == 1 ? found.front() : Names{};
}

std::vector<std::string> order_of_slices(const std::vector<std::string>& names) {
  constexpr std::string_view kSlice = "_slice";
  const auto stem_size = [&](const std::string& name) { return name.rfind(kSlice); };
  Names out = names;
  std::ranges::sort(out);  // as many digits in each, so that this is the order of the numbers
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t stem = stem_size(out[i]);
    if (stem == 0 || stem == std::string::npos || out[i].size() != out[0].size()) return {};
    const std::string stem_and_word = out[i].substr(0, stem + kSlice.size());
    const std::size_t digits = out[i].size() - stem_and_word.size();
    std::string number = std::to_string(i);
    if (number.size() < digits) number.insert(0, digits - number.size(), '0');
    if (!out[0].starts_with(stem_and_word) || out[i] != stem_and_word + number) return {};
  }
  return out;
}

std::vector<seal::Partition> read_partitions(const Fd& input, const qpc::Container& container,
                                             PartitionOrder order) {
  std::vector<seal::Partition> found = seal::find_partitions(input, container);
  if (found.size() < 2 || order == PartitionOrder::Container) return found;
  const Names names = order_in_container(found);
  const Names wanted =
      order == PartitionOrder::Slices ? order_of_slices(names) : order_by_metadata(input, container, names);
  if (wanted.empty())
    throw Error(ErrorKind::Malformed,
                "the names of the partitions are not X_slice00, X_slice01, ... with one X",
                "where the partitions lie in the order of the cards: --partition-order container");
  std::vector<seal::Partition> out;
  for (const std::string& name : wanted)
    out.push_back(*std::find_if(found.begin(), found.end(), [&](const auto& p) { return p.name == name; }));
  return out;
}

}  // namespace qpcseal::models
