// SPDX-License-Identifier: Apache-2.0
#include "attest/crl.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <iterator>

#include "base/digest.h"

namespace qpcseal::attest {
namespace {

constexpr const char* kListRule = "FORMAT.md section 5.1";
constexpr const char* kComplete = "a complete list of its issuer's own certificates";

using RevokedStack = STACK_OF(X509_REVOKED);
using PssPtr = Owned<RSA_PSS_PARAMS, RSA_PSS_PARAMS_free>;

[[noreturn]] void refuse_list(const std::string& why) {
  throw Error(ErrorKind::Malformed, why, "",
              {{"ATT-CRL", "CRL", why, "a complete, signed list with crlNumber and nextUpdate", kListRule}});
}

[[noreturn]] void refuse_part(const std::string& why) {
  throw Error(ErrorKind::Malformed, why, "take the issuer's complete list, without extensions that narrow it",
              {{"ATT-CRL-SCOPE", "CRL", why, kComplete, kListRule}});
}

[[noreturn]] void refuse_digest(const std::string& what) {
  throw Error(ErrorKind::Malformed, "signed with " + what, "ask the issuer for a list signed with SHA-256",
              {{"ATT-CRL-DIGEST", "CRL", "signed with " + what, "SHA-256, SHA-384 or SHA-512", kListRule}});
}

CrlPtr parse_crl(ByteView der) {
  const unsigned char* at = der.data();
  CrlPtr crl(d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size())));
  ERR_clear_error();
  if (!crl || at != der.data() + der.size()) refuse_list("not one DER CRL");
  return crl;
}

UnixTime to_unix(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1)
    refuse_list("thisUpdate or nextUpdate is missing");
  return timegm(&parts);
}

Bytes number_of(const X509_CRL* crl) {
  const AsnNumberPtr number(
      static_cast<ASN1_INTEGER*>(X509_CRL_get_ext_d2i(crl, NID_crl_number, nullptr, nullptr)));
  if (!number) refuse_list("no crlNumber");
  const NumberPtr value(made(ASN1_INTEGER_to_BN(number.get(), nullptr), "ASN1_INTEGER_to_BN"));
  if (BN_is_negative(value.get()) == 1) refuse_list("crlNumber is negative");
  Bytes out(static_cast<std::size_t>(BN_num_bytes(value.get())));
  BN_bn2bin(value.get(), out.data());
  return out;
}

bool is_strong(int digest) { return digest == NID_sha256 || digest == NID_sha384 || digest == NID_sha512; }

std::string name_of(int nid) {
  const char* name = OBJ_nid2ln(nid);
  return nid == NID_undef || name == nullptr ? "an unknown algorithm" : name;
}

// The digest that an algorithm identifier names; `missing` where it is left out.
int digest_of(const X509_ALGOR* algorithm, int missing) {
  if (algorithm == nullptr) return missing;
  const ASN1_OBJECT* object = nullptr;
  X509_ALGOR_get0(&object, nullptr, nullptr, algorithm);
  return OBJ_obj2nid(object);
}

// RFC 4055: both digests of RSASSA-PSS are SHA-1 where the parameters do not say otherwise.
void check_pss(const X509_ALGOR* algorithm) {
  int type = 0;
  const void* value = nullptr;
  X509_ALGOR_get0(nullptr, &type, &value, algorithm);
  if (type != V_ASN1_SEQUENCE) refuse_digest("RSASSA-PSS without parameters");
  const PssPtr parameters(static_cast<RSA_PSS_PARAMS*>(
      ASN1_item_unpack(static_cast<const ASN1_STRING*>(value), ASN1_ITEM_rptr(RSA_PSS_PARAMS))));
  ERR_clear_error();
  if (!parameters) refuse_digest("RSASSA-PSS whose parameters do not parse");
  const int digest = digest_of(parameters->hashAlgorithm, NID_sha1);
  if (!is_strong(digest)) refuse_digest("RSASSA-PSS and " + name_of(digest));
  const X509_ALGOR* mask = parameters->maskGenAlgorithm;
  if (mask == nullptr || digest_of(mask, NID_undef) != NID_mgf1)
    refuse_digest("RSASSA-PSS and MGF1 of SHA-1");
  X509_ALGOR_get0(nullptr, &type, &value, mask);
  const Owned<X509_ALGOR, X509_ALGOR_free> inner(
      type != V_ASN1_SEQUENCE ? nullptr
                              : static_cast<X509_ALGOR*>(ASN1_item_unpack(
                                    static_cast<const ASN1_STRING*>(value), ASN1_ITEM_rptr(X509_ALGOR))));
  ERR_clear_error();
  const int of_mask = digest_of(inner.get(), NID_undef);
  if (!is_strong(of_mask)) refuse_digest("RSASSA-PSS and MGF1 of " + name_of(of_mask));
}

void check_digest(const X509_CRL* crl) {
  const ASN1_BIT_STRING* signature = nullptr;
  const X509_ALGOR* algorithm = nullptr;
  X509_CRL_get0_signature(crl, &signature, &algorithm);
  const int nid = X509_CRL_get_signature_nid(crl);
  if (nid == NID_rsassaPss) return check_pss(algorithm);
  int digest = NID_undef;
  if (OBJ_find_sigid_algs(nid, &digest, nullptr) != 1 || !is_strong(digest)) refuse_digest(name_of(nid));
}

// The list's own scope: what it covers, and that nothing in it is left unread.
void check_scope(const X509_CRL* crl) {
  if (X509_CRL_get_ext_by_NID(crl, NID_delta_crl, -1) >= 0)
    refuse_part("a delta: it holds only what changed since a complete list");
  // RFC 5280 section 5.2.5: it is there only where a list is of one distribution point, of some reasons or
  // kinds of certificates, or of other issuers.
  if (X509_CRL_get_ext_by_NID(crl, NID_issuing_distribution_point, -1) >= 0)
    refuse_part("it has an issuingDistributionPoint: it covers a part, or certificates of others");
  for (int i = 0; i < X509_CRL_get_ext_count(crl); ++i)
    if (X509_EXTENSION_get_critical(X509_CRL_get_ext(crl, i)) != 0)
      refuse_list("a critical extension that nobody evaluates: " +
                  name_of(OBJ_obj2nid(X509_EXTENSION_get_object(X509_CRL_get_ext(crl, i)))));
}

void check_entry(const X509_REVOKED* entry) {
  if (X509_REVOKED_get_ext_by_NID(entry, NID_certificate_issuer, -1) >= 0)
    refuse_part("an entry with certificateIssuer: it names certificates of other issuers");
  for (int i = 0; i < X509_REVOKED_get_ext_count(entry); ++i)
    if (X509_EXTENSION_get_critical(X509_REVOKED_get_ext(entry, i)) != 0)
      refuse_list("an entry with a critical extension that nobody evaluates");
}

// Every entry revokes, whatever its reason: certificateHold is a revocation, and removeFromCRL has no place
// in a complete list.
std::vector<Bytes> revoked_in(X509_CRL* crl) {
  std::vector<Bytes> out;
  RevokedStack* entries = X509_CRL_get_REVOKED(crl);
  for (int i = 0; i < sk_X509_REVOKED_num(entries); ++i) {
    const X509_REVOKED* entry = sk_X509_REVOKED_value(entries, i);
    check_entry(entry);
    out.push_back(serial_bytes(X509_REVOKED_get0_serialNumber(entry)));
  }
  std::ranges::sort(out);
  return out;
}

// What OpenSSL's own comparison reads as text; anything else counts byte by byte.
bool is_text(int type) {
  return type == V_ASN1_UTF8STRING || type == V_ASN1_BMPSTRING || type == V_ASN1_UNIVERSALSTRING ||
         type == V_ASN1_PRINTABLESTRING || type == V_ASN1_T61STRING || type == V_ASN1_IA5STRING ||
         type == V_ASN1_VISIBLESTRING;
}

// Blanks and letters of ASCII alone, in every locale.
std::string canonical_text(std::string_view text) {
  std::string out;
  bool blank = false;
  for (const char c : text) {
    if (c == ' ' || (c >= '\t' && c <= '\r')) {
      blank = true;
      continue;
    }
    if (blank && !out.empty()) out += ' ';
    blank = false;
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

using NameEntryPtr = Owned<X509_NAME_ENTRY, X509_NAME_ENTRY_free>;

NameEntryPtr canonical_entry(const X509_NAME_ENTRY* entry) {
  const ASN1_STRING* value = X509_NAME_ENTRY_get_data(entry);
  int type = ASN1_STRING_type(value);
  std::string bytes(
      text_view({ASN1_STRING_get0_data(value), static_cast<std::size_t>(ASN1_STRING_length(value))}));
  if (is_text(type)) {
    unsigned char* utf8 = nullptr;
    const int size = ASN1_STRING_to_UTF8(&utf8, value);
    if (size < 0) refuse_list("its issuer's name is no text");
    bytes = canonical_text(text_view({utf8, static_cast<std::size_t>(size)}));
    OPENSSL_free(utf8);
    type = V_ASN1_UTF8STRING;
  }
  return NameEntryPtr(made(X509_NAME_ENTRY_create_by_OBJ(nullptr, X509_NAME_ENTRY_get_object(entry), type,
                                                         view(bytes).data(), static_cast<int>(bytes.size())),
                           "X509_NAME_ENTRY_create_by_OBJ"));
}

void read_issuer(const X509_CRL* crl, CrlInfo& info) {
  const X509_NAME* issuer = X509_CRL_get_issuer(crl);
  info.issuer = canonical_name(issuer);
  std::array<char, 256> text{};
  X509_NAME_oneline(issuer, text.data(), static_cast<int>(text.size()));
  info.issuer_text = text.data();
}

}  // namespace

Bytes canonical_name(const X509_NAME* name) {
  const Owned<X509_NAME, X509_NAME_free> out(made(X509_NAME_new(), "X509_NAME_new"));
  int before = -1;
  for (int i = 0; i < X509_NAME_entry_count(name); ++i) {
    const X509_NAME_ENTRY* entry = X509_NAME_get_entry(name, i);
    const int set = X509_NAME_ENTRY_set(entry);
    const NameEntryPtr canonical = canonical_entry(entry);
    if (X509_NAME_add_entry(out.get(), canonical.get(), -1, set == before ? -1 : 0) != 1)
      throw Error(ErrorKind::Internal, "X509_NAME_add_entry failed");
    before = set;
  }
  const unsigned char* der = nullptr;
  std::size_t size = 0;
  if (X509_NAME_get0_der(out.get(), &der, &size) != 1)
    throw Error(ErrorKind::Internal, "X509_NAME_get0_der failed");
  return {der, der + size};
}

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
           "at least 0x" + to_hex(floor->second) + ", which was accepted before", kListRule}};
}

Findings check_crl_floors(const std::vector<Bytes>& crls, const CrlNumbers& floors) {
  Findings out;
  for (const CrlInfo& crl : newest(crls)) {
    Findings found = check_crl_floor(crl, floors);
    out.insert(out.end(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
  }
  return out;
}

void check_lists(const std::vector<Bytes>& crls) {
  std::map<std::pair<Bytes, Bytes>, const Bytes*> seen;  // by issuer and number
  for (const Bytes& der : crls) {
    const CrlInfo info = read_crl(der);
    const auto [known, fresh] = seen.try_emplace({info.issuer, info.number}, &der);
    if (!fresh && *known->second != der)
      throw Error(ErrorKind::Malformed,
                  "two revocation lists of " + info.issuer_text + " have the number 0x" + to_hex(info.number),
                  "keep the one that the issuer publishes");
  }
}

std::vector<CrlInfo> newest(const std::vector<Bytes>& crls) {
  std::map<Bytes, CrlInfo> by_issuer;
  for (const Bytes& der : crls) {
    CrlInfo info = read_crl(der);
    const auto [known, fresh] = by_issuer.try_emplace(info.issuer, info);
    if (!fresh && crl_number_less(known->second.number, info.number)) known->second = std::move(info);
  }
  std::vector<CrlInfo> out;
  for (auto& [issuer, info] : by_issuer) out.push_back(std::move(info));
  return out;
}

Bytes serial_bytes(const ASN1_INTEGER* serial) {
  Bytes out{static_cast<std::uint8_t>(ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER ? 1 : 0)};
  append(out, {ASN1_STRING_get0_data(serial), static_cast<std::size_t>(ASN1_STRING_length(serial))});
  return out;
}

bool revokes(const CrlInfo& crl, const X509* certificate) {
  return std::ranges::binary_search(crl.revoked, serial_bytes(X509_get0_serialNumber(certificate)));
}

CrlInfo read_crl(ByteView der) {
  std::string name = "CRL with SHA-256 " + sha256_hex(der);
  try {
    const CrlPtr crl = parse_crl(der);
    CrlInfo info;
    read_issuer(crl.get(), info);
    name = "CRL of " + info.issuer_text;
    check_scope(crl.get());
    check_digest(crl.get());
    info.number = number_of(crl.get());
    info.this_update = to_unix(X509_CRL_get0_lastUpdate(crl.get()));
    info.next_update = to_unix(X509_CRL_get0_nextUpdate(crl.get()));
    info.revoked = revoked_in(crl.get());
    return info;
  } catch (const Error& error) {
    Findings findings = error.findings();
    for (Finding& finding : findings) finding.claim = name;
    throw Error(error.kind(), name + ": " + error.what(), error.hint(), std::move(findings));
  }
}

}  // namespace qpcseal::attest
