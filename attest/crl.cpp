#include <array>
#include <ctime>
#include <iterator>

#include "attest/certpath.h"

namespace qpcseal::attest {
namespace {

[[noreturn]] void refuse(const std::string& why) { throw Error(ErrorKind::Malformed, "CRL: " + why); }

CrlPtr parse_crl(ByteView der) {
  const unsigned char* at = der.data();
  CrlPtr crl(d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size())));
  ERR_clear_error();
  if (!crl || at != der.data() + der.size()) refuse("not one DER CRL");
  return crl;
}

UnixTime to_unix(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) refuse("thisUpdate or nextUpdate is missing");
  return timegm(&parts);
}

Bytes number_of(const X509_CRL* crl) {
  const AsnNumberPtr number(
      static_cast<ASN1_INTEGER*>(X509_CRL_get_ext_d2i(crl, NID_crl_number, nullptr, nullptr)));
  if (!number) refuse("no crlNumber");
  const NumberPtr value(made(ASN1_INTEGER_to_BN(number.get(), nullptr), "ASN1_INTEGER_to_BN"));
  if (BN_is_negative(value.get()) == 1) refuse("crlNumber is negative");
  Bytes out(static_cast<std::size_t>(BN_num_bytes(value.get())));
  BN_bn2bin(value.get(), out.data());
  return out;
}

}  // namespace

bool crl_number_less(const Bytes& a, const Bytes& b) {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

void raise(CrlNumbers& seen, const CrlInfo& crl) {
  Bytes& number = seen[crl.issuer];
  if (crl_number_less(number, crl.number)) number = crl.number;
}

CrlNumbers raised(CrlNumbers seen, const std::vector<Bytes>& crls) {
  for (const Bytes& der : crls) raise(seen, read_crl(der));
  return seen;
}

Findings check_crl_floor(const CrlInfo& crl, const CrlNumbers& floors) {
  const auto floor = floors.find(crl.issuer);
  if (floor == floors.end() || !crl_number_less(crl.number, floor->second)) return {};
  return {{"ATT-CRL-ROLLBACK", "crlNumber of " + crl.issuer_text, "0x" + to_hex(crl.number),
           "at least 0x" + to_hex(floor->second) + ", which was accepted before",
           "FORMAT.md section 5, chain"}};
}

Findings check_crl_floors(const std::vector<Bytes>& crls, const CrlNumbers& floors) {
  Findings out;
  for (const Bytes& der : crls) {
    Findings found = check_crl_floor(read_crl(der), floors);
    out.insert(out.end(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
  }
  return out;
}

CrlInfo read_crl(ByteView der) {
  const CrlPtr crl = parse_crl(der);
  CrlInfo info;
  const X509_NAME* issuer = X509_CRL_get_issuer(crl.get());
  const unsigned char* name = nullptr;
  std::size_t size = 0;
  if (X509_NAME_get0_der(issuer, &name, &size) != 1) refuse("no issuer");
  info.issuer.assign(name, name + size);
  std::array<char, 256> text{};
  X509_NAME_oneline(issuer, text.data(), static_cast<int>(text.size()));
  info.issuer_text = text.data();
  info.number = number_of(crl.get());
  info.this_update = to_unix(X509_CRL_get0_lastUpdate(crl.get()));
  info.next_update = to_unix(X509_CRL_get0_nextUpdate(crl.get()));
  return info;
}

}  // namespace qpcseal::attest
