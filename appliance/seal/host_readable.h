// SPDX-License-Identifier: Apache-2.0
// What of a segment a host must read while it carries the model to the card (FORMAT.md section 2.1.1).
#pragma once

#include <string>
#include <vector>

#include "appliance/seal/clear_ranges.h"
#include "qpc/container.h"

namespace qpcseal::seal {

// The vendor's runtime looks for one of these.
inline constexpr std::string_view kHostSections[] = {"metadata_fb", "metadata"};

struct HostReadable {
  ClearRanges clear;                  // empty: it is sealed whole
  std::vector<std::string> sections;  // that stay readable, beside the headers and the name table
  bool symbol_names = false;          // the name table has names of symbols too
  std::string why_not;                // where `clear` is empty
};

// Of a segment that is to be sealed. Error{Io}.
HostReadable find_host_readable(const Fd& input, const qpc::Segment& segment,
                                const std::vector<std::string>& sections);

}  // namespace qpcseal::seal
