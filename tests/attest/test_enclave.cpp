// SPDX-License-Identifier: Apache-2.0
#include "tests/attest/test_enclave.h"

#include <algorithm>

#include "encoding/cbor.h"

namespace qpcseal::testing {

Bytes spki_of(EVP_PKEY* key) {
  Bytes der(static_cast<std::size_t>(i2d_PUBKEY(key, nullptr)));
  unsigned char* at = der.data();
  i2d_PUBKEY(key, &at);
  return der;
}

TestEnclave::TestEnclave() : session(make_ec_key("P-384")), aud(16, 0xa1), nonce(32, 0xb2) {
  root = make_identity({.common_name = "test.nitro-enclaves"}, make_ec_key("P-384"), nullptr);
  instance = make_identity(
      {.common_name = "i-0123456789abcdef0.test", .basic_constraints = "critical,CA:TRUE,pathlen:0"},
      make_ec_key("P-384"), &root);
  leaf = make_identity({.common_name = std::string(kTestModule) + ".us-east-1.aws",
                        .basic_constraints = "critical,CA:FALSE",
                        .key_usage = "digitalSignature,nonRepudiation"},
                       make_ec_key("P-384"), &instance);
  set("module_id", cbor_text(kTestModule));
  set("digest", cbor_text("SHA384"));
  set("timestamp", cbor_int(kTestNow * 1000));
  set_pcrs({{0, Bytes(48, 0x10)},
            {1, Bytes(48, 0x11)},
            {2, Bytes(48, 0x12)},
            {3, Bytes(48, 0)},
            {4, Bytes(48, 0x14)}});
  set("certificate", cbor_bytes(leaf.der()));
  set("cabundle", cbor_array({cbor_bytes(root.der()), cbor_bytes(instance.der())}));
  set("public_key", cbor_bytes(spki_of(session.get())));
  set("user_data", cbor_bytes(aud));
  set("nonce", cbor_bytes(nonce));
}

void TestEnclave::set(const std::string& name, Bytes value) {
  const auto found =
      std::find_if(fields.begin(), fields.end(), [&](const auto& field) { return field.first == name; });
  if (found == fields.end()) {
    fields.emplace_back(name, std::move(value));
  } else {
    found->second = std::move(value);
  }
}

void TestEnclave::remove(const std::string& name) {
  std::erase_if(fields, [&](const auto& field) { return field.first == name; });
}

void TestEnclave::set_pcrs(const std::vector<std::pair<unsigned, Bytes>>& pcrs) {
  EncodedMap map;
  for (const auto& [index, value] : pcrs) map[cbor_int(index)] = cbor_bytes(value);
  set("pcrs", cbor_map(map));
}

Bytes TestEnclave::document() const {
  cbor::Writer writer;
  writer.map(fields.size());
  for (const auto& [name, value] : fields) writer.text(name).encoded(value);
  return writer.take();
}

Bytes TestEnclave::report_of(ByteView document) const {
  return make_sign1({}, cbor_map({{cbor_int(1), cbor_int(-35)}}), cbor_map({}), document, leaf.key.get());
}

attest::VerifyContext TestEnclave::context() const {
  const Bytes der = root.der();
  return {kTestNow, {{der}, {sha256(der)}, {}}};
}

}  // namespace qpcseal::testing
