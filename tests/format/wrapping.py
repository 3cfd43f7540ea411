"""Wrapped keys (FORMAT.md section 3). Every random value is an argument."""

import hashlib

from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF

from qpc_format import require
from sealed_format import lp, sha256

X963, ECBKDF, OAEP_SHA256, OAEP_SHA1 = 1, 2, 3, 4
SUITE_NAMES = {
    X963: "ecdh-x963-aeskw",
    ECBKDF: "ecdh-ecbkdf-aeskw",
    OAEP_SHA256: "rsa-oaep-sha256",
    OAEP_SHA1: "rsa-oaep-sha1",
}
WRAPPED_MAGIC = b"QMEK\x01"


def public_bytes(key):
    """A session public key as contexts and slots carry it: SEC1 point, or SPKI DER for RSA."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def context(suite, mek_id, nonce, ephemeral, session_public, ueid):
    return (
        b"qpcseal/wrap/1\0"
        + bytes([suite])
        + mek_id
        + nonce
        + lp(ephemeral)
        + lp(session_public)
        + lp(ueid)
    )


def key_encryption_key(suite, private, peer, bound):
    """KEK of suites 1 and 2; `bound` is the context."""
    secret = private.exchange(ec.ECDH(), peer)
    if suite == ECBKDF:
        require(isinstance(private.curve, ec.SECP256R1), "suite 2 is for P-256 only")
        encryptor = Cipher(algorithms.AES(secret), modes.ECB()).encryptor()
        return encryptor.update(sha256(bound)) + encryptor.finalize()
    digest = hashes.SHA256() if isinstance(private.curve, ec.SECP256R1) else hashes.SHA384()
    return X963KDF(digest, 32, bound).derive(secret)


def _mgf1(name, seed, size):
    out = b""
    for counter in range(-(-size // hashlib.new(name).digest_size)):
        out += hashlib.new(name, seed + counter.to_bytes(4, "big")).digest()
    return out[:size]


def _xor(left, right):
    return bytes(a ^ b for a, b in zip(left, right))


def oaep_encrypt(name, public, message, label, seed):
    """RFC 8017 section 7.1.1 with a given seed, which is what makes vectors reproducible."""
    numbers = public.public_numbers()
    size, digest = (public.key_size + 7) // 8, hashlib.new(name)
    block = hashlib.new(name, label).digest()
    block += b"\0" * (size - len(message) - 2 * digest.digest_size - 2) + b"\1" + message
    masked = _xor(block, _mgf1(name, seed, len(block)))
    encoded = b"\0" + _xor(seed, _mgf1(name, masked, len(seed))) + masked
    return pow(int.from_bytes(encoded, "big"), numbers.e, numbers.n).to_bytes(size, "big")


def _oaep(suite, bound):
    if suite == OAEP_SHA256:
        return padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), sha256(bound))
    return padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)


def wrap(suite, mek, mek_id, nonce, session_public, ueid, *, ephemeral=None, seed=None):
    """Returns the contents of (MEK.encrypt, MEK.nonce, MEK.pub)."""
    session = public_bytes(session_public)
    if suite in (X963, ECBKDF):
        point = public_bytes(ephemeral.public_key())
        bound = context(suite, mek_id, nonce, point, session, ueid)
        wrapped = keywrap.aes_key_wrap(key_encryption_key(suite, ephemeral, session_public, bound), mek)
        public = point
    else:
        bound = context(suite, mek_id, nonce, b"", session, ueid)
        name, label = ("sha256", sha256(bound)) if suite == OAEP_SHA256 else ("sha1", b"")
        wrapped, public = oaep_encrypt(name, session_public, mek, label, seed), session
    return WRAPPED_MAGIC + bytes([suite]) + mek_id + wrapped, nonce, public


def unwrap(encrypt, nonce, public, session_key, ueid):
    """Returns (MEK id, MEK) as a card does; nothing here can tell whether the card answered that nonce."""
    require(encrypt[:5] == WRAPPED_MAGIC and len(encrypt) > 22, "not a wrapped MEK of version 1")
    suite, mek_id, wrapped = encrypt[5], encrypt[6:22], encrypt[22:]
    require(suite in SUITE_NAMES, "unknown suite")
    require(len(nonce) == 32, "nonce is not 32 bytes")
    session = public_bytes(session_key.public_key())
    if suite in (X963, ECBKDF):
        require(isinstance(session_key, ec.EllipticCurvePrivateKey), "suite wants an elliptic curve key")
        require(len(wrapped) == 24, "wrapped key is not 24 bytes")
        require(len(public) == len(session) and public[0] == 4, "not an uncompressed point of the curve")
        peer = ec.EllipticCurvePublicKey.from_encoded_point(session_key.curve, public)
        bound = context(suite, mek_id, nonce, public, session, ueid)
        mek = keywrap.aes_key_unwrap(key_encryption_key(suite, session_key, peer, bound), wrapped)
    else:
        require(isinstance(session_key, rsa.RSAPrivateKey), "suite wants an RSA key")
        require(public == session, "MEK.pub is not this card's key")
        bound = context(suite, mek_id, nonce, b"", session, ueid)
        mek = session_key.decrypt(wrapped, _oaep(suite, bound))
    require(len(mek) == 16, "MEK is not 16 bytes")
    return mek_id, mek
