// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/health.h"

#include <algorithm>
#include <cerrno>

#include "appliance/approval/quorum.h"
#include "appliance/audit/log.h"
#include "appliance/site/in_force.h"
#include "appliance/site/pin.h"
#include "attest/certpath.h"
#include "base/current_error.h"
#include "base/file.h"
#include "base/free_room.h"
#include "base/swap.h"
#include "base/temporary.h"
#include "pkcs11/module.h"

namespace qpcseal::site {

namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kFullDisk = 4 * kReserve, kTightDisk = 64 * kMiB;  // bytes

std::string days_to(UnixTime end, UnixTime now) {
  const UnixTime days = (end - now) / audit::kDay;
  if (days == 0) return "in less than a day";
  return "in " + std::to_string(days) + (days == 1 ? " day" : " days");
}

class Look {
 public:
  Look(const Home& home, UnixTime now, const RunningImage& running)
      : home_(home), now_(now), running_(running) {}

  HomeHealth all() && {
    attempt("permissions", [&] {
      check_ownership(home_);
      fine("nobody else can change the home");
    });
    attempt("log", [&] { log(); });
    attempt("module", [&] { module(); });
    attempt("pin", [&] { pin(); });
    if (out_.state) {
      attempt("image", [&] { image(); });
      attempt("clock", [&] { clock(); });
      attempt("genesis", [&] { genesis(); });
      attempt("policy", [&] { policy(); });
      attempt("officers", [&] { officers(); });
      attempt("trust", [&] { trust(); });
      attempt("drills", [&] { drills(); });
      attempt("open acts", [&] { open_acts(); });
    }
    attempt("disk", [&] { disk(); });
    attempt("temporary files", [&] { temporaries(); });
    attempt("swap", [&] { swap(); });
    return std::move(out_);
  }

 private:
  template <typename Act>
  void attempt(const char* id, Act&& act) {
    id_ = id;
    try {
      std::forward<Act>(act)();
    } catch (...) {
      const Error error = current_error();
      out_.checks.push_back({id_, Health::Fault, error.what(), error.hint(), error.kind()});
    }
  }
  void fine(const std::string& text) { out_.checks.push_back({id_, Health::Fine, text, "", {}}); }
  void warn(const std::string& text, const std::string& hint) {
    out_.checks.push_back({id_, Health::Warning, text, hint, {}});
  }

  void log() {
    out_.state = audit::find_position(home_.log()).state;
    fine(std::to_string(out_.state->size) + " entries, the last of " + format_time(out_.state->last_time));
  }

  void module() {
    const Site site = Site::read(home_.site());
    const std::string found = to_hex(pkcs11::Module::digest_of(site.module));
    if (out_.state && found != out_.state->site.module_sha256)
      throw Error(ErrorKind::Token, site.module + " is not the pinned module: its SHA-256 is " + found,
                  "officers agree to another one: qpcseal site change --module " + site.module);
    fine(site.module + " is the pinned one");
  }

  void pin() {
    const Site site = Site::read(home_.site());
    if (site.pin_source == kTerminal) return fine("is asked for at the terminal");
    if (site.pin_source == kPinPad) return fine("is typed on the token's own pad");
    // As the next command reads it, so that it is refused here for what it will be refused for.
    static_cast<void>(read_pin(site.pin_source, std::nullopt, site.token_label));
    fine("is in a file that nobody else can read");
  }

  // A claim that does not count is said even where no image is demanded: somebody believes that one runs.
  void image() {
    const audit::SiteFacts& facts = out_.state->site;
    expect_image(facts, running_);
    if (!facts.image.empty()) return fine("it is the one of the site's facts");
    const std::string text = image_text(running_) + " runs, and the site's facts demand none";
    if (!running_.why_not.empty()) return warn(text, "boot the image as it was built");
    fine(text);
  }

  void clock() {
    audit::check_clock(*out_.state, now_);
    fine("fits the log");
  }

  void genesis() {
    if (out_.state->genesis_accepted) return fine("every officer signed it");
    if (encoding::bool_member(out_.state->genesis, "insecure_demo"))
      return warn("a demonstration appliance: nobody signed it", "");
    throw Error(ErrorKind::ApprovalsMissing, "the officers have not signed the genesis yet",
                "'qpcseal genesis show -o FILE', every officer signs it, then 'qpcseal genesis accept'");
  }

  void policy() {
    policy_ = read_policy(home_, *out_.state);
    const UnixTime expires = policy_->expires.value;
    out_.facts.policy_expiry = expires;
    if (now_ >= expires)
      throw Error(ErrorKind::Denied, "the policy expired at " + format_time(expires),
                  "officers sign a new one, with a higher serial: 'qpcseal policy sign', 'policy install'");
    const std::string notice = policy_notice(expires, now_, kPolicyNotice);
    const std::string serial = "serial " + std::to_string(out_.state->policy_serial);
    if (notice.empty()) return fine(serial + ", until " + format_time(expires));
    warn(notice, "officers sign a new one, with a higher serial: 'qpcseal policy sign', 'policy install'");
  }

  [[nodiscard]] approval::Officers officers_there() const {
    try {
      return approval::read_officers(home_.officers(), *out_.state);
    } catch (const Error& error) {
      throw error.hint().empty()
          ? error.with_hint("move " + home_.officers().string() +
                            " away: 'qpcseal mek list' puts back its copy in approvals/")
          : error;
    }
  }

  void officers() {
    if (out_.state->officers_digest.empty()) return fine("none: a demonstration");
    const approval::Officers all = officers_there();
    fine(std::to_string(all.list.size()) + " keys of officers");
  }

  // `what` ends then: a fault where the policy requires it and it is over.
  void end_of(const std::string& what, UnixTime end, bool required, const std::string& hint) {
    if (now_ >= end && required)
      throw Error(ErrorKind::Denied, what + " ended at " + format_time(end) + ": every report is denied",
                  hint);
    if (now_ >= end) return warn(what + " ended at " + format_time(end), hint);
    if (end - now_ <= kCollateralNotice)
      return warn(what + " ends " + days_to(end, now_) + ", at " + format_time(end), hint);
    fine(what + " ends at " + format_time(end));
  }

  void trust() {
    const trust::Trust in_force = read_pinned_trust(home_, *out_.state);
    const bool bundle = out_.state->collateral_serial > 0;
    const bool required = policy_ && policy_->collateral_required.value;
    if (!bundle && required)
      throw Error(ErrorKind::Denied, "the policy requires a collateral bundle, and none was imported",
                  "'qpcseal trust bundle', officers sign it, 'qpcseal trust import'");
    if (!bundle) fine(std::to_string(in_force.roots.size()) + " roots, no collateral bundle");
    if (bundle) {
      out_.facts.collateral_expiry = in_force.collateral.not_after;
      end_of("the collateral bundle", in_force.collateral.not_after, required,
             "import a newer bundle: 'qpcseal trust import'");
    }
    revocation_lists(in_force);
  }

  void revocation_lists(const trust::Trust& in_force) {
    for (const trust::TrustFile& crl : in_force.crls) {
      const UnixTime end = attest::read_crl(crl.der).next_update;
      out_.facts.crl_expiry = std::min(out_.facts.crl_expiry.value_or(end), end);
    }
    if (!out_.facts.crl_expiry) return;
    const auto wants = [](const policy::DeviceClass& device) { return device.crl_required.value; };
    end_of("a revocation list", *out_.facts.crl_expiry,
           policy_ && std::ranges::any_of(policy_->devices, wants),
           "import the vendor's new lists in a newer bundle: 'qpcseal trust import'");
  }

  void drills() {
    std::size_t soon = 0;
    for (const auto& [id, expires] : out_.state->drills) {
      const auto mek = out_.state->meks.find(id);
      if (mek != out_.state->meks.end() && mek->second.state == "destroyed") continue;
      if (now_ >= expires) ++out_.facts.drills_due;
      if (now_ < expires && expires - now_ <= kDrillNotice) ++soon;
    }
    const std::string hint = "'qpcseal mek drills' lists them; 'qpcseal mek drill' opens a backup again";
    if (out_.facts.drills_due > 0)
      return warn("drills of " + std::to_string(out_.facts.drills_due) + " backups are due", hint);
    if (soon > 0) return warn("drills of " + std::to_string(soon) + " backups are due within 30 days", hint);
    fine("none is due");
  }

  void open_acts() {
    std::size_t others = 0;
    bool in_ceremony = false;
    for (const auto& [seq, intent] : out_.state->open) {
      in_ceremony = in_ceremony || intent.kind == "ceremony";
      if (intent.kind != "ceremony" && intent.kind != "ceremony-step") ++others;
    }
    if (in_ceremony)
      warn("a ceremony has not ended",
           "'qpcseal ceremony resume' goes on with it, or ends it with --abandon");
    if (others > 0)
      warn(std::to_string(others) + " acts have no result in the log",
           "'qpcseal mek list' settles what can be settled; the same command again finishes a release");
    if (!in_ceremony && others == 0) fine("none");
  }

  void disk() {
    const std::uint64_t free = free_room(home_.root);
    out_.facts.disk_free = free;
    const std::string text = std::to_string(free / kMiB) + " MiB are free";
    if (free < kFullDisk)
      throw Error(ErrorKind::Io, text + ": the log cannot be written", "make room on the home's disk");
    if (free < kTightDisk) return warn(text, "make room on the home's disk");
    fine(text);
  }

  void temporaries() {
    for (const auto& dir : {home_.root, home_.log(), home_.reports(), home_.approvals(), home_.trust(),
                            home_.witness(), home_.token_copies()}) {
      std::error_code ignored;
      for (const auto& item : std::filesystem::directory_iterator(dir, ignored))
        if (is_temporary_name(item.path().filename().string())) ++out_.facts.temporaries;
    }
    if (out_.facts.temporaries > 0)
      return warn(
          std::to_string(out_.facts.temporaries) + " temporary files of a run that goes on or was killed",
          "the next command that opens the token removes those of a killed run");
    fine("none");
  }

  void swap() {
    if (!is_swapping()) return fine("off");
    warn("on: keys are in locked memory, what the token's module copies may not be", "swapoff -a");
  }

  const Home& home_;
  UnixTime now_;
  const RunningImage& running_;
  std::string id_;
  HomeHealth out_;
  std::optional<policy::Policy> policy_;
};

}  // namespace

HomeHealth look_at_home(const Home& home, UnixTime now, const RunningImage& running) {
  return Look(home, now, running).all();
}

std::string policy_notice(UnixTime expires, UnixTime now, UnixTime notice) {
  if (now >= expires || expires - now > notice) return "";
  return "the policy expires " + days_to(expires, now) + ", at " + format_time(expires);
}

const HealthCheck* first_fault(const std::vector<HealthCheck>& checks) {
  const auto found = std::ranges::find(checks, Health::Fault, &HealthCheck::health);
  return found == checks.end() ? nullptr : &*found;
}

}  // namespace qpcseal::site
