// SPDX-License-Identifier: Apache-2.0
// The record of a ceremony as a page to print, sign and file. The page is a function of the record: it is no
// part of the log.
#pragma once

#include <string>
#include <string_view>

namespace qpcseal::cli {

// `record`: the text of a record.json (ceremony/record.h). For screen, phone and A4 paper; it loads nothing
// and runs nothing. Printed, each page has its number and the record's SHA-256 (Chromium 131 and later; other
// browsers print neither). Error{Malformed} for what is no record.
std::string make_record_page(std::string_view record);

}  // namespace qpcseal::cli
