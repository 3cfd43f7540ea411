#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A card and its host, for the stand-ins: `attest` answers any request bytes, `load` opens what the tool made.

  device.py make DIR ROOT        a card's identity and session key; ROOT holds the root's key, made where it is missing
  device.py reset DIR            another session key
  device.py attest DIR REQUEST REPORT
  device.py load DIR FOLDER OUT [NUMBER]
"""

import os
import pathlib
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import container  # noqa: E402
from cryptography.hazmat.primitives import serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, ed25519  # noqa: E402
from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: E402

RAW, DER = serialization.Encoding.Raw, serialization.Encoding.DER


def reset(card):
    key = ec.generate_private_key(ec.SECP256R1())
    (card / "session").write_bytes(key.private_bytes(DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


def session(card):
    return serialization.load_der_private_key((card / "session").read_bytes(), None)


def make(card, root):
    root.mkdir(exist_ok=True)
    if not (root / "key").exists():
        key = ed25519.Ed25519PrivateKey.generate()
        (root / "key").write_bytes(key.private_bytes(RAW, serialization.PrivateFormat.Raw, serialization.NoEncryption()))
        (root / "root.raw").write_bytes(key.public_key().public_bytes(RAW, serialization.PublicFormat.Raw))
    card.mkdir()
    (card / "ueid").write_bytes(b"\x01" + os.urandom(16))
    (card / "root").write_text(str(root))
    reset(card)


def attest(card, request, report):
    nonce = request.read_bytes()
    key = ed25519.Ed25519PrivateKey.from_private_bytes((pathlib.Path((card / "root").read_text()) / "key").read_bytes())
    spki = session(card).public_key().public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    report.write_bytes(container.make_report(nonce, (card / "ueid").read_bytes(), spki, key))


def load(card, folder, out, number=None):
    where = folder / f"device{number}" if number is not None else folder
    mek = container.unwrap((where / "MEK.encrypt").read_bytes(), (where / "MEK.nonce").read_bytes(),
                           (where / "MEK.pub").read_bytes(), session(card))
    model = (folder / "programqpc.bin").read_bytes()[len(container.MODEL):]
    out.write_bytes(AESGCM(mek).decrypt(model[:12], model[12:], None))


def main():
    command, card, *rest = sys.argv[1:]
    card = pathlib.Path(card).resolve()
    if command == "make":
        make(card, pathlib.Path(rest[0]).resolve())
    elif command == "reset":
        reset(card)
    elif command == "attest":
        attest(card, pathlib.Path(rest[0]), pathlib.Path(rest[1]))
    else:
        load(card, pathlib.Path(rest[0]), pathlib.Path(rest[1]), *rest[2:])


main()
