// SPDX-License-Identifier: Apache-2.0
#include "tests/support/appliance_fixture.h"

#include "appliance/audit/read.h"
#include "base/file.h"
#include "policy/policy.h"
#include "tests/release/judged.h"

namespace qpcseal::testing {

std::string demo_policy(const TestCard& card) {
  std::string text = desk_for(card).policy_text;
  const std::string labels = "\"resnet*\"", release = "release = 0\n", suites = "suites = [1]";
  text.replace(text.find(labels), labels.size(), "\"*\"");
  text.replace(text.find(suites), suites.size(), "suites = [1, 2, 3]");  // SoftHSM serves the second
  text.erase(text.find(release), release.size());
  for (const std::string_view operation : policy::operations()) text += std::string(operation) + " = 0\n";
  for (const char* power : {"officers-change", "site-change", "anchor-accept", "clock-correct"}) {
    const std::size_t at = text.find(std::string(power) + " = 0");
    text.replace(at, std::string(power).size() + 4, std::string(power) + " = 1");
  }
  return text;
}

DemoAppliance::DemoAppliance(const std::function<std::string(std::string)>& edit) {
  std::filesystem::create_directory(folder / "trust");
  write_file(folder / "trust/root.der", card.root.der(), Existing::Refuse);
  const std::string policy = demo_policy(card);
  write_text(folder / "policy.toml", edit ? edit(policy) : policy);
  made = site::init(environment(), init_options());
}

site::InitOptions DemoAppliance::init_options() const {
  site::InitOptions out;
  out.embedded = out.insecure_demo = true;
  out.appliance_id = "plant-1";
  out.policy = folder / "policy.toml";
  out.trust = folder / "trust";
  return out;
}

site::Appliance& DemoAppliance::open() {
  if (!appliance_) appliance_.emplace(environment());
  return *appliance_;
}

std::vector<std::string> DemoAppliance::last_entries(std::size_t count) const {
  const audit::LogCopy log = audit::read_log(home.log(), std::nullopt);
  std::vector<std::string> out;
  for (std::uint64_t seq = log.state.size - count; seq < log.state.size; ++seq) {
    const audit::Entry entry = audit::parse_entry(log.line(seq));
    out.push_back(entry.kind + (entry.outcome.empty() ? "" : " " + entry.outcome));
  }
  return out;
}

}  // namespace qpcseal::testing
