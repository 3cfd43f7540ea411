// SPDX-License-Identifier: Apache-2.0
// What verdicts rested on, kept in the home by its SHA-256 for as long as the home is: in the folder
// `approvals`, policies and collateral bundles as .signed, officers files as .officers, a trust folder (by
// its own digest) as .trust, requests as .request, ceremonies' plans as .plan and the records of their
// rehearsals as .rehearsal, the lists of many reports that requests stand for as .reports, signatures as
// .sig. The log pins the digests.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "appliance/approval/officers.h"
#include "appliance/audit/state.h"
#include "appliance/site/home.h"
#include "appliance/trust/trust_folder.h"

namespace qpcseal::site {

void archive_put(const Home& home, const std::string& text, const char* extension);
// Keeps what was signed, with this extension, and the signatures.
void archive_approval(const Home& home, const std::string& text, const char* extension,
                      const std::vector<std::string>& signatures);
// What is in force, and was held against the log, is kept where it is not yet.
void keep_in_force(const Home& home, const audit::State& state, const trust::Trust& trust);

// What is in force and not in the home any more comes back from what was kept. The names of what came back.
std::vector<std::string> put_back_lost(const Home& home, const audit::State& state);

// Error{Io} where nothing with this digest was kept. Whether it has the digest, the caller checks.
std::string archive_get(const Home& home, const std::string& digest, const char* extension);

// The trust material of this digest, as the home kept it: a folder, or a collateral bundle. Error{Io}.
std::string kept_trust(const Home& home, const std::string& digest);

// The signature of each of `approvers` (as_json(), in their order). Error{Io} where one was not kept.
std::vector<std::string> kept_signatures(const Home& home, const encoding::Json& approvers);
// One signature of `text` in `sig_namespace`, as of `now`, for each officer who signed: for the first policy,
// whose signatures the log does not name.
std::vector<std::string> found_signatures(const Home& home, const approval::Officers& officers,
                                          std::string_view sig_namespace, const std::string& text,
                                          UnixTime now);

// A trust folder as one line of canonical JSON (FORMAT.md section 6.7).
std::string encode_trust(const trust::Trust& trust);
// That, or a collateral bundle's text, with the digest computed anew. Error{Malformed}.
trust::Trust parse_trust(const std::string& text);

}  // namespace qpcseal::site
