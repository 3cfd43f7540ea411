#include "appliance/ceremony/stage.h"

#include <set>

#include "appliance/ceremony/acts.h"
#include "appliance/release/init.h"
#include "appliance/release/key_life.h"
#include "appliance/release/keys_ops.h"
#include "appliance/release/mek_backup.h"
#include "base/error.h"
#include "base/file.h"

namespace qpcseal::ceremony {

namespace {

constexpr std::size_t kMaxInput = 65536;  // bytes

// "name" of "name#3" or "name".
std::string name_of(const std::string& reference) { return reference.substr(0, reference.find('#')); }

bool opens_backup(const Step& step) { return step.act == "mek-restore" || step.act == "mek-drill"; }

class Stage {
 public:
  Stage(release::Appliance& appliance, const std::filesystem::path& folder,
        const std::filesystem::path& stage_folder)
      : appliance_(appliance), folder_(folder), stage_(stage_folder) {}

  void prepare(const Step& step) {
    if (opens_backup(step)) {
      make_backup(step);
    } else if (step.arguments.contains("mek") && step.act != "mek-generate") {
      const std::string name = name_of(step.arguments.at("mek"));
      if (make_mek(name) && step.act == "mek-resume") static_cast<void>(release::suspend(appliance_, name));
    } else if (step.act == "mek-generate") {
      there_.insert(step.arguments.at("mek"));
    }
    for (const Input& input : inputs_of(step))
      if (!std::filesystem::exists(stage_ / input.file))
        write_file(stage_ / input.file, read_file(folder_ / input.file, kMaxInput), Existing::Refuse);
  }

  [[nodiscard]] const std::vector<std::string>& made() const { return made_; }

 private:
  bool make_mek(const std::string& name) {
    if (!there_.insert(name).second) return false;
    static_cast<void>(release::generate(appliance_, name));
    made_.push_back("MEK '" + name + "'");
    return true;
  }

  // A key of the same name, wrapped to a recovery key of this token, and then destroyed.
  void make_backup(const Step& step) {
    const std::string file = step.arguments.at("backup"), name = name_of(step.arguments.at("mek"));
    if (std::filesystem::exists(stage_ / file)) return;
    const auto key = stage_ / "stand-in-recovery-key";
    if (!std::filesystem::exists(key)) {
      static_cast<void>(release::make_recovery_key(appliance_, key, Existing::Refuse));
      made_.emplace_back("a recovery key");
    }
    static_cast<void>(release::generate(appliance_, name));
    static_cast<void>(release::backup(appliance_, {name, key, stage_ / file, Existing::Refuse}));
    static_cast<void>(release::destroy(appliance_, name));
    there_.insert(name);
    made_.push_back("backup '" + file + "' of a MEK '" + name + "'");
  }

  release::Appliance& appliance_;
  std::filesystem::path folder_, stage_;
  std::set<std::string> there_;
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

release::Home make_stage(const release::Environment& environment, const Plan& plan, const release::Home& home,
                         const std::filesystem::path& root) {
  release::Environment stage = environment;
  stage.home.root = root / "home";
  stage.pin_fd.reset();
  release::InitOptions options;
  options.embedded = options.insecure_demo = true;
  options.appliance_id = plan.appliance;
  options.policy = home.policy();
  options.trust = home.trust();
  static_cast<void>(release::init(stage, options));
  return stage.home;
}

std::vector<std::string> set_stage(release::Appliance& appliance, const Plan& plan,
                                   const std::filesystem::path& folder,
                                   const std::filesystem::path& stage_folder) {
  appliance.act_under([](const std::string&) { return audit::Json(nullptr); });
  Stage stage(appliance, folder, stage_folder);
  for (const Step& step : plan.steps) stage.prepare(step);
  appliance.act_under(nullptr);
  return stage.made();
}

}  // namespace qpcseal::ceremony
