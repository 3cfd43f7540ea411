// SPDX-License-Identifier: Apache-2.0
// Wrapped keys, requests, evidence and a whole container, as a card and an appliance read them.
#include <fcntl.h>
#include <gtest/gtest.h>

#include "appliance/keys/wrap.h"
#include "appliance/seal/bind.h"
#include "appliance/seal/layout.h"
#include "appliance/seal/sealer.h"
#include "appliance/seal/slots.h"
#include "attest/request.h"
#include "attest/scheme.h"
#include "base/digest.h"
#include "base/error.h"
#include "device/card/keys.h"
#include "device/loader/crypto.h"
#include "device/loader/load.h"
#include "tests/frozen/frozen.h"

namespace qpcseal::testing {
namespace {

device::Card card_of(const json& in) {
  device::Card card;
  card.ueid = hex(in.at("ueid"));
  card.session_key = private_key(in.at("session_private_key"));
  card.session_public = device::session_public_key(card.session_key.get());
  card.answered_nonces = {hex(in.at("nonce"))};
  return card;
}

keys::PeerType peer_type(attest::SessionKeyType type) {
  if (type == attest::SessionKeyType::Rsa) return keys::PeerType::Rsa;
  return type == attest::SessionKeyType::P256 ? keys::PeerType::P256 : keys::PeerType::P384;
}

bool opens(const device::Card& card, const device::Wrapped& wrapped, const json& in) {
  return equal(device::unwrap_mek(card, wrapped, hex(in.at("mek_id"))).bytes(), hex(in.at("mek")));
}

// The ephemeral key is the token's own, so what C++ makes differs each time; what it binds to, and what it
// opens, is fixed.
TEST(Wrap, ContextsAndKeys) {
  for (const json& c : cases_of("wrap")) {
    SCOPED_TRACE(c.at("name").get<std::string>());
    const json &in = c.at("inputs"), &out = c.at("expected");
    const device::Card card = card_of(in);
    const device::Wrapped frozen{hex(out.at("mek_encrypt")), hex(out.at("mek_nonce")),
                                 hex(out.at("mek_pub"))};
    const auto suite = keys::suite_from(in.at("suite"));
    ASSERT_TRUE(suite.has_value());
    const bool rsa = card.session_public.type == attest::SessionKeyType::Rsa;
    EXPECT_EQ(
        keys::wrap_context(*suite, hex(in.at("mek_id")), frozen.nonce, rsa ? Bytes{} : frozen.pub,
                           {peer_type(card.session_public.type), card.session_public.public_key, card.ueid}),
        hex(out.at("context")));
    const auto with = [&](Bytes device::Wrapped::* member) {
      return [&, member](const Bytes& bytes) {
        device::Wrapped changed = frozen;
        changed.*member = bytes;
        return opens(card, changed, in);
      };
    };
    sweep(frozen.encrypt, with(&device::Wrapped::encrypt));
    sweep(frozen.nonce, with(&device::Wrapped::nonce));
    sweep(frozen.pub, with(&device::Wrapped::pub));
    if (*suite == keys::Suite::OaepSha1) continue;  // binds no context
    sweep(card.ueid, [&](const Bytes& bytes) {
      device::Card other = card_of(in);
      other.ueid = bytes;
      return opens(other, frozen, in);
    });
    sweep(frozen.nonce, [&](const Bytes& bytes) {
      device::Card other = card_of(in);
      other.answered_nonces = {bytes};
      device::Wrapped changed = frozen;
      changed.nonce = bytes;
      return opens(other, changed, in);
    });
  }
}

TEST(Request, IsMadeAndReadByteForByte) {
  for (const json& c : cases_of("request")) {
    const json& in = c.at("inputs");
    attest::Request request{hex(in.at("aud")), hex(in.at("nonce")), hex(in.at("mek_id")),
                            std::nullopt,      in.at("expiry"),     {}};
    if (!in.at("ueid").is_null()) request.ueid = hex(in.at("ueid"));
    for (const std::string type : in.at("session_types"))
      request.key_types.push_back(attest::session_key_type(type).value());
    const Bytes frozen = hex(c.at("expected").at("request"));
    EXPECT_EQ(attest::encode_request(request), frozen);
    sweep(frozen, [&](const Bytes& bytes) { return attest::parse_request(bytes) == request; });
  }
}

TEST(Evidence, IsVerifiedAndNotWithAnyByteChanged) {
  const auto scheme = attest::find_scheme("eat-card");
  for (const json& c : cases_of("evidence")) {
    const json &in = c.at("inputs"), &out = c.at("expected");
    const Bytes root = hex(in.at("root")), frozen = hex(out.at("evidence"));
    EXPECT_EQ(copy(sha256(root)), hex(in.at("root_sha256")));
    const attest::VerifyContext context{in.at("now"), {{root}, {sha256(root)}, {}}};
    const attest::Evidence evidence = scheme->verify(frozen, context);
    ASSERT_TRUE(evidence.claims.has_value()) << (evidence.findings.empty() ? "" : evidence.findings[0].id);
    const attest::Request request = attest::parse_request(hex(in.at("request")));
    EXPECT_EQ(evidence.claims->nonce, request.nonce);
    EXPECT_EQ(evidence.claims->aud, request.aud);
    EXPECT_EQ(evidence.claims->ueid, request.ueid);
    ASSERT_TRUE(evidence.claims->session_key.has_value());
    EXPECT_EQ(evidence.claims->session_key->public_key, hex(out.at("session_public")));
    const std::size_t count =
        sweep(frozen, [&](const Bytes& bytes) { return scheme->verify(bytes, context).claims.has_value(); });
    std::cout << count << " changed bytes of evidence refused\n";
  }
}

class Container : public ::testing::TestWithParam<std::size_t> {
 protected:
  const json frozen_ = cases_of("container").at(GetParam());
  const json& in_ = frozen_.at("inputs");
  const Bytes bytes_ = from_base64(frozen_.at("expected").at("container_base64").get<std::string>());

  [[nodiscard]] std::vector<PlainSegment> segments() const {
    std::vector<PlainSegment> out;
    for (const json& s : in_.at("segments")) out.push_back({s.at("name"), s.at("offset"), hex(s.at("data"))});
    return out;
  }
  [[nodiscard]] device::Card card() const {
    device::Card card = card_of(in_);
    card.seal_key = public_key(in_.at("seal_public_key"));
    return card;
  }
};

TEST_P(Container, IsMadeByteForByte) {
  ASSERT_EQ(copy(sha256(bytes_)), hex(frozen_.at("expected").at("container_sha256")));
  std::deque<Bytes> values{hex(in_.at("seal_id"))};
  for (const json& value : in_.at("random_values")) values.push_back(hex(value));
  GivenRandom random(std::move(values));
  GivenKey key(hex(in_.at("mek")), hex(in_.at("mek_id")), random);
  GivenSigner signer(private_key(in_.at("seal_private_key")));
  seal::SealOptions options;
  options.mode = static_cast<seal::Mode>(in_.at("mode").get<unsigned>());
  options.segments = in_.at("sealed").get<std::vector<std::string>>();
  for (const auto& [name, pairs] : in_.at("clear").items()) options.clear[name] = ranges_of(pairs);
  options.created = in_.at("created");
  options.model_name = in_.at("model");
  options.model_version = in_.at("model_version");
  options.chunk_log2 = in_.at("log2_chunk");
  options.threads = 1;
  const Fd plain = plain_file(segments()), sealed = file_of({});
  const auto made = seal::seal(plain, qpc::Container::read(plain), options, key, signer, random, sealed);
  EXPECT_TRUE(random.used_up());
  const Fd frozen = file_of(bytes_);
  const auto slots = seal::parse_slots(seal::SealedContainer::read(frozen).slot_page());
  ASSERT_TRUE(slots.has_value());
  seal::write_slots(sealed, {{made.slot_page, *slots}});
  EXPECT_EQ(contents(sealed), bytes_);
}

TEST_P(Container, OpensAndNotWithAnyByteChanged) {
  const std::filesystem::path dir =
      std::filesystem::temp_directory_path() / ("qpcseal-vectors-" + to_hex(SystemRandom().bytes(8)));
  std::filesystem::create_directory(dir);
  const device::Card card = this->card();
  const auto loads = [&](const Bytes& bytes) {
    write_file(dir / "sealed", bytes, Existing::Replace);
    static_cast<void>(device::load(dir / "sealed", card, dir / "plain", Existing::Replace));
    return true;
  };
  ASSERT_TRUE(loads(bytes_));
  EXPECT_EQ(read_file(dir / "plain", 1048576), contents(plain_file(segments())));
  write_file(dir / "sealed", bytes_, Existing::Replace);
  const Fd file(open((dir / "sealed").c_str(), O_RDWR | O_CLOEXEC));
  std::size_t refused = 0;
  for (std::size_t i = 0; i < bytes_.size(); ++i) {
    const Bytes bad{static_cast<std::uint8_t>(bytes_[i] ^ (1U << (i % 8)))};
    write_exact(file, bad, i);
    try {
      static_cast<void>(device::load(dir / "sealed", card, std::nullopt, Existing::Refuse));
      ADD_FAILURE() << "byte " << i;
    } catch (const Error&) {
      ++refused;
    }
    write_exact(file, ByteView(bytes_).subspan(i, 1), i);
  }
  std::cout << refused << " of " << bytes_.size() << " changed bytes of the frozen container refused\n";
  std::filesystem::remove_all(dir);
}

INSTANTIATE_TEST_SUITE_P(Frozen, Container, ::testing::Values(0, 1));

}  // namespace
}  // namespace qpcseal::testing
