#include <algorithm>

#include "appliance/audit/receipt.h"
#include "appliance/release/key_life.h"
#include "appliance/release/mek_backup.h"
#include "base/error.h"

namespace qpcseal::release {

namespace {

using audit::Json;

constexpr std::int64_t kDay = 86400;  // seconds

struct Given {
  MekBackup backup;
  std::string sha256;
  keys::RecoveryKey key;
};

Given open_backup(Appliance& appliance, const std::filesystem::path& path) {
  const Bytes bytes = read_file(path, kMaxBackupFile);
  Given out;
  out.backup = with_context(path.string(), [&] { return parse_backup(bytes); });
  out.sha256 = to_hex(sha256(bytes));
  const auto key = keys::find_recovery_key(appliance.session());
  if (!key || key->point != out.backup.header.recovery_point)
    throw Error(ErrorKind::Denied, path.string() + " is wrapped to another recovery key than this token's" +
                                       (key ? "" : ": it has none"));
  out.key = *key;
  return out;
}

pkcs11::Object unwrap(Appliance& appliance, const Given& given, pkcs11::Template attributes) {
  const BackupHeader& header = given.backup.header;
  return keys::unwrap_mek(appliance.session(), given.key, given.backup.wrapped,
                          keys::recovery_peer(given.key.point, sha256(given.backup.header_bytes)),
                          header.mek_id, std::move(attributes),
                          "key '" + keys::label_of(header.name, header.generation) + "'");
}

// As a session object that may encrypt, and is gone again at the end.
void check_value(Appliance& appliance, const Given& given) {
  const pkcs11::Temporary key(appliance.session(), unwrap(appliance, given, keys::checking_template()));
  const BackupHeader& header = given.backup.header;
  if (!keys::check_value_holds(appliance.session(), key.get(), header.mek_id, header.check_value))
    throw Error(ErrorKind::Denied, "the key in the backup does not give the backup's check value");
}

void refuse_present(Appliance& appliance, const BackupHeader& header) {
  const std::string label = keys::label_of(header.name, header.generation);
  const auto meks = keys::list_meks(appliance.session());
  const auto& logged = appliance.log().state().meks;
  const auto known = logged.find(header.mek_id);
  const bool gone =
      known == logged.end() || known->second.state == "failed" || known->second.state == "destroyed";
  if (!gone || std::any_of(meks.begin(), meks.end(), [&](const keys::Mek& mek) {
        return mek.id == header.mek_id || mek.label == label;
      }))
    throw Error(ErrorKind::Usage, "there is a MEK '" + label + "', or one with this id, already");
}

// The count at the source's end, from the receipt of it.
std::uint64_t final_count(const std::filesystem::path& path, const BackupHeader& header) {
  const audit::Entry entry = check_end(path, header.log_key, header.mek_id);
  if (!entry.data.contains(kHeirKey))
    throw Error(ErrorKind::Denied, path.string() + ": the source's officers named no heir",
                "'qpcseal mek destroy --heir RECOVERY_KEY' names one; without, the restored key only wraps");
  if (audit::text_member(entry.data, kHeirKey) != to_hex(header.recovery_key))
    throw Error(ErrorKind::Denied, path.string() + " names another recovery key's token as the heir's");
  return std::max(audit::uint_member(entry.data, "encryptions"), header.encryptions);
}

// What is known here of a key that was here before: its use goes on being counted, and whoever handed it on
// is not its heir again.
void follow_history(const Appliance& appliance, RestoredMek& out) {
  const auto& meks = appliance.log().state().meks;
  const auto before = meks.find(out.header.mek_id);
  if (before == meks.end()) return;
  out.header.encryptions = std::max(out.header.encryptions, before->second.encryptions);
  out.suspended = before->second.suspended;
  const std::string& heir = before->second.heir;
  if (out.origin == keys::Origin::Heir && !heir.empty() && heir != to_hex(out.header.recovery_key))
    throw Error(ErrorKind::Denied,
                "this appliance destroyed the key and named the token of recovery key " + heir +
                    " as its heir: that one may seal now",
                "without --retirement the key comes back to wrap only");
}

Json restore_intent(const Given& given, const RestoredMek& wanted) {
  Json out = parameters_of(given.backup.header, given.sha256);
  out["origin"] = keys::name_of(wanted.origin);
  return out;
}

void restore_logged(Appliance& appliance, const Given& given, const Json& approval, Json intent,
                    RestoredMek& out) {
  const auto& accept = appliance.facts().accept;
  intent["label"] = keys::label_of(out.header.name, out.header.generation);
  intent["generation"] = out.header.generation;
  intent["encryptions"] = out.header.encryptions;
  const audit::Txn txn = appliance.log().intent("mek-restore", with_approval(std::move(intent), approval));
  try {
    check_value(appliance, given);
    const std::string label = keys::label_of(out.header.name, out.header.generation);
    const pkcs11::Object made =
        unwrap(appliance, given, keys::mek_template(label, out.header.mek_id, accept, out.origin));
    pkcs11::Session fresh(appliance.module(), appliance.token(), pkcs11::Access::ReadOnly);
    out.mek =
        keys::check_made(appliance.session(), fresh, made, label, out.header.mek_id, accept, out.origin);
    appliance.log().result(
        txn, "ok",
        {{"mek_id", to_hex(out.mek.id)},
         {"attributes", attributes_of(keys::inspect_mek(fresh, out.mek.object, accept, out.origin))},
         {"check_value", to_hex(out.header.check_value)},
         {"token_serial", appliance.token().serial}});
  } catch (const Error& error) {
    appliance.log().result(txn, "failed", {{"error", error.what()}});
    throw;
  }
}

}  // namespace

audit::Entry check_end(const std::filesystem::path& receipt, const std::string& log_key, ByteView mek_id) {
  const Bytes text = read_file(receipt, audit::kMaxReceiptSize);
  audit::Entry entry = audit::check_receipt(text_of(text), audit::VerifierKey::parse(log_key)).entry;
  if (entry.kind != "mek-destroy" || entry.phase != audit::Phase::Result || entry.outcome != "ok" ||
      audit::hex_member(entry.data, "mek_id", keys::kMekIdSize) != to_hex(mek_id))
    throw Error(ErrorKind::Denied, receipt.string() + " is not the receipt of this key's end at its source");
  return entry;
}

Json parameters_of(const BackupHeader& header, const std::string& sha256_hex) {
  return {{"mek", keys::label_of(header.name, header.generation)},
          {"mek_id", to_hex(header.mek_id)},
          {"backup_sha256", sha256_hex},
          {"source_appliance", header.appliance_id},
          {"source_serial", header.token_serial},
          {"source_seal_key_sha256", to_hex(sha256(header.seal_key))}};
}

RestoredMek restore(Appliance& appliance, const MekRestoreWish& wish) {
  const Given given = open_backup(appliance, wish.backup);
  RestoredMek out;
  out.header = given.backup.header;
  keys::check_name(out.header.name);
  refuse_present(appliance, out.header);
  if (wish.retirement) {
    out.origin = keys::Origin::Heir;
    out.header.encryptions = final_count(*wish.retirement, out.header);
  }
  follow_history(appliance, out);
  const Json intent = restore_intent(given, out);
  restore_logged(appliance, given, appliance.approve("mek-restore", intent), intent, out);
  return out;
}

Drilled drill(Appliance& appliance, const std::filesystem::path& backup, std::uint64_t days,
              const std::filesystem::path& certificate, Existing existing) {
  const Given given = open_backup(appliance, backup);
  AtomicFile file(certificate, existing);
  const BackupHeader& header = given.backup.header;
  Json intent = parameters_of(header, given.sha256);
  intent["days"] = days;
  const audit::Txn txn =
      appliance.log().intent("mek-drill", with_approval(intent, appliance.approve("mek-drill", intent)));
  try {
    check_value(appliance, given);
  } catch (const Error& error) {
    appliance.log().result(txn, "failed", {{"error", error.what()}});
    throw;
  }
  const UnixTime expires = appliance.now() + static_cast<UnixTime>(days) * kDay;
  Json data = intent;
  data["check_value"] = to_hex(header.check_value);
  data["source_log_key"] = header.log_key;
  data["expires"] = static_cast<std::uint64_t>(expires);
  data["token_serial"] = appliance.token().serial;
  const std::uint64_t entry = appliance.log().result(txn, "ok", std::move(data));
  const std::string text = audit::make_receipt(audit::read_log(appliance.home().log(), std::nullopt), entry);
  write_exact(file.fd(), view(text), 0);
  file.commit();
  return {header, expires};
}

}  // namespace qpcseal::release
