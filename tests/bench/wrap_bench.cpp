// Wrapping a MEK to session keys, beside the bare calls that the token must serve for it, through one session
// and through two, on each token that is installed.
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <cstdio>

#include "appliance/keys/spki.h"
#include "appliance/keys/wrap.h"
#include "appliance/seal/parallel.h"
#include "attest/openssl.h"
#include "base/error.h"
#include "tests/bench/measure.h"
#include "tests/support/tokens.h"

namespace qpcseal::bench {

namespace {

using pkcs11::Session;
using pkcs11::Template;
using pkcs11::Temporary;

const Bytes kNonce(32, 0x6e);
constexpr std::size_t kKek = 32;  // bytes

keys::Peer make_peer(keys::PeerType type) {
  const bool rsa = type == keys::PeerType::Rsa;
  const attest::KeyPtr key(rsa ? EVP_RSA_gen(3072)
                               : EVP_EC_gen(type == keys::PeerType::P256 ? "P-256" : "P-384"));
  unsigned char* raw = nullptr;
  const int size =
      rsa ? i2d_PUBKEY(key.get(), &raw) : static_cast<int>(EVP_PKEY_get1_encoded_public_key(key.get(), &raw));
  if (size <= 0) throw Error(ErrorKind::Internal, "no session key");
  keys::Peer peer{type, Bytes(raw, raw + size), Bytes(16, 0x75)};
  OPENSSL_free(raw);
  return peer;
}

Template secret_key(CK_ATTRIBUTE_TYPE use) {
  Template out;
  out.number(CKA_CLASS, CKO_SECRET_KEY)
      .number(CKA_KEY_TYPE, CKK_AES)
      .number(CKA_VALUE_LEN, kKek)
      .flag(CKA_TOKEN, false)
      .flag(CKA_SENSITIVE, true)
      .flag(CKA_EXTRACTABLE, false)
      .flag(use, true);
  return out;
}

unsigned char* unconst(const Bytes& bytes) {
  return const_cast<unsigned char*>(bytes.data());
}  // Cryptoki has no const

// C_GenerateKeyPair, C_DeriveKey (two for suite 2) and C_WrapKey, without context, checks or reading back.
void bare_ecdh(Session& session, const keys::Mek& mek, keys::Suite suite, const keys::Peer& peer) {
  const Bytes p256 = from_hex("06082a8648ce3d030107"), p384 = from_hex("06052b81040022");
  Template publics, privates;
  publics.flag(CKA_TOKEN, false).bytes(CKA_EC_PARAMS, peer.type == keys::PeerType::P256 ? p256 : p384);
  privates.flag(CKA_TOKEN, false).flag(CKA_DERIVE, true).flag(CKA_SENSITIVE, true);
  auto pair = session.generate_pair({CKM_EC_KEY_PAIR_GEN, nullptr, 0}, publics, privates, "bare");
  const Temporary private_key(session, pair.private_key), public_key(session, pair.public_key);
  Bytes info(180, 0x69);
  CK_ECDH1_DERIVE_PARAMS ecdh{};
  const bool x963 = suite == keys::Suite::EcdhX963;
  ecdh.kdf = !x963 ? CKD_NULL : peer.type == keys::PeerType::P256 ? CKD_SHA256_KDF : CKD_SHA384_KDF;
  ecdh.ulSharedDataLen = x963 ? info.size() : 0;
  ecdh.pSharedData = x963 ? info.data() : nullptr;
  ecdh.ulPublicDataLen = peer.public_key.size();
  ecdh.pPublicData = unconst(peer.public_key);
  Temporary kek(session, session.derive({CKM_ECDH1_DERIVE, &ecdh, sizeof(ecdh)}, private_key.get(),
                                        secret_key(x963 ? CKA_WRAP : CKA_DERIVE), "bare"));
  CK_KEY_DERIVATION_STRING_DATA data{info.data(), kKek};
  if (x963) {
    session.wrap({CKM_AES_KEY_WRAP, nullptr, 0}, kek.get(), mek.object);
    return;
  }
  const Temporary second(session, session.derive({CKM_AES_ECB_ENCRYPT_DATA, &data, sizeof(data)}, kek.get(),
                                                 secret_key(CKA_WRAP), "bare"));
  session.wrap({CKM_AES_KEY_WRAP, nullptr, 0}, second.get(), mek.object);
}

// C_CreateObject and C_WrapKey.
void bare_oaep(Session& session, const keys::Mek& mek, keys::Suite suite, const keys::RsaPublic& rsa) {
  Template key;
  key.number(CKA_CLASS, CKO_PUBLIC_KEY)
      .number(CKA_KEY_TYPE, CKK_RSA)
      .flag(CKA_TOKEN, false)
      .flag(CKA_WRAP, true)
      .flag(CKA_ENCRYPT, true)
      .bytes(CKA_MODULUS, rsa.modulus)
      .bytes(CKA_PUBLIC_EXPONENT, rsa.exponent);
  const Temporary object(session, session.create(key, "bare"));
  const bool sha2 = suite == keys::Suite::OaepSha256;
  Bytes label(32, 0x6c);
  CK_RSA_PKCS_OAEP_PARAMS oaep{};
  oaep.hashAlg = sha2 ? CKM_SHA256 : CKM_SHA_1;
  oaep.mgf = sha2 ? CKG_MGF1_SHA256 : CKG_MGF1_SHA1;
  oaep.source = CKZ_DATA_SPECIFIED;
  oaep.pSourceData = sha2 ? label.data() : nullptr;
  oaep.ulSourceDataLen = sha2 ? label.size() : 0;
  session.wrap({CKM_RSA_PKCS_OAEP, &oaep, sizeof(oaep)}, object.get(), mek.object);
}

using Act = std::function<void(Session&)>;

std::function<void()> through_sessions(test::TestToken& token, unsigned sessions, std::size_t count,
                                       Act act) {
  return [&token, sessions, count, act = std::move(act)] {
    seal::run_parallel(sessions, count,
                       [&]() -> seal::Work {
                         auto session = std::make_shared<Session>(token.module(), token.info(),
                                                                  pkcs11::Access::ReadOnly);
                         return [session, &act](std::uint64_t) { act(*session); };
                       },
                       {});
  };
}

std::string text_of(keys::PeerType type) {
  return type == keys::PeerType::P256 ? "P-256" : type == keys::PeerType::P384 ? "P-384" : "RSA-3072";
}

void run_token(const std::string& name, test::TestToken& token, unsigned rounds, std::size_t count) {
  Session& session = token.session();
  Session fresh(token.module(), token.info(), pkcs11::Access::ReadOnly);
  const keys::Mek mek =
      keys::generate_mek(session, fresh, "bench", 1, Bytes(16, 0x6d), keys::probe_desired(session));
  std::vector<Case> cases;
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& [suite, type] : keys::probe_suites(session)) {
    const keys::Peer peer = make_peer(type);
    const Act wrap = [=, &mek](Session& s) { keys::wrap_mek(s, mek, suite, peer, kNonce); };
    const Act bare = [=, &mek](Session& s) {
      if (type == keys::PeerType::Rsa) return bare_oaep(s, mek, suite, keys::rsa_from_spki(peer.public_key));
      bare_ecdh(s, mek, suite, peer);
    };
    for (const unsigned sessions : {1U, 2U}) {
      const std::string what = "suite " + std::to_string(static_cast<unsigned>(suite)) + ", " +
                               text_of(type) + ", " + std::to_string(sessions) +
                               (sessions == 1 ? " session" : " sessions");
      const auto units = static_cast<double>(count);
      cases.push_back({what, units, through_sessions(token, sessions, count, wrap)});
      cases.push_back({what + ", bare", units, through_sessions(token, sessions, count, bare)});
      pairs.emplace_back(what, what + ", bare");
    }
  }
  std::printf("\n%s, %zu wraps a round:\n", name.c_str(), count);
  const auto rows = measure(cases, rounds);
  print_table(rows, {"wraps", 1});
  std::printf("\n");
  for (const auto& [wrap, bare] : pairs) print_ratio(rows, wrap, bare);
}

void run(unsigned rounds, std::size_t count) {
  print_machine();
  {
    const auto softhsm = test::TestToken::softhsm();
    run_token("SoftHSM", *softhsm, rounds, count);
  }
  if (const auto nss = test::TestToken::nss()) run_token("NSS softoken", *nss, rounds, count);
}

}  // namespace

}  // namespace qpcseal::bench

int main(int argc, char** argv) {
  std::size_t count = 1000;
  const auto options = qpcseal::bench::parse_options(
      argc, argv, "Wrapping MEKs to session keys",
      [&](CLI::App& app) { app.add_option("--wraps", count, "Wraps a round")->capture_default_str(); });
  return qpcseal::bench::guarded([&] { qpcseal::bench::run(options.rounds, count); });
}
