// SPDX-License-Identifier: Apache-2.0
#include "appliance/audit/read.h"

#include <utility>

#include "appliance/audit/chain.h"
#include "base/error.h"
#include "base/text_file.h"

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

void apply_line(std::string_view line, const tlog::Hash& prev, State& state) {
  const Entry entry = parse_entry(line);
  if (entry.prev != prev) throw Error(ErrorKind::Malformed, "it does not follow the entry before");
  state.apply(entry);
}

tlog::VerifierKey genesis_key(std::string_view first_line) {
  return or_damaged(entry_name(0), [&] {
    return tlog::VerifierKey::parse(encoding::text_member(parse_entry(first_line).data, "log_key"));
  });
}

// The log may be whole: whose it is, the auditor's own copy of the key decides.
[[noreturn]] void refuse_other_key(const tlog::VerifierKey& given, const tlog::VerifierKey& first) {
  throw Error(
      ErrorKind::Denied,
      "the log was signed for another key than the one that was given: its first key is " + first.text() +
          ", given was " + given.text(),
      "compare both with the key that the appliance's officers handed over; if yours is the right one, "
      "this is not their log");
}

// One pass over the lines that a checkpoint of `size` entries covers.
class LogWalk {
 public:
  LogWalk(Fd file, std::uint64_t from, Check check) : lines(std::move(file), from), check_(check) {}

  // Error{LogDamaged} for a rotation of keys that is none. What else is wrong with an entry counts once it is
  // known to be the one that was signed: see error().
  void take(std::string_view line) {
    const std::string where = entry_name(tree.size());
    if (tree.size() == 0) keys.push_back({0, genesis_key(line).text()});
    if (line.find("\"kind\":\"rotate-key\"") != std::string_view::npos)
      or_damaged(where, [&] {
        const Entry entry = parse_entry(line);
        if (is_rotation(entry)) rotate(keys, entry);
      });
    if (!error_) follow(where, line);
    before_ = tlog::leaf_hash(view(line));
    tree.append(before_);
    lines.add(line.size());
  }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

  CoveredLines lines;
  tlog::Tree tree;
  State state;
  LastAppend last;
  std::vector<LogKey> keys;  // that signed the log so far: the genesis entry's, and those of rotations

 private:
  void follow(const std::string& where, std::string_view line) {
    try {
      or_damaged(where, [&] {
        const EntryView entry = scan_entry(line);
        last.take(entry);
        if (check_ == Check::Everything) return apply_line(line, before_, state);
        check_follows(entry, tree.size(), before_, state.last_time);
        state.last_time = entry.time;
        ++state.size;
      });
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::LogDamaged) throw;
      error_ = error;
    }
  }

  Check check_;
  tlog::Hash before_{};
  std::optional<Error> error_;
};

constexpr const char* kChangedUnderUs = " changed while the log was read";

void check_unchanged(const LogCopy& copy, std::uint64_t seq, std::string_view line) {
  if (tlog::leaf_hash(view(line)) != copy.tree.leaf(seq)) damaged(entry_name(seq) + kChangedUnderUs);
}

// What witnesses saw must be this log.
void check_witnessed(const LogCopy& copy) {
  for (const auto& [vkey, seen] : copy.state.witnessed)
    if (to_hex(copy.tree.root(seen.size)) != seen.root)
      damaged("its first " + std::to_string(seen.size) + " entries are not those that " + vkey + " saw");
}

// Takes the lines before byte `end` that `note` covers, as far as they are there. Returns the entries that it
// claims.
std::uint64_t walk_covered(std::uint64_t end, const std::string& note,
                           const std::optional<tlog::VerifierKey>& key, LogWalk& walk) {
  std::optional<std::uint64_t> size;
  try {
    each_line(walk.lines.file(), walk.lines.end(), end, [&](std::string_view line) {
      if (!size) {
        const tlog::VerifierKey first = genesis_key(line);
        if (key && !(*key == first)) refuse_other_key(*key, first);
        size = or_damaged("checkpoint", [&] { return tlog::claimed_size(note); });
      }
      if (walk.tree.size() < *size || *size == 0) walk.take(line);
      return walk.tree.size() < *size;
    });
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Malformed) throw;  // a line too long: first_bad() names it
  }
  if (!size) damaged("entry 0 is missing");
  return *size;
}

std::string read_text(const Fd& file, std::uint64_t from, std::uint64_t end) {
  std::string out(end - from, '\0');
  read_exact(file, {reinterpret_cast<std::uint8_t*>(out.data()), out.size()}, from);
  return out;
}

LogCopy read_once(Fd file, std::uint64_t from, std::uint64_t end, std::string note,
                  const std::optional<tlog::VerifierKey>& key, Check check) {
  LogWalk walk(std::move(file), from, check);
  const std::uint64_t size = walk_covered(end, note, key, walk);
  const tlog::VerifierKey now = tlog::VerifierKey::parse(walk.keys.back().vkey);
  const tlog::Checkpoint checkpoint =
      or_damaged("checkpoint", [&] { return tlog::open_checkpoint(note, now); });
  if (checkpoint.size == 0) damaged("the checkpoint covers nothing");
  if (walk.tree.size() < size || walk.tree.root() != checkpoint.root)
    damaged(first_bad(split_lines(read_text(walk.lines.file(), from, end)), checkpoint));
  if (walk.error()) throw Error(*walk.error());
  std::string tail = read_text(walk.lines.file(), walk.lines.end(), end);
  LogCopy copy{std::move(walk.state), checkpoint,      std::move(note),  std::move(walk.tree), now,
               std::move(walk.lines), std::move(tail), walk.last.begin()};
  if (check == Check::Proofs) copy.state.log_keys = std::move(walk.keys);
  if (check == Check::Everything) check_witnessed(copy);
  return copy;
}

// Each line is hashed as it comes, and held against the one before.
class StreamWalk {
 public:
  // Error{Malformed} for a line that cannot follow.
  void take(std::string_view line) {
    const EntryView entry = scan_entry(line);
    check_follows(entry, tree.size(), last_, time);
    if (entry.seq == 0) keys.push_back({0, encoding::text_member(parse_entry(line).data, "log_key")});
    if (entry.kind == "rotate-key") follow(parse_entry(line));
    time = entry.time;
    last_ = tlog::leaf_hash(view(line));
    tree.append(last_);
  }

  tlog::Tree tree;
  UnixTime time = 0;
  std::vector<LogKey> keys;

 private:
  void follow(const Entry& entry) {
    if (is_rotation(entry)) rotate(keys, entry);
  }

  tlog::Hash last_{};
};

std::optional<LogCopy> walk(const Store& store, const std::string& note,
                            const std::optional<tlog::VerifierKey>& key) {
  const std::uint64_t size = tlog::claimed_size(note);
  if (size == 0) return std::nullopt;
  StreamWalk walk;
  const std::uint64_t end = store.each_line([&](std::string_view line) {
    walk.take(line);
    return walk.tree.size() < size;
  });
  if (walk.tree.size() != size) return std::nullopt;
  if (key && key->text() != walk.keys.front().vkey) return std::nullopt;
  tlog::VerifierKey now = tlog::VerifierKey::parse(walk.keys.back().vkey);
  LogCopy copy{{}, {}, note, std::move(walk.tree), std::move(now), {}, store.read_entries(end), 0};
  copy.checkpoint = tlog::open_checkpoint(note, copy.key);
  if (copy.checkpoint.size != size || copy.checkpoint.root != copy.tree.root()) return std::nullopt;
  if (!is_one_append(split_lines(copy.tail))) return std::nullopt;
  copy.state.size = size;
  copy.state.last_time = walk.time;
  copy.state.log_keys = std::move(walk.keys);
  return copy;
}

// Canonical JSON has no raw carriage return: a system on the way changed the line ends of such a copy.
[[noreturn]] void name_changed_line_ends(const Store& store, const Error& error) {
  constexpr std::uint64_t kLooked = kMaxEntrySize + 2;
  const Fd entries = store.open_entries();
  const std::string front = read_text(entries, 0, std::min(file_size(entries), kLooked));
  if (front.find("\r\n") == std::string::npos && wide_encoding(front).empty()) throw Error(error);
  throw Error(ErrorKind::LogDamaged,
              store.entries_path().string() +
                  ": its line ends are CR LF, or its text is UTF-16: the copy was changed on its way",
              "copy the log's folder again as it is (a tar archive, or a copy in binary mode)");
}

LogCopy read_folder(const Store& store, const std::optional<tlog::VerifierKey>& key, Check check) {
  std::string note = store.read_checkpoint();
  if (check == Check::Proofs)
    if (auto copy = stream_log(store, note, key)) return std::move(*copy);
  while (true) {
    Fd entries = store.open_entries();
    const std::uint64_t end = file_size(entries);
    LogCopy copy = read_once(std::move(entries), 0, end, note, key, check);
    if (is_one_append(split_lines(copy.tail))) return copy;
    // More than one append behind the checkpoint: a writer was at work meanwhile, or the checkpoint is old.
    std::string again = store.read_checkpoint();
    if (again == copy.note)
      damaged(entry_name(copy.checkpoint.size) +
              " and more stand behind the checkpoint: an older checkpoint was put back, or lines were added");
    note = std::move(again);
  }
}

}  // namespace

std::string LogCopy::line(std::uint64_t seq) const {
  const std::uint64_t start = lines.start(seq);
  std::string out(lines.start(seq + 1) - start - 1, '\0');
  read_exact(lines.file(), {reinterpret_cast<std::uint8_t*>(out.data()), out.size()}, start);
  check_unchanged(*this, seq, out);
  return out;
}

void LogCopy::each(std::uint64_t from, std::uint64_t to,
                   const std::function<bool(std::uint64_t, std::string_view)>& take) const {
  std::uint64_t seq = from;
  bool enough = false;
  each_line(lines.file(), lines.start(from), lines.start(to), [&](std::string_view line) {
    check_unchanged(*this, seq, line);
    enough = !take(seq++, line);
    return !enough;
  });
  if (!enough && seq < to) damaged(entry_name(seq) + kChangedUnderUs);  // its line feed is gone
}

void LogCopy::each(const std::function<void(std::uint64_t, std::string_view)>& take) const {
  each(0, lines.count(), [&](std::uint64_t seq, std::string_view line) {
    take(seq, line);
    return true;
  });
}

void replay(const Lines& lines, tlog::Tree& tree, State& state) {
  for (const std::string_view line : lines) {
    or_damaged(entry_name(tree.size()), [&] {
      apply_line(line, tree.size() == 0 ? tlog::Hash{} : tree.leaf(tree.size() - 1), state);
    });
    tree.append(tlog::leaf_hash(view(line)));
  }
}

LogCopy read_log(Fd file, std::uint64_t from, std::uint64_t size, std::string checkpoint,
                 const std::optional<tlog::VerifierKey>& key) {
  return read_once(std::move(file), from, from + size, std::move(checkpoint), key, Check::Everything);
}

LogCopy read_log(const std::filesystem::path& dir, const std::optional<tlog::VerifierKey>& key, Check check) {
  const Store store = Store::open_to_read(dir);
  try {
    return read_folder(store, key, check);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::LogDamaged && error.kind() != ErrorKind::Malformed) throw;
    name_changed_line_ends(store, error);
  }
}

std::optional<LogCopy> stream_log(const Store& store, const std::string& note,
                                  const std::optional<tlog::VerifierKey>& key) {
  try {
    return walk(store, note, key);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::Internal) throw;
    return std::nullopt;
  }
}

}  // namespace qpcseal::audit
