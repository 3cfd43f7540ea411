// SPDX-License-Identifier: Apache-2.0
// The log's anchor: size and root in a private data object of the token (CKO_DATA), which shows when log and
// checkpoint were put back to an older state. On SoftHSM the token is a folder of files beside the log:
// whoever can put back one can put back the other.
#pragma once

#include <functional>
#include <utility>

#include "appliance/audit/anchor.h"
#include "pkcs11/session.h"

namespace qpcseal::keys {

class TokenAnchor final : public audit::Anchor {
 public:
  // `made` is called when the new anchor is made and the old ones are still there.
  explicit TokenAnchor(pkcs11::Session& session, std::function<void()> made = {})
      : session_(session), made_(std::move(made)) {}
  // The one with the highest size; an object that is no whole anchor counts for nothing.
  std::optional<audit::AnchorState> read() override;
  // Makes the new one before it destroys the old.
  void write(const audit::AnchorState& state) override;
  // All of them: of a log that is no more.
  void remove();

 private:
  pkcs11::Session& session_;
  std::function<void()> made_;
};

// Whether the token keeps data objects at all, found by making one.
bool can_anchor(pkcs11::Session& session);

}  // namespace qpcseal::keys
