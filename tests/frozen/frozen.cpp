// SPDX-License-Identifier: Apache-2.0
#include "tests/frozen/frozen.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>

#include <fstream>

#include "appliance/seal/data_key.h"
#include "base/error.h"
#include "qpc/container.h"

namespace qpcseal::testing {

json cases_of(const std::string& name) {
  std::ifstream in(std::filesystem::path(QPCSEAL_FROZEN) / (name + ".json"));
  return json::parse(in).at("cases");
}

Bytes hex(const json& value) { return value.is_null() ? Bytes{} : from_hex(value.get<std::string>()); }

namespace {

using BioPtr = Owned<BIO, BIO_free_all>;

BioPtr bio_of(const json& pem) {
  const std::string& text = pem.get_ref<const std::string&>();
  BioPtr bio(BIO_new(BIO_s_mem()));
  BIO_write(bio.get(), text.data(), static_cast<int>(text.size()));
  return bio;
}

KeyPtr checked(EVP_PKEY* key) {
  if (key == nullptr) throw Error(ErrorKind::Malformed, "a vector's key cannot be read");
  return KeyPtr(key);
}

}  // namespace

KeyPtr private_key(const json& pem) {
  return checked(PEM_read_bio_PrivateKey(bio_of(pem).get(), nullptr, nullptr, nullptr));
}

KeyPtr public_key(const json& pem) {
  return checked(PEM_read_bio_PUBKEY(bio_of(pem).get(), nullptr, nullptr, nullptr));
}

void GivenRandom::fill(MutableBytes out) {
  if (values_.empty() || values_.front().size() != out.size())
    throw Error(ErrorKind::Internal, "a random value of " + std::to_string(out.size()) + " bytes was wanted");
  std::ranges::copy(values_.front(), out.begin());
  values_.pop_front();
}

GivenKey::GivenKey(ByteView value, Bytes id, Random& random)
    : value_(value.size()), id_(std::move(id)), random_(random) {
  std::ranges::copy(value, value_.bytes().begin());
}

std::unique_ptr<seal::GcmWorker> GivenKey::open_worker() { return seal::open_data_key(value_, random_); }

Bytes GivenSigner::sign(ByteView message) {
  const DigestContextPtr context(EVP_MD_CTX_new());
  Bytes out(64);
  std::size_t size = out.size();
  if (EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) != 1 ||
      EVP_DigestSign(context.get(), out.data(), &size, message.data(), message.size()) != 1)
    throw Error(ErrorKind::Internal, "signing failed");
  return out;
}

seal::ClearRanges ranges_of(const json& pairs) {
  seal::ClearRanges out;
  for (const json& pair : pairs) out.push_back({pair.at(0), pair.at(1)});
  return out;
}

Fd file_of(ByteView bytes) {
  Fd file(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file) throw_errno("O_TMPFILE");
  write_exact(file, bytes, 0);
  return file;
}

Fd plain_file(const std::vector<PlainSegment>& segments) {
  std::vector<qpc::Segment> rows;
  for (const PlainSegment& s : segments) rows.push_back({s.name, s.data.size(), s.offset, 0});
  const std::uint64_t size = qpc::place_unaligned(rows);
  Fd file = file_of(qpc::encode_front(rows, size));
  for (std::size_t i = 0; i < rows.size(); ++i) write_exact(file, segments[i].data, rows[i].data_position);
  return file;
}

Bytes contents(const Fd& file) {
  Bytes out(file_size(file));
  read_exact(file, out, 0);
  return out;
}

std::size_t sweep(const Bytes& good, const std::function<bool(const Bytes&)>& accepted) {
  EXPECT_TRUE(accepted(good));
  Bytes bad = good;
  for (std::size_t i = 0; i < good.size(); ++i) {
    bad[i] ^= static_cast<std::uint8_t>(1U << (i % 8));
    bool taken = false;
    try {
      taken = accepted(bad);
    } catch (const Error& error) {
      EXPECT_NE(error.kind(), ErrorKind::Internal) << error.what();
    }
    EXPECT_FALSE(taken) << "byte " << i << " changed and nobody notices";
    bad[i] = good[i];
  }
  return good.size();
}

}  // namespace qpcseal::testing
