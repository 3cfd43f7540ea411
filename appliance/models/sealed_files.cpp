// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/sealed_files.h"

#include <unistd.h>

#include <algorithm>

#include "appliance/keys/spki.h"
#include "appliance/models/folder_files.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/temporary.h"

namespace qpcseal::models {

namespace {

constexpr std::size_t kMaxFiles = 10000;

bool is_container(const std::filesystem::directory_entry& item) {
  if (!item.is_regular_file() || item.is_symlink()) return false;
  const Fd fd = open_to_read(item.path());
  return qpc::is_qpc(fd, 0, file_size(fd));
}

// Below `dir`, at any depth; not below `left_out`, where earlier outputs may lie.
std::vector<std::filesystem::path> containers_in(const std::filesystem::path& dir,
                                                 const std::filesystem::path& left_out) {
  std::vector<std::filesystem::path> out;
  std::error_code failed, ignored;
  auto item = std::filesystem::recursive_directory_iterator(dir, failed);
  for (; !failed && item != std::filesystem::end(item); item.increment(failed)) {
    const bool hidden = item->path().filename().string().starts_with(".");
    if (hidden || (!left_out.empty() && std::filesystem::equivalent(item->path(), left_out, ignored))) {
      if (item->is_directory()) item.disable_recursion_pending();
      continue;
    }
    if (is_container(*item)) out.push_back(item->path());
    if (out.size() > kMaxFiles)
      throw Error(ErrorKind::Io, dir.string() + " holds more than 10000 containers");
  }
  if (failed) throw Error(ErrorKind::Io, dir.string() + ": " + failed.message());
  if (out.empty()) throw Error(ErrorKind::Io, dir.string() + " holds no QPC file");
  std::sort(out.begin(), out.end());
  return out;
}

SealedFile open_one(const std::filesystem::path& path, std::filesystem::path name, bool finish) {
  return with_context(path.string(), [&]() -> SealedFile {
    if (finish) seal::finish_binding(path);
    Fd fd = open_to_read(path);
    refuse_other_file(fd);
    seal::SealedTree tree = seal::SealedTree::read(fd);
    return {path, std::move(name), std::move(fd), std::move(tree)};
  });
}

void open_set(const std::filesystem::path& dir, bool finish, SealedInput& out) {
  out.dir = dir;
  check_set(*out.set, dir);
  for (const seal::SetEntry& entry : out.set->manifest.entries) {
    if (entry.kind != seal::SetKind::Model) continue;
    if (finish) remove_leftovers_once((dir / entry.path).parent_path());
    out.files.push_back(open_one(dir / entry.path, entry.path, finish));
    const SealedFile& file = out.files.back();
    if (file.tree.root().manifest.mek_id != out.set->manifest.mek_id)
      throw Error(ErrorKind::Malformed, file.path.string() + " is sealed under another MEK than its set");
  }
}

void require_ours(const SealedFile& file, const seal::SealedNode& node, const audit::State& state,
                  const Bytes& seal_key) {
  const std::string what =
      file.path.string() + (node.segment.empty() ? "" : ", partition '" + node.segment + "'");
  const Sha256Digest manifest = sha256(node.container.manifest());
  if (!state.sealed.contains(to_hex(manifest)))
    throw Error(
        ErrorKind::Denied,
        what + " is not sealed by this appliance: its log knows no manifest with SHA-256 " + to_hex(manifest),
        "the appliance that sealed it binds it; 'qpcseal audit show --kind seal' lists what was sealed here");
  if (!keys::verify_with_spki(seal_key, seal::seal_message(manifest), node.container.signature(file.fd)))
    throw Error(ErrorKind::Denied, what + ": seal.sig is not this appliance's signature of its manifest",
                "copy the file again from where it was sealed");
}

// `error`, which stopped the binding of `all` containers behind the first `bound`, and what became of each.
Error stopped_in_place(const Error& error, std::size_t bound, std::size_t all) {
  std::string hint = error.hint();
  if (all > 1)
    hint =
        std::to_string(bound) + " of " + std::to_string(all) +
        " containers, in the order of their names, have the new binding or get it when they are bound next; "
        "those behind them have their old one" +
        (hint.empty() ? "" : "; " + hint);
  return error.with_hint(std::move(hint));
}

}  // namespace

bool SealedFile::bound() const {
  const auto loads = tree.loads();
  return std::any_of(loads.begin(), loads.end(), [](const auto* node) { return node->slots().has_value(); });
}

SealedInput open_sealed(const std::filesystem::path& path, const std::filesystem::path& output_folder) {
  const bool finish = output_folder.empty();
  SealedInput out;
  if (!std::filesystem::is_directory(std::filesystem::symlink_status(path))) {
    out.files.push_back(open_one(path, path.filename(), finish));
    return out;
  }
  out.set = read_set(path);
  if (out.set) {
    open_set(path, finish, out);
    return out;
  }
  for (const auto& file : containers_in(path, output_folder)) {
    if (finish) remove_leftovers_once(file.parent_path());
    out.files.push_back(open_one(file, file.lexically_relative(path), finish));
  }
  return out;
}

void require_mek(const std::vector<SealedFile>& files, const Bytes& mek_id, const std::string& label) {
  for (const SealedFile& file : files) {
    const Bytes& id = file.tree.root().manifest.mek_id;
    if (id != mek_id)
      throw Error(ErrorKind::Denied,
                  file.path.string() + " is sealed under MEK id " + to_hex(id) + ", not " + label + " (" +
                      to_hex(mek_id) + ")",
                  "an older generation of a key is named in full: NAME#1");
  }
}

void require_sealed_here(const std::vector<SealedFile>& files, const audit::State& state) {
  const Bytes seal_key = from_base64(encoding::text_member(state.genesis, "seal_key"));
  for (const SealedFile& file : files) {
    require_ours(file, file.tree.root(), state, seal_key);
    for (const seal::SealedNode& partition : file.tree.partitions())
      require_ours(file, partition, state, seal_key);
  }
}

void require_sealed_here(const SealedInput& input, const audit::State& state) {
  if (input.set)
    require_signed_here(*input.set, from_base64(encoding::text_member(state.genesis, "seal_key")));
  require_sealed_here(input.files, state);
}

void make_room(const SealedFile& file, const Fd& output) {
  if (!seal::clone_whole(file.fd, output)) reserve(output, file.tree.file_size());
}

void bind_to(const SealedFile& file, const std::vector<seal::Slots>& slots, const Fd& output) {
  with_context(file.path.string(), [&] {
    seal::bind_copy(file.fd, file.tree.file_size(), seal::bindings_for(file.tree, slots), output);
  });
}

void bind_all_in_place(const std::vector<SealedFile>& files, const std::vector<seal::Slots>& slots) {
  std::vector<std::vector<seal::Binding>> bindings;
  for (const SealedFile& file : files)
    bindings.push_back(
        with_context(file.path.string(), [&] { return seal::bindings_for(file.tree, slots); }));
  std::size_t bound = 0;
  bool begun = false;
  try {
    for (; bound < files.size(); ++bound) {
      begun = false;
      with_context(files[bound].path.string(), [&] {
        seal::bind_in_place(files[bound].path, files[bound].tree, bindings[bound], begun);
      });
    }
  } catch (const Error& error) {
    throw stopped_in_place(error, bound + (begun ? 1 : 0), files.size());
  }
}

void require_writable(const std::vector<SealedFile>& files) {
  for (const SealedFile& file : files)
    for (const auto& path : {file.path, std::filesystem::path(seal::journal_path(file.path).parent_path())})
      if (access(path.c_str(), W_OK) != 0) throw_errno(path.string());
}

}  // namespace qpcseal::models
