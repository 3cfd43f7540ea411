// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/archive.h"

#include <algorithm>
#include <map>

#include "appliance/approval/quorum.h"
#include "appliance/trust/collateral_bundle.h"
#include "base/error.h"
#include "base/file.h"
#include "base/file_name.h"

namespace qpcseal::site {

namespace {

using encoding::Json;

constexpr std::size_t kMaxKept = std::size_t{8} << 20;  // bytes
constexpr const char* kFolder = "qpcseal-trust";

std::filesystem::path path_of(const Home& home, const std::string& digest, const char* extension) {
  if (!encoding::is_hex(digest, sizeof(Sha256Digest)))
    throw Error(ErrorKind::Internal, "no digest: " + digest);
  return home.approvals() / (digest + extension);
}

bool is_kept(const Home& home, const std::string& digest, const char* extension) {
  return std::filesystem::exists(path_of(home, digest, extension));
}

void keep_as(const Home& home, const std::string& digest, const char* extension, const std::string& text) {
  make_folder(home.approvals());
  write_file(path_of(home, digest, extension), view(text), Existing::Replace, 0600);
}

void keep_file(const Home& home, const std::string& digest, const char* extension,
               const std::filesystem::path& file) {
  if (!is_kept(home, digest, extension)) keep_as(home, digest, extension, read_text_file(file, kMaxKept));
}

Json encode(const std::vector<trust::TrustFile>& files) {
  Json out = Json::array();
  for (const trust::TrustFile& file : files)
    out.push_back({{"name", file.name}, {"der", to_base64(file.der)}});
  return out;
}

std::vector<trust::TrustFile> decode(const Json& list) {
  if (!list.is_array()) throw Error(ErrorKind::Malformed, "trust material is not a list");
  std::vector<trust::TrustFile> out;
  for (const Json& file : list) {
    encoding::expect_keys(file, {"name", "der"}, "trust material");
    out.push_back({encoding::text_member(file, "name"), from_base64(encoding::text_member(file, "der"))});
  }
  return out;
}

}  // namespace

void archive_approval(const Home& home, const std::string& text, const char* extension,
                      const std::vector<std::string>& signatures) {
  archive_put(home, text, extension);
  for (const std::string& signature : signatures) archive_put(home, signature, ".sig");
}

void archive_put(const Home& home, const std::string& text, const char* extension) {
  keep_as(home, sha256_hex(text), extension, text);
}

void keep_in_force(const Home& home, const audit::State& state, const trust::Trust& trust) {
  keep_file(home, state.policy_digest, ".signed", home.policy());
  if (!state.officers_digest.empty()) keep_file(home, state.officers_digest, ".officers", home.officers());
  if (state.collateral_serial > 0) {
    keep_file(home, state.trust_digest, ".signed", home.collateral());
  } else if (!is_kept(home, state.trust_digest, ".trust")) {
    keep_as(home, state.trust_digest, ".trust", encode_trust(trust));
  }
}

namespace {

// Empty where the copy is damaged: then the folder alone can be the one that the log names.
trust::Trust copy_of_folder(const Home& home, const std::string& digest) {
  if (!is_kept(home, digest, ".trust")) return {};
  try {
    trust::Trust found = parse_trust(archive_get(home, digest, ".trust"));
    return to_hex(found.digest) == digest ? found : trust::Trust{};
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Malformed) throw;
    return {};
  }
}

}  // namespace

std::vector<std::string> put_back_lost(const Home& home, const audit::State& state) {
  std::vector<std::string> out;
  const auto put_back = [&](const std::filesystem::path& file, const std::string& digest,
                            const char* extension) {
    if (is_name_taken(file) || !is_kept(home, digest, extension)) return;
    const std::string text = archive_get(home, digest, extension);
    if (sha256_hex(text) != digest) return;
    write_file(file, view(text), Existing::Refuse, 0600);
    out.push_back(file.string());
  };
  put_back(home.policy(), state.policy_digest, ".signed");
  if (!state.officers_digest.empty()) put_back(home.officers(), state.officers_digest, ".officers");
  if (state.collateral_serial > 0) put_back(home.collateral(), state.trust_digest, ".signed");
  const trust::Trust trust = copy_of_folder(home, encoding::text_member(state.genesis, "trust"));
  make_folder(home.trust());
  for (const auto& files : {trust.roots, trust.crls})
    for (const trust::TrustFile& file : files) {
      if (is_name_taken(home.trust() / file.name)) continue;
      write_file(home.trust() / file.name, file.der, Existing::Refuse, 0600);
      out.push_back((home.trust() / file.name).string());
    }
  return out;
}

std::string archive_get(const Home& home, const std::string& digest, const char* extension) {
  if (!is_kept(home, digest, extension))
    throw Error(ErrorKind::Io, path_of(home, digest, extension).string() + " was not kept");
  return read_text_file(path_of(home, digest, extension), kMaxKept);
}

std::string kept_trust(const Home& home, const std::string& digest) {
  return archive_get(home, digest, is_kept(home, digest, ".trust") ? ".trust" : ".signed");
}

std::vector<std::string> kept_signatures(const Home& home, const Json& approvers) {
  std::vector<std::string> out;
  for (const Json& who : approvers) {
    const std::string& digest = encoding::hex_member(who, "signature_sha256", sizeof(Sha256Digest));
    if (!is_kept(home, digest, ".sig"))
      throw Error(ErrorKind::Io, "the signature of " + encoding::text_member(who, "name") + " was not kept");
    out.push_back(archive_get(home, digest, ".sig"));
  }
  return out;
}

std::vector<std::string> found_signatures(const Home& home, const approval::Officers& officers,
                                          std::string_view sig_namespace, const std::string& text,
                                          UnixTime now) {
  std::vector<std::filesystem::path> paths;
  for (const auto& item : std::filesystem::directory_iterator(home.approvals()))
    if (item.path().extension() == ".sig") paths.push_back(item.path());
  std::ranges::sort(paths);
  std::map<std::string, std::string> found;  // by the officer's name, one each
  for (const auto& path : paths) {
    const std::string signature = read_text_file(path, approval::kMaxSshsig);
    const auto tally = approval::tally_signatures(officers, sig_namespace, view(text), {signature}, now);
    if (!tally.approvers.empty()) found.emplace(tally.approvers.front().name, signature);
  }
  std::vector<std::string> out;
  for (const auto& [name, signature] : found) out.push_back(signature);
  return out;
}

std::string encode_trust(const trust::Trust& trust) {
  return encoding::canonical(
             {{"type", kFolder}, {"v", 1U}, {"roots", encode(trust.roots)}, {"crls", encode(trust.crls)}}) +
         "\n";
}

trust::Trust parse_trust(const std::string& text) {
  const Json json = encoding::parse_canonical(
      std::string_view(text).substr(0, text.size() - (text.ends_with('\n') ? 1 : 0)), "trust material");
  if (encoding::text_member(json, "type") != kFolder)
    return trust::make_trust(trust::parse_collateral(text), sha256(view(text)));
  encoding::expect_keys(json, {"type", "v", "roots", "crls"}, "trust material");
  trust::Trust trust;
  trust.roots = decode(encoding::member(json, "roots"));
  trust.crls = decode(encoding::member(json, "crls"));
  trust.digest = trust::digest_of(trust);
  if (encode_trust(trust) != text)
    throw Error(ErrorKind::Malformed, "trust material that is not in its one written form");
  return trust;
}

}  // namespace qpcseal::site
