// SPDX-License-Identifier: Apache-2.0
#include "device/card/statement.h"

#include <array>
#include <map>

#include "base/digest.h"
#include "base/random.h"
#include "device/card/keys.h"
#include "encoding/cbor.h"

namespace qpcseal::device {
namespace {

constexpr std::array<std::string_view, 8> kFaults = {
    "bad-nonce", "missing-measurement", "extra-measurement", "debug", "off-curve-key",
    "weak-rsa",  "unknown-root",        "wrong-aud"};
constexpr unsigned kWeakRsaBits = 1024;

// Gathers a map's members and writes them in the order of their encoded keys.
class MapWriter {
 public:
  MapWriter& add(std::int64_t key, cbor::Writer value) {
    members_[cbor::Writer().integer(key).take()] = value.take();
    return *this;
  }
  [[nodiscard]] Bytes take() const {
    cbor::Writer out;
    out.map(members_.size());
    for (const auto& [key, value] : members_) out.encoded(key).encoded(value);
    return out.take();
  }

 private:
  std::map<Bytes, Bytes> members_;
};

cbor::Writer number(std::uint64_t value) { return cbor::Writer().unsigned_(value); }
cbor::Writer bytes(ByteView value) { return cbor::Writer().bytes(value); }

Bytes encode_component(const attest::Measurement& m) {
  cbor::Writer id;
  id.array(m.version.empty() ? 1 : 2).text(m.name);
  if (!m.version.empty()) id.array(1).text(m.version);
  cbor::Writer digest;
  digest.array(2).integer(m.algorithm == attest::DigestAlgorithm::Sha256 ? -16 : -43).bytes(m.digest);
  MapWriter component;
  component.add(1, std::move(id)).add(2, std::move(digest));
  if (m.svn) component.add(-1, number(*m.svn));
  return component.take();
}

cbor::Writer encode_measurements(const std::vector<attest::Measurement>& list) {
  constexpr std::uint64_t kMeasuredComponent = 65000;
  cbor::Writer out;
  out.array(list.size());
  for (const attest::Measurement& each : list)
    out.array(2).unsigned_(kMeasuredComponent).bytes(encode_component(each));
  return out;
}

Bytes encode_claims(const Statement& s) {
  MapWriter claims;
  claims.add(3, cbor::Writer().text(to_hex(s.aud)));
  claims.add(8, cbor::Writer().map(1).unsigned_(1).encoded(s.cose_key));
  claims.add(10, bytes(s.nonce)).add(256, bytes(s.config.ueid));
  claims.add(258, number(s.config.oemid)).add(259, bytes(s.config.hwmodel));
  claims.add(260, cbor::Writer().array(1).text(s.config.hwversion));
  claims.add(262, cbor::Writer().boolean(true)).add(263, number(s.config.dbgstat));
  claims.add(265, cbor::Writer().text(attest::kEatCardProfile));
  claims.add(268, bytes(s.bootseed)).add(273, encode_measurements(s.config.measurements));
  claims.add(-75002, number(s.config.lifecycle));
  return claims.take();
}

// alg ES384, content type application/eat+cwt, and the path up to but without the root, which the appliance
// has.
Bytes encode_protected(const std::vector<Bytes>& chain) {
  cbor::Writer x5chain;
  x5chain.array(chain.size() - 1);
  for (std::size_t i = 0; i + 1 < chain.size(); ++i) x5chain.bytes(chain[i]);
  MapWriter header;
  header.add(1, cbor::Writer().integer(-35)).add(3, number(263)).add(33, std::move(x5chain));
  return header.take();
}

void move_off_curve(Statement& statement) {
  statement.cose_key = encode_cose_key(make_ec_key("P-256").get());
  statement.cose_key.back() ^= 1U;  // y: no other y but -y goes with this x, and the two differ in more
}

}  // namespace

std::span<const std::string_view> fault_names() { return kFaults; }

std::optional<Fault> parse_fault(std::string_view name) {
  for (std::size_t i = 0; i < kFaults.size(); ++i) {
    if (kFaults[i] == name) return static_cast<Fault>(i);
  }
  return std::nullopt;
}

Statement make_statement(const CardConfig& config, const BootState& boot, CardIdentity identity,
                         const attest::Request& request) {
  return {config,
          request.aud,
          request.nonce,
          boot.bootseed,
          encode_cose_key(boot.session_key.get()),
          std::move(identity)};
}

void inject_fault(Statement& statement, Fault fault, UnixTime now) {
  switch (fault) {
    case Fault::BadNonce:
      statement.nonce = SystemRandom().bytes(kNonceSize);
      return;
    case Fault::MissingMeasurement:
      statement.config.measurements.pop_back();
      return;
    case Fault::ExtraMeasurement:
      statement.config.measurements.push_back(
          {"uninvited", "1.0", attest::DigestAlgorithm::Sha384, sha384(view("uninvited")), 1});
      return;
    case Fault::Debug:
      statement.config.dbgstat = 0;
      return;
    case Fault::OffCurveKey:
      return move_off_curve(statement);
    case Fault::WeakRsa:
      statement.cose_key = encode_cose_key(make_rsa_key(kWeakRsaBits).get());
      return;
    case Fault::UnknownRoot:
      statement.identity = make_card_identity(make_vendor(now), statement.config.ueid, now);
      return;
    case Fault::WrongAud:
      statement.aud = SystemRandom().bytes(statement.aud.size());
      return;
  }
}

Bytes encode_evidence(const Statement& statement) {
  const Bytes header = encode_protected(statement.identity.chain);
  const Bytes payload = encode_claims(statement);
  cbor::Writer to_sign;
  to_sign.array(4).text("Signature1").bytes(header).bytes({}).bytes(payload);
  const Bytes signature = sign_es384(statement.identity.key.get(), to_sign.data());
  cbor::Writer out;
  out.tag(61).tag(18).array(4).bytes(header).map(0).bytes(payload).bytes(signature);
  return out.take();
}

}  // namespace qpcseal::device
