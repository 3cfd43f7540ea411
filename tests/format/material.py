"""Test material that is the same every time: bytes by counting hashes, and keys from fixed private values."""

import hashlib

from cryptography.hazmat.primitives.asymmetric import ec, ed25519


class Draw:
    """Looks like a random source and never varies."""

    def __init__(self, label):
        self.label, self.calls = label, 0

    def __call__(self, count):
        self.calls += 1
        return hashlib.shake_128(f"{self.label} {self.calls}".encode()).digest(count)


def filler(label, count):
    return hashlib.shake_128(f"filler {label}".encode()).digest(count)


def ec_key(label, curve):
    scalar = int.from_bytes(filler(f"scalar {label}", curve.key_size // 8), "big") >> 1
    return ec.derive_private_key(scalar, curve)


def ed25519_key(label):
    return ed25519.Ed25519PrivateKey.from_private_bytes(filler(f"ed25519 {label}", 32))


MEK = filler("mek", 16)
MEK_ID = filler("mek id", 16)
SEAL_ID = filler("seal id", 16)
NONCE = filler("nonce", 32)
UEID = b"\x01" + filler("ueid", 16)

SEGMENTS = [
    ("network.elf", 0, filler("network", 70001)),
    ("constants.bin", 1000, filler("constants", 131072)),
    ("constantsdesc.bin", 0, filler("constantsdesc", 64)),
    ("networkdesc.bin", 0, filler("networkdesc", 229)),
    ("empty.bin", 0, b""),
    ("metadata.crc", 0, filler("crc", 4)),
]
