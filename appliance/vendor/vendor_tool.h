// SPDX-License-Identifier: Apache-2.0
// Format "vendor": the vendor's own tool, behind the gate. The commands are those of the vendor's guide, with
// the same words; conditions, approvals, verdicts and log are as for our own format, and one more quorum:
// mek-expose.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "appliance/release/exposure.h"
#include "appliance/vendor/outputs.h"

namespace qpcseal::vendor {

enum class VendorAct { EncryptModel, EncryptWithSessionKeys, WrapMek };
std::string_view name_of(VendorAct act);  // as the tool's command line has it

inline constexpr std::chrono::seconds kToolTime{3600};

struct ToolOptions {
  VendorAct act = VendorAct::EncryptModel;
  std::filesystem::path input;           // the QPC, or the folder that is bound; none for wrap-mek
  std::filesystem::path output_folder;   // encrypt-with-session-keys: empty: in place
  std::vector<release::Report> reports;  // encrypt-model: may be none
  bool replace = false;                  // an output that is there
  std::chrono::seconds time = kToolTime;
};

struct VendorResult {
  std::filesystem::path output;
  std::vector<ToolOutput> outputs;
  std::vector<release::Grant> grants;
};

// Error{Denied} with findings, Error{ApprovalsMissing}: nothing is exposed or used up. Error{Io},
// Error{Denied} (EXP-OUTPUT) where the tool failed or its outputs are not taken: the key counts as exposed,
// and released to the cards; nothing appears.
VendorResult run_vendor_tool(site::Appliance& appliance, const keys::Mek& mek, const ToolOptions& options);

struct ToolReplaceOptions {
  std::filesystem::path sealed;                // a model that the tool made, or the folder that it is in
  std::vector<std::filesystem::path> wrapped;  // folders that wrap-mek made
  std::filesystem::path output_folder;
  bool replace = false;
  std::chrono::seconds time = kToolTime;
};
// The tool without a key, without token: all inputs must be outputs that the log names, of one MEK that is in
// use, for cards that are not revoked. Error{Denied}.
VendorResult replace_vendor_mek(const site::Home& home, const ToolReplaceOptions& options);

}  // namespace qpcseal::vendor
