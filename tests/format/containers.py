"""Containers that the tests start from, and what it takes to break them."""

import dataclasses
import unittest

from cryptography.hazmat.primitives.asymmetric import ec, rsa

import decryptor
import qpc_format
import sealed_format as sf
import sealer
import wrapping
from material import MEK, MEK_ID, NONCE, SEAL_ID, SEGMENTS, UEID, Draw, ec_key, ed25519_key, filler
from qpc_format import FormatError

SEAL_KEY = ed25519_key("seal")
RSA_KEY = rsa.generate_private_key(65537, 3072)
SESSION_KEYS = {"p256": ec_key("session", ec.SECP256R1()), "p384": ec_key("session", ec.SECP384R1()), "rsa": RSA_KEY}
SUITES = [(1, "p256"), (1, "p384"), (2, "p256"), (3, "rsa"), (4, "rsa")]


def plan(**changes):
    base = sealer.Plan(MEK, MEK_ID, SEAL_ID, SEAL_KEY, log2_chunk=16)
    return dataclasses.replace(base, **changes)


def sealed(segments=SEGMENTS, slots=(b"", b"", b""), **changes):
    return sealer.seal(plan(**changes), segments, Draw("seal"), slots)


def slots_for(suite, kind, ueid=UEID, nonce=NONCE, mek_id=MEK_ID):
    session = SESSION_KEYS[kind]
    values = {"seed": filler("seed", 32 if suite == 3 else 20)}
    if kind != "rsa":
        values = {"ephemeral": ec_key("ephemeral", session.curve)}
    return wrapping.wrap(suite, MEK, mek_id, nonce, session.public_key(), ueid, **values)


def reclose(data, **changed):
    """The same container with the contents of some segments replaced, laid out canonically again."""
    rows = [(s.name, s.offset, changed.get(s.name, s.data)) for s in qpc_format.read(data)[1]]
    return sf.lay_out(rows)


def resealed(data, edit, **options):
    """The same container with a manifest edited by `edit`, tagged and signed anew."""
    seven, _ = decryptor.read_layout(data)
    manifest = edit(sf.decode_manifest(seven["seal.manifest"].data))
    encoded = manifest if isinstance(manifest, bytes) else manifest.encode()
    tag = sealer.make_tag(MEK, filler("tag iv", 12), encoded)
    changed = {"seal.manifest": encoded, "seal.tag": tag, "seal.sig": sealer.sign(SEAL_KEY, encoded)}
    return reclose(data, **{**changed, **options})


class Refusals(unittest.TestCase):
    def refused(self, data, message, kind=FormatError, **keys):
        with self.assertRaises(kind) as caught:
            decryptor.open_container(bytes(data), **(keys or {"mek": MEK, "seal_key": SEAL_KEY.public_key()}))
        if message:
            self.assertIn(message, str(caught.exception))
