// SPDX-License-Identifier: Apache-2.0
// Where cards are: lists of their numbers ("2", "0-3", "0,2", or a mix of them), and their hosts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qpcseal::attest {

inline constexpr unsigned kMaxDevice = 1023;

// In the order given. Throws Error{Usage} for anything else, a number above kMaxDevice, or one that comes
// twice.
std::vector<unsigned> parse_devices(std::string_view text);

// A host's name or address: an IPv6 address without the brackets that it has in URLs ("[::1]" is "::1").
// Throws Error{Usage} where a port stands behind it.
std::string bare_host(std::string_view text);
// "node7:62473", "[::1]:62473", for a host with brackets or without.
std::string host_and_port(std::string_view host, int port);

}  // namespace qpcseal::attest
