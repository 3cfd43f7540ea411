// SPDX-License-Identifier: Apache-2.0
// The courier's work: carries requests to cards and their reports back. It holds nothing secret and decides
// nothing; a courier that lies or is lied to can only bring reports that the appliance refuses.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "courier/errand.h"

namespace qpcseal::courier {

struct Options {
  bool print_json = false, force = false;
  unsigned timeout = 30;  // seconds for each card
};

// Reads a request. Throws Error{Malformed} for what `qpcseal attest request` did not write.
Bytes read_request(const std::filesystem::path& path);

// A batch, one errand a line: IP PORT DEVICE REQUEST REPORT, separated by blanks; empty lines and lines that
// start with # do not count. Relative paths start at the batch file's folder. Throws Error{Malformed}
// "FILE:LINE:
// ..." and Error{Usage} for card numbers.
std::vector<Errand> read_batch(const std::filesystem::path& path);

// All requests are read and all outputs are looked at before the first card is asked; then one errand after
// the other, where a failure does not keep the next from being tried. Throws what failed first, at the end.
void run_errands(const std::vector<Errand>& errands, const Options& options);

}  // namespace qpcseal::courier
