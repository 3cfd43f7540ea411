// SPDX-License-Identifier: Apache-2.0
// load, compare and sample of qpcseal-device.
#pragma once

#include <CLI/CLI.hpp>

#include "device/loader/context.h"

namespace qpcseal::device {

void add_load(CLI::App& app, Context& context);
void add_compare(CLI::App& app, Context& context);
void add_sample(CLI::App& app, Context& context);

}  // namespace qpcseal::device
