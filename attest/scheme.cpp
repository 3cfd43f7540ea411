// SPDX-License-Identifier: Apache-2.0
#include "attest/scheme.h"

#include "encoding/file_kind.h"

namespace qpcseal::attest {
namespace {

[[noreturn]] void refuse_as(const std::string& what) {
  throw Error(ErrorKind::Malformed,
              "this is " + what +
                  ", not an attestation report; a bare key proves nothing about where its private "
                  "half lives, so nothing is released to it",
              "give the report that the card made for a request of `qpcseal attest request`");
}

bool is_der_key(ByteView bytes) {
  const unsigned char* at = bytes.data();
  const KeyPtr key(d2i_PUBKEY(nullptr, &at, static_cast<long>(bytes.size())));
  ERR_clear_error();
  return key != nullptr;
}

bool is_der_certificate(ByteView bytes) {
  const unsigned char* at = bytes.data();
  const CertPtr certificate(d2i_X509(nullptr, &at, static_cast<long>(bytes.size())));
  ERR_clear_error();
  return certificate != nullptr;
}

}  // namespace

std::vector<std::unique_ptr<Scheme>> all_schemes() {
  std::vector<std::unique_ptr<Scheme>> out;
  out.push_back(make_eat_card_scheme());
  out.push_back(make_aws_nitro_scheme());
  return out;
}

std::unique_ptr<Scheme> find_scheme(std::string_view id) {
  for (std::unique_ptr<Scheme>& scheme : all_schemes()) {
    if (scheme->id() == id) return std::move(scheme);
  }
  return nullptr;
}

std::unique_ptr<Scheme> detect_scheme(ByteView report) {
  for (std::unique_ptr<Scheme>& scheme : all_schemes()) {
    if (scheme->recognises(report)) return std::move(scheme);
  }
  return nullptr;
}

void require_report_form(ByteView bytes) {
  Findings best_failure;
  for (const std::unique_ptr<Scheme>& scheme : all_schemes()) {
    Findings findings = scheme->form_findings(bytes);
    if (findings.empty()) return;
    if (best_failure.empty() || scheme->recognises(bytes)) best_failure = std::move(findings);
  }
  throw Error(ErrorKind::Malformed, "not an attestation report: " + best_failure.front().observed,
              "give the report that the card made for a request of `qpcseal attest request`", best_failure);
}

void refuse_other_kind(ByteView bytes, bool any_form) {
  refuse_bare_key(bytes);
  const std::string_view kind = any_form ? encoding::file_kind_at_front(bytes) : encoding::file_kind(bytes);
  const std::string_view wanted = "an attestation report";
  if (!kind.empty() && kind != wanted)
    throw encoding::other_kind(
        kind, wanted, "give the report that the card made for a request of `qpcseal attest request`");
}

void refuse_bare_key(ByteView bytes) {
  const std::string_view text = text_view(bytes);
  if (text.find("-----BEGIN ") != std::string_view::npos) {
    if (text.find("PRIVATE KEY-----") != std::string_view::npos) refuse_as("a private key");
    if (text.find("PUBLIC KEY-----") != std::string_view::npos) refuse_as("a public key");
    if (text.find("BEGIN CERTIFICATE-----") != std::string_view::npos) refuse_as("a certificate");
    refuse_as("a PEM file");
  }
  if (is_der_key(bytes)) refuse_as("a public key");
  if (is_der_certificate(bytes)) refuse_as("a certificate");
}

}  // namespace qpcseal::attest
