// SPDX-License-Identifier: Apache-2.0
// The sections of the page of `audit report`. They are written piece by piece: the log may be long.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "appliance/cli/output/audit_story.h"
#include "base/file.h"

namespace qpcseal::cli {

// The page while it is written.
class PageFile {
 public:
  PageFile(const std::string& path, Existing existing) : file_(path, existing) {}
  void put(std::string_view html);
  void commit();

 private:
  void flush();

  AtomicFile file_;
  std::string buffer_;
  std::uint64_t at_ = 0;  // bytes written
};

// Who released what to which card, allowed by whom, under which policy; then each release.
void put_holdings(PageFile& page, const audit::LogCopy& log, const Story& story);
void put_policies(PageFile& page, const audit::LogCopy& log, const Story& story);
// Grouped by reason.
void put_denials(PageFile& page, const audit::LogCopy& log, const Story& story);
void put_cards(PageFile& page, const Story& story);
// The keys' lives as lines of time, then each key's history.
void put_meks(PageFile& page, const audit::LogCopy& log, const Story& story);
void put_ceremonies(PageFile& page, const Story& story);
// A table of these entries; more than five of one kind are one row that opens.
void put_history(PageFile& page, const audit::LogCopy& log, const Seqs& entries);
void put_glossary(PageFile& page);

}  // namespace qpcseal::cli
