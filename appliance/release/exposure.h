// SPDX-License-Identifier: Apache-2.0
// A run of the vendor's tool with a MEK in the clear: conditions, approvals, decision, and what the log says
// of it.
//
//   Exposure exposure(appliance, mek, act);                        // may it be? nothing is used up yet
//   Transaction release(...);                                      // where reports are given
//   exposure.begin();                                              // the intent
//   exposure.record(&release);                                     // the log says `exposed`, of all cards
//   ... the tool runs; exposure.fetch() is its key, once ...
//   exposure.commit(&release, outputs, acts) or exposure.fail(&release, why)
//
// Once record() returned, the exposure and each card's release count, whatever becomes of the tool.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "appliance/keys/expose_mek.h"
#include "appliance/release/transaction.h"
#include "confine/pinned.h"

namespace qpcseal::release {

inline constexpr std::uint64_t kToolMemory = std::uint64_t{32} << 30;  // bytes of address space a process

// What the tool is to do with the key.
struct ExposureAct {
  std::string command;                // "encrypt-model", ...
  std::vector<Sha256Digest> reports;  // of the cards that it wraps the key for, in the command's order
  std::string model_sha256;           // hex; of what it encrypts, or empty
};

// What officers agree to: FORMAT.md section 7.1, mek-expose.
encoding::Json expose_parameters(const std::string& mek_label, const Bytes& mek_id,
                                 const audit::PinnedProgram& program, const ExposureAct& act);

class Exposure {
 public:
  // Error{Denied} with all findings (POL-FORMAT, POL-EXPOSE, EXP-TOOL, EXP-TOOL-DIGEST, EXP-TOOL-START,
  // EXP-SANDBOX, EXP-SWAP, EXP-CORE, ...); Error{ApprovalsMissing}; Error{Token} where the token would not
  // hand the key out.
  Exposure(site::Appliance& appliance, const keys::Mek& mek, ExposureAct act);
  Exposure(const Exposure&) = delete;
  Exposure& operator=(const Exposure&) = delete;

  // The pinned tool first, then its files.
  [[nodiscard]] const std::vector<confine::GivenFile>& tool() const { return tool_; }

  void begin(encoding::Json more);  // `more`: what else the intent says of the act
  void record(Transaction* release);
  // The key. Error{Internal} before record(), or a second time.
  [[nodiscard]] SecretBuffer fetch();
  void commit(Transaction* release, encoding::Json outputs, std::vector<encoding::Json> acts);
  // The tool had the key, and nothing came of it.
  void fail(Transaction* release, const std::string& why);

 private:
  void take_tool(Findings& findings);

  site::Appliance& appliance_;
  const keys::Mek& mek_;
  ExposureAct act_;
  encoding::Json approval_;
  policy::Decision decision_;
  audit::PinnedProgram program_;  // as the site's facts pin it
  std::vector<confine::GivenFile> tool_;
  std::optional<audit::Txn> txn_;
  bool fetched_ = false;
};

// What the log's facts pin under this name, loaded. Each that is not as it is pinned becomes a finding.
std::vector<confine::GivenFile> load_program(const audit::PinnedProgram& program, Findings& findings);

// EXP-SANDBOX where no sandbox can be set up.
Findings check_sandbox();
// EXP-TOOL-START where the tool, whose file is the first, cannot be started in a sandbox: it is, once, with
// --help, without key and folders. What it says and how it ends are its own, but for an end by a signal.
Findings check_start(const std::vector<confine::GivenFile>& tool);
// Where the workstation could write memory to a disk: EXP-SWAP, unless the site's facts accept it; EXP-CORE.
Findings check_memory(const audit::SiteFacts& facts);

}  // namespace qpcseal::release
