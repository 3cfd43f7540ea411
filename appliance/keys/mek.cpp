// SPDX-License-Identifier: Apache-2.0
#include "appliance/keys/mek.h"

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "pkcs11/probe.h"

namespace qpcseal::keys {

namespace {

using pkcs11::Object;
using pkcs11::Session;
using pkcs11::Template;

struct FlagRule {
  CK_ATTRIBUTE_TYPE type;
  std::string_view name;
  bool value;
  std::string_view desired;  // empty: required
};

constexpr FlagRule kFlags[] = {
    {CKA_TOKEN, "CKA_TOKEN", true, ""},
    {CKA_PRIVATE, "CKA_PRIVATE", true, ""},
    {CKA_SENSITIVE, "CKA_SENSITIVE", true, ""},
    {CKA_EXTRACTABLE, "CKA_EXTRACTABLE", true, ""},  // a wrap needs it
    {CKA_ENCRYPT, "CKA_ENCRYPT", true, ""},
    {CKA_DECRYPT, "CKA_DECRYPT", false, ""},
    {CKA_DERIVE, "CKA_DERIVE", false, ""},
    {CKA_WRAP, "CKA_WRAP", false, ""},
    {CKA_UNWRAP, "CKA_UNWRAP", false, ""},
    {CKA_SIGN, "CKA_SIGN", false, ""},
    {CKA_VERIFY, "CKA_VERIFY", false, ""},
    {CKA_COPYABLE, "CKA_COPYABLE", false, "not-copyable"},
    {CKA_MODIFIABLE, "CKA_MODIFIABLE", false, "not-modifiable"},
    {CKA_LOCAL, "CKA_LOCAL", true, "local"},
    {CKA_ALWAYS_SENSITIVE, "CKA_ALWAYS_SENSITIVE", true, "always-sensitive"},
};

bool contains(const std::vector<std::string>& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

// Set by the token alone; asking for them is an error.
bool is_read_only(CK_ATTRIBUTE_TYPE type) { return type == CKA_LOCAL || type == CKA_ALWAYS_SENSITIVE; }

// The table is of generated keys; a restored one may not encrypt, and none but a generated one was always in
// the token.
bool wanted(const FlagRule& rule, Origin origin) {
  if (rule.type == CKA_ENCRYPT) return origin != Origin::Restored;
  return is_read_only(rule.type) ? origin == Origin::Generated : rule.value;
}

std::string shown(const std::optional<bool>& value) { return !value ? "absent" : *value ? "true" : "false"; }

AttributeReport inspect_mechanisms(Session& session, const Object& mek) {
  const auto value = session.attribute(mek, CKA_ALLOWED_MECHANISMS);
  Template expected;
  expected.numbers(CKA_ALLOWED_MECHANISMS, {CKM_AES_GCM});
  const CK_ATTRIBUTE one = expected.attributes().front();
  const ByteView wanted(static_cast<const std::uint8_t*>(one.pValue), one.ulValueLen);
  AttributeReport report{"CKA_ALLOWED_MECHANISMS", "absent", "{CKM_AES_GCM}", false, false, false};
  report.good = value && equal(*value, wanted);
  if (report.good) report.observed = report.expected;
  if (value && !report.good) report.observed = value->empty() ? "any" : "others";
  return report;
}

std::string complaints(const std::vector<AttributeReport>& reports) {
  std::string out;
  for (const AttributeReport& report : reports) {
    if (report.good || report.accepted) continue;
    out += (out.empty() ? "" : "; ") + report.name + " is " + report.observed + ", not " + report.expected;
  }
  return out;
}

std::string desired_name(const AttributeReport& report) {
  if (report.name == "CKA_ALLOWED_MECHANISMS") return "allowed-mechanisms";
  for (const FlagRule& rule : kFlags)
    if (rule.name == report.name) return std::string(rule.desired);
  return {};
}

}  // namespace

bool is_desired(std::string_view name) {
  return std::find(std::begin(kDesired), std::end(kDesired), name) != std::end(kDesired);
}

std::vector<AttributeReport> inspect_mek(Session& session, const Object& mek,
                                         const std::vector<std::string>& accept, Origin origin) {
  std::vector<AttributeReport> out;
  const auto length = session.number(mek, CKA_VALUE_LEN);
  // SoftHSM 2.6.1 never sets it on an unwrapped key, and 0 is what it began with. unwrap_mek() takes 24 bytes
  // alone, and what unwraps from them has 16 (RFC 3394).
  const bool unwrapped = origin == Origin::Restored || origin == Origin::Transferee;
  const bool unset = unwrapped && length == 0UL;
  out.push_back({"CKA_VALUE_LEN",
                 unset    ? std::string(kNotGiven)
                 : length ? std::to_string(*length)
                          : "absent",
                 "16", true, length == 16UL || unset, false});
  for (const FlagRule& rule : kFlags) {
    const auto value = session.flag(mek, rule.type);
    const bool good = wanted(rule, origin);
    out.push_back(
        {std::string(rule.name), shown(value), shown(good), rule.desired.empty(), value == good, false});
  }
  out.push_back(inspect_mechanisms(session, mek));
  for (AttributeReport& report : out)
    report.accepted = !report.good && !report.required && contains(accept, desired_name(report));
  return out;
}

std::string_view to_string(Origin origin) {
  switch (origin) {
    case Origin::Generated:
      return "generated";
    case Origin::Restored:
      return "restored";
    case Origin::Transferee:
      return "transferee";
    case Origin::Imported:
      return "imported";
  }
  return "?";
}

std::optional<Origin> origin_from(std::string_view name) {
  for (const Origin origin : {Origin::Generated, Origin::Restored, Origin::Transferee, Origin::Imported})
    if (name == to_string(origin)) return origin;
  return std::nullopt;
}

Template mek_template(const std::string& label, ByteView id, const std::vector<std::string>& accept,
                      Origin origin) {
  Template out;
  out.number(CKA_CLASS, CKO_SECRET_KEY)
      .number(CKA_KEY_TYPE, CKK_AES)
      .text(CKA_LABEL, label)
      .bytes(CKA_ID, id);
  if (origin == Origin::Generated) out.number(CKA_VALUE_LEN, 16);  // else the value says it
  // Before the flags: SoftHSM applies a template in order, and refuses it after "not MODIFIABLE" on
  // unwrapping.
  if (!contains(accept, "allowed-mechanisms")) out.numbers(CKA_ALLOWED_MECHANISMS, {CKM_AES_GCM});
  for (const FlagRule& rule : kFlags)
    if (!is_read_only(rule.type) && !contains(accept, rule.desired))
      out.flag(rule.type, wanted(rule, origin));
  return out;
}

Mek check_made(Session& session, Session& fresh, const Object& made, const std::string& label, ByteView id,
               const std::vector<std::string>& accept, Origin origin) {
  const Mek mek = find_mek_by_id(fresh, id);
  const std::string wrong = complaints(inspect_mek(fresh, mek.object, accept, origin));
  if (wrong.empty() && mek.label == label) return mek;
  session.destroy(made);
  throw Error(ErrorKind::Token, "key '" + label + "' was not made as asked and is destroyed again: " + wrong,
              "what this token lacks may be accepted by name (init --accept, site change --accept); 'qpcseal "
              "doctor' lists it");
}

Mek generate_mek(Session& session, Session& fresh, const std::string& name, std::uint64_t generation,
                 ByteView id, const std::vector<std::string>& accept) {
  check_name(name);
  const std::string label = make_label(name, generation);
  const Object made =
      session.generate({CKM_AES_KEY_GEN, nullptr, 0}, mek_template(label, id, accept, Origin::Generated),
                       "key '" + label + "'");
  return check_made(session, fresh, made, label, id, accept, Origin::Generated);
}

Mek import_mek(Session& session, Session& fresh, const std::string& name, std::uint64_t generation,
               ByteView id, const SecretBuffer& value, const std::vector<std::string>& accept) {
  check_name(name);
  const std::string label = make_label(name, generation);
  const Object made =
      session.create_secret(mek_template(label, id, accept, Origin::Imported), value, "key '" + label + "'");
  return check_made(session, fresh, made, label, id, accept, Origin::Imported);
}

std::vector<std::string> probe_desired(Session& session) {
  std::vector<std::string> missing;
  const std::vector<std::string> all(std::begin(kDesired), std::end(kDesired));
  for (const std::string& one : all) {
    // Ask for this one alone, so that one refusal does not hide the others.
    std::vector<std::string> others = all;
    std::erase(others, one);
    bool honoured = true;
    const bool made = pkcs11::probe(session, [&] {
      const pkcs11::ScopedObject key(
          session,
          session.generate({CKM_AES_KEY_GEN, nullptr, 0},
                           mek_template("qpcseal-probe", view("qpcseal-probe-00"), others, Origin::Generated),
                           "probe key"));
      for (const AttributeReport& report : inspect_mek(session, key.get(), {}))
        if (desired_name(report) == one && !report.good) honoured = false;
    });
    if (!made || !honoured) missing.push_back(one);
  }
  return missing;
}

}  // namespace qpcseal::keys
