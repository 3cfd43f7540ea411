// SPDX-License-Identifier: Apache-2.0
// The second half of a ceremony's record as a page: what it is about, machine and token, each step, the plan.
#pragma once

#include <string>
#include <string_view>

#include "encoding/json.h"

namespace qpcseal::cli::record {

// A value as a reader says it.
std::string said(const encoding::Json& value);
std::string heading(std::string_view text);
std::string paragraph(std::string_view text);
// A digest in words; the last line has no end.
std::string digest_words(const std::string& sha256);

// Rows of a name and a value.
class Facts {
 public:
  Facts& add(const std::string& name, const encoding::Json& value);
  [[nodiscard]] std::string table() const;

 private:
  std::string rows_;
};

// Parts of the page, in their order. json::exception where the record lacks a member.
std::string identities(const encoding::Json& record);
std::string machine(const encoding::Json& record);
std::string steps_in_detail(const encoding::Json& record);
std::string plan_text(const encoding::Json& record);

}  // namespace qpcseal::cli::record
