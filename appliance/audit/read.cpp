#include "appliance/audit/read.h"

#include "base/error.h"

namespace qpcseal::audit {

namespace {

[[noreturn]] void damaged(const std::string& why) {
  throw Error(ErrorKind::LogDamaged, "the audit log is damaged: " + why);
}

std::string entry_name(std::uint64_t seq) { return "entry " + std::to_string(seq); }

template <typename Act>
decltype(auto) or_damaged(const std::string& where, Act act) {
  try {
    return act();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Malformed && error.kind() != ErrorKind::LogDamaged) throw;
    damaged(where + ": " + error.what());
  }
}

VerifierKey genesis_key(std::string_view first_line) {
  return or_damaged(entry_name(0),
                    [&] { return VerifierKey::parse(text_member(parse_entry(first_line).data, "log_key")); });
}

// The root does not fit: which entry is the first that is not as it was? Each names the hash of the one
// before.
[[noreturn]] void name_first_bad(const std::vector<std::string_view>& lines, const Tree& tree) {
  Hash prev{};
  for (std::uint64_t i = 0; i < lines.size(); ++i) {
    const Entry entry = or_damaged(entry_name(i), [&] { return parse_entry(lines[i]); });
    if (entry.seq != i)
      damaged(entry_name(i) + " is missing: entry " + std::to_string(entry.seq) + " stands in its place");
    if (entry.prev != prev) damaged(entry_name(i - 1) + " was changed after it was written");
    prev = tree.leaf(i);
  }
  damaged(entry_name(lines.size() - 1) +
          " was changed after it was written, or the checkpoint is another log's");
}

void replay(LogCopy& copy, const std::vector<std::string_view>& lines) {
  Hash prev{};
  for (std::uint64_t i = 0; i < lines.size(); ++i) {
    or_damaged(entry_name(i), [&] {
      const Entry entry = parse_entry(lines[i]);
      if (entry.prev != prev) throw Error(ErrorKind::Malformed, "it does not follow the entry before");
      copy.state.apply(entry);
    });
    prev = copy.tree.leaf(i);
  }
}

}  // namespace

LogCopy read_log(const std::filesystem::path& folder, const std::optional<VerifierKey>& key) {
  // The checkpoint first: a writer that is at work meanwhile only adds lines behind what it covers.
  const Store store = Store::open_to_read(folder);
  std::string note = store.read_checkpoint();
  const std::string text = store.read_entries();
  std::vector<std::string_view> lines = split_lines(text);
  if (lines.empty()) damaged("it has no entry");
  const VerifierKey named = genesis_key(lines[0]);
  if (key && !(*key == named)) damaged("it was signed for another key: " + named.text());
  const Checkpoint checkpoint = or_damaged("checkpoint", [&] { return open_checkpoint(note, named); });
  if (checkpoint.size == 0) damaged("the checkpoint covers nothing");
  if (lines.size() < checkpoint.size)
    damaged(entry_name(lines.size()) + " is missing: the checkpoint covers " +
            std::to_string(checkpoint.size) + " entries");
  lines.resize(checkpoint.size);
  LogCopy copy{{}, checkpoint, std::move(note), {}, named, {}, 0, {}};
  for (const std::string_view line : lines) {
    copy.tree.append(leaf_hash(view(line)));
    copy.end += line.size() + 1;
  }
  if (copy.tree.root() != checkpoint.root) name_first_bad(lines, copy.tree);
  replay(copy, lines);
  copy.lines.assign(lines.begin(), lines.end());
  copy.tail = text.substr(copy.end);
  return copy;
}

}  // namespace qpcseal::audit
