// SPDX-License-Identifier: Apache-2.0
#include "attest/certpath.h"

#include <algorithm>
#include <array>

#include "attest/path_signatures.h"
#include "attest/revocation.h"

namespace qpcseal::attest {
namespace {

constexpr const char* kPathRule = "FORMAT.md section 5, chain";
constexpr int kSecurityLevel = 3;  // 128 bits

using StackPtr = Owned<STACK_OF(X509), [](STACK_OF(X509) * stack) { sk_X509_pop_free(stack, X509_free); }>;

struct Path {
  Findings findings;
  bool crl_missing = false;
  bool revoked = false;  // our own look into the lists found an entry
};

void add(Findings& findings, std::string id, std::string claim, std::string observed, std::string expected) {
  findings.push_back({std::move(id), std::move(claim), std::move(observed), std::move(expected), kPathRule});
}

Sha256Digest digest_of(const X509* certificate) {
  unsigned char* raw = nullptr;
  const int size = i2d_X509(certificate, &raw);
  if (size <= 0) throw Error(ErrorKind::Internal, "i2d_X509 failed");
  const Sha256Digest digest = sha256({raw, static_cast<std::size_t>(size)});
  OPENSSL_free(raw);
  return digest;
}

bool allowed(const TrustAnchors& anchors, const Sha256Digest& digest) {
  return std::find(anchors.allowed.begin(), anchors.allowed.end(), digest) != anchors.allowed.end();
}

StorePtr make_store(const TrustAnchors& anchors, const GivenLists& lists) {
  StorePtr store(made(X509_STORE_new(), "X509_STORE_new"));
  for (const Bytes& der : anchors.roots) {
    if (!allowed(anchors, sha256(der))) continue;
    const CertPtr root = anchors.parsed->certificate(der);
    if (X509_STORE_add_cert(store.get(), root.get()) != 1)
      throw Error(ErrorKind::Internal, "X509_STORE_add_cert");
  }
  for (const DerCache::Crl* crl : lists.newest)
    if (X509_STORE_add_crl(store.get(), crl->list.get()) != 1)
      throw Error(ErrorKind::Internal, "X509_STORE_add_crl");
  ERR_clear_error();
  return store;
}

const char* id_for(int error) {
  switch (error) {
    case X509_V_ERR_CERT_REVOKED:
      return "ATT-REVOKED";
    case X509_V_ERR_CRL_HAS_EXPIRED:
    case X509_V_ERR_CRL_NOT_YET_VALID:
      return "ATT-CRL-STALE";
    case X509_V_ERR_CRL_SIGNATURE_FAILURE:
    case X509_V_ERR_KEYUSAGE_NO_CRL_SIGN:
    case X509_V_ERR_DIFFERENT_CRL_SCOPE:
    case X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION:
      return "ATT-CRL";
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "ATT-CHAIN-TIME";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return "ATT-CHAIN-ROOT";
    default:
      return "ATT-CHAIN";
  }
}

// OpenSSL asks here about each error. Only a missing CRL is let pass; everything else ends the verification.
int on_error(int good, X509_STORE_CTX* context) {
  auto* path = static_cast<Path*>(X509_STORE_CTX_get_app_data(context));
  if (good == 1) return 1;
  const int error = X509_STORE_CTX_get_error(context);
  if (error == X509_V_ERR_UNABLE_TO_GET_CRL) {
    path->crl_missing = true;
    X509_STORE_CTX_set_error(context, X509_V_OK);
    return 1;
  }
  if (error == X509_V_ERR_CERT_REVOKED && path->revoked) return 0;  // a finding already
  const int depth = X509_STORE_CTX_get_error_depth(context);
  add(path->findings, id_for(error), "certificate " + std::to_string(depth),
      X509_verify_cert_error_string(error), "a valid path to a pinned root");
  return 0;
}

void configure(X509_STORE_CTX* context, bool strict, UnixTime now, Path& path) {
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context);
  X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  if (strict) X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_X509_STRICT);
  X509_VERIFY_PARAM_set_depth(parameters, static_cast<int>(kMaxPath) - 2);  // intermediates alone
  X509_VERIFY_PARAM_set_time(parameters, now);
  X509_VERIFY_PARAM_set_auth_level(parameters, kSecurityLevel);
  if (X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_SMIME_SIGN) != 1) {
    throw Error(ErrorKind::Internal, "X509_VERIFY_PARAM_set_purpose failed");
  }
  X509_STORE_CTX_set_app_data(context, &path);
  X509_STORE_CTX_set_verify_cb(context, on_error);
}

// What the message carries must be the path, in order: nothing unused in which something could hide.
void check_order(STACK_OF(X509) * built, const std::vector<CertPtr>& given, Findings& findings) {
  for (std::size_t i = 0; i < given.size(); ++i) {
    const X509* at = sk_X509_value(built, static_cast<int>(i));
    if (at == nullptr || X509_cmp(at, given[i].get()) != 0) {
      add(findings, "ATT-CHAIN-ORDER", "x5chain", "certificate " + std::to_string(i) + " is not the path's",
          "the path itself, leaf first");
      return;
    }
  }
}

// What OpenSSL asks of issuers under X509_STRICT alone.
void check_issuers(STACK_OF(X509) * built, Findings& findings) {
  for (int i = 1; i < sk_X509_num(built); ++i) {
    X509* issuer = sk_X509_value(built, i);
    const std::uint32_t flags = X509_get_extension_flags(issuer);
    const bool signs = (flags & EXFLAG_KUSAGE) != 0 && (X509_get_key_usage(issuer) & KU_KEY_CERT_SIGN) != 0;
    if ((flags & EXFLAG_CA) != 0 && (flags & EXFLAG_BCONS) != 0 && signs) continue;
    add(findings, "ATT-CHAIN-ISSUER", "certificate " + std::to_string(i), "may not issue certificates",
        "CA:TRUE and keyCertSign");
  }
}

void check_keys(STACK_OF(X509) * built, Findings& findings) {
  for (int i = 0; i < sk_X509_num(built); ++i) {
    EVP_PKEY* key = X509_get0_pubkey(sk_X509_value(built, i));
    const std::string curve = curve_name(key);
    const bool named = curve == SN_X9_62_prime256v1 || curve == SN_secp384r1 || curve == SN_secp521r1;
    const bool rsa =
        key != nullptr && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && EVP_PKEY_get_bits(key) >= 3072;
    if (!named && !rsa) {
      add(findings, "ATT-CHAIN-KEY", "certificate " + std::to_string(i),
          curve.empty() ? "another key" : curve, "P-256, P-384, P-521 or RSA from 3072 bits");
    }
  }
}

// Extensions that OpenSSL takes for known though nothing here evaluates them (it looks at certificate
// policies under X509_V_FLAG_POLICY_CHECK alone) would let a restriction pass unread.
void check_critical(STACK_OF(X509) * built, Findings& findings) {
  constexpr std::array kEvaluated = {NID_basic_constraints, NID_key_usage, NID_ext_key_usage,
                                     NID_name_constraints};
  for (int i = 0; i < sk_X509_num(built); ++i) {
    const X509* certificate = sk_X509_value(built, i);
    for (int at = 0; at < X509_get_ext_count(certificate); ++at) {
      X509_EXTENSION* extension = X509_get_ext(certificate, at);
      const int nid = OBJ_obj2nid(X509_EXTENSION_get_object(extension));
      if (X509_EXTENSION_get_critical(extension) == 0 ||
          std::ranges::find(kEvaluated, nid) != kEvaluated.end())
        continue;
      add(findings, "ATT-CHAIN-EXTENSION", "certificate " + std::to_string(i),
          std::string("critical ") + OBJ_nid2ln(nid), "no critical extension that nobody evaluates");
    }
  }
}

void check_built(STACK_OF(X509) * built, const std::vector<CertPtr>& given, const TrustAnchors& anchors,
                 PathResult& result) {
  if (built == nullptr || sk_X509_num(built) < 2) {
    return add(result.findings, "ATT-CHAIN-ROOT", "path", "no issuer", "a path to a pinned root");
  }
  const Sha256Digest root = digest_of(sk_X509_value(built, sk_X509_num(built) - 1));
  result.root = root;
  if (!allowed(anchors, root)) {
    add(result.findings, "ATT-CHAIN-ROOT", "root", to_hex(root), "a pinned root");
  }
  check_order(built, given, result.findings);
  check_issuers(built, result.findings);
  check_keys(built, result.findings);
  check_critical(built, result.findings);
}

// The text of an attribute of the subject that is there once; empty otherwise.
std::string subject_text(const X509* leaf, int attribute) {
  const X509_NAME* subject = X509_get_subject_name(leaf);
  const int at = X509_NAME_get_index_by_NID(subject, attribute, -1);
  if (at < 0 || X509_NAME_get_index_by_NID(subject, attribute, at) >= 0) return {};
  const ASN1_STRING* text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
  const auto size = static_cast<std::size_t>(ASN1_STRING_length(text));
  return std::string(text_view({ASN1_STRING_get0_data(text), size}));
}

bool identifies(const std::string& subject, const PathProfile& profile) {
  if (profile.identity.empty() || !subject.starts_with(profile.identity)) return false;
  const std::string rest = subject.substr(profile.identity.size());
  return profile.domain ? rest.size() > 1 && rest.front() == '.' : rest.empty();
}

void check_leaf(X509* leaf, const PathProfile& profile, PathResult& result) {
  const std::uint32_t flags = X509_get_extension_flags(leaf);
  if ((flags & EXFLAG_BCONS) == 0 || (flags & EXFLAG_CA) != 0) {
    add(result.findings, "ATT-LEAF-CA", "leaf basicConstraints",
        (flags & EXFLAG_CA) != 0 ? "CA:TRUE" : "absent", "CA:FALSE");
  }
  if ((flags & EXFLAG_KUSAGE) == 0 || (X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) == 0) {
    add(result.findings, "ATT-LEAF-USAGE", "leaf keyUsage", "without digitalSignature", "digitalSignature");
  }
  const std::string curve = curve_name(result.leaf_key.get());
  if (curve != profile.curve) {
    add(result.findings, "ATT-LEAF-KEY", "leaf key", curve.empty() ? "no named curve" : curve, profile.curve);
  }
  const std::string subject = subject_text(leaf, profile.attribute);
  if (!identifies(subject, profile)) {
    add(result.findings, "ATT-LEAF-UEID", std::string("leaf ") + OBJ_nid2ln(profile.attribute),
        subject.empty() ? "absent or repeated" : subject, profile.identity + (profile.domain ? ".*" : ""));
  }
}

// The leaf is this report's alone; its issuers are those of many.
std::vector<CertPtr> parse_chain(const std::vector<ByteView>& chain, DerCache& parsed, Findings& findings) {
  std::vector<CertPtr> out;
  if (chain.empty() || chain.size() > kMaxPath) {
    add(findings, "ATT-CHAIN", "x5chain", std::to_string(chain.size()) + " certificates", "1 to 6");
    return out;
  }
  try {
    for (const ByteView der : chain)
      out.push_back(out.empty() ? parse_certificate(der) : parsed.certificate(der));
  } catch (const Error& error) {
    add(findings, "ATT-CHAIN", "x5chain", error.what(), "DER certificates");
    out.clear();
  }
  return out;
}

}  // namespace

PathResult verify_path(const std::vector<ByteView>& chain, const TrustAnchors& anchors,
                       const PathProfile& profile, UnixTime now) {
  PathResult result;
  const std::vector<CertPtr> given = parse_chain(chain, *anchors.parsed, result.findings);
  if (given.empty()) return result;
  result.leaf_key.reset(X509_get_pubkey(given.front().get()));
  check_leaf(given.front().get(), profile, result);
  const GivenLists lists = sort_lists(anchors, result.findings);
  Path path;
  path.revoked = !check_revoked(given, lists, result.findings);
  const StorePtr store = make_store(anchors, lists);
  const StackPtr untrusted(made(sk_X509_new_null(), "sk_X509_new_null"));
  for (const CertPtr& certificate : given) {
    X509_up_ref(certificate.get());
    sk_X509_push(untrusted.get(), certificate.get());
  }
  const StoreContextPtr context(made(X509_STORE_CTX_new(), "X509_STORE_CTX_new"));
  if (X509_STORE_CTX_init(context.get(), store.get(), given.front().get(), untrusted.get()) != 1) {
    throw Error(ErrorKind::Internal, "X509_STORE_CTX_init failed");
  }
  configure(context.get(), profile.strict, now, path);
  verify_signatures_once(context.get(), *anchors.parsed);
  const bool good = X509_verify_cert(context.get()) == 1;
  ERR_clear_error();
  result.findings.insert(result.findings.end(), path.findings.begin(), path.findings.end());
  if (!good && path.findings.empty() && !path.revoked)
    add(result.findings, "ATT-CHAIN", "path", "does not verify", "a valid path");
  if (good) {
    STACK_OF(X509)* built = X509_STORE_CTX_get0_chain(context.get());
    check_built(built, given, anchors, result);
    check_revocation_lists(built, lists, anchors, now, result);
  }
  result.crls_current = good && !path.crl_missing && !anchors.crls.empty() && result.findings.empty();
  return result;
}

}  // namespace qpcseal::attest
