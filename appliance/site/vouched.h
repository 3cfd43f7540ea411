// SPDX-License-Identifier: Apache-2.0
// Which files of a home its log vouches for. A home's backup is a closed list of files, and each is in it
// because a signed entry of the log names its digest, the log's key signed it, or an officer did. Whatever
// else lies in a home, or in a file that says it is a backup, counts for nothing. docs/FORMAT.md section 6.8.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/audit/read.h"
#include "base/bytes.h"

namespace qpcseal::site {

struct HomeFile {
  std::string name;        // relative to the home, e.g. "reports/<64 hex digits>.report"
  std::uint64_t size = 0;  // bytes
  std::string sha256;      // hex
};

// The kinds of files that a home consists of, apart from what belongs to the machine.
enum class FileKind { Log, Policy, Officers, Trust, Collateral, Witness, Report, Approval };
std::string_view to_string(FileKind kind);
// What vouches for files of this kind, in words.
std::string_view voucher_name(FileKind kind);

// The kind of a file of this name; nothing where no backup has such a file.
std::optional<FileKind> file_kind(const std::string& name);

struct Vouching {
  std::vector<HomeFile> vouched;       // in order of names
  std::vector<std::string> unvouched;  // names
  std::vector<std::string> missing;    // what a home with this log must have: names
};

// Judges `files`, whose digests are right. `read` gives the bytes of one of them, for those that are vouched
// for by what is in them (trust material, signatures, witnesses' checkpoints, requests). Error{LogDamaged}
// where a witness saw more of the log, or another one.
Vouching vouch(const audit::LogCopy& log, const std::vector<HomeFile>& files,
               const std::function<Bytes(const HomeFile&)>& read);

}  // namespace qpcseal::site
