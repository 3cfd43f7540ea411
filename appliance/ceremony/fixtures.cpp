// SPDX-License-Identifier: Apache-2.0
#include "appliance/ceremony/fixtures.h"

#include <algorithm>
#include <map>
#include <set>

#include "appliance/audit/receipt.h"
#include "appliance/mek/backup.h"
#include "appliance/mek/generate.h"
#include "appliance/mek/lifecycle.h"
#include "appliance/mek/rotate.h"
#include "appliance/site/init.h"
#include "base/error.h"
#include "base/file.h"

namespace qpcseal::ceremony {

namespace {

bool opens_backup(const Step& step) { return step.act == "mek-restore" || step.act == "mek-drill"; }

// What a plan expects of the MEKs of one name.
struct KeyNeeds {
  std::uint64_t highest = 0;             // generations that must be there, or be backed up
  bool is_made = false;                  // by the plan itself
  bool stays = false;                    // some are there when the plan begins
  bool bare = false;                     // named without generation
  std::set<std::uint64_t> named, comes;  // with it; those that the plan restores
  std::set<std::uint64_t> suspended, suspended_by_plan;
  std::map<std::string, std::uint64_t> backups;  // generation, by file
  std::map<std::uint64_t, std::string> ends;     // file of the receipt of its end, by generation
};

class RehearsalFixtures {
 public:
  RehearsalFixtures(site::Appliance& appliance, Plan& plan, const std::filesystem::path& dir,
                    const std::filesystem::path& stage_folder)
      : appliance_(appliance), plan_(plan), folder_(dir), stage_(stage_folder) {}

  void set() {
    for (const Step& step : plan_.steps) read(step);
    for (auto& [name, cast] : casts_) make(name, cast);
    for (Step& step : plan_.steps) give_inputs(step);
  }

  [[nodiscard]] const std::vector<std::string>& made() const { return made_; }

 private:
  void read(const Step& step) {
    const auto argument = step.arguments.find("mek");
    if (argument == step.arguments.end()) return;
    const MekReference mek = parse_reference(argument->second);
    KeyNeeds& cast = casts_[mek.name];
    if (opens_backup(step)) {
      read_backup(step, mek, cast);
    } else if (step.act == "mek-generate") {
      cast.is_made = true;
    } else if (step.act == "mek-rotate") {
      if (!cast.is_made) need(cast, 1);
    } else {
      read_use(step, mek, cast);
    }
  }

  static void need(KeyNeeds& cast, std::uint64_t generation) {
    cast.stays = true;
    cast.highest = std::max(cast.highest, generation);
  }

  static void read_use(const Step& step, const MekReference& mek, KeyNeeds& cast) {
    const bool came = cast.comes.contains(mek.generation) || (mek.generation == 0 && !cast.comes.empty());
    if (cast.is_made || came) return;
    if (mek.generation == 0) {
      cast.bare = true;
    } else {
      cast.named.insert(mek.generation);
    }
    need(cast, std::max<std::uint64_t>(mek.generation, 1));
    if (step.act == "mek-suspend") {
      cast.suspended_by_plan.insert(mek.generation);
    } else if (step.act == "mek-resume" && !cast.suspended_by_plan.contains(mek.generation)) {
      cast.suspended.insert(mek.generation);
    }
  }

  // The real one says which generation a bare name is; it need not be there for a rehearsal.
  void read_backup(const Step& step, const MekReference& mek, KeyNeeds& cast) {
    std::uint64_t generation = std::max<std::uint64_t>(mek.generation, 1);
    const std::string& file = step.arguments.at("backup");
    if (mek.generation == 0 && std::filesystem::exists(folder_ / file))
      generation = keys::parse_backup(read_file(folder_ / file, keys::kMaxBackupFile)).header.generation;
    cast.highest = std::max(cast.highest, generation);
    cast.backups.emplace(file, generation);
    if (step.act == "mek-restore") cast.comes.insert(generation);
    if (const auto end = step.arguments.find("retirement"); end != step.arguments.end())
      cast.ends.emplace(generation, end->second);
  }

  void make(const std::string& name, const KeyNeeds& cast) {
    if (cast.highest == 0) return;
    static_cast<void>(mek::generate(appliance_, name));
    for (std::uint64_t i = 1; i < cast.highest; ++i) static_cast<void>(mek::rotate(appliance_, name));
    for (const auto& [file, generation] : cast.backups) make_backup(file, keys::make_label(name, generation));
    std::string labels;
    for (std::uint64_t i = 1; i <= cast.highest; ++i) {
      const std::string label = keys::make_label(name, i);
      const bool goes = !cast.stays || cast.comes.contains(i) ||
                        (cast.bare && i != cast.highest && !cast.named.contains(i));
      const auto end = cast.ends.find(i);
      if (goes && end != cast.ends.end()) {
        make_end(end->second, label);
      } else if (goes) {
        static_cast<void>(mek::destroy(appliance_, label));
      } else {
        labels += (labels.empty() ? "" : ", ") + label;
      }
    }
    for (const std::uint64_t i : cast.suspended)
      static_cast<void>(mek::suspend(appliance_, keys::make_label(name, i == 0 ? cast.highest : i)));
    if (!labels.empty()) made_.push_back("MEK '" + labels + "'");
  }

  [[nodiscard]] std::filesystem::path recovery_key() const { return stage_ / "stand-in-recovery-key"; }

  // The key ends here, and this token's recovery key may have the transferee.
  void make_end(const std::string& file, const std::string& label) {
    const std::uint64_t entry = mek::destroy(appliance_, label, recovery_key()).entry;
    const std::string text =
        audit::make_receipt(audit::read_log(appliance_.home().log(), std::nullopt), entry);
    write_file(stage_ / file, view(text), Existing::Refuse);
    stand_ins_.emplace(file, sha256_hex(text));
    made_.push_back("receipt '" + file + "' of the end of a MEK '" + label + "'");
  }

  // Of a key of this token, to a recovery key of this token.
  void make_backup(const std::string& file, const std::string& label) {
    const auto key = recovery_key();
    if (!std::filesystem::exists(key)) {
      static_cast<void>(mek::make_recovery_key(appliance_, key, Existing::Refuse));
      made_.emplace_back("a recovery key");
    }
    const mek::BackupMade made = mek::backup(appliance_, {label, key, stage_ / file, Existing::Refuse});
    stand_ins_.emplace(file, made.sha256);
    made_.push_back("backup '" + file + "' of a MEK '" + label + "'");
  }

  void give_inputs(Step& step) {
    for (const Input& input : step_inputs(step)) {
      const auto stand_in = stand_ins_.find(input.file);
      if (stand_in != stand_ins_.end()) {
        step.arguments[input.digest_name] = stand_in->second;
      } else if (!std::filesystem::exists(stage_ / input.file)) {
        write_file(stage_ / input.file, read_file(folder_ / input.file, kMaxInput), Existing::Refuse);
      }
    }
  }

  site::Appliance& appliance_;
  Plan& plan_;
  std::filesystem::path folder_, stage_;
  std::map<std::string, KeyNeeds> casts_;
  std::map<std::string, std::string> stand_ins_;  // digests, by file
  std::vector<std::string> made_;
};

}  // namespace

Scratch::Scratch(Random& random)
    : path_(std::filesystem::temp_directory_path() / ("qpcseal-rehearsal-" + to_hex(random.bytes(8)))) {
  make_folder(path_);
}

Scratch::~Scratch() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

site::Home make_stage(const site::Environment& environment, const Plan& plan, const site::Home& home,
                      const std::filesystem::path& root) {
  site::Environment stage = environment;
  stage.home.root = root / "home";
  stage.pin_fd.reset();
  site::InitOptions options;
  options.embedded = options.insecure_demo = true;
  options.appliance_id = plan.appliance;
  options.policy = home.policy();
  options.trust = home.trust();
  static_cast<void>(site::init(stage, options));
  return stage.home;
}

void require_demo_appliance(const audit::State& state) {
  if (encoding::bool_member(state.genesis, "insecure_demo") && !state.genesis_accepted) return;
  throw Error(ErrorKind::Denied,
              "a rehearsal makes and destroys keys without asking anybody, and this appliance is none to "
              "throw away",
              "'qpcseal init --insecure-demo' makes one");
}

std::vector<std::string> set_stage(site::Appliance& appliance, Plan& plan, const std::filesystem::path& dir,
                                   const std::filesystem::path& stage_folder) {
  require_demo_appliance(appliance.log().state());
  appliance.set_authority([](const std::string&, const encoding::Json&) { return encoding::Json(nullptr); });
  RehearsalFixtures stage(appliance, plan, dir, stage_folder);
  stage.set();
  appliance.set_authority(nullptr);
  return stage.made();
}

}  // namespace qpcseal::ceremony
