// A key that comes in as a file, and the PIN that guards them all.
#include <fcntl.h>
#include <openssl/hmac.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "appliance/release/key_life.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"

namespace qpcseal::release {

namespace {

using audit::Json;

constexpr std::size_t kValue = 16;  // bytes of a MEK file

SecretBuffer read_value(const std::filesystem::path& path) {
  const Fd file = open_to_read(path);
  if (const std::uint64_t size = file_size(file); size != kValue)
    throw Error(ErrorKind::Malformed,
                path.string() + " has " + std::to_string(size) + " bytes: a MEK file has 16, raw");
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

// Overwritten where it lies, synced, and removed. A link, or a file with other names, is left alone.
void overwrite_and_remove(const std::filesystem::path& path, Random& random) {
  const Fd file(::open(path.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status{};
  if (!file || fstat(file.get(), &status) != 0) throw_errno(path.string());
  if (!S_ISREG(status.st_mode) || status.st_nlink != 1 || status.st_size != static_cast<off_t>(kValue))
    throw Error(ErrorKind::Io, path.string() + " is no longer the file that was read, or has another name");
  write_exact(file, random.bytes(kValue), 0);
  if (fsync(file.get()) != 0) throw_errno(path.string());
  if (unlink(path.c_str()) != 0) throw_errno(path.string());
  sync_folder(path.has_parent_path() ? path.parent_path() : std::filesystem::path("."));
}

keys::Mek import_logged(Appliance& appliance, const std::string& name, const SecretBuffer& value,
                        const std::string& check_value, const Json& approval) {
  const Bytes id = appliance.random().bytes(keys::kMekIdSize);
  const Json intent{{"mek_id", to_hex(id)}, {"label", keys::label_of(name, 1)}, {"generation", 1U},
                    {"encryptions", 0U},    {"check_value", check_value},       {"history", "unknown"}};
  const audit::Txn txn = appliance.log().intent("mek-import", with_approval(intent, approval));
  try {
    const auto& accept = appliance.facts().accept;
    pkcs11::Session fresh(appliance.module(), appliance.token(), pkcs11::Access::ReadOnly);
    keys::Mek mek = keys::import_mek(appliance.session(), fresh, name, 1, id, value, accept);
    appliance.log().result(
        txn, "ok",
        {{"mek_id", to_hex(id)},
         {"attributes", attributes_of(keys::inspect_mek(fresh, mek.object, accept, keys::Origin::Imported))},
         {"token_serial", appliance.token().serial}});
    return mek;
  } catch (const Error& error) {
    appliance.log().result(txn, "failed", {{"error", error.what()}});
    throw;
  }
}

void shred_logged(Appliance& appliance, const std::filesystem::path& file, Imported& out) {
  try {
    overwrite_and_remove(file, appliance.random());
    out.shredded = true;
  } catch (const Error& error) {
    out.shred_error = error.what();
  }
  Json data = parameters_of(out.mek);
  data["done"] = out.shredded;
  appliance.log().event("shred", std::move(data));
}

// The run before was cut short between the key and its file, or the file came to light again.
Imported known_again(Appliance& appliance, const audit::MekHistory& before, const std::string& name,
                     bool shred) {
  const bool there = before.state == "ok" || before.state == "suspended";
  if (!shred || !there || before.label != keys::label_of(name, before.generation))
    throw Error(ErrorKind::Usage,
                "this key was imported before, as " + before.label + ", which is '" + before.state + "'",
                there ? "'mek import FILE --name " + std::string(keys::name_in(before.label)) +
                            " --shred' shreds the file"
                      : "");
  Imported out{keys::find_mek_by_id(appliance.session(), before.id), false, "", true};
  return out;
}

}  // namespace

std::string import_check_value(const std::filesystem::path& file) { return check_value_of(read_value(file)); }

Imported import_file(Appliance& appliance, const std::string& name, const std::filesystem::path& file,
                     bool shred) {
  keys::check_name(name);
  const SecretBuffer value = read_value(file);
  const std::string check_value = check_value_of(value);
  Imported out;
  if (const audit::MekHistory* before = audit::imported_before(appliance.log().state(), check_value)) {
    out = known_again(appliance, *before, name, shred);
  } else {
    refuse_known_name(appliance, name);
    const Json approval = appliance.approve("mek-import", {{"name", name}, {"check_value", check_value}});
    out.mek = import_logged(appliance, name, value, check_value, approval);
  }
  if (shred) shred_logged(appliance, file, out);
  return out;
}

void change_pin(Appliance& appliance, const SecretBuffer& old_pin, const SecretBuffer& new_pin) {
  constexpr std::string_view kPrefix = "file:";
  constexpr std::size_t kLeast = 4;  // characters; tokens have limits of their own
  if (new_pin.size() < kLeast) throw Error(ErrorKind::Usage, "a PIN has at least 4 characters");
  if (equal(old_pin.bytes(), new_pin.bytes())) throw Error(ErrorKind::Usage, "the new PIN is the old one");
  const std::string& source = appliance.site().pin_source;
  std::optional<AtomicFile> file;
  if (source.starts_with(kPrefix)) {
    file.emplace(source.substr(kPrefix.size()), Existing::Replace, 0600);
    write_exact(file->fd(), new_pin.bytes(), 0);
    file->sync();  // it must be there to be named when the token has the new PIN
  }
  const audit::Txn txn = appliance.log().intent("pin-change", {{"token_serial", appliance.token().serial}});
  try {
    appliance.session().set_pin(old_pin, new_pin);
  } catch (const Error& error) {
    appliance.log().result(txn, "failed", {{"error", error.what()}});
    throw;
  }
  if (file) file->commit();
  appliance.log().result(txn, "ok", {{"token_serial", appliance.token().serial}});
}

}  // namespace qpcseal::release
