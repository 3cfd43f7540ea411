"""Wrapped keys: what each suite is bound to, and what it refuses."""

import unittest

from cryptography.hazmat.primitives import keywrap
from cryptography.hazmat.primitives.asymmetric import ec

import wrapping
from containers import RSA_KEY, SESSION_KEYS, SUITES, Refusals, sealed, slots_for
from material import MEK, MEK_ID, NONCE, UEID, ec_key, filler
from qpc_format import FormatError


class Wrapping(Refusals):
    def opened(self, slots, kind, ueid=UEID):
        return wrapping.unwrap(*slots, SESSION_KEYS[kind], ueid)

    def test_bound_to_every_part_of_the_context(self):
        for suite, kind in SUITES[:4]:
            encrypt, nonce, public = slots_for(suite, kind)
            wrong = (keywrap.InvalidUnwrap, ValueError)
            other_id = encrypt[:6] + filler("other id", 16) + encrypt[22:]
            for slots, ueid in [
                ((other_id, nonce, public), UEID),
                ((encrypt, filler("other", 32), public), UEID),
                ((encrypt, nonce[:31], public), UEID),
                ((encrypt, nonce, public), UEID[:-1] + b"\0"),
            ]:
                with self.subTest(suite=suite), self.assertRaises(wrong):
                    self.opened(slots, kind, ueid)
            self.assertEqual(self.opened((encrypt, nonce, public), kind), (MEK_ID, MEK))

    def test_suite_cannot_be_renamed(self):
        encrypt, nonce, public = slots_for(1, "p256")
        for suite, kind in ((2, keywrap.InvalidUnwrap), (3, FormatError), (0, FormatError), (5, FormatError)):
            renamed = encrypt[:5] + bytes([suite]) + encrypt[6:]
            with self.assertRaises(kind):
                self.opened((renamed, nonce, public), "p256")

    def opening_fails(self, message, slots, key, ueid=UEID):
        with self.assertRaises(FormatError) as caught:
            wrapping.unwrap(*slots, key, ueid)
        self.assertIn(message, str(caught.exception))

    def test_malformed_contents(self):
        encrypt, nonce, public = slots_for(1, "p256")
        key = SESSION_KEYS["p256"]
        for changed in (b"QMEL" + encrypt[4:], encrypt[:4] + b"\2" + encrypt[5:], encrypt[:22], b""):
            self.opening_fails("not a wrapped MEK", (changed, nonce, public), key)
        for suite in (0, 5):
            renamed = encrypt[:5] + bytes([suite]) + encrypt[6:]
            self.opening_fails("unknown suite", (renamed, nonce, public), key)
            self.opening_fails("unknown suite", (renamed, nonce, public), RSA_KEY)
        self.opening_fails("24 bytes", (encrypt + bytes(8), nonce, public), key)
        self.opening_fails("nonce", (encrypt, nonce[:31], public), key)
        self.opening_fails("nonce", (encrypt, nonce + b"\0", public), key)

    def test_key_of_another_kind(self):
        encrypt, nonce, public = slots_for(1, "p256")
        self.opening_fails("elliptic curve", (encrypt, nonce, public), RSA_KEY)
        renamed = encrypt[:5] + b"\3" + encrypt[6:]
        self.opening_fails("RSA key", (renamed, nonce, public), SESSION_KEYS["p256"])
        p384 = ec_key("ephemeral", ec.SECP384R1())
        with self.assertRaises(FormatError):
            wrapping.wrap(2, MEK, MEK_ID, NONCE, SESSION_KEYS["p384"].public_key(), UEID, ephemeral=p384)

    def test_a_wrapped_key_of_another_size(self):
        """AES key wrap fixes the size; OAEP does not."""
        public = RSA_KEY.public_key()
        slots = wrapping.wrap(4, MEK + b"\0", MEK_ID, NONCE, public, UEID, seed=filler("seed", 20))
        self.opening_fails("not 16 bytes", slots, RSA_KEY)

    def test_another_cards_key(self):
        encrypt, nonce, public = slots_for(1, "p256")
        with self.assertRaises(keywrap.InvalidUnwrap):
            wrapping.unwrap(encrypt, nonce, public, ec_key("other", ec.SECP256R1()), UEID)
        with self.assertRaises(FormatError):
            wrapping.unwrap(encrypt, nonce, public, SESSION_KEYS["p384"], UEID)
        encrypt, nonce, public = slots_for(4, "rsa")
        with self.assertRaises(FormatError):
            wrapping.unwrap(encrypt, nonce, public[:-1] + b"\0", RSA_KEY, UEID)

    def test_points(self):
        encrypt, nonce, public = slots_for(1, "p256")
        for bad in (public[:-1] + bytes([public[-1] ^ 1]), b"\2" + public[1:33], public[:-1], b""):
            with self.assertRaises(ValueError):
                self.opened((encrypt, nonce, bad), "p256")

    def test_a_container_bound_under_another_mek_id(self):
        data = sealed(slots=slots_for(1, "p256", mek_id=filler("other id", 16)))
        self.refused(data, "another MEK", session_key=SESSION_KEYS["p256"], ueid=UEID)
        self.refused(sealed(), "not bound", session_key=SESSION_KEYS["p256"], ueid=UEID)
        self.refused(sealed(), "give a MEK", seal_key=None)


if __name__ == "__main__":
    unittest.main()
