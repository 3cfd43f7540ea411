// SPDX-License-Identifier: Apache-2.0
// What the forwarding module and its server say to each other over a stream socket of one machine: frames of
// u32 size (host order), then that many bytes. A request is u32 function, then its arguments; a reply is u64
// CK_RV, then the results. A blob is u8 present | u64 length | bytes where present. Buffers are wiped when
// they go, since PINs and imported keys pass through them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace qpcseal::forward {

using Bytes = std::vector<std::uint8_t>;

inline constexpr std::size_t kMaxFrame = std::size_t{256} << 20;

// Each PKCS#11 call that is carried.
// clang-format off
#define QPCSEAL_FORWARD_CALLS(X)                                                              \
  X(Initialize) X(Finalize) X(GetInfo) X(GetSlotList) X(GetSlotInfo) X(GetTokenInfo)          \
  X(GetMechanismList) X(GetMechanismInfo) X(InitToken) X(InitPIN) X(OpenSession)              \
  X(CloseSession) X(CloseAllSessions) X(GetSessionInfo) X(Login) X(Logout) X(GenerateRandom)  \
  X(SeedRandom) X(GenerateKey) X(GenerateKeyPair) X(CreateObject) X(CopyObject)               \
  X(DestroyObject) X(GetAttributeValue) X(SetAttributeValue) X(FindObjectsInit)               \
  X(FindObjects) X(FindObjectsFinal) X(EncryptInit) X(Encrypt) X(EncryptUpdate)               \
  X(EncryptFinal) X(DecryptInit) X(Decrypt) X(DigestInit) X(Digest) X(SignInit) X(Sign)       \
  X(VerifyInit) X(Verify) X(DeriveKey) X(WrapKey) X(UnwrapKey)
// clang-format on

enum class Fn : std::uint32_t {
#define X(name) name,
  QPCSEAL_FORWARD_CALLS(X)
#undef X
};

std::string name_of(Fn fn);  // "C_WrapKey"
std::optional<Fn> function_named(std::string_view name);

// A frame that is not what it says, or a socket that failed.
struct WireError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Writer {
 public:
  Writer() = default;
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer();
  Writer& byte(std::uint8_t value) { return raw(&value, sizeof value); }
  Writer& number(std::uint64_t value) { return raw(&value, sizeof value); }
  Writer& raw(const void* data, std::size_t size);
  // `data` may be null: the length is carried all the same.
  Writer& blob(const void* data, std::size_t size);
  [[nodiscard]] const Bytes& data() const { return data_; }

 private:
  Bytes data_;
};

struct Blob {
  bool present = false;
  std::size_t length = 0;
  Bytes data;
  // Null where the sender's pointer was null, never null otherwise.
  [[nodiscard]] std::uint8_t* pointer() { return present ? data.data() : nullptr; }
};

class Reader {
 public:
  Reader() = default;
  explicit Reader(Bytes frame) : frame_(std::move(frame)) {}
  Reader(Reader&& other) noexcept = default;
  Reader& operator=(Reader&& other) noexcept = default;
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader();
  std::uint8_t byte();
  std::uint64_t number();
  [[nodiscard]] std::uint64_t peek_number() const;  // 0 where there is none
  void raw(void* out, std::size_t size);
  Blob blob();
  [[nodiscard]] std::size_t remaining() const { return frame_.size() - at_; }

 private:
  Bytes frame_;
  std::size_t at_ = 0;
};

void wipe(Bytes& bytes);

// Whole frames. send_frame throws WireError; receive_frame gives nothing when the peer has gone.
void send_frame(int socket, const Bytes& frame);
std::optional<Bytes> receive_frame(int socket);

// A connected stream socket, close-on-exec, or -1.
int connect_to(const std::string& path);

}  // namespace qpcseal::forward
