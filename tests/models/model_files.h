// SPDX-License-Identifier: Apache-2.0
// Models on disk for tests, and what one appliance makes of them.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "appliance/audit/read.h"
#include "appliance/mek/generate.h"
#include "appliance/models/seal_set.h"
#include "appliance/models/sealed_files.h"
#include "tests/qpc/builder.h"
#include "tests/support/appliance_fixture.h"

namespace qpcseal::testing {

inline void set_changed(const std::filesystem::path& path, UnixTime time) {
  const timespec times[2] = {{time, 0}, {time, 0}};
  if (utimensat(AT_FDCWD, path.c_str(), times, 0) != 0) throw std::runtime_error("utimensat failed");
}

// Writes a file and the folders above it; by its time a day older than what an appliance makes of it.
inline std::filesystem::path put(const std::filesystem::path& path, ByteView bytes) {
  std::filesystem::create_directories(path.parent_path());
  write_file(path, bytes, Existing::Replace);
  set_changed(path, kTestNow - kDay);
  return path;
}
inline std::filesystem::path put(const std::filesystem::path& path, std::string_view text) {
  return put(path, view(text));
}

inline Bytes usual_qpc() { return build_qpc(usual_segments(), Flavour::File); }
// A model for two cards; PartitionOrder::Container gives their order.
inline Bytes qpc_of_two() {
  return build_qpc({{"left", usual_qpc()}, {"right", usual_qpc()}}, Flavour::File);
}

inline Bytes content(const std::filesystem::path& path) { return read_file(path, std::size_t{64} << 20); }

// Slots that hold nothing of a key.
inline seal::Slots some_slots(std::uint8_t fill) {
  return {Bytes(46, fill), Bytes(32, fill), Bytes(65, fill)};
}

// The bytes of another source. When the next are asked for and `due`, `act` runs before them, once.
class ActingRandom final : public Random {
 public:
  explicit ActingRandom(Random& bytes) : bytes_(bytes) {}
  void fill(MutableBytes out) override {
    if (due && due()) {
      due = {};
      act();
    }
    bytes_.fill(out);
  }
  std::function<bool()> due;
  std::function<void()> act;

 private:
  Random& bytes_;
};

// A demonstration, made once for the program, which takes a moment; each test opens it anew.
class Models : public ::testing::Test {
 protected:
  Models() : Models(common_demo(), "common") {}
  // `name`: of the key, which is made where there is none.
  Models(DemoAppliance& demo, const std::string& name) : demo_(demo), mek(find_or_make(name)) {}

 private:
  // Its policy allows as much as all tests together need.
  static DemoAppliance& common_demo() {
    static DemoAppliance one([](std::string policy) {
      for (const std::string limit :
           {"max_releases_per_card = 5", "max_releases = 10", "max_encryptions = 1000"})
        policy.insert(policy.find(limit) + limit.size(), "000");
      return policy;
    });
    return one;
  }
  keys::Mek find_or_make(const std::string& name) {
    for (const auto& [id, known] : appliance.log().state().meks)
      if (known.label == name + "#1") return appliance.find_mek(name);
    return mek::generate(appliance, name);
  }
  DemoAppliance& demo_;
  ActingRandom random_{demo_.random};

 protected:
  site::Appliance appliance{site::Environment{demo_.home, demo_.clock, random_, std::nullopt}};
  const keys::Mek mek;
  TempFolder folder;

  [[nodiscard]] DemoAppliance& demo() const { return demo_; }
  // Runs `act` behind the next intent to seal, before anything is sealed.
  void while_sealing(std::function<void()> act) {
    random_.act = std::move(act);
    random_.due = [this] {
      return std::ranges::any_of(appliance.log().state().open,
                                 [](const auto& intent) { return intent.second.kind == "seal"; });
    };
  }
  [[nodiscard]] std::uint64_t entries() const { return appliance.log().state().size; }
  [[nodiscard]] std::uint64_t encryptions() const {
    return appliance.log().state().meks.at(mek.id).encryptions;
  }
  // The data of the log's entry `back` before its last one.
  [[nodiscard]] encoding::Json logged(std::uint64_t back) const {
    const audit::LogCopy log = audit::read_log(demo_.home.log(), std::nullopt);
    return audit::parse_entry(log.line(log.state.size - 1 - back)).data;
  }

  [[nodiscard]] models::SealModelOptions options_for(const std::filesystem::path& qpc,
                                                     const std::string& output = "out") const {
    models::SealModelOptions options;
    options.qpc = qpc;
    options.output_folder = folder / output;
    options.order = models::PartitionOrder::Container;
    return options;
  }
  // The sealed container that `qpc` becomes, in the folder `output`.
  std::filesystem::path sealed(const Bytes& qpc, const std::string& output) {
    return models::seal_model(appliance, mek, options_for(put(folder / "input/model.qpc", qpc), output), {})
        .output;
  }
  // A set of two containers and two other files, in the folder `output`.
  std::filesystem::path sealed_set(const std::string& output) {
    put(folder / "served/a/model.qpc", usual_qpc());
    put(folder / "served/b.qpc", qpc_of_two());
    put(folder / "served/a/config.json", "{}");
    put(folder / "served/tokens.txt", "tokens");
    models::SealSetOptions options{{folder / "served"}, options_for({}, output), false};
    return models::seal_set(appliance, mek, options, {}).output;
  }
};

}  // namespace qpcseal::testing
