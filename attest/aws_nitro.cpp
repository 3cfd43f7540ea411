// SPDX-License-Identifier: Apache-2.0
// Scheme `aws-nitro`: attestation documents of AWS Nitro Enclaves (FORMAT.md section 5, aws-nitro), an
// untagged COSE_Sign1 with the certificates in the payload.
#include <algorithm>
#include <array>

#include "attest/cose.h"
#include "attest/measurement.h"
#include "attest/scheme.h"

namespace qpcseal::attest {
namespace {

constexpr const char* kRule = "FORMAT.md section 5, aws-nitro";
constexpr std::size_t kMaxDocument = 16384, kMaxCertificate = 1024, kMaxData = 1024, kMaxNonce = 512;
constexpr std::size_t kPcrSize = 48;  // SHA-384
constexpr std::size_t kPcrCount = 32;
constexpr std::size_t kFirstField = 0x84;  // an array of four elements, no tag before it

struct Document {
  Claims claims;
  std::string module_id;
  ByteView certificate;
  std::vector<ByteView> bundle;  // root first

  [[nodiscard]] std::vector<ByteView> chain() const {
    std::vector<ByteView> out = {certificate};
    out.insert(out.end(), bundle.rbegin(), bundle.rend());
    return out;
  }
};

enum class Presence { Required, Optional };
struct FieldRow {
  std::string_view name;
  const char* id;
  const char* expected;
  Presence need;                                          // an optional field may also be null
  void (*read)(const cbor::Value& value, Document& out);  // throws Error{Malformed}
};

bool is_hex(std::string_view text, std::size_t low, std::size_t high) {
  return text.size() >= low && text.size() <= high && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

// "i-020b6af9246d90e92-enc0183d09086c24190": instance and enclave. The instance is the card, since it is what
// stays: whoever restarts an enclave gets no new identity.
void read_module_id(const cbor::Value& value, Document& out) {
  const std::string_view text = value.as_text("module_id");
  const std::size_t dash = text.find("-enc");
  check(text.starts_with("i-") && dash != std::string_view::npos && is_hex(text.substr(2, dash - 2), 8, 17) &&
            is_hex(text.substr(dash + 4), 1, 32),
        "module_id is no instance and enclave");
  out.module_id = std::string(text);
  out.claims.ueid = copy(view(text.substr(0, dash)));
}

void read_timestamp(const cbor::Value& value, Document& out) {
  const UnixTime milliseconds = read_time(value, "timestamp");
  check(milliseconds > 0, "timestamp is 0");
  out.claims.iat = milliseconds / 1000;
}

void read_digest(const cbor::Value& value, Document&) {
  check(value.as_text("digest") == "SHA384", "digest is not SHA384");
}

bool is_zero(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

// A register of zeros was never extended: nothing was measured into it. An enclave in debug mode has PCR0 so.
void read_pcrs(const cbor::Value& value, Document& out) {
  const auto& pcrs = value.as_map("pcrs");
  check(!pcrs.empty() && pcrs.size() <= kPcrCount, "pcrs are none, or more than 32");
  std::array<ByteView, kPcrCount> by_index{};
  for (const auto& [index, content] : pcrs) {
    const std::uint64_t number = index.as_unsigned("PCR index");
    check(number < kPcrCount, "PCR index is " + std::to_string(number));
    by_index[number] = content.as_bytes("PCR");
    check(by_index[number].size() == kPcrSize, "a PCR does not have 48 bytes");
  }
  for (std::size_t i = 0; i < kPcrCount; ++i) {
    if (is_zero(by_index[i])) continue;
    out.claims.measurements.push_back(
        {"pcr" + std::to_string(i), "", DigestAlgorithm::Sha384, copy(by_index[i]), std::nullopt});
  }
  out.claims.dbgstat = is_zero(by_index[0]) ? 0 : 2;
}

ByteView read_certificate(const cbor::Value& value) {
  const ByteView der = value.as_bytes("certificate");
  check(!der.empty() && der.size() <= kMaxCertificate, "a certificate is empty or has more than 1024 bytes");
  return der;
}

void read_bundle(const cbor::Value& value, Document& out) {
  for (const cbor::Value& item : value.as_array("cabundle")) out.bundle.push_back(read_certificate(item));
  check(!out.bundle.empty(), "cabundle is empty");
}

// The document lets the enclave put anything here. What is no key that we would wrap for is no fault of the
// document, but leaves it without a session key.
void read_public_key(const cbor::Value& value, Document& out) {
  const Bytes der = read_sized(value, "public_key", 1, kMaxData);
  try {
    out.claims.session_key = parse_session_spki(der);
    out.claims.session_key_fault.clear();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Malformed) throw;
    out.claims.session_key_fault = error.what();
  }
}

constexpr std::array kFields = {
    FieldRow{"module_id", "ATT-UEID", "i-<instance>-enc<enclave>", Presence::Required, read_module_id},
    FieldRow{"timestamp", "ATT-IAT", "milliseconds since 1970", Presence::Required, read_timestamp},
    FieldRow{"digest", "ATT-MEASUREMENTS", "SHA384", Presence::Required, read_digest},
    FieldRow{"pcrs", "ATT-MEASUREMENTS", "1 to 32 registers of 48 bytes", Presence::Required, read_pcrs},
    FieldRow{"certificate", "ATT-CHAIN", "a DER certificate", Presence::Required,
             [](const cbor::Value& value, Document& out) { out.certificate = read_certificate(value); }},
    FieldRow{"cabundle", "ATT-CHAIN", "DER certificates, the root first", Presence::Required, read_bundle},
    FieldRow{"public_key", "ATT-CNF", "up to 1024 bytes", Presence::Optional, read_public_key},
    FieldRow{"user_data", "ATT-AUD", "up to 1024 bytes", Presence::Optional,
             [](const cbor::Value& value, Document& out) {
               out.claims.aud = read_sized(value, "user_data", 0, kMaxData);
             }},
    FieldRow{"nonce", "ATT-NONCE", "up to 512 bytes", Presence::Optional,
             [](const cbor::Value& value, Document& out) {
               out.claims.nonce = read_sized(value, "nonce", 0, kMaxNonce);
             }},
};

CoseProfile profile() {
  CoseProfile out;
  out.tags = {};
  out.level = cbor::Level::Strict;  // the maker does not sort keys
  out.algorithms = {CoseAlgorithm::Es384};
  return out;
}

std::optional<Sign1> parse(ByteView report, Findings& findings) {
  try {
    if (report.size() > kMaxReport) throw Error(ErrorKind::Malformed, "more than 64 KiB");
    Sign1 message = parse_sign1(report, profile());
    check(!message.payload.empty() && message.payload.size() <= kMaxDocument, "the document is over 16 KiB");
    check(message.signature.size() == 2 * kPcrSize, "the signature does not have 96 bytes");
    return message;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Malformed) throw;
    findings.push_back({"ATT-COSE", "report", error.what(), "[protected, {}, document, signature]", kRule});
    return std::nullopt;
  }
}

const cbor::Value* field(const cbor::Value& document, std::string_view name) {
  for (const auto& [key, value] : document.as_map("document")) {
    if (key.is(cbor::Type::Text) && key.as_text("field") == name) return &value;
  }
  return nullptr;
}

void read_field(const FieldRow& row, const cbor::Value& document, Document& out, Findings& findings) {
  const cbor::Value* value = field(document, row.name);
  if (row.need == Presence::Optional && (value == nullptr || value->is(cbor::Type::Null))) return;
  const std::string name(row.name);
  if (value == nullptr) {
    findings.push_back({row.id, name, "absent", row.expected, kRule});
    return;
  }
  try {
    row.read(*value, out);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Malformed) throw;
    findings.push_back({row.id, name, error.what(), row.expected, kRule});
  }
}

void refuse_unknown_fields(const cbor::Value& document, Findings& findings) {
  for (const auto& entry : document.as_map("document")) {
    const bool known = std::any_of(kFields.begin(), kFields.end(), [&](const FieldRow& row) {
      return field(document, row.name) == &entry.second;
    });
    if (!known)
      findings.push_back(
          {"ATT-UNKNOWN-CLAIM", "0x" + to_hex(entry.first.raw()), "present", "no such field", kRule});
  }
}

Document read_document(ByteView payload, Findings& findings) {
  Document out;
  out.claims.session_key_fault = "no public_key";
  try {
    const cbor::Value document = cbor::parse(payload, cbor::Level::Strict, "document");
    check(document.is(cbor::Type::Map), "the document is no map");
    for (const FieldRow& row : kFields) read_field(row, document, out, findings);
    refuse_unknown_fields(document, findings);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Malformed) throw;
    findings.push_back({"ATT-CBOR", "document", error.what(), "strict CBOR", "FORMAT.md CBOR rules"});
  }
  return out;
}

// The leaf is named after the enclave. Leaf and instance certificates lack the key identifiers that
// X509_STRICT wants.
PathProfile path_profile(const Document& document) {
  PathProfile out;
  out.attribute = NID_commonName;
  out.identity = document.module_id;
  out.domain = true;
  out.strict = false;
  return out;
}

class AwsNitro final : public Scheme {
 public:
  std::string_view id() const override { return "aws-nitro"; }
  bool recognises(ByteView report) const override { return !report.empty() && report.front() == kFirstField; }

  Findings form_findings(ByteView report) const override {
    Findings out;
    static_cast<void>(parse(report, out));
    return out;
  }

  Evidence verify(ByteView report, const VerifyContext& context) const override {
    Evidence out;
    const std::optional<Sign1> message = parse(report, out.findings);
    if (!message) return out;
    Document document = read_document(message->payload, out.findings);
    const PathResult path =
        verify_path(document.chain(), context.anchors, path_profile(document), context.now);
    out.findings.insert(out.findings.end(), path.findings.begin(), path.findings.end());
    if (path.root && (document.bundle.empty() || sha256(document.bundle.front()) != *path.root))
      out.findings.push_back(
          {"ATT-CHAIN-ROOT", "cabundle", "does not begin with the root", "the root first", kRule});
    if (!path.leaf_key || !verify_sign1(*message, path.leaf_key.get())) {
      out.findings.push_back(
          {"ATT-SIGNATURE", "signature", "does not verify", "ES384 by the certificate's key", kRule});
    }
    if (!out.findings.empty()) return out;
    out.root = path.root;
    out.crls_current = path.crls_current;
    out.crls = path.crls;
    out.claims = std::move(document.claims);
    return out;
  }

  Evidence inspect(ByteView report) const override {
    Evidence out;
    const std::optional<Sign1> message = parse(report, out.findings);
    if (!message) return out;
    Document document = read_document(message->payload, out.findings);
    if (out.findings.empty()) out.claims = std::move(document.claims);
    return out;
  }
};

}  // namespace

std::unique_ptr<Scheme> make_aws_nitro_scheme() { return std::make_unique<AwsNitro>(); }

}  // namespace qpcseal::attest
