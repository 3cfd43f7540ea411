// SPDX-License-Identifier: Apache-2.0
// A key that comes in as a file.
#include <fcntl.h>
#include <openssl/hmac.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "appliance/mek/generate.h"
#include "appliance/mek/lifecycle.h"
#include "appliance/site/key_census.h"
#include "appliance/site/logged_act.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/file_name.h"
#include "encoding/file_kind.h"

namespace qpcseal::mek {

namespace {

using encoding::Json;

constexpr std::size_t kValue = 16;  // bytes of a MEK file

SecretBuffer read_value(const std::filesystem::path& path) {
  const Fd file = open_to_read(path);
  if (const std::uint64_t size = file_size(file); size != kValue) {
    with_context(path.string(),
                 [&] { encoding::refuse_other_kind(encoding::front_of(file), "a MEK file (16 raw bytes)"); });
    throw Error(ErrorKind::Malformed,
                path.string() + " has " + std::to_string(size) + " bytes: a MEK file has 16, raw");
  }
  SecretBuffer value(kValue);
  read_exact(file, value.bytes(), 0);
  return value;
}

// HMAC-SHA-256 of a label. No cipher is used: the vendor's tool may have encrypted under this key with any
// IV.
std::string check_value_of(const SecretBuffer& value) {
  constexpr std::string_view kLabel = "qpcseal/import-check/2";
  Sha256Digest out{};
  unsigned size = 0;
  if (HMAC(EVP_sha256(), value.bytes().data(), static_cast<int>(value.size()), view(kLabel).data(),
           kLabel.size(), out.data(), &size) == nullptr ||
      size != out.size())
    throw Error(ErrorKind::Internal, "HMAC failed");
  return to_hex(out);
}

// Overwritten with `filler` where it lies, synced, and removed. A link, or a file with other names, is left
// alone.
void overwrite_and_remove(const std::filesystem::path& path, ByteView filler) {
  const Fd file(::open(path.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status{};
  if (!file || fstat(file.get(), &status) != 0) throw_errno(path.string());
  if (!S_ISREG(status.st_mode) || status.st_nlink != 1 || status.st_size != static_cast<off_t>(kValue))
    throw Error(ErrorKind::Io, path.string() + " is no longer the file that was read, or has another name");
  write_exact(file, filler, 0);
  if (fsync(file.get()) != 0) throw_errno(path.string());
  if (unlink(path.c_str()) != 0) throw_errno(path.string());
  sync_folder(parent_dir(path));
}

Json import_parameters(const std::string& name, const std::string& check_value) {
  return {{"name", name}, {"check_value", check_value}};
}

// `lost` is the key's history, where the token lost it.
keys::Mek import_logged(site::Appliance& appliance, const std::string& name, const SecretBuffer& value,
                        const std::string& check_value, const std::optional<audit::MekHistory>& lost) {
  const Json approval = appliance.approve("mek-import", import_parameters(name, check_value));
  const Bytes id = lost ? lost->id : appliance.random().bytes(keys::kMekIdSize);
  Json intent{{"mek_id", to_hex(id)}, {"label", keys::make_label(name, 1)}, {"generation", 1U},
              {"encryptions", 0U},    {"check_value", check_value},         {"history", "unknown"}};
  if (lost) {
    intent["encryptions"] = lost->encryptions;
    intent["lost"] = lost->origin;
  }
  keys::Mek mek;
  const auto make = [&](const audit::Txn&) -> Json {
    const auto& accept = appliance.facts().accept;
    pkcs11::Session fresh(appliance.module(), appliance.token(), pkcs11::Access::ReadOnly);
    mek = keys::import_mek(appliance.session(), fresh, name, 1, id, value, accept);
    return {
        {"mek_id", to_hex(id)},
        {"attributes", attribute_list(keys::inspect_mek(fresh, mek.object, accept, keys::Origin::Imported))},
        {"token_serial", appliance.token().serial}};
  };
  site::logged_act(appliance.log(), {"mek-import", site::with_approval(intent, approval), make,
                                     [&] { destroy_with_id(appliance.session(), id); }});
  return mek;
}

// By which the same command is known again; the log does not tell where the file lay.
std::string digest_of_place(const std::filesystem::path& file) {
  return sha256_hex(std::filesystem::absolute(file).lexically_normal().string());
}

// The intent says with what the file is overwritten, so that a run that was cut short in between knows it
// again.
void shred_logged(site::Appliance& appliance, const std::filesystem::path& file,
                  const std::string& check_value, Imported& out) {
  const Bytes filler = appliance.random().bytes(kValue);
  Json intent = request_parameters(out.mek);
  intent["place_sha256"] = digest_of_place(file);
  intent["filler_sha256"] = sha256_hex(filler);
  const auto shred = [&](const audit::Txn&) {
    overwrite_and_remove(file, filler);
    return Json::object();
  };
  const auto must_be_whole = [&] {
    if (check_value_of(read_value(file)) != check_value)
      throw Error(ErrorKind::Io, file.string() + " changed");
  };
  try {
    site::logged_act(appliance.log(), {"shred", std::move(intent), shred, must_be_whole});
    out.shredded = true;
  } catch (const Error& error) {
    out.shred_error = error.what();
  }
}

// A shredding of this name's file at this place that was cut short.
const audit::OpenIntent* unfinished_shred(const audit::State& state, const std::string& name,
                                          const std::filesystem::path& file) {
  for (const auto& [seq, intent] : state.open)
    if (intent.kind == "shred" && keys::name_in(encoding::text_member(intent.data, "mek")) == name &&
        encoding::text_member(intent.data, "place_sha256") == digest_of_place(file))
      return &intent;
  return nullptr;
}

// What is at its place is shredded only where it is the file that was overwritten: another key may lie there
// now.
bool is_rest_of(const audit::OpenIntent& intent, const std::filesystem::path& file) {
  return sha256_hex(read_value(file).bytes()) == encoding::text_member(intent.data, "filler_sha256");
}

std::optional<Imported> finish_shred(site::Appliance& appliance, const std::string& name,
                                     const std::filesystem::path& file) {
  const audit::OpenIntent* found = unfinished_shred(appliance.log().state(), name, file);
  if (found == nullptr) return std::nullopt;
  const audit::OpenIntent intent = *found;
  if (is_name_taken(file)) {
    if (!is_rest_of(intent, file)) return std::nullopt;
    overwrite_and_remove(file, appliance.random().bytes(kValue));
  } else {
    sync_folder(parent_dir(file));
  }
  appliance.log().result({intent.seq, intent.txn, intent.kind}, "ok", Json::object());
  const Bytes id = from_hex(encoding::text_member(intent.data, "mek_id"));
  return Imported{site::recorded_mek(appliance.log().state().meks.at(id)), true, "", true};
}

// The run before was cut short between the key and its file, or the file came to light again.
Imported already_imported(site::Appliance& appliance, const audit::MekHistory& before,
                          const std::string& name, bool shred) {
  const bool there = before.state == "ok" || before.state == "suspended";
  if (!shred || !there || before.label != keys::make_label(name, before.generation))
    throw Error(ErrorKind::Usage,
                "this key was imported before, as " + before.label + ", which is '" + before.state + "'",
                there ? "'mek import FILE --name " + std::string(keys::name_in(before.label)) +
                            " --shred' shreds the file"
                      : "");
  Imported out{keys::find_mek_by_id(appliance.session(), before.id), false, "", true};
  return out;
}

// The token lost the key: it comes back as it was, by its id and with its history. One that came back from a
// backup of a transferee's is no longer known by its file.
Imported bring_back(site::Appliance& appliance, const audit::MekHistory& before, const std::string& name,
                    const SecretBuffer& value, const std::string& check_value) {
  const std::string was(keys::name_in(before.label));
  if (was != name)
    throw Error(ErrorKind::Usage,
                "this key was imported before, as " + before.label + ", and the token lost it",
                "'mek import FILE --name " + was + "' brings it back");
  if (before.origin != "imported")
    throw Error(ErrorKind::Usage, before.label + " came back from a backup, and the token lost it",
                "'mek restore BACKUP' brings it back");
  return {import_logged(appliance, name, value, check_value, before), false, "", false, true};
}

}  // namespace

std::string import_check_value(const std::filesystem::path& file) { return check_value_of(read_value(file)); }

void look_at_import(const site::Outlook& outlook, const std::string& name, const std::filesystem::path& file,
                    bool shred) {
  keys::check_name(name);
  if (shred && unfinished_shred(outlook.state, name, file) != nullptr) return;
  const std::string check_value = import_check_value(file);
  if (audit::imported_before(outlook.state, check_value) != nullptr) return;
  refuse_known_name(outlook.state, {}, name);
  static_cast<void>(site::judge_act(outlook, "mek-import", import_parameters(name, check_value)));
}

Imported import_file(site::Appliance& appliance, const std::string& name, const std::filesystem::path& file,
                     bool shred) {
  keys::check_name(name);
  if (shred)
    if (auto finished = finish_shred(appliance, name, file)) return std::move(*finished);
  const SecretBuffer value = read_value(file);
  const std::string check_value = check_value_of(value);
  Imported out;
  if (const audit::MekHistory* before = audit::imported_before(appliance.log().state(), check_value)) {
    if (appliance.is_missing(before->id))
      out = bring_back(appliance, *before, name, value, check_value);
    else
      out = already_imported(appliance, *before, name, shred);
  } else {
    refuse_known_name(appliance.log().state(), keys::list_meks(appliance.session()), name);
    out.mek = import_logged(appliance, name, value, check_value, std::nullopt);
  }
  if (shred) shred_logged(appliance, file, check_value, out);
  return out;
}

}  // namespace qpcseal::mek
