#include "appliance/ceremony/acts.h"

#include <algorithm>
#include <array>

#include "appliance/release/key_life.h"
#include "appliance/release/keys_ops.h"
#include "appliance/release/mek_backup.h"
#include "appliance/release/rotate.h"
#include "base/error.h"
#include "base/file.h"

namespace qpcseal::ceremony {

namespace {

constexpr std::int64_t kDay = 86400;  // seconds
constexpr ArgumentRule kMek{"mek", ArgumentKind::Text};
constexpr ArgumentRule kOutput{"output", ArgumentKind::File};
constexpr ArgumentRule kBackup{"backup", ArgumentKind::File};
constexpr ArgumentRule kBackupDigest{"backup_sha256", ArgumentKind::Digest};

const std::array<ActRule, 11>& rules() {
  static const std::array<ActRule, 11> kRules = {{
      {"mek-generate", true, {kMek}},
      {"mek-rotate", true, {kMek}},
      {"mek-suspend", true, {kMek}},
      {"mek-resume", true, {kMek}},
      {"mek-destroy",
       true,
       {kMek, {"heir", ArgumentKind::File, true}, {"heir_sha256", ArgumentKind::Digest, true}}},
      {"mek-backup",
       true,
       {kMek, {"recovery_key", ArgumentKind::File}, {"recovery_key_sha256", ArgumentKind::Digest}, kOutput}},
      {"mek-restore", true, {kMek, kBackup, kBackupDigest}},
      {"mek-drill", true, {kMek, kBackup, kBackupDigest, {"days", ArgumentKind::Days}, kOutput}},
      {"recovery-key", true, {kOutput}},
      {"checkpoint", false, {kOutput}},
      {"manual", false, {{"text", ArgumentKind::Text}}},
  }};
  return kRules;
}

// The plan's people agreed to a MEK; a backup names one too.
void expect_mek(const Step& step, const std::filesystem::path& backup) {
  const auto header = release::parse_backup(read_file(backup, release::kMaxBackupFile)).header;
  const std::string label = keys::label_of(header.name, header.generation);
  if (step.arguments.at("mek") != header.name && step.arguments.at("mek") != label)
    throw Error(ErrorKind::Denied,
                backup.string() + " is of " + label + ", the plan says " + step.arguments.at("mek"));
}

void write_checkpoint(const release::Appliance& appliance, const std::filesystem::path& path) {
  write_file(path, view(appliance.log().checkpoint()), Existing::Refuse);
}

// Of our log, at this or an earlier size.
bool is_our_checkpoint(const release::Appliance& appliance, const std::filesystem::path& path) {
  const audit::Log& log = appliance.log();
  const auto key = audit::VerifierKey::parse(audit::text_member(log.state().genesis, "log_key"));
  const Bytes note = read_file(path, audit::kMaxCheckpointSize);
  const audit::Checkpoint found = audit::open_checkpoint(text_of(note), key);
  return found.size > 0 && found.size <= log.tree().size() && log.tree().root(found.size) == found.root;
}

}  // namespace

const ActRule* act_rule(std::string_view name) {
  const auto found = std::ranges::find(rules(), name, &ActRule::name);
  return found == rules().end() ? nullptr : &*found;
}

std::vector<Input> inputs_of(const Step& step) {
  std::vector<Input> out;
  for (const char* name : {"recovery_key", "backup", "heir"}) {
    const auto found = step.arguments.find(name);
    if (found != step.arguments.end())
      out.push_back({found->second, step.arguments.at(std::string(name) + "_sha256")});
  }
  return out;
}

std::optional<std::string> output_of(const Step& step) {
  const auto found = step.arguments.find("output");
  if (found == step.arguments.end()) return std::nullopt;
  return found->second;
}

void carry_out(release::Appliance& appliance, const Step& step, const std::filesystem::path& folder) {
  const auto text = [&](const char* name) { return step.arguments.at(name); };
  if (step.act == "mek-generate") {
    static_cast<void>(release::generate(appliance, text("mek")));
  } else if (step.act == "mek-rotate") {
    static_cast<void>(release::rotate(appliance, text("mek")));
  } else if (step.act == "mek-suspend") {
    static_cast<void>(release::suspend(appliance, text("mek")));
  } else if (step.act == "mek-resume") {
    static_cast<void>(release::resume(appliance, text("mek")));
  } else if (step.act == "mek-destroy") {
    std::optional<std::filesystem::path> heir;
    if (step.arguments.contains("heir")) heir = folder / text("heir");
    static_cast<void>(release::destroy(appliance, text("mek"), heir));
  } else if (step.act == "mek-backup") {
    static_cast<void>(release::backup(
        appliance, {text("mek"), folder / text("recovery_key"), folder / text("output"), Existing::Refuse}));
  } else if (step.act == "mek-restore") {
    expect_mek(step, folder / text("backup"));
    static_cast<void>(release::restore(appliance, {folder / text("backup"), std::nullopt}));
  } else if (step.act == "mek-drill") {
    expect_mek(step, folder / text("backup"));
    static_cast<void>(release::drill(appliance, folder / text("backup"), std::stoll(text("days")) * kDay,
                                     folder / text("output"), Existing::Refuse));
  } else if (step.act == "recovery-key") {
    static_cast<void>(release::make_recovery_key(appliance, folder / text("output"), Existing::Refuse));
  } else if (step.act == "checkpoint") {
    write_checkpoint(appliance, folder / text("output"));
  }
}

bool is_output_of(const release::Appliance& appliance, const Step& step, const std::filesystem::path& path,
                  const audit::Json& data) {
  if (!std::filesystem::is_regular_file(std::filesystem::symlink_status(path))) return false;
  try {
    if (step.act == "checkpoint") return is_our_checkpoint(appliance, path);
    if (step.act != "mek-backup") return false;
    const release::MekBackup backup = release::parse_backup(read_file(path, release::kMaxBackupFile));
    return to_hex(backup.header.nonce) == audit::text_member(data, "nonce") &&
           to_base64(backup.header.seal_key) ==
               audit::text_member(appliance.log().state().genesis, "seal_key");
  } catch (const Error&) {
    return false;
  }
}

}  // namespace qpcseal::ceremony
