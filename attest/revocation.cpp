// SPDX-License-Identifier: Apache-2.0
#include "attest/revocation.h"

#include <algorithm>
#include <iterator>

#include "base/clock.h"

namespace qpcseal::attest {
namespace {

constexpr const char* kRevocationRule = "FORMAT.md section 5.1";

void add_finding(Findings& findings, std::string id, std::string claim, std::string observed,
                 std::string expected) {
  findings.push_back(
      {std::move(id), std::move(claim), std::move(observed), std::move(expected), kRevocationRule});
}

const X509_NAME* issuer_of(const DerCache::Crl& crl) { return X509_CRL_get_issuer(crl.list.get()); }

bool same_issuer(const DerCache::Crl& a, const DerCache::Crl& b) {
  return X509_NAME_cmp(issuer_of(a), issuer_of(b)) == 0;
}

bool is_newest(const DerCache::Crl& crl, const std::vector<const DerCache::Crl*>& all) {
  return std::ranges::none_of(all, [&](const DerCache::Crl* other) {
    return same_issuer(crl, *other) && crl_number_less(crl.info->number, other->info->number);
  });
}

// Whether an issuer of the path has the list's name; `signs` where one of them may sign lists and signed it.
bool is_of_path(STACK_OF(X509) * built, const DerCache::Crl& crl, DerCache& parsed, bool& signs) {
  bool named = false;
  for (int i = 1; i < sk_X509_num(built); ++i) {
    X509* issuer = sk_X509_value(built, i);
    if (X509_NAME_cmp(issuer_of(crl), X509_get_subject_name(issuer)) != 0) continue;
    named = true;
    signs = signs || ((X509_get_key_usage(issuer) & KU_CRL_SIGN) != 0 && parsed.signs(issuer, crl));
  }
  return named;
}

void check_newest(const DerCache::Crl& crl, const GivenLists& lists, const TrustAnchors& anchors,
                  UnixTime now, Findings& findings) {
  const std::string claim = "CRL of " + crl.info->issuer_text;
  const auto twin = [&](const DerCache::Crl* other) { return other != &crl && same_issuer(crl, *other); };
  if (std::ranges::any_of(lists.newest, twin))
    add_finding(findings, "ATT-CRL", claim, "two lists with the number 0x" + to_hex(crl.info->number),
                "one list of a number");
  if (now < crl.info->this_update || now > crl.info->next_update)
    add_finding(findings, "ATT-CRL-STALE", claim,
                "of " + format_time(crl.info->this_update) + " to " + format_time(crl.info->next_update),
                "a list that is current at " + format_time(now));
  const Findings old = check_crl_floor(*crl.info, anchors.crl_floors);
  findings.insert(findings.end(), old.begin(), old.end());
}

}  // namespace

GivenLists sort_lists(const TrustAnchors& anchors, Findings& findings) {
  GivenLists out;
  for (const Bytes& der : anchors.crls) {
    const DerCache::Crl* crl = &anchors.parsed->crl(der);
    if (!crl->info) {
      findings.insert(findings.end(), crl->faults.begin(), crl->faults.end());
    } else if (std::ranges::find(out.usable, crl) == out.usable.end()) {
      out.usable.push_back(crl);
    }
  }
  std::ranges::copy_if(out.usable, std::back_inserter(out.newest),
                       [&](const DerCache::Crl* crl) { return is_newest(*crl, out.usable); });
  return out;
}

bool check_revoked(const std::vector<CertPtr>& path, const GivenLists& lists, Findings& findings) {
  bool good = true;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const X509* certificate = path[i].get();
    for (const DerCache::Crl* crl : lists.usable) {
      if (X509_NAME_cmp(issuer_of(*crl), X509_get_issuer_name(certificate)) != 0) continue;
      if (!revokes(*crl->info, certificate)) continue;
      add_finding(findings, "ATT-REVOKED", "certificate " + std::to_string(i),
                  "in list 0x" + to_hex(crl->info->number) + " of " + crl->info->issuer_text,
                  "in no list of its issuer");
      good = false;
      break;
    }
  }
  return good;
}

void check_revocation_lists(STACK_OF(X509) * built, const GivenLists& lists, const TrustAnchors& anchors,
                            UnixTime now, PathResult& result) {
  for (const DerCache::Crl* crl : lists.usable) {
    bool signs = false;
    if (!is_of_path(built, *crl, *anchors.parsed, signs)) continue;
    if (!signs)
      add_finding(result.findings, "ATT-CRL", "CRL of " + crl->info->issuer_text, "not signed by its issuer",
                  "a list that an issuer with cRLSign signed");
    if (std::ranges::find(lists.newest, crl) != lists.newest.end())
      check_newest(*crl, lists, anchors, now, result.findings);
    raise(result.crls, *crl->info);
  }
}

}  // namespace qpcseal::attest
