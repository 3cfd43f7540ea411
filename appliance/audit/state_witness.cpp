// SPDX-License-Identifier: Apache-2.0
// Witnesses, and what they saw of this log.
#include "appliance/audit/state_kinds.h"
#include "tlog/cosignature.h"

namespace qpcseal::audit {

namespace {

void witness_key(State& state, const Entry& entry) {
  const std::string vkey = tlog::WitnessKey::parse(encoding::text_member(entry.data, "vkey")).text();
  if (encoding::bool_member(entry.data, "trusted")) {
    require(state.witness_keys.insert(vkey).second, "a witness that is trusted already");
  } else {
    require(state.witness_keys.erase(vkey) == 1, "a witness that is not trusted");
    state.witnessed.erase(vkey);
  }
}

// Whether its root is this log's, who has the tree decides (read.cpp); here, whether a witness that is
// trusted said it of this log, of entries that are there.
void witness(State& state, const Entry& entry) {
  const std::string& vkey = encoding::text_member(entry.data, "vkey");
  require(state.witness_keys.contains(vkey), "a checkpoint of a witness that is not trusted");
  const tlog::Cosigned seen =
      tlog::open_cosigned(encoding::text_member(entry.data, "note"), tlog::WitnessKey::parse(vkey));
  const std::string origin = tlog::VerifierKey::parse(state.log_keys.back().vkey).name();
  require(seen.origin == origin, "a witness's checkpoint of another log");
  require(seen.checkpoint.size > 0 && seen.checkpoint.size <= state.size,
          "a witness's checkpoint of entries that are not there");
  const auto [known, fresh] = state.witnessed.try_emplace(vkey);
  require(fresh || seen.checkpoint.size >= known->second.size, "a witness's checkpoint older than its last");
  known->second = {seen.checkpoint.size, to_hex(seen.checkpoint.root), seen.time};
}

}  // namespace

const Kind kWitnessKey{"witness-key", witness_key};
const Kind kWitness{"witness", witness};

}  // namespace qpcseal::audit
