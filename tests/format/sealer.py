"""Makes sealed containers. Every value that should be random is taken from the caller, so that vectors can be frozen.

`draw(count)` gives the random bytes, in the order: per sealed segment in row order its data key and that key's IV
(mode 2), then one IV a chunk; then the IV of seal.tag.
"""

import dataclasses

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import qpc_format
import sealed_format as sf

SEALED_BY_DEFAULT = ("network.elf", "constants.bin")  # and more; it is enough for what is made here


def gcm_seal(key, iv, plaintext, aad):
    return iv + AESGCM(key).encrypt(iv, plaintext, aad)


def seal_segment(mek, header, name, plaintext, draw):
    """Returns the stored bytes and the part of seal.aead."""
    part, key = header.pack(), mek
    if header.mode == sf.ENVELOPE:
        key = draw(16)
        part += gcm_seal(mek, draw(12), key, sf.data_key_aad(header, name))
    part += header.pack_ranges()
    stored, chunks = bytearray(plaintext), header.chunks()
    for index, stretches in chunks:
        message = b"".join(plaintext[first:end] for first, end in stretches)
        sealed = gcm_seal(key, draw(12), message, sf.chunk_aad(header, name, index, index == chunks[-1][0]))
        part += sealed[:12] + sealed[-16:]
        at = 12
        for first, end in stretches:
            stored[first:end] = sealed[at : at + end - first]
            at += end - first
    return bytes(stored), part


def make_tag(mek, iv, manifest_bytes):
    return gcm_seal(mek, iv, sf.sha256(manifest_bytes), sf.TAG_AAD)


def sign(seal_key, manifest_bytes):
    message = sf.signed_bytes(manifest_bytes)
    if isinstance(seal_key, ed25519.Ed25519PrivateKey):
        return seal_key.sign(message)
    r, s = utils.decode_dss_signature(seal_key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything about a seal that is neither a segment nor a random value."""

    mek: bytes
    mek_id: bytes
    seal_id: bytes
    seal_key: object
    mode: int = sf.TOKEN
    log2_chunk: int = 20
    created: int = 1767225600
    model: str = "model"
    model_version: int = 1
    root: bytes = b""
    index: int = 0
    count: int = 1
    sealed: tuple = SEALED_BY_DEFAULT
    inner: tuple = ()  # names of the segments that are sealed containers already
    clear: tuple = ()  # of (name, ((first, length), ...))


def seal(plan, segments, draw, slots=(b"", b"", b"")):
    """Seals [(name, offset, bytes)]. `slots` are the contents of the MEK slots, as wrapping.wrap returns them."""
    stored, entries, aead = [], [], b""
    for name, offset, data in segments:
        kind, ranges, part = sf.CLEAR, (), b""
        if name in plan.inner:
            kind = sf.INNER
        elif name in plan.sealed and data:
            kind, ranges = sf.SEALED, dict(plan.clear).get(name, ())
            header = sf.SegmentHeader(plan.mode, plan.log2_chunk, len(data), plan.mek_id, plan.seal_id, ranges)
            data, part = seal_segment(plan.mek, header, name, data, draw)
        digest = inner_digest(data) if kind == sf.INNER else sf.segment_digest(data, part)
        stored.append((name, offset, data))
        entries.append(sf.Entry(name, len(data), offset, kind, digest, ranges))
        aead += part
    manifest = make_manifest(plan, entries).encode()
    tag = make_tag(plan.mek, draw(12), manifest)
    return close(stored, aead, manifest, tag, sign(plan.seal_key, manifest), slots)


def make_manifest(plan, entries):
    root = plan.root or plan.seal_id
    rest = (plan.created, plan.model, plan.model_version, root, plan.index, plan.count)
    return sf.Manifest(plan.seal_id, plan.mek_id, *rest, tuple(entries))


def close(stored, aead, manifest, tag, signature, slots=(b"", b"", b"")):
    """The canonical file from stored segments and the contents of the seven."""
    seven = [aead, manifest, tag, signature] + [sf.pack_slot(content) for content in slots]
    return sf.lay_out(stored + [(name, 0, data) for name, data in zip(sf.SEVEN, seven)])


def inner_digest(container):
    manifests = [s.data for s in qpc_format.read(container, output=True)[1] if s.name == "seal.manifest"]
    return sf.sha256(manifests[0])
