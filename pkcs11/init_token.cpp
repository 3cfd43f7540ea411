// SPDX-License-Identifier: Apache-2.0
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <exception>

#include "base/error.h"
#include "base/file.h"
#include "base/pipe.h"
#include "base/random.h"
#include "base/secret.h"
#include "pkcs11/module.h"
#include "pkcs11/token_choice.h"

namespace qpcseal::pkcs11 {

namespace {

constexpr std::size_t kLabelSize = 32;  // bytes, padded with blanks
constexpr std::size_t kSoPinEntropy = 16;

std::array<unsigned char, kLabelSize> padded(const std::string& label) {
  if (label.empty() || label.size() > kLabelSize)
    throw Error(ErrorKind::Usage, "a token label has 1 to 32 bytes, not '" + label + "'");
  std::array<unsigned char, kLabelSize> out{};
  out.fill(' ');
  std::copy(label.begin(), label.end(), out.begin());
  return out;
}

CK_SLOT_ID free_slot(const Module& module) {
  for (const TokenInfo& info : module.tokens())
    if (!info.initialized) return info.slot;
  throw Error(ErrorKind::Token, "no slot without a token");
}

void make_token(const std::filesystem::path& path, const std::string& label, ByteView pin) {
  auto name = padded(label);
  SystemRandom random;
  const std::string so_pin = to_hex(random.bytes(kSoPinEntropy));
  const Module module(path, Module::digest_of(path), "");
  const CK_FUNCTION_LIST& calls = module.calls();
  const CK_SLOT_ID slot = free_slot(module);
  check(calls.C_InitToken(slot, unconst(view(so_pin)), so_pin.size(), name.data()), "C_InitToken", label);
  CK_SESSION_HANDLE session = 0;
  const CK_SLOT_ID made =
      find_token(module, {label, "", {}}).slot;  // SoftHSM moves a new token to a slot of its own
  check(calls.C_OpenSession(made, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &session),
        "C_OpenSession", label);
  check(calls.C_Login(session, CKU_SO, unconst(view(so_pin)), so_pin.size()), "C_Login",
        "security officer of " + label);
  check(calls.C_InitPIN(session, unconst(pin), pin.size()), "C_InitPIN", label);
}

// Runs in the child; says what went wrong through `report`, and nothing else.
int child(int report, const std::filesystem::path& path, const std::string& label, const Fd& pin,
          std::size_t size) {
  try {
    SecretBuffer own(size);
    if (read(pin.get(), own.bytes().data(), size) != static_cast<ssize_t>(size)) throw_errno("pipe");
    make_token(path, label, own.bytes());
    return 0;
  } catch (const std::exception& error) {
    const std::string_view text = error.what();
    return write(report, text.data(), text.size()) < 0 ? 2 : 1;
  }
}

std::string read_all(int fd) {
  std::string out;
  std::array<char, 512> buffer{};
  while (true) {
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return out;
    out.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace

void init_token(const std::filesystem::path& path, const std::string& label, ByteView pin) {
  Pipe pipe;
  const Fd given = pipe_with(pin);  // a child has no secrets of its parent's
  const pid_t pid = fork();
  if (pid < 0) throw_errno("fork");
  if (pid == 0) _exit(child(pipe.write.get(), path, label, given, pin.size()));
  pipe.write.close();
  const std::string complaint = read_all(pipe.read.get());
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw Error(ErrorKind::Token,
                "making token '" + label + "': " + (complaint.empty() ? "the module crashed" : complaint));
}

}  // namespace qpcseal::pkcs11
