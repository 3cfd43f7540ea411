// SPDX-License-Identifier: Apache-2.0
#include "appliance/mek/backup.h"

#include <algorithm>

#include "appliance/mek/lifecycle.h"
#include "appliance/site/logged_act.h"
#include "base/error.h"

namespace qpcseal::mek {

namespace {

using encoding::Json;

constexpr std::size_t kNonce = 32;  // bytes

Bytes aud_of(const site::Appliance& appliance) {
  return from_hex(encoding::text_member(appliance.log().state().genesis, "aud"));
}
std::string id_of(const site::Appliance& appliance) {
  return encoding::text_member(appliance.log().state().genesis, "appliance_id");
}

keys::Suite common_suite(site::Appliance& appliance, const keys::RecoveryKeyFile& key) {
  const auto able = keys::probe_suites(appliance.session());
  for (const keys::Suite suite : key.suites)
    if (std::any_of(able.begin(), able.end(), [&](const keys::SuiteAbility& each) {
          return each.suite == suite && each.type == keys::PeerType::P256;
        }))
      return suite;
  throw Error(ErrorKind::Token, "this token wraps by none of the suites that the recovery token opens",
              "'qpcseal doctor' lists the suites of a token");
}

// The policy's limit counts the check value too; a restored MEK has none to give.
void check_may_encrypt(const site::Appliance& appliance, const keys::Mek& mek) {
  appliance.refuse_wrap_only(mek);
  const policy::MekRule* rule = appliance.policy().mek(mek.label);
  if (rule == nullptr) throw Error(ErrorKind::Denied, "the policy has no one rule for " + mek.label);
  if (appliance.log().state().meks.at(mek.id).encryptions >= rule->max_encryptions.value)
    throw Error(ErrorKind::Denied, mek.label + " has done all the encryptions that the policy allows");
}

keys::BackupHeader header_of(site::Appliance& appliance, const keys::Mek& mek,
                             const keys::RecoveryKeyFile& key) {
  keys::BackupHeader out;
  out.aud = aud_of(appliance);
  out.appliance_id = id_of(appliance);
  out.token_serial = appliance.token().serial;
  out.mek_id = mek.id;
  out.name = mek.name;
  out.generation = mek.generation;
  out.created = appliance.now();
  out.seal_key = appliance.seal_key().spki();
  out.log_key = encoding::text_member(appliance.log().state().genesis, "log_key");
  out.checkpoint = appliance.log().checkpoint();
  out.recovery_point = key.point;
  out.nonce = appliance.random().bytes(kNonce);
  return out;
}

// After the intent: the count in the header has the check value in it.
Bytes wrap_backup(site::Appliance& appliance, const keys::Mek& mek, keys::BackupHeader header) {
  const audit::MekHistory& history = appliance.log().state().meks.at(mek.id);
  header.encryptions = history.encryptions;
  header.exposed_since = history.exposed_since;
  header.checkpoint = appliance.log().checkpoint();
  header.check_value = keys::make_check_value(appliance.session(), mek.object, mek.id, appliance.random());
  keys::MekBackup out;
  out.header_bytes = keys::encode_header(header);
  out.wrapped =
      keys::wrap_mek(appliance.session(), mek, header.suite,
                     keys::recovery_peer(header.recovery_point, sha256(out.header_bytes)), header.nonce);
  out.signature = appliance.seal_key().sign(keys::signed_text(out.header_bytes, out.wrapped));
  return keys::encode(out);
}

}  // namespace

// Nothing of the file is written before the log has it: who finds one knows that its pair was kept. What the
// log has can be written again.
RecoveryKeyMade make_recovery_key(site::Appliance& appliance, const std::filesystem::path& output,
                                  Existing existing) {
  if (keys::has_recovery_key(appliance.session()))
    throw Error(ErrorKind::Token, "the token holds a recovery key already",
                "'qpcseal recovery-key show -o FILE' writes its public file again");
  AtomicFile file(output, existing);
  RecoveryKeyMade out;
  out.file.suites = keys::probe_opening(appliance.session());
  if (out.file.suites.empty())
    throw Error(ErrorKind::Token, "this token can open no backup: neither suite 1 nor suite 2 works");
  const Json approval = appliance.approve("recovery-key", Json::object());
  Bytes bytes;
  const auto make = [&](const audit::Txn&) -> Json {
    pkcs11::Session fresh(appliance.module(), appliance.token(), pkcs11::Access::ReadOnly);
    out.file.point = keys::make_recovery_key(appliance.session(), fresh).point;
    out.file.token_serial = appliance.token().serial;
    out.file.token_model = appliance.token().model;
    out.file.aud = aud_of(appliance);
    out.file.appliance_id = id_of(appliance);
    out.file.created = appliance.now();
    bytes = keys::encode(out.file);
    out.sha256 = sha256_hex(bytes);
    return {{"recovery_key_sha256", out.sha256},
            {"file", to_base64(bytes)},
            {"token_serial", appliance.token().serial}};
  };
  // No pair was there before (has_recovery_key), so that what is there now is this act's.
  out.entry =
      site::logged_act(appliance.log(), {"recovery-key", site::with_approval(Json::object(), approval), make,
                                         [&] { keys::destroy_recovery_key(appliance.session()); }});
  site::after_result("the recovery key is made", "'qpcseal recovery-key show -o FILE' writes its public file",
                     [&] {
                       write_exact(file.fd(), bytes, 0);
                       file.commit();
                     });
  return out;
}

RecoveryKeyMade recovery_key_in_force(site::Appliance& appliance) {
  const auto there = keys::find_recovery_key(appliance.session());
  if (!there) throw Error(ErrorKind::Token, "the token holds no recovery key");
  const auto* known = keys::known_recovery_key(appliance.log().state(), there->point);
  if (known == nullptr) throw Error(ErrorKind::Denied, "the recovery key in the token is not in the log");
  return {keys::parse_recovery_key(from_base64(known->second)), known->first, 0};
}

BackupMade backup(site::Appliance& appliance, const BackupOptions& options) {
  BackupMade out;
  out.mek = appliance.find_mek(options.mek);
  check_may_encrypt(appliance, out.mek);
  const Bytes key_file = read_file(options.recovery_key, keys::kMaxRecoveryKeyFile);
  const keys::RecoveryKeyFile key =
      with_context(options.recovery_key.string(), [&] { return keys::parse_recovery_key(key_file); });
  out.recovery_key_sha256 = sha256_hex(key_file);
  AtomicFile file(options.output, options.existing, 0600);
  keys::BackupHeader header = header_of(appliance, out.mek, key);
  header.recovery_key = from_hex(out.recovery_key_sha256);
  header.suite = out.suite = common_suite(appliance, key);
  Json intent = request_parameters(out.mek);
  intent["recovery_key_sha256"] = out.recovery_key_sha256;
  const Json approval = appliance.approve("mek-backup", intent);
  intent["suite"] = keys::to_string(out.suite);
  intent["nonce"] = to_hex(header.nonce);  // tells the file that is this act's
  intent["encryptions"] = 1U;
  // Nothing of it is on the medium before the log has its digest: a medium may keep what it says it lost.
  const auto make = [&](const audit::Txn& txn) -> Json {
    const Bytes bytes = wrap_backup(appliance, out.mek, std::move(header));
    out.sha256 = sha256_hex(bytes);
    appliance.log().wrapped({txn}, {{{"wrapped_sha256", out.sha256}}});
    write_exact(file.fd(), bytes, 0);
    file.commit();
    out.encryptions = appliance.log().state().meks.at(out.mek.id).encryptions;
    return {{"backup_sha256", out.sha256}, {"encryptions_until", out.encryptions}};
  };
  site::logged_act(appliance.log(), {"mek-backup", site::with_approval(std::move(intent), approval), make});
  return out;
}

}  // namespace qpcseal::mek
