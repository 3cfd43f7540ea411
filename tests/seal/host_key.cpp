// SPDX-License-Identifier: Apache-2.0
#include "tests/seal/host_key.h"

#include <fcntl.h>
#include <openssl/evp.h>

#include "base/error.h"

namespace qpcseal::testing {

namespace {

class CountingWorker final : public seal::GcmWorker {
 public:
  CountingWorker(HostKey& key, std::unique_ptr<seal::GcmWorker> inner)
      : key_(key), inner_(std::move(inner)) {}
  void encrypt(ByteView aad, ByteView plain, MutableBytes stored) override {
    count();
    inner_->encrypt(aad, plain, stored);
  }

 private:
  void count() {
    if (++key_.calls == key_.fail_at)
      throw Error(ErrorKind::Token, "C_Encrypt(key 'test'): CKR_DEVICE_REMOVED (0x32)");
  }

  HostKey& key_;
  std::unique_ptr<seal::GcmWorker> inner_;
};

SystemRandom& system_random() {
  static SystemRandom random;
  return random;
}

}  // namespace

std::unique_ptr<seal::GcmWorker> HostKey::open_worker() {
  return std::make_unique<CountingWorker>(*this, seal::open_data_key(value_, system_random()));
}

std::optional<Bytes> decrypt(ByteView key, ByteView aad, ByteView stored) {
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(EVP_CIPHER_CTX_new(),
                                                                                EVP_CIPHER_CTX_free);
  if (stored.size() < 28) return std::nullopt;
  Bytes plain(stored.size() - 28), tag(stored.end() - 16, stored.end());
  int size = 0;
  EVP_DecryptInit_ex(context.get(), EVP_aes_128_gcm(), nullptr, key.data(), stored.data());
  EVP_DecryptUpdate(context.get(), nullptr, &size, aad.data(), static_cast<int>(aad.size()));
  EVP_DecryptUpdate(context.get(), plain.data(), &size, stored.data() + 12, static_cast<int>(plain.size()));
  EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, 16, tag.data());
  if (EVP_DecryptFinal_ex(context.get(), plain.data(), &size) != 1) return std::nullopt;
  return plain;
}

Fd scratch_file() {
  Fd file(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file) throw_errno("O_TMPFILE");
  return file;
}

Bytes contents(const Fd& file) {
  Bytes out(file_size(file));
  read_exact(file, out, 0);
  return out;
}

Fd make_qpc(const std::vector<TestSegment>& segments) {
  std::vector<qpc::Segment> rows;
  for (const TestSegment& segment : segments)
    rows.push_back({segment.name, segment.data.size(), segment.offset, 0});
  const std::uint64_t size = qpc::place_unaligned(rows);
  Fd file = scratch_file();
  write_exact(file, qpc::encode_front(rows, size), 0);
  for (std::size_t i = 0; i < rows.size(); ++i) write_exact(file, segments[i].data, rows[i].data_position);
  return file;
}

}  // namespace qpcseal::testing
