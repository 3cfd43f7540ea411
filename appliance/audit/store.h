// SPDX-License-Identifier: Apache-2.0
// The log's files: entries.jsonl, one entry a line, the signed checkpoint beside it, and a snapshot.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/audit/pieces_digest.h"
#include "base/file.h"
#include "base/shared_bytes.h"
#include "tlog/checkpoint.h"

namespace qpcseal::audit {

class Store {
 public:
  static Store create(const std::filesystem::path& dir);  // Error{Io} where one exists
  static Store open(const std::filesystem::path& dir);    // to append
  static Store open_to_read(const std::filesystem::path& dir) { return Store(dir); }

  [[nodiscard]] std::filesystem::path entries_path() const { return folder_ / "entries.jsonl"; }
  [[nodiscard]] std::filesystem::path checkpoint_path() const { return folder_ / "checkpoint"; }
  [[nodiscard]] std::filesystem::path snapshot_path() const { return folder_ / "snapshot"; }
  [[nodiscard]] std::string read_checkpoint() const;
  [[nodiscard]] std::string read_entries(std::uint64_t from = 0) const;  // from that byte on
  // The file of the entries. Error{Malformed} above 16 GiB.
  [[nodiscard]] Fd open_entries() const;
  // Passes the lines one by one, without their line feeds, until `take` returns false. Returns the offset
  // after the last line that was taken. Reads pieces of 256 KiB, and none that it does not need.
  // Error{Malformed} for a line longer than an entry can be that no piece ends; others come as they are.
  std::uint64_t each_line(const std::function<bool(std::string_view)>& take) const;
  // Of the first `bytes` bytes of the entries. Error{Io} where there are fewer.
  [[nodiscard]] PiecesDigest digest_entries(std::uint64_t bytes) const;
  [[nodiscard]] std::optional<SharedBytes> read_snapshot() const;
  void write_snapshot(ByteView snapshot);

  // Adds text (whole lines) behind `end` bytes and syncs it.
  void append(std::uint64_t end, std::string_view lines);
  void publish(std::string_view checkpoint);
  // Moves the tail behind `end` bytes to quarantine-<16 hex digits of its SHA-256>.jsonl; again after a crash
  // does the same.
  void quarantine(std::uint64_t end, std::string_view tail);
  [[nodiscard]] std::vector<std::string> quarantine_files() const;  // names, sorted
  [[nodiscard]] std::string read_quarantine(const std::string& name) const;

 private:
  explicit Store(std::filesystem::path dir) : folder_(std::move(dir)) {}
  std::filesystem::path folder_;
  Fd entries_;
};

// Store::each_line() for the bytes [from, end) of an open file.
std::uint64_t each_line(const Fd& fd, std::uint64_t from, std::uint64_t end,
                        const std::function<bool(std::string_view)>& take);

// The lines of `text`, without their line feeds; what follows the last line feed is not a line.
std::vector<std::string_view> split_lines(std::string_view text);

}  // namespace qpcseal::audit
