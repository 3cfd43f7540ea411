"""The stand-ins' own formats. They are made up for these tests: the vendor's are not public, and nothing here is a guess
at them. Shares no code with the product.

Report:    "FAKE-REPORT-1" nonce(32) ueid(17) u16 spki-length spki signature(64: Ed25519 of all before)
Model:     "FAKE-MODEL-1\n" iv(12) AES-128-GCM(model)         programqpc.bin
Wrapped:   MEK.encrypt = "FAKE-WRAP" iv(12) AES-256-GCM(MEK) under HKDF(ECDH), MEK.pub = ephemeral point, MEK.nonce
"""

import hashlib

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

REPORT = b"FAKE-REPORT-1"
MODEL = b"FAKE-MODEL-1\n"
WRAPPED = b"FAKE-WRAP"


def parse_report(data):
    """nonce, ueid, spki, what is signed, signature."""
    if not data.startswith(REPORT):
        raise ValueError("not a report")
    at = len(REPORT)
    nonce, ueid = data[at:at + 32], data[at + 32:at + 49]
    size = int.from_bytes(data[at + 49:at + 51], "big")
    spki, signature = data[at + 51:at + 51 + size], data[at + 51 + size:]
    if len(signature) != 64:
        raise ValueError("a report of another size")
    return nonce, ueid, spki, data[:-64], signature


def make_report(nonce, ueid, spki, signer):
    body = REPORT + nonce + ueid + len(spki).to_bytes(2, "big") + spki
    return body + signer.sign(body)


def root_digest(public):
    return hashlib.sha256(public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)).hexdigest()


def kek(secret, nonce):
    return HKDF(hashes.SHA256(), 32, nonce, b"fake-wrap").derive(secret)


def wrap(mek, report, iv):
    nonce, _, spki, _, _ = parse_report(report)
    ephemeral = ec.generate_private_key(ec.SECP256R1())
    secret = ephemeral.exchange(ec.ECDH(), serialization.load_der_public_key(spki))
    point = ephemeral.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return WRAPPED + iv + AESGCM(kek(secret, nonce)).encrypt(iv, mek, nonce), nonce, point


def unwrap(wrapped, nonce, point, private):
    iv, body = wrapped[len(WRAPPED):len(WRAPPED) + 12], wrapped[len(WRAPPED) + 12:]
    peer = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    return AESGCM(kek(private.exchange(ec.ECDH(), peer), nonce)).decrypt(iv, body, nonce)


def load_root(raw):
    return ed25519.Ed25519PublicKey.from_public_bytes(raw)
