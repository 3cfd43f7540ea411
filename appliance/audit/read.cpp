#include "appliance/audit/read.h"

#include <algorithm>

#include "appliance/audit/chain.h"
#include "base/error.h"

namespace qpcseal::audit {

namespace {

[[noreturn]] void damaged(const std::string& why) {
  throw Error(ErrorKind::LogDamaged, "the audit log is damaged: " + why);
}

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

// Applies the lines to state and tree; the chain of hashes is checked on the way.
void replay(LogCopy& copy, const Lines& lines) {
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

// The key in force at the checkpoint: the genesis entry's, or the one that a rotation brought in.
VerifierKey current_key(const Lines& lines, const VerifierKey& first) {
  VerifierKey key = first;
  for (std::uint64_t i = 1; i < lines.size(); ++i) {
    if (lines[i].find("\"kind\":\"rotate-key\"") == std::string_view::npos) continue;
    const Entry entry = or_damaged(entry_name(i), [&] { return parse_entry(lines[i]); });
    if (entry.kind != "rotate-key") continue;
    or_damaged(entry_name(i), [&] { key = rotated_key(entry, key); });
  }
  return key;
}

LogCopy read_once(const Store& store, std::string note, const std::optional<VerifierKey>& key) {
  std::string text = store.read_entries();
  Lines lines = split_lines(text);
  if (lines.empty()) damaged("entry 0 is missing");
  const VerifierKey first = genesis_key(lines[0]);
  if (key && !(*key == first)) damaged("it was signed for another key: " + first.text());
  const std::uint64_t size = or_damaged("checkpoint", [&] { return claimed_size(note); });
  const Lines covered(lines.begin(),
                      lines.begin() + static_cast<std::ptrdiff_t>(std::min(size, lines.size())));
  const VerifierKey now = current_key(covered, first);
  const Checkpoint checkpoint = or_damaged("checkpoint", [&] { return open_checkpoint(note, now); });
  if (checkpoint.size == 0) damaged("the checkpoint covers nothing");
  LogCopy copy{{}, checkpoint, std::move(note), {}, now, {}, {0}, {}};
  for (const std::string_view line : covered) {
    copy.tree.append(leaf_hash(view(line)));
    copy.starts.push_back(copy.starts.back() + line.size() + 1);
  }
  if (covered.size() < checkpoint.size || copy.tree.root() != checkpoint.root)
    damaged(first_bad(covered, checkpoint));
  replay(copy, covered);
  copy.tail = text.substr(copy.starts.back());
  text.resize(copy.starts.back());
  copy.text = std::move(text);
  return copy;
}

}  // namespace

LogCopy read_log(const std::filesystem::path& folder, const std::optional<VerifierKey>& key) {
  const Store store = Store::open_to_read(folder);
  std::string note = store.read_checkpoint();
  while (true) {
    LogCopy copy = read_once(store, note, key);
    if (is_one_append(split_lines(copy.tail))) return copy;
    // More than one append behind the checkpoint: a writer was at work meanwhile, or the checkpoint is old.
    std::string again = store.read_checkpoint();
    if (again == copy.note)
      damaged(entry_name(copy.checkpoint.size) +
              " and more stand behind the checkpoint: an older checkpoint was put back, or lines were added");
    note = std::move(again);
  }
}

}  // namespace qpcseal::audit
