// SPDX-License-Identifier: Apache-2.0
#include "device/card/provision.h"

#include "base/digest.h"
#include "base/error.h"
#include "base/random.h"
#include "device/card/card_store.h"

namespace qpcseal::device {
namespace {

constexpr std::uint64_t kOemid = 32473;  // the enterprise number kept for examples (RFC 5612)
constexpr std::string_view kHwmodel = "SIM100";
constexpr const char* kHwversion = "1.0";
constexpr unsigned kDebugDisabledPermanently = 3;
constexpr std::size_t kUeidSize = 17;
constexpr std::uint8_t kUeidRandom = 0x01;  // RFC 9711 section 4.2.1: type RAND, then random bytes

attest::Measurement measure(const std::string& name, const std::string& version, std::uint64_t svn) {
  // The same on all cards, as with real firmware: one reference value for a whole class.
  return {name, version, attest::DigestAlgorithm::Sha384, sha384(view("simulated " + name + " " + version)),
          svn};
}

CardConfig make_config(const ProvisionOptions& options) {
  CardConfig out;
  out.ueid = SystemRandom().bytes(kUeidSize);
  out.ueid.front() = kUeidRandom;
  out.oemid = kOemid;
  out.hwmodel = copy(view(kHwmodel));
  out.hwversion = kHwversion;
  out.dbgstat = options.debug ? 0 : kDebugDisabledPermanently;
  out.lifecycle = options.lifecycle;
  out.session_key = options.session_key;
  out.measurements = {measure("boot-loader", "1.0", 3), measure("firmware", "2.4", 7),
                      measure("session-service", "1.1", 1)};
  return out;
}

void refuse_existing(const ProvisionOptions& options) {
  for (unsigned number = 0; number < options.cards; ++number) {
    const std::filesystem::path dir = card_folder(options.dir, number);
    if (!std::filesystem::exists(dir)) continue;
    throw Error(ErrorKind::Io, dir.string() + ": there is a card already",
                "give another --dir, or remove that folder if its cards are no longer wanted");
  }
}

}  // namespace

void provision(const ProvisionOptions& options, const Clock& clock) {
  if (options.cards < 1 || options.cards > kMaxCards)
    throw Error(ErrorKind::Usage, "--cards must be 1 to " + std::to_string(kMaxCards));
  refuse_existing(options);
  AtomicFile roots(options.roots_out, Existing::Refuse);
  const Vendor vendor = make_vendor(clock.now());
  Bytes root;
  for (unsigned number = 0; number < options.cards; ++number) {
    const CardConfig config = make_config(options);
    const CardIdentity identity = make_card_identity(vendor, config.ueid, clock.now());
    create_card(options.dir, number, config, identity);
    root = identity.chain.back();
  }
  const std::string pem = to_pem({root});
  write_exact(roots.fd(), view(pem), 0);
  roots.commit();
}

}  // namespace qpcseal::device
