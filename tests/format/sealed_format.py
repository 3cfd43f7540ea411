"""What the writer and the reader of sealed containers share: FORMAT.md section 2 as small pure functions."""

import dataclasses
import hashlib
import struct

import strict_cbor
from qpc_format import HEADER, ROW, Segment, align, assemble, require

PAGE = 4096
MAX_MANIFEST = 1310720
SLOT = 1024
SLOTS = ("MEK.encrypt", "MEK.nonce", "MEK.pub")
SIX = ("seal.manifest", "seal.tag", "seal.sig") + SLOTS
HEADER_SIZE = 64
DATA_KEY_SIZE = 44
PER_CHUNK = 28
TOKEN, ENVELOPE = 1, 2
CLEAR, SEALED, INNER = 0, 1, 2
MANIFEST_TYPE = "qpcseal/manifest/1"
TAG_AAD = b"qpcseal/manifest/1"
SIGNATURE_PREFIX = b"qpcseal/seal/1\0"
_SEGMENT_HEADER = struct.Struct("<8sBBB5xQ16s16s8x")


def sha256(data):
    return hashlib.sha256(data).digest()


def lp(data):
    return struct.pack(">H", len(data)) + data


@dataclasses.dataclass(frozen=True)
class SegmentHeader:
    mode: int
    log2_chunk: int
    plaintext_size: int
    mek_id: bytes
    seal_id: bytes

    def pack(self):
        return _SEGMENT_HEADER.pack(
            b"QPCSEAL\0", 1, self.mode, self.log2_chunk, self.plaintext_size, self.mek_id, self.seal_id
        )

    @property
    def block_size(self):
        return HEADER_SIZE + (DATA_KEY_SIZE if self.mode == ENVELOPE else 0)

    @property
    def chunk_sizes(self):
        """Plaintext sizes of the chunks."""
        whole, rest = divmod(self.plaintext_size, 1 << self.log2_chunk)
        return [1 << self.log2_chunk] * whole + ([rest] if rest else [])

    @property
    def stored_size(self):
        chunks = -(-self.plaintext_size // (1 << self.log2_chunk))
        return self.block_size + self.plaintext_size + PER_CHUNK * chunks


def unpack_header(stored):
    require(len(stored) >= HEADER_SIZE, "a sealed segment shorter than its header")
    magic, version, mode, log2_chunk, size, mek_id, seal_id = _SEGMENT_HEADER.unpack_from(stored)
    header = SegmentHeader(mode, log2_chunk, size, mek_id, seal_id)
    require(magic == b"QPCSEAL\0" and version == 1, "not a sealed segment of version 1")
    require(mode in (TOKEN, ENVELOPE), "unknown mode")
    require(16 <= log2_chunk <= 24, "chunk size out of range")
    require(size >= 1, "empty plaintext")
    require(header.pack() == stored[:HEADER_SIZE], "reserved bytes of a segment header are not zero")
    require(header.stored_size == len(stored), "stored size is not what the header says")
    return header


def chunk_aad(header, name, index, last):
    return header.pack() + lp(name.encode("ascii")) + struct.pack(">QB", index, last)


def data_key_aad(header, name):
    return header.pack() + name.encode("ascii")


def stored_chunks(header, stored):
    at = header.block_size
    for size in header.chunk_sizes:
        yield stored[at : at + size + PER_CHUNK]
        at += size + PER_CHUNK


def sealed_digest(stored):
    header = unpack_header(stored)
    return sha256(stored[: header.block_size] + b"".join(map(sha256, stored_chunks(header, stored))))


@dataclasses.dataclass(frozen=True)
class Entry:
    name: str
    stored_size: int
    offset: int
    kind: int
    digest: bytes


@dataclasses.dataclass(frozen=True)
class Manifest:
    seal_id: bytes
    mek_id: bytes
    created: int
    model: str
    model_version: int
    root: bytes
    index: int
    count: int
    entries: tuple

    def encode(self):
        fields = [MANIFEST_TYPE, self.seal_id, self.mek_id, self.created, self.model, self.model_version]
        fields += [self.root, self.index, self.count, [list(dataclasses.astuple(e)) for e in self.entries]]
        return strict_cbor.encode(dict(enumerate(fields, 1)))


def _is_uint(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_bytes(value, size):
    return isinstance(value, bytes) and len(value) == size


def decode_manifest(data):
    fields = strict_cbor.decode(data, MAX_MANIFEST)
    require(isinstance(fields, dict) and list(fields) == list(range(1, 11)), "not the manifest's fields")
    require(fields[1] == MANIFEST_TYPE, "not a manifest of version 1")
    require(all(_is_bytes(fields[key], 16) for key in (2, 3, 7)), "an id that is not 16 bytes")
    require(all(_is_uint(fields[key]) for key in (4, 6, 8, 9)), "a number that is none")
    require(isinstance(fields[5], str) and 1 <= len(fields[5].encode()) <= 128, "model name of a wrong size")
    require(isinstance(fields[10], list), "no list of segments")
    entries = []
    for row in fields[10]:
        require(isinstance(row, list) and len(row) == 5, "a segment that is not five fields")
        entry = Entry(*row)
        require(isinstance(entry.name, str) and _is_bytes(entry.digest, 32), "a segment's name or digest")
        require(_is_uint(entry.stored_size) and _is_uint(entry.offset), "a segment's sizes")
        require(_is_uint(entry.kind) and entry.kind <= INNER, "a segment's kind")
        entries.append(entry)
    return Manifest(*(fields[key] for key in range(2, 10)), tuple(entries))


def signed_bytes(manifest_bytes):
    return SIGNATURE_PREFIX + sha256(manifest_bytes)


def pack_slot(content):
    require(len(content) <= SLOT - 2, "too much for a slot")
    return (lp(content) if content else b"").ljust(SLOT, b"\0")


def unpack_slot(slot):
    (size,) = struct.unpack_from(">H", slot)
    require(len(slot) == SLOT and size <= SLOT - 2, "malformed slot")
    require(not any(slot[2 + size :]), "bytes after a slot's content")
    return slot[2 : 2 + size]


def slot_page(encrypt=b"", nonce=b"", public=b""):
    return (pack_slot(encrypt) + pack_slot(nonce) + pack_slot(public)).ljust(PAGE, b"\0")


def lay_out(segments):
    """The one canonical file for [(name, offset, stored bytes)], the six included."""
    placed, cursor = [], HEADER.size + ROW.size * len(segments)
    for name, offset, data in segments:
        placed.append(Segment(name, offset, data, name_at=cursor))
        cursor += len(name) + 1
    cursor = align(cursor, PAGE)
    for segment in placed:
        if segment.name in SLOTS:
            segment.at = cursor + SLOT * SLOTS.index(segment.name)
    cursor += PAGE
    for segment in placed:
        if segment.name not in SLOTS:
            segment.at = align(cursor, PAGE)
            cursor = segment.at + len(segment.data) if segment.data else cursor
    return assemble(placed, cursor)
