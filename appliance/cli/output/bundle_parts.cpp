// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/bundle_parts.h"

#include "base/error.h"

namespace qpcseal::cli {

namespace {

using encoding::Json;

class Collector {
 public:
  explicit Collector(std::vector<BundlePart>& out) : out_(out) {}

  void text(const std::string& name, const std::string& what, const std::string& text) {
    if (!text.empty()) out_.push_back({name, what, copy(view(text))});
  }
  void base64(const std::string& name, const std::string& what, const Json& object, const char* key) {
    out_.push_back({name, what, from_base64(encoding::text_member(object, key))});
  }
  // The entry of a part with its proof; null where there is none.
  void entry(const std::string& what, const Json& proven) {
    if (proven.is_null()) return;
    const std::string number = std::to_string(encoding::uint_member(proven, "index"));
    text("entry-" + number + ".json", what + ": log entry " + number,
         encoding::text_member(proven, "entry") + "\n");
  }
  void signatures(const std::string& name, const std::string& what, const Json& part) {
    std::size_t number = 0;
    for (const Json& signature : list(part, "signatures"))
      text(name + "." + std::to_string(++number) + ".sig", "a signature of " + what,
           signature.get<std::string>());
  }
  void approval(const std::string& name, const std::string& what, const Json& part) {
    if (part.is_null()) return;
    entry("where " + what + " was agreed to", encoding::member(part, "entry"));
    text(name + ".request", "the request for " + what, encoding::text_member(part, "request"));
    text(name + ".reports", "the reports of that request", encoding::text_member(part, "reports"));
    signatures(name + ".request", "that request", part);
  }
  static const Json& list(const Json& object, const char* key) {
    const Json& out = encoding::member(object, key);
    if (!out.is_array()) throw Error(ErrorKind::Malformed, std::string("bundle: '") + key + "' is no list");
    return out;
  }

 private:
  std::vector<BundlePart>& out_;
};

void collect_signed(const Json& sealed, Collector& take) {
  std::size_t number = 0;
  for (const Json& policy : Collector::list(sealed, "policies")) {
    const std::string name = "policy-" + std::to_string(++number) + ".toml";
    take.entry("where policy " + std::to_string(number) + " came in", encoding::member(policy, "entry"));
    take.base64(name, "policy " + std::to_string(number) + " of this log", policy, "text");
    take.signatures(name, "that policy", policy);
  }
  const Json& trust = encoding::member(sealed, "trust");
  take.entry("where the collateral came in", encoding::member(trust, "entry"));
  take.signatures("trust.json", "the collateral", trust);
  take.approval("release", "the release", encoding::member(sealed, "release"));
  number = 0;
  for (const Json& officers : Collector::list(sealed, "officers")) {
    const std::string name = "officers-" + std::to_string(++number);
    take.entry("where officers " + std::to_string(number) + " came in", encoding::member(officers, "entry"));
    take.base64(name, "officers file " + std::to_string(number) + " of this log", officers, "text");
    take.approval(name, "these officers", encoding::member(officers, "approval"));
  }
}

}  // namespace

std::vector<BundlePart> bundle_parts(const Json& bundle) {
  std::vector<BundlePart> out;
  Collector take(out);
  const Json &entries = encoding::member(bundle, "entries"), &files = encoding::member(bundle, "files");
  try {
    take.text("receipt", "the receipt of the verdict",
              encoding::canonical(encoding::member(bundle, "receipt")) + "\n");
    take.entry("the genesis", encoding::member(entries, "genesis"));
    take.entry("the intent of the release", encoding::member(entries, "intent"));
    take.entry("the challenge", encoding::member(entries, "challenge"));
    take.base64("report.dat", "the attestation report", files, "report");
    take.base64("policy.toml", "the policy of the verdict", files, "policy");
    take.base64("trust.json", "the roots and revocation lists of the verdict", files, "trust");
    collect_signed(encoding::member(bundle, "signed"), take);
  } catch (const Json::exception&) {
    throw Error(ErrorKind::Malformed, "bundle: a part of another form");
  }
  return out;
}

}  // namespace qpcseal::cli
