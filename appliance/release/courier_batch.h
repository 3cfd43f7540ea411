// SPDX-License-Identifier: Apache-2.0
// Requests for several cards, and the batch file that tells the courier where each one goes (FORMAT.md
// section 4).
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/release/challenge.h"
#include "base/file.h"

namespace qpcseal::release {

inline constexpr const char* kBatchName = "batch";
inline constexpr int kSessionPort = 62473;      // of the vendor's session service
inline constexpr std::size_t kMaxTrip = 20000;  // cards
// The hint where the challenges are logged and their requests cannot be written.
inline constexpr const char* kNewRequest =
    "a challenge that nobody got expires by itself: 'qpcseal attest request' makes another";

struct CardAddress {
  std::string host;  // a name or an address
  unsigned device = 0;
};

// Each device on each host, hosts first. Error{Usage} for a host that is no name or address, one that comes
// twice, or more than kMaxTrip cards.
std::vector<CardAddress> card_addresses(const std::vector<std::string>& hosts,
                                        const std::vector<unsigned>& devices);

struct CourierBatch {
  std::filesystem::path dir;
  std::vector<std::string> requests;  // file names in `dir`
  UnixTime expiry = 0;
};

// Challenges for all stops, logged under one checkpoint, then HOST-DEVICE.request for each and, last,
// `batch`, which names HOST-DEVICE.report as what is to come back. Existing files are found before anything
// is logged.
CourierBatch prepare_trip(site::Appliance& appliance, const keys::Mek& mek,
                          const std::vector<CardAddress>& stops, int port, const std::filesystem::path& dir,
                          Existing existing);

}  // namespace qpcseal::release
