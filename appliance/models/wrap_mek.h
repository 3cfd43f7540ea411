// SPDX-License-Identifier: Apache-2.0
// wrap-mek: releases a MEK to cards as files, for replace-mek.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "appliance/models/wrapped_meks.h"
#include "appliance/release/transaction.h"

namespace qpcseal::models {

struct WrapMekOptions {
  std::vector<release::Report> reports;  // one or more
  std::filesystem::path output_folder;   // made when it does not exist
  Existing existing = Existing::Refuse;
};

struct WrapResult {
  std::vector<std::string> folders;  // below the output folder, as the reports; kHere for one report
  std::vector<release::Grant> grants;
};

// The unverified claims of a report; nothing where they cannot be read.
std::optional<attest::Claims> unverified_claims(const release::Report& report);
// The card of these claims; its host and number are those of the challenge that they answer, where the log
// has it.
CardName card_name(const audit::State& state, const attest::Claims& claims);
// As config.json has it.
WrappedFor wrapped_for(const release::Grant& grant, const std::string& dir);

// All or nothing. Existing outputs are found before a challenge is used up.
WrapResult wrap_to_files(site::Appliance& appliance, const keys::Mek& mek, const WrapMekOptions& options);

}  // namespace qpcseal::models
