// SPDX-License-Identifier: Apache-2.0
#include "tests/loader/bench.h"

#include <gtest/gtest.h>
#include <openssl/x509.h>

#include <algorithm>
#include <fstream>

#include "appliance/seal/bind.h"
#include "base/digest.h"
#include "base/random.h"
#include "device/card/keys.h"
#include "device/loader/crypto.h"
#include "device/loader/load.h"

namespace qpcseal::testing {

namespace {

constexpr unsigned kChunkLog2 = 16;

Bytes random_bytes(std::size_t size) {
  SystemRandom random;
  return random.bytes(size);
}

Fd file_of(const std::filesystem::path& path, ByteView bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return open_to_read(path);
}

Bytes contents(const std::filesystem::path& path) { return read_file(path, std::size_t{1} << 30); }

KeyPtr key_of(const Bytes& spki) {
  const unsigned char* at = spki.data();
  return KeyPtr(d2i_PUBKEY(nullptr, &at, static_cast<long>(spki.size())));
}

}  // namespace

Segment& Parts::at(std::string_view name) {
  const auto found = std::ranges::find(segments, name, &Segment::name);
  if (found == segments.end()) throw Error(ErrorKind::Internal, "no segment " + std::string(name));
  return *found;
}

Parts take_apart(ByteView container) {
  const TemporaryFolder dir;
  const Fd file = file_of(dir.path() / "container", container);
  Parts out;
  const qpc::Container opened = qpc::Container::read(file);
  for (const qpc::Segment& segment : opened.segments())
    out.segments.push_back(
        {segment.name, copy(container.subspan(segment.data_position, segment.size)), segment.offset});
  return out;
}

Bytes put_together(const Parts& parts) {
  std::vector<qpc::Segment> rows;
  for (const Segment& s : parts.segments) rows.push_back({s.name, s.data.size(), s.offset, 0});
  const auto slot = [](const qpc::Segment& row) { return row.name.starts_with("MEK."); };
  // The slots share the page after the names; all others follow, each on a page of its own.
  const auto up = [](std::uint64_t at) {
    return (at + seal::kPageSize - 1) / seal::kPageSize * seal::kPageSize;
  };
  const std::uint64_t page = up(qpc::front_size(rows));
  std::uint64_t next_slot = page, at = page + seal::kPageSize;
  for (qpc::Segment& row : rows) {
    row.data_position = slot(row) ? next_slot : up(at);
    if (slot(row)) next_slot += row.size;
    if (!slot(row) && row.size > 0) at = row.data_position + row.size;
  }
  Bytes out(std::max(at, next_slot));
  std::ranges::copy(qpc::encode_front(rows, out.size()), out.begin());
  for (std::size_t i = 0; i < rows.size(); ++i)
    std::ranges::copy(parts.segments[i].data,
                      out.begin() + static_cast<std::ptrdiff_t>(rows[i].data_position));
  return out;
}

Bytes pattern(std::size_t size, std::uint8_t seed) {
  Bytes out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::uint8_t>(i * 31 + (i >> 8) + seed);
  return out;
}

Bench::Bench()
    : file_(folder_.path() / "programqpc.bin"),
      token_(TestToken::softhsm()),
      session_key_(device::make_session_key(attest::SessionKeyType::P256)),
      ueid_(random_bytes(17)),
      nonce_(random_bytes(32)) {
  keys::generate_signing_key(token_->session(), keys::kSealKeyLabel, keys::SigningType::Ed25519);
  seal_key_ = std::make_unique<keys::SigningKey>(token_->session(), keys::kSealKeyLabel);
}

device::Card Bench::card() const {
  device::Card card;
  card.ueid = ueid_;
  EVP_PKEY_up_ref(session_key_.get());
  card.session_key.reset(session_key_.get());
  card.session_public = device::session_public_key(session_key_.get());
  card.answered_nonces = {random_bytes(32), nonce_};
  card.seal_key = key_of(seal_key_->spki());
  return card;
}

device::Card Bench::stranger() {
  device::Card card;
  card.ueid = random_bytes(17);
  card.session_key = device::make_session_key(attest::SessionKeyType::P256);
  card.session_public = device::session_public_key(card.session_key.get());
  return card;
}

std::vector<Segment> Bench::plain(std::size_t constants) {
  return {{"network.elf", pattern(300, 1), 0},
          {"constantsdesc.bin", pattern(77, 2), 0},
          {"constants.bin", pattern(constants, 3), 40},
          {"empty.bin", {}, 0},
          {"networkdesc.bin", pattern(130, 4), 0}};
}

keys::Mek Bench::mek(const std::string& name) {
  for (keys::Mek& mek : keys::list_meks(token_->session()))
    if (mek.name == name) return std::move(mek);
  pkcs11::Session fresh(token_->module(), token_->info(), pkcs11::Access::ReadOnly);
  return keys::generate_mek(token_->session(), fresh, name, 1, random_bytes(keys::kMekIdSize), {});
}

Bytes Bench::seal(const Wish& wanted) {
  const keys::Mek key = mek(wanted.mek);
  const std::vector<Segment> segments = plain(wanted.constants);
  std::vector<qpc::Segment> rows;
  for (const Segment& s : segments) rows.push_back({s.name, s.data.size(), s.offset, 0});
  const std::uint64_t size = qpc::place_unaligned(rows);
  Bytes input(size);
  std::ranges::copy(qpc::encode_front(rows, size), input.begin());
  for (std::size_t i = 0; i < rows.size(); ++i)
    std::ranges::copy(segments[i].data, input.begin() + static_cast<std::ptrdiff_t>(rows[i].data_position));
  const Fd in = file_of(folder_.path() / "plain.qpc", input);
  seal::SealOptions options;
  options.mode = wanted.mode;
  options.segments = {"network.elf", "constants.bin"};
  if (wanted.readable) options.clear["network.elf"] = {{0, 52}, {100, 20}};
  options.created = 1'800'000'000;
  options.model_name = "model";
  options.model_version = wanted.model_version;
  options.chunk_log2 = kChunkLog2;
  options.threads = 2;
  SystemRandom random;
  keys::TokenKey handle(token_->module(), token_->info(), key, pkcs11::probe_gcm(token_->session()), random);
  keys::SealKey signer(*seal_key_);
  AtomicFile out(file_, Existing::Replace);
  const auto made = seal::seal(in, qpc::Container::read(in), options, handle, signer, random, out.fd());
  if (wanted.bound) {
    const device::Card target = card();
    const auto wrapped =
        keys::wrap_mek(token_->session(), key, keys::Suite::EcdhEcbKdf,
                       {keys::PeerType::P256, target.session_public.public_key, ueid_}, nonce_);
    seal::write_slots(out.fd(), {{made.slot_page, {wrapped.encrypt, wrapped.nonce, wrapped.pub}}});
  }
  out.commit();
  return contents(file_);
}

std::string Bench::refusal(ByteView container, const device::Card& card) {
  file_of(file_, container);
  try {
    static_cast<void>(device::load(file_, card, std::nullopt, Existing::Refuse));
  } catch (const Error& error) {
    EXPECT_TRUE(error.kind() == ErrorKind::Denied || error.kind() == ErrorKind::Malformed) << error.what();
    return error.what();
  }
  return {};
}

SecretBuffer Bench::mek_value(ByteView container) const {
  Parts parts = take_apart(container);
  const auto content = [&](std::string_view name) {
    const ByteView slot = parts.at(name).data;
    return copy(slot.subspan(2, load_be(slot.first(2))));
  };
  const device::Wrapped wrapped{content("MEK.encrypt"), content("MEK.nonce"), content("MEK.pub")};
  return device::unwrap_mek(card(), wrapped, ByteView(wrapped.encrypt).subspan(6, 16));
}

}  // namespace qpcseal::testing
