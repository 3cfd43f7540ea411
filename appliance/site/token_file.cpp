// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/token_file.h"

#include "base/error.h"

namespace qpcseal::site {

namespace {

constexpr std::uint64_t kBool = 1, kNumber = 2, kBytes = 3, kMap = 4, kMechanisms = 5;  // kinds
constexpr std::uint64_t kClass = 0, kValue = 0x11, kKeyType = 0x100;                    // CKA_...
constexpr std::uint64_t kDataClass = 0, kPrivateKey = 3, kSecretKey = 4, kRsa = 0;      // CKO_..., CKK_RSA
constexpr std::size_t kWord = 8;                                                        // bytes

// What tells a key that is whole from one whose making was cut short.
struct KeyFacts {
  std::optional<std::uint64_t> object_class, key_type;
  bool has_value = false;
};

void skip(ByteReader& reader, std::size_t size) { static_cast<void>(reader.take(size)); }

void read_attribute(ByteReader& reader, TokenFile& out, KeyFacts& facts) {
  const std::uint64_t type = reader.be(kWord), kind = reader.be(kWord);
  out.types.insert(type);
  if (kind == kBool) return skip(reader, 1);
  if (kind == kNumber) {
    const std::uint64_t value = reader.be(kWord);
    if (type == kClass) facts.object_class = value;
    if (type == kKeyType) facts.key_type = value;
    return;
  }
  if (kind != kBytes && kind != kMap && kind != kMechanisms)
    throw Error(ErrorKind::Malformed, "an attribute of no known kind");
  const std::uint64_t count = reader.be(kWord), unit = kind == kMechanisms ? kWord : 1;
  if (count > reader.remaining() / unit) throw Error(ErrorKind::Malformed, "a length beyond the file");
  if (type == kValue && count > 0) facts.has_value = true;
  skip(reader, count * unit);
}

}  // namespace

std::optional<TokenFile> parse_token_file(ByteView bytes) {
  try {
    ByteReader reader(bytes, "token file");
    skip(reader, kGenerationSize);
    TokenFile out;
    KeyFacts facts;
    while (reader.remaining() > 0) read_attribute(reader, out, facts);
    out.is_data = facts.object_class == kDataClass;
    const bool needs_value = facts.object_class == kPrivateKey || facts.object_class == kSecretKey;
    out.lacks_value = needs_value && facts.key_type != kRsa && !facts.has_value;
    return out;
  } catch (const Error&) {
    return std::nullopt;
  }
}

bool same_attributes(ByteView a, ByteView b) {
  return a.size() >= kGenerationSize && a.size() == b.size() &&
         equal(a.subspan(kGenerationSize), b.subspan(kGenerationSize));
}

}  // namespace qpcseal::site
