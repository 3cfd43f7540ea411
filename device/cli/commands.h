// SPDX-License-Identifier: Apache-2.0
// The commands of qpcseal-device: each adds its options, and what is to run once it is chosen.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>

#include "device/loader/context.h"

namespace qpcseal::device {

void add_provision(CLI::App& app, Context& context);
void add_reset(CLI::App& app, Context& context);
void add_set_seal_key(CLI::App& app, Context& context);
void add_list(CLI::App& app, Context& context);
void add_describe(CLI::App& app, Context& context);
void add_attest(CLI::App& app, Context& context);
void add_serve(CLI::App& app, Context& context);

}  // namespace qpcseal::device
