// SPDX-License-Identifier: Apache-2.0
// The running image: a root file system that dm-verity checks, block by block, against the root hash in the
// kernel's command line. docs/FORMAT.md section 6.9.
//
// What the kernel says, and no more: whoever controls the kernel, or the mounts of this process, can make it
// say anything. Nothing of it comes from the environment.
#pragma once

#include <filesystem>
#include <string>

#include "appliance/audit/site_facts.h"
#include "base/error.h"

namespace qpcseal::site {

struct RunningImage {
  std::string root_hash;  // hex; empty: no image runs
  // Why what the command line claims does not count; empty where it claims nothing, or the claim counts.
  std::string why_not;
};

// Where the kernel tells of itself; other places are for tests.
struct KernelFiles {
  std::filesystem::path command_line = "/proc/cmdline";
  std::filesystem::path block_devices = "/sys/dev/block";
  std::filesystem::path root = "/";  // its device must be dm-verity's
};

// An image runs where the command line has exactly one `roothash=`, a word of its own with 64 hex digits,
// does not ask dm-verity to ignore corruption, and the device of the root file system is a device-mapper's
// whose uuid begins with CRYPT-VERITY-. All else is none. Throws nothing.
RunningImage find_image(const KernelFiles& files = {});
// The file that find_image() reads below the block devices, without links: for a process that limits its own
// files. Empty: there is none.
std::filesystem::path verity_file(const KernelFiles& files = {});

// Who demands an image, and which.
struct ImageDemand {
  std::string id;         // of the finding
  std::string by, verb;   // "the plan", "demands"
  std::string root_hash;  // hex; empty: none
};
// Error{Denied} "<by> <verb> image HEX, and no image runs here", code "other-image", with one finding.
Error other_image(const ImageDemand& demand, const RunningImage& running, const std::string& hint);

// The error of an act under another image than the facts name, with the command that mends it. Nothing where
// they name none, or this one.
void expect_image(const audit::SiteFacts& facts, const RunningImage& running);

// "image HEX", or "no image", with why a claim does not count.
std::string image_text(const RunningImage& running);

}  // namespace qpcseal::site
