// SPDX-License-Identifier: Apache-2.0
// Faults on demand, from a small text file. One rule a line, `#` begins a comment:
//
// clang-format off
//   C_WrapKey     2 return 0x30        the 2nd call gives this CK_RV, and the token never sees it
//   C_GenerateKey 1 return-after 0x30  the token does it, and the caller is told this CK_RV
//   C_Encrypt     3 vanish             the server exits at the 3rd call, before the token has seen it
//   C_GenerateKey 1 vanish-after       the same, after the token has done it
//   C_WrapKey     1 kill               the calling process is killed (SIGKILL) before the token acts
//   C_WrapKey     1 kill-after         the same, after it
//   C_WrapKey     1 stop               the calling process is stopped (SIGSTOP) before the token acts: it stands
//                                      still, for a memory scan, until the test sends SIGCONT
//   C_WrapKey     1 stop-after         the same, after it
//   C_WrapKey     1 delay 5000         the call waits this many milliseconds
//   C_GetAttributeValue 2 short        CKR_BUFFER_TOO_SMALL whatever the buffer; the lengths are true
//   C_FindObjects 1 lie [LENGTH]       succeeds and tells this length or count (else 65536 above the true one)
//   C_GenerateKey 1 handle [NUMBER]    succeeds and gives this handle (else 0, which is none)
//   own-iv [late]                      the token makes each GCM IV itself and writes it to pIv at
//                                      C_EncryptInit, or `late` with the ciphertext
// clang-format on
//
// The number counts that function's calls since the last C_Initialize, from 1; `*` is every call.
// C_Initialize itself is counted since the file last changed. The file is read again at each C_Initialize. A
// rule that cannot be read, or a call that cannot be given that fault, stops the server: a fault that
// silently does nothing would make a test that cannot fail.
#pragma once

#include <filesystem>
#include <map>
#include <mutex>

#include "tests/support/forward/wire.h"

namespace qpcseal::forward {

enum class FaultKind {
  Return,
  ReturnAfter,
  Vanish,
  VanishAfter,
  Kill,
  KillAfter,
  Stop,
  StopAfter,
  Delay,
  Short,
  Lie,
  Handle
};

struct Rule {
  FaultKind kind = FaultKind::Return;
  Fn fn = Fn::Initialize;
  std::uint64_t call = 0;  // 0: every one
  std::optional<std::uint64_t> argument;
};

enum class OwnIv { No, AtInit, Late };

// What holds for one call.
struct Faults {
  std::map<FaultKind, Rule> rules;
  OwnIv own_iv = OwnIv::No;
  [[nodiscard]] bool has(FaultKind kind) const { return rules.contains(kind); }
  [[nodiscard]] std::optional<std::uint64_t> argument(FaultKind kind) const;
};

struct Script {
  std::vector<Rule> rules;
  OwnIv own_iv = OwnIv::No;
};
Script parse_faults(std::string_view text);  // throws std::runtime_error naming the line
std::string_view name_of(FaultKind kind);

class FaultFile {
 public:
  explicit FaultFile(std::filesystem::path path) : path_(std::move(path)) {}
  // Reads the file where `fn` is C_Initialize, counts this call and gives the rules that match it. No path:
  // no faults. Throws std::runtime_error where the file cannot be read.
  Faults next(Fn fn);

 private:
  void reload();
  std::mutex mutex_;
  std::filesystem::path path_;
  std::string text_;
  Script script_;
  std::map<Fn, std::uint64_t> calls_;
};

}  // namespace qpcseal::forward
