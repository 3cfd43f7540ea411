// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/unfinished_init.h"

#include <unistd.h>

#include <algorithm>

#include "appliance/keys/signing.h"
#include "appliance/site/pin.h"
#include "base/error.h"
#include "base/file.h"
#include "base/temporary.h"
#include "pkcs11/token_choice.h"

namespace qpcseal::site {

namespace {

using encoding::Json;

constexpr std::size_t kMaxFile = 65536;  // bytes
constexpr const char* kVersion = "qpcseal init 1";

std::filesystem::path file_of(const Home& home) { return home.root / "init"; }

Site site_from(const Json& json) {
  encoding::expect_keys(
      json, {"module", "token_label", "token_serial", "embedded", "pin_source", "module_files"}, "site");
  Site out;
  out.module = encoding::text_member(json, "module");
  out.token_label = encoding::text_member(json, "token_label");
  out.token_serial = encoding::text_member(json, "token_serial");
  out.embedded = encoding::bool_member(json, "embedded");
  out.pin_source = encoding::text_member(json, "pin_source");
  const Json& files = encoding::member(json, "module_files");
  if (!files.is_array() || !std::ranges::all_of(files, &Json::is_string))
    throw Error(ErrorKind::Malformed, "site: 'module_files' is not a list of texts");
  out.module_files = files.get<std::vector<std::string>>();
  return out;
}

Json json_of_site(const Site& site) {
  return {
      {"module", site.module},     {"token_label", site.token_label}, {"token_serial", site.token_serial},
      {"embedded", site.embedded}, {"pin_source", site.pin_source},   {"module_files", site.module_files}};
}

UnfinishedInit from_text(std::string_view text) {
  const Json json = encoding::parse_json(text, "file 'init'");
  encoding::expect_keys(json, {"version", "made_home", "site", "module_sha256", "module_arguments", "key_id"},
                        "file 'init'");
  if (encoding::text_member(json, "version") != kVersion)
    throw Error(ErrorKind::Malformed, "file 'init': another version");
  UnfinishedInit out;
  out.made_home = encoding::bool_member(json, "made_home");
  out.module_sha256 = encoding::text_member(json, "module_sha256");
  out.module_arguments = encoding::text_member(json, "module_arguments");
  const Json& site = encoding::member(json, "site");
  if (site.is_null()) return out;
  out.site = site_from(site);
  out.key_id = from_hex(encoding::hex_member(json, "key_id", kInitKeyId));
  return out;
}

void remove_from_token(const Environment& environment, const UnfinishedInit& init) {
  const Site& site = init.site.value();
  audit::SiteFacts facts;
  facts.module_sha256 = init.module_sha256;
  facts.module_arguments = init.module_arguments;
  facts.accept = {std::string(audit::kModuleNetwork), std::string(audit::kUnconfined)};
  const Home& home = environment.home;
  if (environment.before_module) environment.before_module(home, site, facts);
  const SecretBuffer pin = read_pin(site.pin_source, environment.pin_fd, site.token_label);
  const pkcs11::Module module(site.module, module_digest(facts), with_home(facts.module_arguments, home));
  pkcs11::Session session(module, find_token(module, {site.token_label, site.token_serial, {}}),
                          pkcs11::Access::ReadWrite);
  session.login(pin, environment.last_try);
  remove_init_keys(session, init.key_id);
}

}  // namespace

std::optional<UnfinishedInit> read_unfinished_init(const Home& home) {
  if (!std::filesystem::exists(file_of(home))) return std::nullopt;
  return with_context(home.root.string(),
                      [&] { return from_text(text_view(read_file(file_of(home), kMaxFile))); });
}

void write_unfinished_init(const Home& home, const UnfinishedInit& init) {
  const Json json = {{"version", kVersion},
                     {"made_home", init.made_home},
                     {"site", init.site ? json_of_site(*init.site) : Json()},
                     {"module_sha256", init.module_sha256},
                     {"module_arguments", init.module_arguments},
                     {"key_id", to_hex(init.key_id)}};
  write_file(file_of(home), view(json.dump() + "\n"), Existing::Replace, 0600);
}

void remove_unfinished_init(const Home& home) {
  std::filesystem::remove(file_of(home));
  sync_folder(home.root);
}

Bytes init_key_id(ByteView key_id, std::uint8_t number) {
  Bytes out = copy(key_id);
  out.push_back(number);
  return out;
}

void remove_init_keys(pkcs11::Session& session, ByteView key_id) {
  for (const std::uint8_t number : {std::uint8_t{1}, std::uint8_t{2}}) {
    const Bytes id = init_key_id(key_id, number);
    for (const CK_OBJECT_CLASS kind : {CKO_PRIVATE_KEY, CKO_PUBLIC_KEY}) {
      pkcs11::Template wanted;
      wanted.number(CKA_CLASS, kind).flag(CKA_TOKEN, true).bytes(CKA_ID, id);
      for (const CK_OBJECT_HANDLE handle : session.find(wanted))
        session.destroy({handle, "key of an unfinished init"});
    }
  }
  if (!keys::has_signing_keys(session)) keys::TokenAnchor(session).remove();
}

void remove_init_files(const Home& home, bool made_home) noexcept {
  std::error_code ignored;
  // The file `init` last: a run that is cut short is undone by the next.
  for (const auto& path :
       {home.site(), home.log(), home.tokens(), home.token_copies(), home.root / "pin", home.policy(),
        home.officers(), home.trust(), home.reports(), home.approvals(), home.lock(), file_of(home)})
    std::filesystem::remove_all(path, ignored);
  remove_leftovers(home.root);
  if (made_home) static_cast<void>(rmdir(home.root.c_str()));
}

void undo_init(const Environment& environment, HomeFolder dir) {
  const Home& home = environment.home;
  const auto init = read_unfinished_init(home);
  if (!init)
    throw Error(ErrorKind::Usage, "no init was cut short in " + home.root.string(),
                "'qpcseal init' begins one; what it makes is undone where it fails");
  if (std::filesystem::exists(home.site())) {  // written last
    remove_unfinished_init(home);
    throw Error(ErrorKind::Usage, home.root.string() + " holds a whole appliance: its init had ended");
  }
  check_ownership(home);
  {
    const audit::Lock lock(home.lock(), environment.lock_timeout, environment.on_wait);
    if (init->site && !init->site->embedded) remove_from_token(environment, *init);
  }
  remove_init_files(home, init->made_home && dir == HomeFolder::Remove);
}

}  // namespace qpcseal::site
