// SPDX-License-Identifier: Apache-2.0
#include "appliance/audit/site_facts.h"

#include "base/digest.h"
#include "base/error.h"

namespace qpcseal::audit {

encoding::Json as_json(const SiteFacts& facts) {
  return {{"module_sha256", facts.module_sha256},
          {"module_arguments", facts.module_arguments},
          {"accept", facts.accept},
          {"anchor", facts.anchor},
          {"clock_days", facts.clock_days}};
}

SiteFacts parse_site_facts(const encoding::Json& json) {
  encoding::expect_keys(json, {"module_sha256", "module_arguments", "accept", "anchor", "clock_days"},
                        "site");
  SiteFacts out;
  out.module_sha256 = encoding::hex_member(json, "module_sha256", sizeof(Sha256Digest));
  out.module_arguments = encoding::text_member(json, "module_arguments");
  for (const encoding::Json& name : encoding::member(json, "accept")) {
    if (!name.is_string()) throw Error(ErrorKind::Malformed, "site: 'accept' is not a list of names");
    out.accept.push_back(name);
  }
  out.anchor = encoding::bool_member(json, "anchor");
  out.clock_days = encoding::uint_member(json, "clock_days");
  if (out.clock_days < 1 || out.clock_days > kMaxClockDays)
    throw Error(ErrorKind::Malformed, "site: 'clock_days' is 1 to " + std::to_string(kMaxClockDays));
  return out;
}

SiteFacts genesis_facts(const encoding::Json& genesis) {
  if (!genesis.contains("site"))
    throw Error(ErrorKind::Malformed,
                "this log was made by a version before 0.2.0, which this version does not read",
                "begin a new appliance ('qpcseal init'), or read the log with the version that made it");
  return parse_site_facts(encoding::member(genesis, "site"));
}

}  // namespace qpcseal::audit
