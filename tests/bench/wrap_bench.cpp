// SPDX-License-Identifier: Apache-2.0
// Wrapping a MEK to session keys, beside the bare calls that the token must serve for it, through one session
// and through two, on each token that is installed.
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <cstdio>

#include "appliance/keys/wrap.h"
#include "base/error.h"
#include "base/openssl.h"
#include "base/parallel.h"
#include "tests/bench/bare_wrap.h"
#include "tests/bench/measure.h"
#include "tests/support/tokens.h"

namespace qpcseal::bench {

namespace {

using pkcs11::Session;

const Bytes kNonce(32, 0x6e);

keys::Peer make_peer(keys::PeerType type) {
  const bool rsa = type == keys::PeerType::Rsa;
  const KeyPtr key(rsa ? EVP_RSA_gen(3072) : EVP_EC_gen(type == keys::PeerType::P256 ? "P-256" : "P-384"));
  unsigned char* raw = nullptr;
  const int size =
      rsa ? i2d_PUBKEY(key.get(), &raw) : static_cast<int>(EVP_PKEY_get1_encoded_public_key(key.get(), &raw));
  if (size <= 0) throw Error(ErrorKind::Internal, "no session key");
  keys::Peer peer{type, Bytes(raw, raw + size), Bytes(16, 0x75)};
  OPENSSL_free(raw);
  return peer;
}

using Act = std::function<void(Session&)>;

std::function<void()> through_sessions(testing::TestToken& token, unsigned sessions, std::size_t count,
                                       Act act) {
  return [&token, sessions, count, act = std::move(act)] {
    run_parallel(sessions, count,
                 [&]() -> Work {
                   auto session =
                       std::make_shared<Session>(token.module(), token.info(), pkcs11::Access::ReadOnly);
                   return [session, &act](std::uint64_t) { act(*session); };
                 },
                 {});
  };
}

std::string text_view(keys::PeerType type) {
  return type == keys::PeerType::P256 ? "P-256" : type == keys::PeerType::P384 ? "P-384" : "RSA-3072";
}

void run_token(const std::string& name, testing::TestToken& token, unsigned rounds, std::size_t count) {
  Session& session = token.session();
  Session fresh(token.module(), token.info(), pkcs11::Access::ReadOnly);
  const keys::Mek mek =
      keys::generate_mek(session, fresh, "bench", 1, Bytes(16, 0x6d), keys::probe_desired(session));
  std::vector<Case> cases;
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& [suite, type] : keys::probe_suites(session)) {
    const keys::Peer peer = make_peer(type);
    const Act wrap = [=, &mek](Session& s) { keys::wrap_mek(s, mek, suite, peer, kNonce); };
    const Act bare = [=, &mek](Session& s) { bare_wrap(s, mek, suite, peer); };
    for (const unsigned sessions : {1U, 2U}) {
      const std::string what = "suite " + std::to_string(static_cast<unsigned>(suite)) + ", " +
                               text_view(type) + ", " + std::to_string(sessions) +
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
    const auto softhsm = testing::TestToken::softhsm();
    run_token("SoftHSM", *softhsm, rounds, count);
  }
  if (const auto nss = testing::TestToken::nss()) run_token("NSS softoken", *nss, rounds, count);
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
