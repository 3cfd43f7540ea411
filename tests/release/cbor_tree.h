// SPDX-License-Identifier: Apache-2.0
// CBOR as a tree that can be broken in one place at a time.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "encoding/cbor.h"

namespace qpcseal::testing {

struct Node {
  cbor::Type type = cbor::Type::Null;
  std::int64_t number = 0;
  bool flag = false;
  Bytes string;
  bool embedded = false;       // a byte string whose content is the one child
  std::vector<Node> children;  // of a map: key, value, key, value...
};

// Byte strings directly under the map key `embedding` and two arrays further down hold CBOR themselves (EAT
// measurements).
Node tree_of(ByteView encoded, std::int64_t embedding);
Bytes encode(const Node& node);

enum class Break { Remove, Duplicate, Swap, Retype, Rename };
struct Mutant {
  Bytes encoded;
  Break kind = Break::Remove;
  std::string top;      // the key of the root's member that it lies in, as text
  bool inside = false;  // deeper than that member itself
  std::string what;     // for messages
};
// Every mutant of the tree whose root is a map: each member and element removed, doubled, swapped with the
// next one, replaced by one of every other type, and each key by one that is not known.
void for_each_mutant(const Node& root, const std::function<void(const Mutant&)>& see);

}  // namespace qpcseal::testing
