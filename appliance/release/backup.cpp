#include "appliance/release/backup.h"

#include <algorithm>

#include "appliance/release/witness.h"
#include "base/error.h"
#include "base/tar.h"

namespace qpcseal::release {

namespace {

using audit::Json;
using std::filesystem::path;

constexpr const char *kManifest = "manifest.json", *kType = "qpcseal-home", *kStaging = ".restore",
                     *kAside = "before-restore-";
constexpr std::size_t kMaxManifest = std::size_t{64} << 20;  // bytes

struct Listed {
  std::string name;
  std::uint64_t size = 0;
  std::string sha256;  // hex
};

bool is_left_out(const std::string& name) {
  static constexpr std::string_view kWhole[] = {"lock", "pin", "log/snapshot", "wrapped"};
  static constexpr std::string_view kBelow[] = {"tokens/", kAside};
  return std::ranges::find(kWhole, name) != std::end(kWhole) ||
         std::ranges::any_of(kBelow, [&](std::string_view folder) { return name.starts_with(folder); }) ||
         name.starts_with('.') || name.find("/.") != std::string::npos;
}

std::string digest_of(const Fd& file) {
  Sha256 digest;
  read_pieces(file, 0, file_size(file), [&](ByteView piece) { digest.update(piece); });
  return to_hex(digest.finish());
}

// Everything that is kept, in order of names.
std::vector<Listed> files_of(const Home& home, const Site& site) {
  std::vector<Listed> out;
  for (const auto& item : std::filesystem::recursive_directory_iterator(home.root)) {
    const std::string name = item.path().lexically_relative(home.root);
    if (item.is_directory() || is_left_out(name) || site.pin_source == "file:" + item.path().string())
      continue;
    const Fd file = open_to_read(item.path());
    out.push_back({name, file_size(file), digest_of(file)});
  }
  std::ranges::sort(out, {}, &Listed::name);
  return out;
}

Json manifest_of(const std::vector<Listed>& files, const audit::LogCopy& log, UnixTime now) {
  Json list = Json::array();
  for (const Listed& file : files)
    list.push_back({{"name", file.name}, {"size", file.size}, {"sha256", file.sha256}});
  return {{"type", kType},
          {"v", 1U},
          {"software", "qpcseal " + std::string(software_version())},
          {"time", static_cast<std::uint64_t>(now)},
          {"log", {{"size", log.checkpoint.size}, {"root", to_hex(log.checkpoint.root)}}},
          {"files", std::move(list)}};
}

struct Manifest {
  std::vector<Listed> files;
  std::uint64_t log_size = 0;
  std::string log_root;  // hex
};

Manifest parse_manifest(const Bytes& bytes) {
  const Json json = audit::parse_canonical(text_of(bytes), kManifest);
  audit::expect_keys(json, {"type", "v", "software", "time", "log", "files"}, kManifest);
  if (audit::text_member(json, "type") != kType || audit::uint_member(json, "v") != 1)
    throw Error(ErrorKind::Malformed, "not a backup of a home");
  const Json& log = audit::member(json, "log");
  Manifest out{{}, audit::uint_member(log, "size"), audit::text_member(log, "root")};
  for (const Json& file : audit::member(json, "files")) {
    audit::expect_keys(file, {"name", "size", "sha256"}, kManifest);
    out.files.push_back({audit::text_member(file, "name"), audit::uint_member(file, "size"),
                         audit::hex_member(file, "sha256", sizeof(Sha256Digest))});
    const std::string& name = out.files.back().name;
    if (!is_inner_name(name) || is_left_out(name))
      throw Error(ErrorKind::Malformed, "a file that no backup has: " + name);
  }
  return out;
}

// The archive's files into `folder`, each as the manifest says, none missing and none more.
Manifest unpack(const path& archive, const path& folder) {
  const Fd in = open_to_read(archive);
  TarReader reader(in);
  const auto first = reader.next();
  if (!first || first->name != kManifest || first->size > kMaxManifest)
    throw Error(ErrorKind::Malformed, "not a backup of a home");
  Bytes text(first->size);
  read_exact(in, text, first->offset);
  Manifest manifest = parse_manifest(text);
  for (const Listed& file : manifest.files) {
    const auto item = reader.next();
    if (!item || item->name != file.name || item->size != file.size)
      throw Error(ErrorKind::Malformed, "'" + file.name + "' is not where the manifest says");
    std::filesystem::create_directories((folder / file.name).parent_path());
    AtomicFile out(folder / file.name, Existing::Refuse, 0600);
    Sha256 digest;
    std::uint64_t at = 0;
    read_pieces(in, item->offset, item->size, [&](ByteView piece) {
      digest.update(piece);
      write_exact(out.fd(), piece, at);
      at += piece.size();
    });
    if (to_hex(digest.finish()) != file.sha256)
      throw Error(ErrorKind::Malformed, "'" + file.name + "' is not the file that the manifest names");
    out.commit();
  }
  if (reader.next()) throw Error(ErrorKind::Malformed, "a file that the manifest does not name");
  return manifest;
}

// What of the home a restore would replace.
std::vector<path> state_of(const Home& home) {
  std::vector<path> out;
  for (const auto& item : std::filesystem::directory_iterator(home.root)) {
    const std::string name = item.path().filename();
    if (name != "tokens" && !is_left_out(name)) out.push_back(item.path());
  }
  return out;
}

path move_aside(const Home& home, const std::vector<path>& state, UnixTime now) {
  if (state.empty()) return {};
  const path aside = home.root / (kAside + format_time(now));
  std::filesystem::create_directory(aside);
  for (const path& item : state) std::filesystem::rename(item, aside / item.filename());
  sync_folder(aside);
  return aside;
}

void private_folders(const path& root) {
  for (const auto& item : std::filesystem::recursive_directory_iterator(root)) {
    if (!item.is_directory()) continue;
    std::filesystem::permissions(item.path(), std::filesystem::perms::owner_all);
    sync_folder(item.path());
  }
}

}  // namespace

Backup back_up(const Environment& environment, const path& output, Existing existing) {
  const Home& home = environment.home;
  const Site site = Site::read(home.site());
  const audit::Lock lock(home.lock(), environment.lock_timeout, environment.on_wait);
  const audit::LogCopy log = audit::read_log(home.log(), std::nullopt);
  const std::vector<Listed> files = files_of(home, site);
  AtomicFile out(output, existing, 0600);
  TarWriter archive(out.fd());
  const std::string manifest = audit::canonical(manifest_of(files, log, environment.clock.now()));
  archive.add(kManifest, view(manifest));
  for (const Listed& file : files)
    if (to_hex(archive.add(file.name, open_to_read(home.root / file.name))) != file.sha256)
      throw Error(ErrorKind::Io, file.name + " changed while it was read");
  archive.finish();
  out.commit();
  return {files.size(), log.checkpoint.size, to_hex(log.checkpoint.root)};
}

Restored restore(const Environment& environment, const RestoreWish& wish) {
  const Home& home = environment.home;
  make_folder(home.root);
  const audit::Lock lock(home.lock(), environment.lock_timeout, environment.on_wait);
  const std::vector<path> state = state_of(home);
  if (!state.empty() && !wish.replace)
    throw Error(ErrorKind::Io, home.root.string() + " holds an appliance already",
                "--force moves its state aside; a token under it stays");
  const path staging = home.root / kStaging;
  std::filesystem::remove_all(staging);
  make_folder(staging);
  const Manifest manifest = with_context(wish.file.string(), [&] { return unpack(wish.file, staging); });
  private_folders(staging);
  const audit::LogCopy log = audit::read_log(staging / "log", wish.key);
  if (log.checkpoint.size != manifest.log_size || to_hex(log.checkpoint.root) != manifest.log_root)
    throw Error(ErrorKind::Malformed,
                wish.file.string() + ": its log is not the one that the manifest names");
  with_context(wish.file.string(), [&] { check_witnesses(home, log); });
  Restored out{{manifest.files.size(), log.checkpoint.size, to_hex(log.checkpoint.root)}, {}};
  out.aside = move_aside(home, state, environment.clock.now());
  // site.toml last: a home without it is no appliance.
  std::vector<path> fresh;
  for (const auto& item : std::filesystem::directory_iterator(staging)) fresh.push_back(item.path());
  std::ranges::stable_partition(fresh, [](const path& item) { return item.filename() != "site.toml"; });
  for (const path& item : fresh) std::filesystem::rename(item, home.root / item.filename());
  std::filesystem::remove(staging);
  sync_folder(home.root);
  return out;
}

}  // namespace qpcseal::release
