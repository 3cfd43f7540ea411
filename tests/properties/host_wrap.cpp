// SPDX-License-Identifier: Apache-2.0
#include "tests/properties/host_wrap.h"

#include "base/random.h"
#include "device/card/keys.h"
#include "tests/support/host_ecdh.h"

namespace qpcseal::testing {

namespace {

Bytes wrap_aes(const Bytes& kek, ByteView mek) {
  const Owned<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free> context(EVP_CIPHER_CTX_new());
  EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  Bytes out(mek.size() + 8);
  int size = 0;
  require_openssl(
      EVP_EncryptInit_ex2(context.get(), EVP_aes_256_wrap(), kek.data(), nullptr, nullptr) == 1 &&
      EVP_EncryptUpdate(context.get(), out.data(), &size, mek.data(), static_cast<int>(mek.size())) == 1);
  return out;
}

}  // namespace

device::Card make_card(unsigned number) {
  SystemRandom random;
  device::Card card;
  card.number = number;
  card.ueid = random.bytes(17);
  card.session_key = device::make_session_key(attest::SessionKeyType::P256);
  card.session_public = device::session_public_key(card.session_key.get());
  card.answered_nonces = {random.bytes(32)};
  return card;
}

seal::Slots wrap_on_host(const device::Card& card, ByteView mek, ByteView mek_id) {
  const KeyPtr ephemeral = device::make_ec_key("P-256");
  seal::Slots slots;
  slots.nonce = card.answered_nonces.back();
  slots.pub = device::session_public_key(ephemeral.get()).public_key;
  Bytes info = copy(view("qpcseal/wrap/1"));
  append(info, ByteView(Bytes{0, 1}));
  append(info, mek_id);
  append(info, slots.nonce);
  append_lp16(info, slots.pub);
  append_lp16(info, card.session_public.public_key);
  append_lp16(info, card.ueid);
  slots.encrypt = copy(view("QMEK\1\1"));
  append(slots.encrypt, mek_id);
  append(slots.encrypt, wrap_aes(x963(agree(ephemeral.get(), card.session_key.get()), info, "SHA256"), mek));
  return slots;
}

}  // namespace qpcseal::testing
