// SPDX-License-Identifier: Apache-2.0
// Thousands of cards of one vendor, without a folder for each:
//   fleet_cards make N DIR       N identities in DIR/fleet, the vendor's root in DIR/root.pem,
//   DIR/policy.toml fleet_cards answer DIR TRIP  the report of a card for each errand of TRIP/batch, in order
// Nothing is synced; this is for tests.
#include <openssl/x509.h>

#include <cstdio>
#include <fstream>
#include <sstream>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "device/card/answer.h"
#include "device/card/keys.h"
#include "device/card/policy_text.h"
#include "device/card/statement.h"

namespace qpcseal::device {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kUeidSize = 17;

CardConfig config_of(const Bytes& ueid) {
  CardConfig out;
  out.ueid = ueid;
  out.oemid = 32473;
  out.hwmodel = copy(view("SIM100"));
  out.hwversion = "1.0";
  out.dbgstat = 3;
  out.lifecycle = 2;
  out.measurements = {{"firmware", "2.4", attest::DigestAlgorithm::Sha384, sha384(view("firmware")), 7}};
  return out;
}

Bytes new_ueid() {
  Bytes out = SystemRandom().bytes(kUeidSize);
  out.front() = 1;
  return out;
}

Bytes der_of(EVP_PKEY* key) {
  unsigned char* out = nullptr;
  const int size = i2d_PrivateKey(key, &out);
  if (size <= 0) throw Error(ErrorKind::Internal, "i2d_PrivateKey");
  Bytes der(out, out + size);
  OPENSSL_free(out);
  return der;
}

KeyPtr key_from(const Bytes& der) {
  const unsigned char* at = der.data();
  return KeyPtr(d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(der.size())));
}

void make(unsigned count, const fs::path& dir) {
  const UnixTime now = SystemClock().now();
  const Vendor vendor = make_vendor(now);
  std::ofstream fleet(dir / "fleet");
  for (unsigned i = 0; i < count; ++i) {
    const Bytes ueid = new_ueid();
    const CardIdentity identity = make_card_identity(vendor, ueid, now);
    if (i == 0) {  // a card like all others, for the policy and the certificates that all share
      create_card(dir, 0, config_of(ueid), identity);
      write_file(dir / "root.pem", view(to_pem({identity.chain.back()})), Existing::Refuse);
    }
    fleet << to_hex(ueid) << ' ' << to_hex(der_of(identity.key.get())) << ' '
          << to_hex(identity.chain.front()) << '\n';
  }
  std::string policy = policy_for(dir, 0, now);
  const std::size_t at = policy.find("ueids = [");
  policy.replace(at, policy.find(']', at) + 1 - at, "ueids = \"any\"");
  write_file(dir / "policy.toml", view(policy), Existing::Refuse);
}

Bytes report_of(const std::string& line, const CardIdentity& like, const attest::Request& request) {
  std::istringstream words(line);
  std::string ueid, key, leaf;
  words >> ueid >> key >> leaf;
  CardIdentity identity{key_from(from_hex(key)), like.chain};
  identity.chain.front() = from_hex(leaf);
  BootState boot;
  boot.bootseed = SystemRandom().bytes(kBootseedSize);
  boot.session_key = make_session_key(attest::SessionKeyType::P256);
  return encode_evidence(make_statement(config_of(from_hex(ueid)), boot, std::move(identity), request));
}

void answer_all(const fs::path& dir, const fs::path& trip) {
  const CardIdentity like = read_identity(dir, 0);
  std::ifstream fleet(dir / "fleet"), batch(trip / "batch");
  std::string errand, card;
  while (std::getline(batch, errand)) {
    if (!std::getline(fleet, card)) throw Error(ErrorKind::Usage, "more errands than cards");
    std::istringstream words(errand);
    std::string host, port, device, request, report;
    words >> host >> port >> device >> request >> report;
    const Bytes bytes = report_of(card, like, parse_question(read_file(trip / request, kMaxRequest)));
    std::ofstream(trip / report, std::ios::binary) << text_view(bytes);
  }
}

int run(int argc, char** argv) {
  const std::string what = argc == 4 ? argv[1] : "";
  if (what == "make") {
    make(static_cast<unsigned>(std::stoul(argv[2])), argv[3]);
  } else if (what == "answer") {
    answer_all(argv[2], argv[3]);
  } else {
    std::fputs("usage: fleet_cards make N DIR | fleet_cards answer DIR TRIP\n", stderr);
    return 2;
  }
  return 0;
}

}  // namespace
}  // namespace qpcseal::device

int main(int argc, char** argv) {
  try {
    return qpcseal::device::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fleet_cards: %s\n", error.what());
    return 1;
  }
}
