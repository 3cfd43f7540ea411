// SPDX-License-Identifier: Apache-2.0
#include "appliance/release/courier_batch.h"

#include <algorithm>
#include <set>

#include "appliance/site/logged_act.h"
#include "attest/devices.h"
#include "base/error.h"
#include "base/file_batch.h"
#include "base/file_name.h"

namespace qpcseal::release {

namespace {

constexpr std::size_t kMaxHost = 253;  // bytes, a name's limit in DNS

bool is_host(std::string_view text) {
  return !text.empty() && text.size() <= kMaxHost && text.front() != '.' && text.front() != '-' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                  c == '-' || c == '_' || c == ':';
         });
}

// ':' of an IPv6 address does not fit every file system that a courier may carry.
std::string name_of(const CardAddress& stop) {
  std::string out = stop.host;
  std::replace(out.begin(), out.end(), ':', '_');
  return out + "-" + std::to_string(stop.device);
}

std::string line_of(const CardAddress& stop, int port) {
  const std::string name = name_of(stop);
  return stop.host + " " + std::to_string(port) + " " + std::to_string(stop.device) + " " + name +
         ".request " + name + ".report\n";
}

void refuse_taken(const std::filesystem::path& path) {
  if (is_name_taken(path))
    throw Error(ErrorKind::Io, path.string() + " exists", "name another folder, or replace it with --force")
        .with_code("output-exists");
}

std::vector<ChallengeOptions> wishes_of(const std::vector<CardAddress>& stops) {
  std::vector<ChallengeOptions> out;
  out.reserve(stops.size());
  for (const CardAddress& stop : stops) out.push_back({std::nullopt, stop.host, stop.device});
  return out;
}

}  // namespace

std::vector<CardAddress> card_addresses(const std::vector<std::string>& hosts,
                                        const std::vector<unsigned>& devices) {
  std::vector<CardAddress> out;
  std::set<std::string> seen;
  for (const std::string& given : hosts) {
    const std::string host = with_context("--host", [&] { return attest::bare_host(given); });
    if (!is_host(host))
      throw Error(ErrorKind::Usage, "--host '" + host + "' is no name or address of a host");
    if (!seen.insert(name_of({host, 0})).second)
      throw Error(ErrorKind::Usage, "--host '" + host + "' comes twice");
    for (const unsigned device : devices) out.push_back({host, device});
  }
  if (out.size() > kMaxTrip)
    throw Error(ErrorKind::Usage,
                std::to_string(out.size()) + " cards in one batch; at most " + std::to_string(kMaxTrip));
  return out;
}

CourierBatch prepare_trip(site::Appliance& appliance, const keys::Mek& mek,
                          const std::vector<CardAddress>& stops, int port, const std::filesystem::path& dir,
                          Existing existing) {
  make_output_folder(dir);
  CourierBatch trip{dir, {}, 0};
  std::string batch_text;
  for (const CardAddress& stop : stops) {
    trip.requests.push_back(name_of(stop) + ".request");
    batch_text += line_of(stop, port);
    if (existing == Existing::Refuse) refuse_taken(dir / trip.requests.back());
  }
  if (existing == Existing::Refuse) refuse_taken(dir / kBatchName);
  const auto requests = make_requests(appliance, mek, wishes_of(stops));
  site::after_result("the challenges are made", kNewRequest, [&] {
    FileBatch files;
    for (std::size_t i = 0; i < requests.size(); ++i)
      files.add(dir / trip.requests[i], attest::encode_request(requests[i]), existing);
    files.add(dir / kBatchName, view(batch_text), existing);
    files.commit();
  });
  trip.expiry = requests.front().expiry;
  return trip;
}

}  // namespace qpcseal::release
