// SPDX-License-Identifier: Apache-2.0
#include "encoding/file_kind.h"

#include <algorithm>
#include <array>
#include <sstream>

namespace qpcseal::encoding {

namespace {

using namespace std::string_view_literals;

struct Mark {
  std::string_view text, kind;
};

// At the beginning. In CBOR: a map or an array, its first member, the length of a text, the text.
constexpr std::array kBeginnings = {
    Mark{"\xA7\x01\x71qpcseal/request/1"sv, "a request for attestation"},
    Mark{"\xA8\x01\x76qpcseal/recovery-key/1"sv, "a recovery key"},
    Mark{"\xA5\x01\x70qpcseal/backup/1"sv, "a backup of a MEK"},
    Mark{"\xD2\x84"sv, "an attestation report"},
    Mark{"\xD8\x3D\xD2\x84"sv, "an attestation report"},
    Mark{"\x7C\xCD\xA1\x00"sv, "a model (QPC)"},
    Mark{"QMEK\x01"sv, "a wrapped MEK (MEK.encrypt)"},
    Mark{"qpcseal approval request "sv, "a request for approval"},
    Mark{"qpcseal rejection "sv, "a rejection of a request"},
    Mark{"qpcseal genesis "sv, "a genesis"},
    Mark{"-----BEGIN SSH SIGNATURE-----"sv, "an SSH signature"},
    Mark{"-----BEGIN OPENSSH PRIVATE KEY-----"sv, "an SSH private key"},
    Mark{"ssh-ed25519 "sv, "an SSH public key"},
    Mark{"ecdsa-sha2-"sv, "an SSH public key"},
    Mark{"<!DOCTYPE html"sv, "an HTML page"},
    Mark{"{\"command\":"sv, "a file of commands"},
    Mark{"{\"command\" :"sv, "a file of commands"},
    Mark{"\x7F"
         "ELF"sv,
         "a program or a module (ELF)"},
};

// Anywhere in the first bytes.
constexpr std::array kTexts = {
    Mark{"\"type\":\"qpcseal-receipt\""sv, "a receipt"},
    Mark{"\"type\":\"qpcseal-collateral\""sv, "a collateral bundle"},
    Mark{"qpcseal/wrapped-meks/1"sv, "config.json of wrapped MEKs"},
    Mark{"\"qpcseal/ceremony-record/"sv, "a ceremony's record"},
    Mark{"qpcseal/plan/1"sv, "a ceremony's plan"},
    Mark{"-----BEGIN CERTIFICATE-----"sv, "a certificate"},
    Mark{"-----BEGIN X509 CRL-----"sv, "a CRL"},
    Mark{"PRIVATE KEY-----"sv, "a private key"},
    Mark{"-----BEGIN PUBLIC KEY-----"sv, "a public key"},
    Mark{"\n\n\xE2\x80\x94 "sv, "a signed checkpoint"},
    Mark{" namespaces=\""sv, "an officers file"},
    Mark{"\n[approvals]"sv, "a policy"},
};

constexpr std::size_t kLooked = 65536;  // bytes
constexpr std::size_t kTarMagic = 257;  // its offset

bool ends_with(const std::string& word, std::string_view end) { return word.ends_with(end); }

// IP PORT DEVICE REQUEST REPORT
bool is_batch(std::string_view text) {
  std::istringstream line{std::string(text.substr(0, text.find('\n')))};
  std::array<std::string, 5> words;
  for (std::string& word : words) line >> word;
  return ends_with(words[3], ".request") && ends_with(words[4], ".report");
}

// NAME+ID+KEY, in one line.
bool is_vkey(std::string_view text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  const std::size_t id = line.find('+'), key = line.find('+', id == std::string_view::npos ? id : id + 1);
  constexpr std::size_t kIdDigits = 8;
  return line.size() + 1 >= text.size() && key != std::string_view::npos && key - id - 1 == kIdDigits &&
         line.find_first_not_of("0123456789abcdef", id + 1) >= key &&
         line.find(' ') == std::string_view::npos;
}

// A bundle holds a receipt.
bool is_bundle(std::string_view text) {
  return text.starts_with('{') && text.find("\"type\":\"qpcseal-bundle\"") != std::string_view::npos;
}

}  // namespace

std::string_view file_kind_at_front(ByteView bytes) {
  for (const Mark& mark : kBeginnings)
    if (text_view(bytes).starts_with(mark.text)) return mark.kind;
  return {};
}

std::string_view file_kind(ByteView bytes) {
  const std::string_view text = text_view(bytes);
  const std::string_view front = text.substr(0, kLooked);
  if (const std::string_view kind = file_kind_at_front(bytes); !kind.empty()) return kind;
  // Before what may stand in a file of it.
  if (front.size() > kTarMagic && front.substr(kTarMagic).starts_with("ustar")) return "a tar archive";
  if (is_bundle(text)) return "a bundle (a receipt and what its verdict rests on)";
  if (front.starts_with("{\"data\":") && front.find("\"prev\":") != std::string_view::npos)
    return "a log's entries";
  for (const Mark& mark : kTexts)
    if (front.find(mark.text) != std::string_view::npos) return mark.kind;
  if (is_vkey(front)) return "a verification key";
  if (is_batch(front)) return "a courier's batch";
  return {};
}

Error other_kind(std::string_view kind, std::string_view wanted, const std::string& hint) {
  return {ErrorKind::Malformed, "this is " + std::string(kind) + ", not " + std::string(wanted), hint};
}

Bytes front_of(const Fd& file) {
  constexpr std::uint64_t kFront = 1U << 16;  // bytes
  Bytes out(static_cast<std::size_t>(std::min(file_size(file), kFront)));
  read_exact(file, out, 0);
  return out;
}

void refuse_other_kind(ByteView bytes, std::string_view wanted, const std::string& hint) {
  const std::string_view kind = file_kind(bytes);
  if (!kind.empty() && kind != wanted) throw other_kind(kind, wanted, hint);
}

}  // namespace qpcseal::encoding
