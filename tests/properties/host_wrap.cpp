// SPDX-License-Identifier: Apache-2.0
#include "tests/properties/host_wrap.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <array>
#include <stdexcept>

#include "base/random.h"
#include "device/card/keys.h"

namespace qpcseal::testing {

namespace {

void require(bool good) {
  if (!good) throw std::runtime_error("wrap_on_host");
}

Bytes agree(EVP_PKEY* ours, EVP_PKEY* theirs) {
  const KeyContextPtr context(EVP_PKEY_CTX_new(ours, nullptr));
  std::size_t size = 0;
  require(EVP_PKEY_derive_init(context.get()) == 1 && EVP_PKEY_derive_set_peer(context.get(), theirs) == 1 &&
          EVP_PKEY_derive(context.get(), nullptr, &size) == 1);
  Bytes z(size);
  require(EVP_PKEY_derive(context.get(), z.data(), &size) == 1);
  return z;
}

Bytes x963(Bytes z, Bytes info) {
  const Owned<EVP_KDF, EVP_KDF_free> kdf(EVP_KDF_fetch(nullptr, "X963KDF", nullptr));
  const Owned<EVP_KDF_CTX, EVP_KDF_CTX_free> context(EVP_KDF_CTX_new(kdf.get()));
  std::string digest = "SHA256";
  const std::array<OSSL_PARAM, 4> params{
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, z.data(), z.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info.data(), info.size()),
      OSSL_PARAM_construct_end()};
  Bytes kek(32);
  require(EVP_KDF_derive(context.get(), kek.data(), kek.size(), params.data()) == 1);
  return kek;
}

Bytes wrap_aes(const Bytes& kek, ByteView mek) {
  const Owned<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free> context(EVP_CIPHER_CTX_new());
  EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  Bytes out(mek.size() + 8);
  int size = 0;
  require(EVP_EncryptInit_ex2(context.get(), EVP_aes_256_wrap(), kek.data(), nullptr, nullptr) == 1 &&
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
  append(slots.encrypt, wrap_aes(x963(agree(ephemeral.get(), card.session_key.get()), info), mek));
  return slots;
}

}  // namespace qpcseal::testing
