// SPDX-License-Identifier: Apache-2.0
// The appliance while one command runs: lock, token, log, policy and trust, opened in that order and each
// checked against the log. Every act on a key goes through an Appliance.
#pragma once

#include <functional>
#include <optional>

#include "appliance/approval/quorum.h"
#include "appliance/audit/lock.h"
#include "appliance/audit/log.h"
#include "appliance/keys/contents.h"
#include "appliance/keys/gcm_key.h"
#include "appliance/keys/signing.h"
#include "appliance/keys/token_anchor.h"
#include "appliance/site/home.h"
#include "appliance/site/in_force.h"
#include "appliance/site/outlook.h"
#include "appliance/site/pin_login.h"
#include "appliance/site/repair.h"
#include "appliance/site/running_image.h"
#include "appliance/site/token_guard.h"
#include "appliance/trust/trust_folder.h"
#include "base/clock.h"
#include "base/random.h"
#include "policy/policy.h"

namespace qpcseal::site {

struct Environment {
  Home home;
  const Clock& clock;
  Random& random;
  std::optional<int> pin_fd;
  unsigned lock_timeout = 60;                                   // seconds
  std::function<void(const std::string& holder)> on_wait = {};  // told once when the lock is taken
  approval::ApprovalFiles approvals = {};                       // what officers signed for this command
  std::optional<std::string> confirmed_date = {};  // "2026-11-28": somebody says that it is today
  audit::AppendStatus* status = nullptr;           // what the command logged, and what failed behind it
  std::function<void(const std::string& warning)> on_warning = {};  // what the start found wrong, and goes on
  // Asked once the site's facts are known and before its module's code is loaded; what it throws ends the
  // command.
  std::function<void(const Home& home, const Site& site, const audit::SiteFacts& facts)> before_module = {};
  // The act must go on: while the disk is full it gets the home's reserve of room, and no image is demanded.
  bool urgent = false;
  pkcs11::LastTry last_try = pkcs11::LastTry::Refuse;
  RunningImage image = {};  // of this machine; none where nobody looked
  // Looks at what needs no token, before the PIN is asked for (look_ahead() of outlook.h).
  std::function<void(const Outlook& outlook)> look = {};
  // Asks a person once more, behind that and before the PIN; what it throws ends the command.
  std::function<void()> confirm = {};
};

class Appliance {
 public:
  // Error{Io} no home, Error{Token}, Error{LogDamaged}, Error{Denied} where policy, trust, token or keys are
  // not those of the log, or others could change files of the home. Reconciles what an earlier run left open.
  // The module is loaded only if it is the one that the log names, and the image that the site's facts name
  // runs; a repair that officers agreed to is done first, under any image.
  explicit Appliance(const Environment& environment, const Repair& repair = {});

  [[nodiscard]] const Home& home() const { return home_; }
  [[nodiscard]] const Site& site() const { return site_; }
  [[nodiscard]] const audit::SiteFacts& facts() const { return log().state().site; }
  [[nodiscard]] const policy::Policy& policy() const { return policy_; }
  [[nodiscard]] const std::string& policy_digest() const { return log().state().policy_digest; }
  [[nodiscard]] const trust::Trust& trust() const { return trust_; }
  [[nodiscard]] const pkcs11::Module& module() const { return *module_; }
  [[nodiscard]] const pkcs11::TokenInfo& token() const { return token_; }
  [[nodiscard]] const RunningImage& image() const { return image_; }
  pkcs11::Session& session() { return *session_; }
  keys::SigningKey& seal_key() { return *seal_key_; }
  // Replaces the log key: the old key signs the new one and is destroyed. Returns the new vkey text. Officers
  // must approve it (log-key-rotate).
  std::string rotate_log_key();
  audit::Log& log() { return *log_; }
  [[nodiscard]] const audit::Log& log() const { return *log_; }
  Random& random() { return random_; }
  // Never below the log's last time.
  [[nodiscard]] UnixTime now() const;
  [[nodiscard]] bool insecure_demo() const;

  // The one MEK that `reference` names, which the log must know. Error{Token}, Error{Denied}.
  keys::Mek find_mek(const std::string& reference);
  // The same, whatever the log says of it: keys::find_mek() of the token. Error{Token} names a key that was
  // destroyed as one.
  keys::Mek find_present(const std::string& reference);
  // Keys that are ok or suspended in the log, and that were not in the token at the start. By label.
  [[nodiscard]] const std::vector<keys::Mek>& missing() const { return missing_; }
  [[nodiscard]] bool is_missing(ByteView id) const;
  // The missing key that `reference` names: a label, or a name whose newest generation is missing.
  [[nodiscard]] std::optional<keys::Mek> find_missing(const std::string& reference) const;
  // Half-made objects that the start found and left, because nothing shows that they are this appliance's.
  [[nodiscard]] const std::vector<keys::Leftover>& leftovers() const { return leftovers_; }
  // Call it after another C_Login, which makes earlier handles of private keys invalid.
  void find_keys_again();
  // The embedded token's files are whole, on disk and copied when this returns. The log calls it before each
  // entry "ok". Does nothing for another token. Error{Token} where the token did not write what it reported.
  void sync_token();
  // A key handle whose workers each open a session of their own.
  std::unique_ptr<seal::KeyHandle> open_key(const keys::Mek& mek);
  // Verifies the officers' approval of this act. Returns the intent's member `approval`, null where the
  // policy asks for none. `parameters` define the act; the officers saw the same. Error{Denied} where the
  // policy does not allow the operation or has expired, Error{ApprovalsMissing} where officers must agree and
  // have not, or have rejected it (which the log then records). Request and signatures are kept in the home.
  [[nodiscard]] encoding::Json approve(const std::string& operation, const encoding::Json& parameters);
  // In a ceremony officers approved a whole plan: from now on approve() returns what `authority` returns for
  // the act, and throws what it throws.
  using Authority =
      std::function<encoding::Json(const std::string& operation, const encoding::Json& parameters)>;
  void set_authority(Authority authority) { authority_ = std::move(authority); }
  // Error{Denied} where the policy has expired.
  void refuse_expired_policy() const;
  // What needs no token to be judged, as of now.
  [[nodiscard]] Outlook outlook() const;
  // The workstation's clock, without the log's floor.
  [[nodiscard]] UnixTime clock_now() const { return clock_.now(); }
  // Error{Denied} for a restored MEK, whose source still counts the encryptions.
  void refuse_wrap_only(const keys::Mek& mek) const;

 private:
  void open_token(const Environment& environment, const audit::SiteFacts& facts);
  void open_log(const Environment& environment, audit::LogCursor at, const Repair& repair,
                const std::string& log_key);
  void accept_anchor(const Repair& repair);
  void log_restored();
  void change_site(const AgreedSite& agreed, const std::optional<std::string>& module);
  void check_against_genesis();
  void judge_clock(const std::optional<std::string>& confirmed_date);
  void reconcile();
  void remove_leftovers(std::vector<keys::Leftover> found);
  void settle_pin(const Environment& environment);
  [[noreturn]] void reject(const std::string& operation, const approval::ApprovalResult& judgement);

  Home home_;
  approval::ApprovalFiles approvals_;
  const Clock& clock_;
  Random& random_;
  std::optional<audit::Lock> lock_;
  Site site_;
  RunningImage image_;
  std::optional<TokenGuard> guard_;  // of an embedded token
  std::optional<pkcs11::Module> module_;
  pkcs11::TokenInfo token_;
  std::optional<pkcs11::Session> session_;
  std::optional<keys::SigningKey> log_key_, seal_key_, next_log_key_;
  std::optional<keys::LogSigner> signer_, next_signer_;
  std::optional<keys::TokenAnchor> anchor_;
  std::optional<audit::Log> log_;
  policy::Policy policy_;
  trust::Trust trust_;
  Authority authority_;
  PinTaken pin_taken_ = PinTaken::Given;
  std::vector<keys::Mek> missing_;
  std::vector<keys::Leftover> leftovers_;
};

// `intent` with the approval that approve() gave, where there is one.
encoding::Json with_approval(encoding::Json intent, const encoding::Json& approval);

}  // namespace qpcseal::site
