// SPDX-License-Identifier: Apache-2.0
#include "appliance/ceremony/steps.h"

#include <array>
#include <set>

#include "appliance/audit/receipt.h"
#include "appliance/keys/backup_file.h"
#include "appliance/mek/backup.h"
#include "appliance/mek/generate.h"
#include "appliance/mek/lifecycle.h"
#include "appliance/mek/rotate.h"
#include "base/error.h"
#include "base/file.h"

namespace qpcseal::ceremony {

namespace {

using encoding::Json;

constexpr std::size_t kMaxOutput = std::size_t{1} << 20;  // bytes

// What the plan pins, by the name of its argument and by that of the act's parameter.
struct Pinned {
  const char *argument, *parameter;
};
constexpr std::array<Pinned, 3> kPinned = {{{"recovery_key_sha256", "recovery_key_sha256"},
                                            {"backup_sha256", "backup_sha256"},
                                            {"transferee_sha256", audit::kTransfereeKey}}};

Json or_null(const std::map<std::string, std::string>& arguments, const char* name) {
  const auto found = arguments.find(name);
  return found == arguments.end() ? Json(nullptr) : Json(found->second);
}

void write_checkpoint(const site::Appliance& appliance, const std::filesystem::path& path) {
  write_file(path, view(appliance.log().checkpoint()), Existing::Refuse);
}

bool is_of_log(const audit::Log& log, const tlog::Checkpoint& point) {
  return point.size <= log.tree().size() && log.tree().root(point.size) == point.root;
}

// Of our log, by any key that it had, with entry `seq` in it.
bool is_checkpoint_with(const audit::Log& log, std::string_view note, std::uint64_t seq) {
  for (const audit::LogKey& key : log.state().log_keys) {
    try {
      const tlog::Checkpoint point = tlog::open_checkpoint(note, tlog::VerifierKey::parse(key.vkey));
      return point.size > seq && is_of_log(log, point);
    } catch (const Error&) {
      continue;
    }
  }
  return false;
}

bool is_receipt_of(const audit::Log& log, std::string_view text, const LoggedAct& act) {
  const auto key = tlog::VerifierKey::parse(encoding::text_member(log.state().genesis, "log_key"));
  const audit::Receipt found = audit::check_receipt(text, key);
  return act.outcome == "ok" && found.entry.seq == act.seq && is_of_log(log, found.checkpoint);
}

// Its result was not written: the intent's nonce tells the one file that can be this act's.
bool is_backup_begun_by(const audit::Log& log, ByteView bytes, const LoggedAct& act) {
  const keys::BackupHeader header = keys::parse_backup(bytes).header;
  return to_hex(header.nonce) == encoding::text_member(act.intent, "nonce") &&
         to_base64(header.seal_key) == encoding::text_member(log.state().genesis, "seal_key");
}

bool is_written_by(const audit::Log& log, const Step& step, const Attempt& attempt, ByteView bytes) {
  if (step.act == "checkpoint") return is_checkpoint_with(log, text_view(bytes), attempt.seq);
  if (attempt.acts.empty()) return false;
  const LoggedAct& act = attempt.acts.back();
  if (step.act == "mek-drill") return is_receipt_of(log, text_view(bytes), act);
  if (act.outcome != "ok") return step.act == "mek-backup" && is_backup_begun_by(log, bytes, act);
  const char* digest = step.act == "mek-backup" ? "backup_sha256" : "recovery_key_sha256";
  return encoding::text_member(act.data, digest) == sha256_hex(bytes);
}

}  // namespace

void carry_out(site::Appliance& appliance, const Step& step, const std::filesystem::path& dir) {
  const auto text = [&](const char* name) { return step.arguments.at(name); };
  if (step.act == "mek-generate") {
    static_cast<void>(mek::generate(appliance, text("mek")));
  } else if (step.act == "mek-rotate") {
    static_cast<void>(mek::rotate(appliance, text("mek")));
  } else if (step.act == "mek-suspend") {
    static_cast<void>(mek::suspend(appliance, text("mek")));
  } else if (step.act == "mek-resume") {
    static_cast<void>(mek::resume(appliance, text("mek")));
  } else if (step.act == "mek-destroy") {
    std::optional<std::filesystem::path> transferee;
    if (step.arguments.contains("transferee")) transferee = dir / text("transferee");
    static_cast<void>(mek::destroy(appliance, text("mek"), transferee));
  } else if (step.act == "mek-backup") {
    static_cast<void>(mek::backup(
        appliance, {text("mek"), dir / text("recovery_key"), dir / text("output"), Existing::Refuse}));
  } else if (step.act == "mek-restore") {
    std::optional<std::filesystem::path> retirement;
    if (step.arguments.contains("retirement")) retirement = dir / text("retirement");
    static_cast<void>(mek::restore(appliance, {dir / text("backup"), retirement}));
  } else if (step.act == "mek-drill") {
    static_cast<void>(mek::drill(appliance, dir / text("backup"), std::stoull(text("days")),
                                 dir / text("output"), Existing::Refuse));
  } else if (step.act == "recovery-key") {
    static_cast<void>(mek::make_recovery_key(appliance, dir / text("output"), Existing::Refuse));
  } else if (step.act == "checkpoint") {
    write_checkpoint(appliance, dir / text("output"));
  }
}

void expect_planned(const Step& step, const std::string& operation, const Json& parameters) {
  const auto deny = [&](const std::string& what, const Json& found, const Json& planned) {
    throw Error(ErrorKind::Denied, "this is not what the officers signed: " + what + " is " + found.dump() +
                                       ", the plan says " + planned.dump());
  };
  if (operation != step.act) deny("the act", operation, step.act);
  std::set<std::string> known{"source_seal_key_sha256"};  // of the backup, whose digest is pinned
  for (const Pinned& pinned : kPinned) {
    const Json found = parameters.value(pinned.parameter, Json()),
               planned = or_null(step.arguments, pinned.argument);
    if (found != planned) deny(pinned.parameter, found, planned);
    known.insert(pinned.parameter);
  }
  for (const auto& [name, value] : parameters.items())
    if (name.ends_with("_sha256") && !known.contains(name)) deny(name, value, nullptr);
  // A receipt of the key's end proves itself: it is its source's, and names this token.
  if (step.act == "mek-restore") {
    const char* origin = step.arguments.contains("retirement") ? "transferee" : "restored";
    // "returned": the log shows that it is this appliance's own key, which the token lost.
    const Json found = parameters.value("origin", Json());
    if (found != origin && (found != "returned" || step.arguments.contains("retirement")))
      deny("the origin", found, origin);
  }
  if (const auto days = parameters.find("days"); days != parameters.end())
    if (days->dump() != step.arguments.at("days")) deny("days", *days, step.arguments.at("days"));
  const Json planned = or_null(step.arguments, "mek");
  if (planned.is_null()) return;
  const bool makes = step.act == "mek-generate";
  const std::string& label = encoding::text_member(parameters, makes ? "name" : "mek");
  if (planned != label && (makes || planned != keys::name_in(label))) deny("the MEK", label, planned);
}

std::optional<std::string> digest_of_output(const site::Appliance& appliance, const Step& step,
                                            const Attempt& attempt, const std::filesystem::path& path) {
  if (!std::filesystem::is_regular_file(std::filesystem::symlink_status(path))) return std::nullopt;
  try {
    const Bytes bytes = read_file(path, kMaxOutput);
    if (is_written_by(appliance.log(), step, attempt, bytes)) return sha256_hex(bytes);
  } catch (const Error&) {
    return std::nullopt;  // not even of its kind
  }
  return std::nullopt;
}

}  // namespace qpcseal::ceremony
