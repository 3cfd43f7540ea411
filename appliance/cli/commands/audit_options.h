// SPDX-License-Identifier: Apache-2.0
// What the audit commands share; those that only read need neither token nor lock.
#pragma once

#include <functional>
#include <memory>

#include "appliance/cli/commands/audit_show.h"
#include "appliance/cli/commands/context.h"
#include "appliance/cli/commands/vkey.h"

namespace qpcseal::cli {

struct AuditOptions {
  std::string dir;  // empty: the home's log
  std::string key;  // vkey; empty: as the log names it
  std::string output, earlier, since, until, file, witness, witness_key;
  std::uint64_t entry = 0;
  bool force = false, quick = false, bundle = false;
  EntryFilter filter;
};
using SharedAuditOptions = std::shared_ptr<AuditOptions>;

// What a reader is told where no key was given.
extern const char* const kKeyNotGiven;
// The log that the options name, verified. Says so on standard error where it is a copy and no key was given.
// Error{LogDamaged}, Error{Io}.
audit::LogCopy read_log(const AuditOptions& options, audit::Check check = audit::Check::Everything);
void write_output(const AuditOptions& options, const std::string& text);
// --since and --until into the filter. Error{Malformed}.
void read_period(AuditOptions& options);

void add_log_options(CLI::App& app, const SharedAuditOptions& options);
void add_period_options(CLI::App& app, const SharedAuditOptions& options);
void add_output(CLI::App& app, const SharedAuditOptions& options, const char* help);

// A subcommand with --json that runs `act(options)`.
CLI::App* add_audit_command(CLI::App& parent, Context& context, const SharedAuditOptions& options,
                            const char* name, const char* help,
                            std::function<Report(const AuditOptions&)> act);

void add_audit_verify(CLI::App& audit, Context& context, const SharedAuditOptions& options);
void add_audit_receipts(CLI::App& audit, Context& context, const SharedAuditOptions& options);
void add_audit_report(CLI::App& audit, Context& context, const SharedAuditOptions& options);
// rotate-key and witness: these open the token.
void add_audit_keys(CLI::App& audit, Context& context, const SharedAuditOptions& options);

}  // namespace qpcseal::cli
