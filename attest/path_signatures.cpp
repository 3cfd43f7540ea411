// SPDX-License-Identifier: Apache-2.0
#include "attest/path_signatures.h"

#include "base/error.h"

namespace qpcseal::attest {
namespace {

int cache_index() {
  static const int kIndex = X509_STORE_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return kIndex;
}

// Where a path stands while it is verified.
class PathVerifier {
 public:
  explicit PathVerifier(X509_STORE_CTX* context)
      : context_(context),
        chain_(X509_STORE_CTX_get0_chain(context)),
        cache_(static_cast<DerCache*>(X509_STORE_CTX_get_ex_data(context, cache_index()))) {}

  // From the root to the leaf. False where the callback does not let an error pass.
  [[nodiscard]] bool run() const {
    const int root = sk_X509_num(chain_) - 1;
    X509* issuer = sk_X509_value(chain_, root);
    if (const int error = X509_check_issued(issuer, issuer); error != X509_V_OK && !fail(root, error))
      return false;
    for (int depth = root; depth >= 0; --depth) {
      X509* certificate = sk_X509_value(chain_, depth);
      if (depth < root && !check_signature(depth, issuer, certificate)) return false;
      if (!check_time(depth, certificate) || !tell(1, depth, X509_V_OK)) return false;
      issuer = certificate;
    }
    return true;
  }

 private:
  bool tell(int good, int depth, int error) const {
    X509_STORE_CTX_set_current_cert(context_, sk_X509_value(chain_, depth));
    X509_STORE_CTX_set_error_depth(context_, depth);
    if (good == 0) X509_STORE_CTX_set_error(context_, error);
    return X509_STORE_CTX_get_verify_cb(context_)(good, context_) == 1;
  }
  bool fail(int depth, int error) const { return tell(0, depth, error); }

  bool check_signature(int depth, X509* issuer, X509* certificate) const {
    const int usage = X509_check_issued(issuer, certificate);
    if (usage != X509_V_OK && !fail(depth + 1, usage)) return false;
    const bool good = depth == 0 ? X509_verify(certificate, X509_get0_pubkey(issuer)) == 1
                                 : cache_->issued(issuer, certificate);
    ERR_clear_error();
    return good || fail(depth, X509_V_ERR_CERT_SIGNATURE_FAILURE);
  }

  bool check_time(int depth, const X509* certificate) const {
    time_t now = X509_VERIFY_PARAM_get_time(X509_STORE_CTX_get0_param(context_));
    const int begun = X509_cmp_time(X509_get0_notBefore(certificate), &now);
    const int over = X509_cmp_time(X509_get0_notAfter(certificate), &now);
    if (begun == 0 && !fail(depth, X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD)) return false;
    if (begun > 0 && !fail(depth, X509_V_ERR_CERT_NOT_YET_VALID)) return false;
    if (over == 0 && !fail(depth, X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD)) return false;
    return over >= 0 || fail(depth, X509_V_ERR_CERT_HAS_EXPIRED);
  }

  X509_STORE_CTX* context_;
  STACK_OF(X509) * chain_;
  DerCache* cache_;
};

int verify_path_signatures(X509_STORE_CTX* context) {
  try {
    return PathVerifier(context).run() ? 1 : 0;
  } catch (...) {  // OpenSSL's frames are around
    X509_STORE_CTX_set_error(context, X509_V_ERR_UNSPECIFIED);
    return 0;
  }
}

}  // namespace

void verify_signatures_once(X509_STORE_CTX* context, DerCache& cache) {
  if (X509_STORE_CTX_set_ex_data(context, cache_index(), &cache) != 1)
    throw Error(ErrorKind::Internal, "X509_STORE_CTX_set_ex_data failed");
  X509_STORE_CTX_set_verify(context, verify_path_signatures);
}

}  // namespace qpcseal::attest
