// SPDX-License-Identifier: Apache-2.0
#include "appliance/keys/backup_file.h"

#include "appliance/keys/spki.h"
#include "base/error.h"
#include "encoding/cbor.h"
#include "encoding/file_kind.h"
#include "tlog/note.h"

namespace qpcseal::keys {

namespace {

constexpr std::string_view kRecoveryType = "qpcseal/recovery-key/1", kBackupType = "qpcseal/backup/1",
                           kHeaderType = "qpcseal/backup-header/2";
constexpr std::size_t kAud = 16, kPoint = 65, kDigest = 32, kNonce = 32, kSignature = 64;  // bytes
constexpr std::size_t kMaxText = 128;                                                      // bytes

// A map with the keys 1 to `count`, in this order and no others; key 1 names the type.
class Fields {
 public:
  Fields(const cbor::Value& map, std::string_view type, std::size_t count) : map_(map), type_(type) {
    const auto& pairs = map.as_map(type);
    bool good = pairs.size() == count;
    for (std::size_t i = 0; good && i < count; ++i)
      good = pairs[i].first.is(cbor::Type::Unsigned) && pairs[i].first.as_unsigned(type) == i + 1;
    if (!good || at(1).as_text(type) != type) throw Error(ErrorKind::Malformed, "not a " + std::string(type));
  }
  [[nodiscard]] const cbor::Value& at(std::int64_t key) const { return *map_.find(key); }
  [[nodiscard]] Bytes bytes(std::int64_t key, std::size_t size) const {
    const ByteView out = at(key).as_bytes(type_);
    if (size != 0 && out.size() != size) refuse(key);
    return copy(out);
  }
  [[nodiscard]] std::string text(std::int64_t key, std::size_t limit = kMaxText) const {
    const std::string_view out = at(key).as_text(type_);
    if (out.empty() || out.size() > limit) refuse(key);
    return std::string(out);
  }
  // A token's, which may be blank: opencryptoki's soft token has no serial.
  [[nodiscard]] std::string token_text(std::int64_t key) const {
    const std::string_view out = at(key).as_text(type_);
    if (out.size() > kMaxText) refuse(key);
    return std::string(out);
  }
  [[nodiscard]] std::uint64_t number(std::int64_t key) const { return at(key).as_unsigned(type_); }
  [[nodiscard]] UnixTime time(std::int64_t key) const {
    const std::uint64_t out = number(key);
    if (out > static_cast<std::uint64_t>(INT64_MAX)) refuse(key);
    return static_cast<UnixTime>(out);
  }
  [[noreturn]] void refuse(std::int64_t key) const {
    throw Error(ErrorKind::Malformed,
                std::string(type_) + ": member " + std::to_string(key) + " is out of range");
  }

 private:
  const cbor::Value& map_;
  std::string_view type_;
};

keys::Suite suite_of(std::uint64_t number, std::string_view type) {
  const auto suite = number <= 2 ? keys::suite_from(static_cast<unsigned>(number)) : std::nullopt;
  if (!suite) throw Error(ErrorKind::Malformed, std::string(type) + ": a suite other than 1 and 2");
  return *suite;
}

Bytes point_of(const Fields& fields, std::int64_t key) {
  Bytes point = fields.bytes(key, kPoint);
  if (!keys::on_curve(point)) throw Error(ErrorKind::Malformed, "the recovery key's point is not on P-256");
  return point;
}

BackupHeader parse_header(ByteView bytes) {
  const cbor::Value map = cbor::parse(bytes, cbor::Level::Deterministic, "backup header");
  const Fields fields(map, kHeaderType, 18);
  BackupHeader out;
  out.aud = fields.bytes(2, kAud);
  out.appliance_id = fields.text(3);
  out.token_serial = fields.token_text(4);
  out.mek_id = fields.bytes(5, keys::kMekIdSize);
  out.name = fields.text(6);
  out.generation = fields.number(7);
  out.created = fields.time(8);
  out.encryptions = fields.number(9);
  out.check_value = fields.bytes(10, keys::kCheckValueSize);
  out.seal_key = fields.bytes(11, 0);
  out.log_key = fields.text(12, 512);
  out.checkpoint = fields.text(13, 8192);
  out.recovery_point = point_of(fields, 14);
  out.recovery_key = fields.bytes(15, kDigest);
  out.suite = suite_of(fields.number(16), kHeaderType);
  out.nonce = fields.bytes(17, kNonce);
  out.exposed_since = fields.time(18);
  static_cast<void>(tlog::VerifierKey::parse(out.log_key));
  if (out.generation == 0 || out.generation > 999999999) fields.refuse(7);
  return out;
}

}  // namespace

Bytes encode(const RecoveryKeyFile& file) {
  cbor::Writer out;
  out.map(8).unsigned_(1).text(kRecoveryType);
  out.unsigned_(2).bytes(file.point);
  out.unsigned_(3).array(file.suites.size());
  for (const keys::Suite suite : file.suites) out.unsigned_(static_cast<std::uint64_t>(suite));
  out.unsigned_(4).text(file.token_serial).unsigned_(5).text(file.token_model);
  out.unsigned_(6).bytes(file.aud).unsigned_(7).text(file.appliance_id);
  out.unsigned_(8).unsigned_(static_cast<std::uint64_t>(file.created));
  return out.take();
}

namespace {

RecoveryKeyFile read_recovery_key(ByteView bytes) {
  const cbor::Value map = cbor::parse(bytes, cbor::Level::Deterministic, "recovery key");
  const Fields fields(map, kRecoveryType, 8);
  RecoveryKeyFile out;
  out.point = point_of(fields, 2);
  for (const cbor::Value& suite : fields.at(3).as_array(kRecoveryType))
    out.suites.push_back(suite_of(suite.as_unsigned(kRecoveryType), kRecoveryType));
  if (out.suites.empty() || out.suites.size() > 2 ||
      (out.suites.size() == 2 && out.suites[0] == out.suites[1]))
    fields.refuse(3);
  out.token_serial = fields.token_text(4);
  out.token_model = fields.token_text(5);
  out.aud = fields.bytes(6, kAud);
  out.appliance_id = fields.text(7);
  out.created = fields.time(8);
  return out;
}

}  // namespace

RecoveryKeyFile parse_recovery_key(ByteView bytes) {
  return encoding::as_kind(bytes, "a recovery key", [&] { return read_recovery_key(bytes); });
}

Bytes encode_header(const BackupHeader& header) {
  cbor::Writer out;
  out.map(18).unsigned_(1).text(kHeaderType);
  out.unsigned_(2).bytes(header.aud).unsigned_(3).text(header.appliance_id);
  out.unsigned_(4).text(header.token_serial).unsigned_(5).bytes(header.mek_id);
  out.unsigned_(6).text(header.name).unsigned_(7).unsigned_(header.generation);
  out.unsigned_(8).unsigned_(static_cast<std::uint64_t>(header.created));
  out.unsigned_(9).unsigned_(header.encryptions).unsigned_(10).bytes(header.check_value);
  out.unsigned_(11).bytes(header.seal_key).unsigned_(12).text(header.log_key);
  out.unsigned_(13).text(header.checkpoint).unsigned_(14).bytes(header.recovery_point);
  out.unsigned_(15).bytes(header.recovery_key);
  out.unsigned_(16).unsigned_(static_cast<std::uint64_t>(header.suite)).unsigned_(17).bytes(header.nonce);
  out.unsigned_(18).unsigned_(static_cast<std::uint64_t>(header.exposed_since));
  return out.take();
}

Bytes signed_text(ByteView header, const keys::WrappedMek& wrapped) {
  Bytes message;
  append_lp16(message, header);
  append_lp16(message, wrapped.encrypt);
  append_lp16(message, wrapped.pub);
  Bytes out = copy(view(kBackupType));
  out.push_back(0);
  append(out, sha256(message));
  return out;
}

Bytes encode(const MekBackup& backup) {
  cbor::Writer out;
  out.map(5).unsigned_(1).text(kBackupType).unsigned_(2).bytes(backup.header_bytes);
  out.unsigned_(3).bytes(backup.wrapped.encrypt).unsigned_(4).bytes(backup.wrapped.pub);
  out.unsigned_(5).bytes(backup.signature);
  return out.take();
}

namespace {

MekBackup read_backup(ByteView bytes) {
  const cbor::Value map = cbor::parse(bytes, cbor::Level::Deterministic, "backup");
  const Fields fields(map, kBackupType, 5);
  MekBackup out;
  out.header_bytes = fields.bytes(2, 0);
  out.header = parse_header(out.header_bytes);
  out.wrapped = {out.header.suite, fields.bytes(3, 0), out.header.nonce, fields.bytes(4, kPoint)};
  out.signature = fields.bytes(5, kSignature);
  if (!keys::verify_with_spki(out.header.seal_key, signed_text(out.header_bytes, out.wrapped), out.signature))
    throw Error(ErrorKind::Denied, "the backup is not signed by the seal key that it names");
  return out;
}

}  // namespace

MekBackup parse_backup(ByteView bytes) {
  return encoding::as_kind(bytes, "a backup of a MEK", [&] { return read_backup(bytes); });
}

const std::pair<const std::string, std::string>* known_recovery_key(const audit::State& state,
                                                                    const Bytes& point) {
  for (const auto& known : state.recovery_keys)
    if (parse_recovery_key(from_base64(known.second)).point == point) return &known;
  return nullptr;
}

}  // namespace qpcseal::keys
