"""A FIDO authenticator in software: SSH security keys (OpenSSH's PROTOCOL.u2f) and their SSHSIG files."""

import base64
import hashlib
import struct

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

USER_PRESENT, USER_VERIFIED = 1, 4
APPLICATION = b"ssh:"


def string(data):
    return struct.pack(">I", len(data)) + data


def mpint(number):
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return string(b"\0" + data if data[:1] >= b"\x80" else data)


class SecurityKey:
    """kind: "sk-ssh-ed25519@openssh.com" or "sk-ecdsa-sha2-nistp256@openssh.com"."""

    def __init__(self, kind):
        self.kind = kind
        self.counter = 0
        if kind.startswith("sk-ssh-ed25519"):
            self.key = ed25519.Ed25519PrivateKey.generate()
            raw = self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            body = string(raw)
        else:
            self.key = ec.generate_private_key(ec.SECP256R1())
            point = self.key.public_key().public_bytes(serialization.Encoding.X962,
                                                       serialization.PublicFormat.UncompressedPoint)
            body = string(b"nistp256") + string(point)
        self.blob = string(kind.encode()) + body + string(APPLICATION)

    def public(self):
        return f"{self.kind} {base64.b64encode(self.blob).decode()}"

    def sign(self, message, sig_namespace, flags=USER_PRESENT):
        """The text of a .sig file."""
        self.counter += 1
        data = (b"SSHSIG" + string(sig_namespace.encode()) + string(b"") + string(b"sha512") +
                string(hashlib.sha512(message).digest()))
        tail = struct.pack(">BI", flags, self.counter)
        signed = hashlib.sha256(APPLICATION).digest() + tail + hashlib.sha256(data).digest()
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            signature = self.key.sign(signed)
        else:
            r, s = utils.decode_dss_signature(self.key.sign(signed, ec.ECDSA(hashes.SHA256())))
            signature = mpint(r) + mpint(s)
        wire = string(self.kind.encode()) + string(signature) + tail
        blob = (b"SSHSIG" + struct.pack(">I", 1) + string(self.blob) + string(sig_namespace.encode()) + string(b"") +
                string(b"sha512") + string(wire))
        text = base64.b64encode(blob).decode()
        lines = "\n".join(text[i:i + 70] for i in range(0, len(text), 70))
        return f"-----BEGIN SSH SIGNATURE-----\n{lines}\n-----END SSH SIGNATURE-----\n"
