// SPDX-License-Identifier: Apache-2.0
// Files that the log pins by digest, and how they change: what officers signed is checked, the change is an
// intent in the log, the file is replaced, the result makes it hold.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "appliance/site/appliance.h"
#include "appliance/trust/collateral_bundle.h"

namespace qpcseal::site {

// What officers sign policies and collateral bundles in.
inline constexpr std::string_view kPolicyNamespace = "policy@qpcseal", kTrustNamespace = "collateral@qpcseal";

struct Installed {
  std::string digest;        // hex
  std::uint64_t serial = 0;  // policies and bundles
  std::vector<approval::Approver> approvers;
};

// A file whose own bytes officers sign.
struct SignedFile {
  std::string operation;           // of the policy's [approvals]
  std::string_view sig_namespace;  // e.g. policy@qpcseal
  const std::string& text;
  int least = 1;  // officers, outside a demonstration
};
struct Signers {
  std::vector<approval::Approver> approvers;
  std::vector<std::string> signatures;  // theirs
};
// As many officers in force as the policy in force wants for the operation (outside a demonstration at least
// `least`) signed the file, by the signatures that the command was given. Error{ApprovalsMissing};
// Error{Denied} where the policy does not name the operation.
Signers check_signers(const Outlook& outlook, const SignedFile& file);

// Serials of policies and bundles rise, and none leaves too little room for those to come: a mistake in one
// would else be for good. Error{Denied} unless `serial` is above `before` by kMaxSerialStep at most, which
// leaves seconds since 1970, or a date with a number, as serials.
inline constexpr std::uint64_t kMaxSerialStep = std::uint64_t{1} << 32;
void check_serial(std::uint64_t serial, std::uint64_t before);

// A policy that officers signed (namespace policy@qpcseal, over its bytes): as many as the policy in force
// wants for policy-change, by the officers in force; outside a demonstration as many as any operation needs,
// before or after. As check_serial() and check_policy(); Error{ApprovalsMissing}.
struct NextPolicy {
  std::string text;
  std::uint64_t serial = 0;
  Signers signers;
};
NextPolicy check_next_policy(const Outlook& outlook, const std::filesystem::path& file);
// Checks that, and brings it into force.
Installed install_policy(Appliance& appliance, const std::filesystem::path& file);

// The next officers file, whose text it returns. Error{Usage} where too few people of it could sign what the
// policy asks for; Error{Denied} where the policy lets fewer people change the officers than any act needs.
std::string check_next_officers(const Outlook& outlook, const std::filesystem::path& file);
// What officers approve (officers-change) of a file with this text.
encoding::Json officers_parameters(const std::string& text);
// Checks that, and brings it into force by a request that the old file's officers signed.
Installed install_officers(Appliance& appliance, const std::filesystem::path& file);

// Intent, file, result. A crash between them is settled at the next start by was_installed().
void replace_pinned(Appliance& appliance, const std::string& kind, encoding::Json intent,
                    const std::string& text);

// Where a policy is to come into force.
struct PolicyPlace {
  std::string appliance;                         // its name, as the genesis has it
  const approval::Officers* officers = nullptr;  // null: a demonstration without
  bool insecure_demo = false;
  bool is_first = false;  // brought in by the genesis, in which every officer signs appliance and policy
};
// What every policy must be that comes into force, the first one too. Error{Denied} where it has expired, the
// first one's serial is above kMaxSerialStep, or it
// is another appliance's (POL-APPLIANCE; "any" serves as a first policy, and in a demonstration);
// Error{Usage} where too few people of the officers file could sign what it asks for; outside a demonstration
// Error{Denied} where an operation that decides what counts needs fewer officers than another operation.
void check_policy(const policy::Policy& policy, const PolicyPlace& place, UnixTime now);
// The first policy is signed by as many officers as any of its operations needs: by whom.
// Error{ApprovalsMissing}.
std::vector<approval::Approver> check_first_signatures(const policy::Policy& policy, const std::string& text,
                                                       const approval::Officers& officers,
                                                       const std::vector<std::string>& signatures,
                                                       UnixTime now);

// A bundle that as many officers signed (namespace collateral@qpcseal, over its bytes) as the policy wants
// for trust-import; `trust` is what is in force. Error{Denied}: its serial does not rise, or it is not fresh;
// Error{ApprovalsMissing}.
struct NextBundle {
  std::string text;
  trust::Collateral bundle;
  Signers signers;
};
NextBundle check_next_bundle(const Outlook& outlook, const trust::Trust& trust,
                             const std::filesystem::path& file);
// Checks that, and brings it into force. Error{Denied} too where a crlNumber does not rise.
Installed import_collateral(Appliance& appliance, const std::filesystem::path& file);

// Kinds of entries that change a pinned file.
[[nodiscard]] bool is_pinned(const std::string& kind);
// Whether an open intent of kind policy, officers or trust came to replace its file: the log's result.
bool was_installed(const Home& home, const audit::OpenIntent& intent);

}  // namespace qpcseal::site
