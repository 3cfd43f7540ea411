// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include "appliance/audit/receipt.h"
#include "appliance/mek/backup.h"
#include "appliance/mek/generate.h"
#include "appliance/mek/lifecycle.h"
#include "appliance/site/logged_act.h"
#include "base/error.h"
#include "base/text_file.h"
#include "encoding/file_kind.h"

namespace qpcseal::mek {

namespace {

using encoding::Json;

constexpr std::int64_t kDay = 86400;  // seconds

struct OpenedBackup {
  keys::MekBackup backup;
  std::string sha256;
  keys::RecoveryKey key;
};

// Its key is left out.
OpenedBackup read_backup(const std::filesystem::path& path) {
  const Bytes bytes = read_file(path, keys::kMaxBackupFile);
  OpenedBackup out;
  out.backup = with_context(path.string(), [&] { return keys::parse_backup(bytes); });
  out.sha256 = sha256_hex(bytes);
  return out;
}

OpenedBackup open_backup(site::Appliance& appliance, const std::filesystem::path& path) {
  OpenedBackup out = read_backup(path);
  const auto key = keys::find_recovery_key(appliance.session());
  if (!key || key->point != out.backup.header.recovery_point)
    throw Error(ErrorKind::Denied, path.string() + " is wrapped to another recovery key than this token's" +
                                       (key ? "" : ": it has none"));
  out.key = *key;
  return out;
}

pkcs11::Object unwrap(site::Appliance& appliance, const OpenedBackup& given, pkcs11::Template attributes) {
  const keys::BackupHeader& header = given.backup.header;
  return keys::unwrap_mek(appliance.session(), given.key, given.backup.wrapped,
                          keys::recovery_peer(given.key.point, sha256(given.backup.header_bytes)),
                          header.mek_id, std::move(attributes),
                          "key '" + keys::make_label(header.name, header.generation) + "'");
}

// As a session object that may encrypt, and is gone again at the end.
void check_value(site::Appliance& appliance, const OpenedBackup& given) {
  const pkcs11::ScopedObject key(appliance.session(), unwrap(appliance, given, keys::checking_template()));
  const keys::BackupHeader& header = given.backup.header;
  if (!keys::check_value_holds(appliance.session(), key.get(), header.mek_id, header.check_value))
    throw Error(ErrorKind::Denied, "the key in the backup does not give the backup's check value");
}

// Error{Usage} but for a key that was never here, is over, or was lost by the token.
void refuse_present(site::Appliance& appliance, const keys::BackupHeader& header) {
  const std::string label = keys::make_label(header.name, header.generation);
  const auto meks = keys::list_meks(appliance.session());
  const auto& logged = appliance.log().state().meks;
  const auto known = logged.find(header.mek_id);
  const auto has_label = [&](const auto& item) {
    const std::string& state = item.second.state;
    return item.second.label == label && item.first != header.mek_id && state != "failed" &&
           state != "destroyed";
  };
  const bool lost_one = std::ranges::any_of(logged, has_label);  // the token has it no more, the log does
  const bool free = known == logged.end() || known->second.state == "failed" ||
                    known->second.state == "destroyed" || appliance.is_missing(header.mek_id);
  if (!free || lost_one || std::any_of(meks.begin(), meks.end(), [&](const keys::Mek& mek) {
        return mek.id == header.mek_id || mek.label == label;
      }))
    throw Error(ErrorKind::Usage, "there is a MEK '" + label + "', or one with this id, already",
                "'qpcseal mek list' shows it");
}

// The seal keys (SHA-256, hex) of the appliances whose backups brought the key in here.
std::set<std::string> sources_of(const site::Appliance& appliance, const std::string& mek_id) {
  std::set<std::string> out;
  const audit::LogCopy log = audit::read_log(appliance.home().log(), std::nullopt);
  for (std::uint64_t seq = 0; seq < log.state.size; ++seq) {
    const audit::Entry entry = audit::parse_entry(log.line(seq));
    if (entry.kind == "mek-restore" && entry.phase == audit::Phase::Intent &&
        encoding::text_member(entry.data, "mek_id") == mek_id)
      out.insert(encoding::text_member(entry.data, "source_seal_key_sha256"));
  }
  return out;
}

// What a key that the token lost comes back as. Its backup must be of the source that the log has for it: an
// id is no proof that another one's backup holds the same key.
void follow_loss(site::Appliance& appliance, RestoredMek& out) {
  if (!appliance.is_missing(out.header.mek_id)) return;
  const audit::MekHistory& history = appliance.log().state().meks.at(out.header.mek_id);
  const bool made_here = history.origin == "generated" || history.origin == "imported";
  const bool by_us = out.header.seal_key == appliance.seal_key().spki();
  if (!by_us &&
      (made_here || !sources_of(appliance, to_hex(history.id)).contains(sha256_hex(out.header.seal_key))))
    throw Error(ErrorKind::Denied,
                "the token lost " + history.label + ", and this backup is of another source than that key's",
                made_here ? "a backup that this appliance made of it brings it back" : "");
  out.lost = history.origin;
  out.returned = made_here;
  if (made_here || history.origin == "transferee") out.origin = keys::Origin::Transferee;  // it may encrypt
}

// The count at the source's end, from the receipt of it.
std::uint64_t final_count(const std::filesystem::path& path, const keys::BackupHeader& header) {
  const audit::Entry entry = verify_destruction_receipt(path, header.log_key, header.mek_id);
  if (!entry.data.contains(audit::kTransfereeKey))
    throw Error(
        ErrorKind::Denied, path.string() + ": the source's officers named no transferee",
        "'qpcseal mek destroy --transfer-to RECOVERY_KEY' names one; without, the restored key only wraps");
  if (encoding::text_member(entry.data, audit::kTransfereeKey) != to_hex(header.recovery_key))
    throw Error(ErrorKind::Denied, path.string() + " names another recovery key's token as the transferee's");
  return std::max(encoding::uint_member(entry.data, "encryptions"), header.encryptions);
}

// What is known here of a key that was here before: its use goes on being counted, and whoever handed it on
// is not its transferee again.
void merge_previous_history(const site::Appliance& appliance, RestoredMek& out) {
  const auto& meks = appliance.log().state().meks;
  const auto before = meks.find(out.header.mek_id);
  if (before == meks.end()) return;
  out.header.encryptions = std::max(out.header.encryptions, before->second.encryptions);
  out.suspended = before->second.suspended;
  const std::string& transferee = before->second.transferee;
  if (out.origin == keys::Origin::Transferee && !transferee.empty() &&
      transferee != to_hex(out.header.recovery_key))
    throw Error(ErrorKind::Denied,
                "this appliance destroyed the key and named the token of recovery key " + transferee +
                    " as its transferee: that one may seal now",
                "without --retirement the key comes back to wrap only");
}

Json restore_intent(const OpenedBackup& given, const RestoredMek& wanted) {
  Json out = request_parameters(given.backup.header, given.sha256);
  out["origin"] = wanted.returned ? "returned" : keys::to_string(wanted.origin);
  return out;
}

Json drill_parameters(const OpenedBackup& given, std::uint64_t days) {
  Json out = request_parameters(given.backup.header, given.sha256);
  out["days"] = days;
  return out;
}

void restore_logged(site::Appliance& appliance, const OpenedBackup& given, const Json& approval, Json intent,
                    RestoredMek& out) {
  const auto& accept = appliance.facts().accept;
  intent["label"] = keys::make_label(out.header.name, out.header.generation);
  intent["generation"] = out.header.generation;
  intent["encryptions"] = out.header.encryptions;
  if (out.header.exposed_since > 0)
    intent["exposed_since"] = static_cast<std::uint64_t>(out.header.exposed_since);
  if (out.lost) intent["lost"] = *out.lost;
  const auto make = [&](const audit::Txn&) -> Json {
    check_value(appliance, given);
    const std::string label = keys::make_label(out.header.name, out.header.generation);
    const pkcs11::Object made =
        unwrap(appliance, given, keys::mek_template(label, out.header.mek_id, accept, out.origin));
    pkcs11::Session fresh(appliance.module(), appliance.token(), pkcs11::Access::ReadOnly);
    out.mek =
        keys::check_made(appliance.session(), fresh, made, label, out.header.mek_id, accept, out.origin);
    return {{"mek_id", to_hex(out.mek.id)},
            {"attributes", attribute_list(keys::inspect_mek(fresh, out.mek.object, accept, out.origin))},
            {"check_value", to_hex(out.header.check_value)},
            {"token_serial", appliance.token().serial}};
  };
  site::logged_act(appliance.log(), {"mek-restore", site::with_approval(std::move(intent), approval), make,
                                     [&] { destroy_with_id(appliance.session(), out.header.mek_id); }});
}

}  // namespace

audit::Entry verify_destruction_receipt(const std::filesystem::path& receipt, const std::string& log_key,
                                        ByteView mek_id) {
  const std::string text = read_plain_text(receipt, audit::kMaxReceiptSize);
  audit::Entry entry = encoding::as_kind(view(text), "a receipt", [&] {
    return audit::check_receipt(text, tlog::VerifierKey::parse(log_key)).entry;
  });
  if (entry.kind != "mek-destroy" || entry.phase != audit::Phase::Result || entry.outcome != "ok" ||
      encoding::hex_member(entry.data, "mek_id", keys::kMekIdSize) != to_hex(mek_id))
    throw Error(ErrorKind::Denied, receipt.string() + " is not the receipt of this key's end at its source");
  return entry;
}

Json request_parameters(const keys::BackupHeader& header, const std::string& digest) {
  return {{"mek", keys::make_label(header.name, header.generation)},
          {"mek_id", to_hex(header.mek_id)},
          {"backup_sha256", digest},
          {"source_appliance", header.appliance_id},
          {"source_serial", header.token_serial},
          {"source_seal_key_sha256", sha256_hex(header.seal_key)}};
}

void look_at_restore(const site::Outlook& outlook, const MekRestoreOptions& options) {
  const keys::BackupHeader header = read_backup(options.backup).backup.header;
  keys::check_name(header.name);
  if (options.retirement) static_cast<void>(final_count(*options.retirement, header));
  site::require_candidate(outlook, "mek-restore");
}

RestoredMek restore(site::Appliance& appliance, const MekRestoreOptions& options) {
  const OpenedBackup given = open_backup(appliance, options.backup);
  RestoredMek out;
  out.header = given.backup.header;
  keys::check_name(out.header.name);
  refuse_present(appliance, out.header);
  follow_loss(appliance, out);
  if (options.retirement) {
    if (out.returned)
      throw Error(ErrorKind::Usage, "the key is this appliance's own: it comes back without --retirement");
    out.origin = keys::Origin::Transferee;
    out.header.encryptions = final_count(*options.retirement, out.header);
  }
  merge_previous_history(appliance, out);
  const Json intent = restore_intent(given, out);
  restore_logged(appliance, given, appliance.approve("mek-restore", intent), intent, out);
  return out;
}

void look_at_drill(const site::Outlook& outlook, const std::filesystem::path& backup, std::uint64_t days) {
  static_cast<void>(site::judge_act(outlook, "mek-drill", drill_parameters(read_backup(backup), days)));
}

Drilled drill(site::Appliance& appliance, const std::filesystem::path& backup, std::uint64_t days,
              const std::filesystem::path& certificate, Existing existing) {
  const OpenedBackup given = open_backup(appliance, backup);
  AtomicFile file(certificate, existing);
  const keys::BackupHeader& header = given.backup.header;
  const Json intent = drill_parameters(given, days);
  UnixTime expires = 0;
  const auto open_and_compare = [&](const audit::Txn&) {
    check_value(appliance, given);
    expires = appliance.now() + static_cast<UnixTime>(days) * kDay;
    Json data = intent;
    data["check_value"] = to_hex(header.check_value);
    data["source_log_key"] = header.log_key;
    data["expires"] = static_cast<std::uint64_t>(expires);
    data["token_serial"] = appliance.token().serial;
    return data;
  };
  const Json approval = appliance.approve("mek-drill", intent);
  const std::uint64_t entry = site::logged_act(
      appliance.log(), {"mek-drill", site::with_approval(intent, approval), open_and_compare});
  site::after_result("the drill is done",
                     "'qpcseal audit receipt " + std::to_string(entry) + " -o FILE' writes its certificate",
                     [&] {
                       const std::string text =
                           audit::make_receipt(audit::read_log(appliance.home().log(), std::nullopt), entry);
                       write_exact(file.fd(), view(text), 0);
                       file.commit();
                     });
  return {header, expires};
}

}  // namespace qpcseal::mek
