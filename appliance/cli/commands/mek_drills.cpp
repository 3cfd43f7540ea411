// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "appliance/audit/receipt.h"
#include "appliance/cli/commands/context.h"
#include "appliance/mek/backup.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text_file.h"
#include "cli/exit_code.h"
#include "encoding/file_kind.h"

namespace qpcseal::cli {

namespace {

struct Drilled {
  std::string label, source_log_key;
  UnixTime made = 0;
  bool in_false_time = false;  // officers put the log's time back behind it since
};

// Which keys the log's drills were of.
std::map<Bytes, Drilled> drilled_keys(const audit::LogCopy& log) {
  std::map<Bytes, Drilled> out;
  log.each([&](std::uint64_t, std::string_view line) {
    const auto [kind, time] = std::pair(audit::scan_entry(line).kind, audit::scan_entry(line).time);
    if (kind == "clock-correct")
      for (auto& [id, drilled] : out) drilled.in_false_time = drilled.in_false_time || drilled.made > time;
    if (kind != "mek-drill") return;
    const audit::Entry entry = audit::parse_entry(line);
    if (entry.phase == audit::Phase::Result && entry.outcome == "ok")
      out[from_hex(encoding::text_member(entry.data, "mek_id"))] = {
          encoding::text_member(entry.data, "mek"), encoding::text_member(entry.data, "source_log_key"),
          time};
  });
  return out;
}

// A key that ended without a transferee leaves its backups nothing to do, and so do transferees of other
// tokens. Where the transferee may come in here, the backup is what it comes from.
bool nothing_to_do(const audit::State& state, const std::string& transferee) {
  return !state.recovery_keys.contains(transferee);
}

// The keys whose end at their source a receipt proves.
std::set<Bytes> ended(const audit::LogCopy& log, const std::map<Bytes, Drilled>& drilled,
                      const std::vector<std::string>& receipts) {
  std::set<Bytes> out;
  for (const std::string& path : receipts) {
    const std::string text = read_plain_text(path, audit::kMaxReceiptSize);
    const audit::Entry said = with_context(path, [&] {
      return encoding::as_kind(view(text), "a receipt", [&] { return audit::entry_of_receipt(text); });
    });
    const Bytes id = from_hex(encoding::text_member(said.data, "mek_id"));
    const auto found = drilled.find(id);
    if (found == drilled.end())
      throw Error(ErrorKind::Usage, path + " is of no key whose backup was drilled here");
    const audit::Entry entry = mek::verify_destruction_receipt(path, found->second.source_log_key, id);
    const auto transferee = entry.data.find(audit::kTransfereeKey);
    if (transferee == entry.data.end() || nothing_to_do(log.state, transferee->get<std::string>()))
      out.insert(id);
  }
  return out;
}

// A key that was destroyed here where it was at home. A copy that only wraps says nothing of its source.
bool ended_here(const audit::State& state, const Bytes& id) {
  const auto mek = state.meks.find(id);
  return mek != state.meks.end() && mek->second.state == "destroyed" && mek->second.before != "failed" &&
         mek->second.origin != "restored" && nothing_to_do(state, mek->second.transferee);
}

// From the log, without the token: which backups are known to open here, and until when that is believed.
Report drills(Context& context, const std::vector<std::string>& receipts) {
  const audit::LogCopy log = audit::read_log(site::locate_home().log(), std::nullopt);
  const UnixTime now = std::max(context.clock.now(), log.state.last_time);
  const auto drilled = drilled_keys(log);
  const std::set<Bytes> gone = ended(log, drilled, receipts);
  Report report;
  report.json = nlohmann::ordered_json::array();
  std::vector<std::vector<std::string>> rows{{"KEY", "ID", "CERTIFICATE", "UNTIL"}};
  for (const auto& [id, expires] : log.state.drills) {
    const bool holds = now < expires && !drilled.at(id).in_false_time,
               over = gone.contains(id) || ended_here(log.state, id);
    if (!holds && !over) report.exit_code = exit_code(ErrorKind::Denied);
    const std::string& label = drilled.at(id).label;
    report.json.push_back({{"label", label},
                           {"id", to_hex(id)},
                           {"holds", holds},
                           {"ended", over},
                           {"expires", format_time(expires)}});
    rows.push_back({printable(label), to_hex(id),
                    over            ? "the key is destroyed: no drill is due"
                    : holds         ? "holds"
                    : now < expires ? "VOID, of a false time: drill again"
                                    : "EXPIRED: drill again",
                    format_time(expires)});
  }
  report.text = rows.size() > 1 ? table(rows) : "no backup was drilled here\n";
  return report;
}

}  // namespace

void add_mek_drills(CLI::App& mek, Context& context) {
  CLI::App* listing = mek.add_subcommand(
      "drills",
      "The drills of backups at this token, and until when each holds; exit code 5 if one has expired");
  auto receipts = std::make_shared<std::vector<std::string>>();
  listing->add_option("--ended", *receipts,
                      "Receipts of 'mek destroy' at the sources: these keys need no drill any more");
  add_output_options(*listing, context);
  listing->callback([&context, receipts] {
    context.command = [&context, receipts] { return drills(context, *receipts); };
  });
}

}  // namespace qpcseal::cli
