// SPDX-License-Identifier: Apache-2.0
// Wrapped MEKs as files (FORMAT.md section 3): a folder for each card with MEK.encrypt, MEK.nonce and
// MEK.pub, and config.json, which says which card each is for.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "appliance/keys/mek.h"
#include "appliance/seal/slots.h"
#include "base/digest.h"
#include "base/file_set.h"

namespace qpcseal::models {

inline constexpr const char* kConfigName = "config.json";
inline constexpr const char* kHere = ".";  // the folder that config.json is in

// One card's wrapped MEK, with its entry in config.json.
struct WrappedFor {
  std::string dir;                      // kHere, or a plain name
  std::string host;                     // may be empty
  std::optional<std::uint64_t> device;  // number on that host
  Bytes ueid;
  std::string suite;
  Sha256Digest report_digest{};
  std::uint64_t entry = 0;  // of the release's result in the log
  seal::Slots slots;
};

// A card's folder when there are several: HOST-DEVICE where the request named both and that has 200 bytes at
// most, else card-UEID; the latter for all of those whose names would be one, as some media have them: in
// whatever case.
struct CardName {
  std::string host;
  std::optional<std::uint64_t> device;
  Bytes ueid;
};
std::vector<std::string> folder_names(const std::vector<CardName>& cards);
std::string folded(std::string name);  // such a name in lower case

// Error{Io} where one of the files that write_wrapped() would make exists.
void refuse_existing(const std::filesystem::path& output, const std::vector<std::string>& folders);
// In each folder the three files and a config.json about them; with several also one for all, in `output`,
// last of all.
void write_wrapped(OutputSet& out, const std::filesystem::path& output, const keys::Mek& mek,
                   const std::vector<WrappedFor>& cards);

// The parts of it, for many cards that are written one after the other: a card's four files by name,
// config.json last; and the config.json of all. find_other_file says what is no such file: `dir` itself where
// it is no folder. refuse_taken_folder is Error{Io} where something has the name of the card's folder that
// must not be replaced, or holds such a file.
std::vector<std::pair<std::string, Bytes>> card_files(const keys::Mek& mek, const WrappedFor& card);
std::string index_text(const keys::Mek& mek, const std::vector<WrappedFor>& cards);
std::optional<std::filesystem::path> find_other_file(const std::filesystem::path& dir);
void refuse_taken_folder(const std::filesystem::path& dir, Existing existing);

// The wrapped MEKs of `folders`, in their order. Each is a card's own folder or one with several of these,
// whose config.json gives the order. Error{Malformed} where config.json is missing or says otherwise than the
// files.
struct WrappedSet {
  Bytes mek_id;
  std::string mek;  // label#generation, as config.json has it
  std::vector<WrappedFor> cards;
};
WrappedSet read_wrapped(const std::vector<std::filesystem::path>& folders);
// What the config.json of `output` names, but cards whose folders are gone or hold other files.
WrappedSet read_index(const std::filesystem::path& output);

}  // namespace qpcseal::models
