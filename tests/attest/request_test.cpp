// SPDX-License-Identifier: Apache-2.0
#include "attest/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "encoding/cbor.h"

namespace qpcseal::attest {
namespace {

Request sample() {
  return {Bytes(16, 1), Bytes(32, 2), Bytes(16, 3),
          Bytes(9, 4),  1790000000,   {SessionKeyType::P384, SessionKeyType::Rsa}};
}

ErrorKind kind_of(ByteView bytes) {
  try {
    static_cast<void>(parse_request(bytes));
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "accepted: " << to_hex(bytes);
  return ErrorKind::Internal;
}

TEST(Request, ComesBackAsItWas) {
  EXPECT_EQ(parse_request(encode_request(sample())), sample());
  Request anyone = sample();
  anyone.ueid.reset();
  EXPECT_EQ(parse_request(encode_request(anyone)), anyone);
}

TEST(Request, HasTheDocumentedBytes) {
  Request request = sample();
  request.ueid.reset();
  request.key_types = {SessionKeyType::P256};
  const std::string expected =
      "a7"
      "01"
      "71" +
      to_hex(view("qpcseal/request/1")) +
      "02"
      "50" +
      to_hex(Bytes(16, 1)) +
      "03"
      "5820" +
      to_hex(Bytes(32, 2)) +
      "04"
      "50" +
      to_hex(Bytes(16, 3)) +
      "05"
      "f6"
      "06"
      "1a6ab13b80"
      "07"
      "81"
      "64" +
      to_hex(view("p256"));
  EXPECT_EQ(to_hex(encode_request(request)), expected);
}

TEST(Request, TruncatedOrExtendedIsMalformed) {
  Bytes bytes = encode_request(sample());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(kind_of(ByteView(bytes).first(size)), ErrorKind::Malformed);
  }
  bytes.push_back(0);
  EXPECT_EQ(kind_of(bytes), ErrorKind::Malformed);
}

TEST(Request, BadMembersAreNotEvenWritten) {
  const std::vector<void (*)(Request&)> mutations = {
      [](Request& r) { r.aud.pop_back(); },
      [](Request& r) { r.nonce.push_back(0); },
      [](Request& r) { r.mek_id.clear(); },
      [](Request& r) { r.ueid = Bytes(6, 0); },
      [](Request& r) { r.ueid = Bytes(34, 0); },
      [](Request& r) { r.expiry = -1; },
      [](Request& r) { r.key_types.clear(); },
      [](Request& r) { r.key_types = {SessionKeyType::Rsa, SessionKeyType::Rsa}; },
  };
  for (const auto mutate : mutations) {
    Request request = sample();
    mutate(request);
    try {
      static_cast<void>(encode_request(request));
      ADD_FAILURE() << "written";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::Internal);
    }
  }
}

TEST(Request, UnknownFormatMemberOrTypeIsMalformed) {
  const auto with = [](std::string_view format, std::string_view type, bool extra) {
    cbor::Writer w;
    w.map(extra ? 8 : 7)
        .unsigned_(1)
        .text(format)
        .unsigned_(2)
        .bytes(Bytes(16))
        .unsigned_(3)
        .bytes(Bytes(32));
    w.unsigned_(4).bytes(Bytes(16)).unsigned_(5).null().unsigned_(6).unsigned_(1).unsigned_(7).array(1).text(
        type);
    if (extra) w.unsigned_(8).unsigned_(0);
    return w.take();
  };
  EXPECT_NO_THROW(static_cast<void>(parse_request(with("qpcseal/request/1", "rsa", false))));
  EXPECT_EQ(kind_of(with("qpcseal/request/2", "rsa", false)), ErrorKind::Malformed);
  EXPECT_EQ(kind_of(with("qpcseal/request/1", "p521", false)), ErrorKind::Malformed);
  EXPECT_EQ(kind_of(with("qpcseal/request/1", "rsa", true)), ErrorKind::Malformed);
}

}  // namespace
}  // namespace qpcseal::attest
