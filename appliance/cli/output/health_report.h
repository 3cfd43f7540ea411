// SPDX-License-Identifier: Apache-2.0
// The checks of health.h as text, as JSON, and for a node exporter's text file collector.
#pragma once

#include <string>
#include <vector>

#include "appliance/cli/output/report.h"
#include "appliance/site/health.h"

namespace qpcseal::cli {

// A line a check, with hints under what is not fine. Its exit code is that of the first fault, as the next
// command would end; 0 where there is none.
// The running image, in words too, for people to compare aloud.
void add_image(Report& report, const site::RunningImage& running);

void add_checks(Report& report, const std::vector<site::HealthCheck>& checks);

// Metrics in Prometheus' text format, each with its help.
std::string prometheus_text(const site::HomeHealth& health);

}  // namespace qpcseal::cli
