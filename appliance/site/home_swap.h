// SPDX-License-Identifier: Apache-2.0
// Replaces the state of a home by a restored one, as a whole: log, policy, trust, reports and the like. What
// belongs to the machine stays: site.toml, the embedded token's folder, the PIN file, the lock, wraps under
// way, and files that are none of the appliance's.
//
// Two ways. Where the folder above the home may be written, the new home is built beside the old one as
// `.NAME.restoring`, the machine's files are linked into it (one file, two names), and the two are exchanged
// by one renameat2(RENAME_EXCHANGE): at each moment either the old home or the new one is there, whole. Where
// this is impossible (a home that is a mount point, a folder of another user's above it, a file system
// without exchange or links), the state is moved item by item inside the home, the log first out and last in;
// a restore that is cut short then leaves a home without a log, which settle_restore() puts back.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "appliance/site/home.h"

namespace qpcseal::site {

enum class SwapWay { Exchange, InPlace };

// Whether the home holds a log, and so an appliance's state.
[[nodiscard]] bool has_state(const Home& home);
// Makes the folders of a home that may be empty: reports, approvals, witness.
void make_home_folders(const std::filesystem::path& root);

// Settles a restore that was cut short: removes its half-made state, or sets aside the state that it
// replaced. Under the lock. Error{Io}.
void settle_restore(const Home& home);

// `fill` writes the new state into an empty folder. It then takes the place of the home's, which comes to lie
// in the home's folder `aside` (a name that is not taken). Under the lock. Error{Io}: the old state is in
// place, or settle_restore() puts it there. True where the old home had something that lies in `aside` now.
bool swap_state(const Home& home, const std::string& aside,
                const std::function<void(const std::filesystem::path& dir)>& fill,
                SwapWay way = SwapWay::Exchange);

}  // namespace qpcseal::site
