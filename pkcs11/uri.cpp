// SPDX-License-Identifier: Apache-2.0
#include "pkcs11/uri.h"

#include "base/error.h"

namespace qpcseal::pkcs11 {

namespace {

constexpr std::string_view kScheme = "pkcs11:";

[[noreturn]] void refuse(const std::string& why) { throw Error(ErrorKind::Usage, "PKCS #11 URI: " + why); }

Bytes unescape(std::string_view text) {
  Bytes out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(static_cast<std::uint8_t>(text[i]));
      continue;
    }
    if (text.size() - i < 3) refuse("'%' without two hex digits");
    try {
      append(out, from_hex(text.substr(i + 1, 2)));
    } catch (const Error&) {
      refuse("'%' without two hex digits");
    }
    i += 2;
  }
  return out;
}

template <typename T>
void set_once(std::optional<T>& slot, T value, std::string_view name) {
  if (slot) refuse("'" + std::string(name) + "' is given twice");
  slot = std::move(value);
}

void set(KeyUri& uri, std::string_view name, const Bytes& value) {
  const std::string text(text_view(value));
  if (name == "token") return set_once(uri.token, text, name);
  if (name == "serial") return set_once(uri.serial, text, name);
  if (name == "model") return set_once(uri.model, text, name);
  if (name == "manufacturer") return set_once(uri.manufacturer, text, name);
  if (name == "object") return set_once(uri.object, text, name);
  if (name == "id") return set_once(uri.id, value, name);
  if (name == "type" && text == "secret-key") return;
  refuse("'" + std::string(name) + "' does not help to name a MEK");
}

}  // namespace

bool is_uri(std::string_view text) { return text.starts_with(kScheme); }

KeyUri parse_uri(std::string_view uri) {
  if (!is_uri(uri)) refuse("it begins with 'pkcs11:'");
  uri.remove_prefix(kScheme.size());
  if (uri.find('?') != std::string_view::npos)
    refuse("no query here: PINs and modules do not belong in arguments");
  KeyUri out;
  while (!uri.empty()) {
    const std::string_view item = uri.substr(0, uri.find(';'));
    uri.remove_prefix(std::min(uri.size(), item.size() + 1));
    const std::size_t equals = item.find('=');
    if (equals == std::string_view::npos || equals + 1 == item.size())
      refuse("'" + std::string(item) + "' is not name=value");
    set(out, item.substr(0, equals), unescape(item.substr(equals + 1)));
  }
  if (!out.object && !out.id) refuse("it names no key: give object= or id=");
  return out;
}

}  // namespace qpcseal::pkcs11
