// SPDX-License-Identifier: Apache-2.0
// Who else could exchange a file: as sshd's StrictModes, a file that decides what runs or counts, and every
// folder above it, must belong to root or to this process's user and be writable by nobody else. A folder
// above may be writable by others where it is sticky (as /tmp), for then they cannot rename what is not
// theirs.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace qpcseal {

class Ownership {
 public:
  // `path`, where it exists, and every folder above it, with links resolved; each link on the way, and every
  // folder above that. Error{Io} where it cannot be looked at.
  void check(const std::filesystem::path& path);
  // The same, and all that lies below.
  void check_tree(const std::filesystem::path& dir);

  [[nodiscard]] bool good() const { return faults_.empty(); }
  // "/home/a belongs to user 1001; /home/a/b may be written by others (mode 0777)"
  [[nodiscard]] std::string faults() const;
  // The commands that mend all of it: "chown root /home/a && chmod go-w /home/a/b"
  [[nodiscard]] std::string mending() const;

 private:
  enum class Place { Item, Above };
  void look(const std::filesystem::path& path, Place place);
  void look_above(const std::filesystem::path& real);
  void look_at_links(const std::filesystem::path& path);

  std::set<std::pair<std::filesystem::path, Place>> seen_;
  std::vector<std::string> faults_, of_others_, links_of_others_,
      writable_;  // texts; then paths as a shell takes them
};

}  // namespace qpcseal
