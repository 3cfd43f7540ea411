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
SEVEN = ("seal.aead", "seal.manifest", "seal.tag", "seal.sig") + SLOTS
HEADER_SIZE = 64
DATA_KEY_SIZE = 44
RANGE_SIZE = 16
ENTRY_SIZE = 28
PIECE = 32768
MAX_SEGMENT = 1 << 48
MAX_RANGES, MAX_RANGES_IN_ALL = 64, 1024
TOKEN, ENVELOPE = 1, 2
CLEAR, SEALED, INNER = 0, 1, 2
MANIFEST_TYPE = "qpcseal/manifest/2"
TAG_AAD = b"qpcseal/manifest/2"
SIGNATURE_PREFIX = b"qpcseal/seal/1\0"
DIGEST_PREFIX = b"qpcseal/segment/2\0"
_SEGMENT_HEADER = struct.Struct("<8sBBB5xQ16s16sI4x")


def sha256(data):
    return hashlib.sha256(data).digest()


def lp(data):
    return struct.pack(">H", len(data)) + data


def check_ranges(ranges, size):
    """Clear ranges [(first, length)] of a segment of `size` bytes."""
    require(len(ranges) <= MAX_RANGES, "too many clear ranges")
    free = 0
    for first, length in ranges:
        require(length >= 1 and first >= free, "clear ranges that are empty, out of order or not apart")
        require(first + length <= size, "a clear range outside its segment")
        free = first + length + 1
    require(sum(length for _, length in ranges) < size, "nothing is sealed")


@dataclasses.dataclass(frozen=True)
class SegmentHeader:
    mode: int
    log2_chunk: int
    size: int
    mek_id: bytes
    seal_id: bytes
    clear: tuple = ()  # of (first, length)

    def pack(self):
        fields = (self.mode, self.log2_chunk, self.size, self.mek_id, self.seal_id, len(self.clear))
        return _SEGMENT_HEADER.pack(b"QPCSEAL\0", 2, *fields)

    def pack_ranges(self):
        return b"".join(struct.pack("<QQ", *pair) for pair in self.clear)

    @property
    def block_size(self):
        """Of header and data key."""
        return HEADER_SIZE + (DATA_KEY_SIZE if self.mode == ENVELOPE else 0)

    @property
    def front_size(self):
        return self.block_size + RANGE_SIZE * len(self.clear)

    def chunks(self):
        """[(index, [(first, end) of its sealed bytes])] of the chunks that have some."""
        found, chunk = [], 1 << self.log2_chunk
        for index, at in enumerate(range(0, self.size, chunk)):
            end, stretches = min(at + chunk, self.size), []
            for first, length in (*self.clear, (end, 0)):
                if at < min(first, end):
                    stretches.append((at, min(first, end)))
                at = max(at, min(first + length, end))
            if stretches:
                found.append((index, stretches))
        return found

    @property
    def part_size(self):
        return self.front_size + ENTRY_SIZE * len(self.chunks())


def unpack_front(data):
    """The header and the clear ranges at the front of a part of seal.aead; more may follow."""
    require(len(data) >= HEADER_SIZE, "a part shorter than its header")
    magic, version, mode, log2_chunk, size, mek_id, seal_id, count = _SEGMENT_HEADER.unpack_from(data)
    require(magic == b"QPCSEAL\0" and version == 2, "not a sealed segment of version 2")
    require(mode in (TOKEN, ENVELOPE), "unknown mode")
    require(16 <= log2_chunk <= 20, "chunk size out of range")
    require(1 <= size <= MAX_SEGMENT, "a size out of range")
    require(count <= MAX_RANGES, "too many clear ranges")
    header = SegmentHeader(mode, log2_chunk, size, mek_id, seal_id)
    require(len(data) >= header.block_size + RANGE_SIZE * count, "a part shorter than its front")
    ranges = tuple(struct.unpack_from("<QQ", data, header.block_size + RANGE_SIZE * at) for at in range(count))
    check_ranges(ranges, size)
    header = dataclasses.replace(header, clear=ranges)
    require(header.pack() == data[:HEADER_SIZE], "reserved bytes of a segment header are not zero")
    return header


def chunk_aad(header, name, index, last):
    return header.pack() + lp(name.encode("utf-8")) + struct.pack(">QB", index, last)


def data_key_aad(header, name):
    return header.pack() + name.encode("utf-8")


def segment_digest(stored, part=b""):
    pieces = (stored[at : at + PIECE] for at in range(0, len(stored), PIECE))
    return sha256(DIGEST_PREFIX + struct.pack(">Q", len(stored)) + b"".join(map(sha256, pieces)) + part)


@dataclasses.dataclass(frozen=True)
class Entry:
    name: str
    size: int
    offset: int
    kind: int
    digest: bytes
    clear: tuple = ()  # of (first, length)

    def fields(self):
        return [self.name, self.size, self.offset, self.kind, self.digest, [list(pair) for pair in self.clear]]


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
        fields += [self.root, self.index, self.count, [e.fields() for e in self.entries]]
        return strict_cbor.encode(dict(enumerate(fields, 1)))


def _is_uint(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_bytes(value, size):
    return isinstance(value, bytes) and len(value) == size


def decode_manifest(data):
    fields = strict_cbor.decode(data, MAX_MANIFEST)
    require(isinstance(fields, dict) and list(fields) == list(range(1, 11)), "not the manifest's fields")
    require(fields[1] == MANIFEST_TYPE, "not a manifest of version 2")
    require(all(_is_bytes(fields[key], 16) for key in (2, 3, 7)), "an id that is not 16 bytes")
    require(all(_is_uint(fields[key]) for key in (4, 6, 8, 9)), "a number that is none")
    require(isinstance(fields[5], str) and 1 <= len(fields[5].encode()) <= 128, "model name of a wrong size")
    require(isinstance(fields[10], list), "no list of segments")
    entries = []
    for row in fields[10]:
        require(isinstance(row, list) and len(row) == 6, "a segment that is not six fields")
        entry = Entry(*row)
        require(isinstance(entry.name, str) and _is_bytes(entry.digest, 32), "a segment's name or digest")
        require(_is_uint(entry.size) and _is_uint(entry.offset), "a segment's sizes")
        require(_is_uint(entry.kind) and entry.kind <= INNER, "a segment's kind")
        require(isinstance(entry.clear, list), "no list of clear ranges")
        for pair in entry.clear:
            require(isinstance(pair, list) and len(pair) == 2 and all(map(_is_uint, pair)), "a clear range")
        entry = dataclasses.replace(entry, clear=tuple(map(tuple, entry.clear)))
        if entry.kind == SEALED:
            check_ranges(entry.clear, entry.size)
        else:
            require(not entry.clear, "clear ranges of a segment that is not sealed")
        entries.append(entry)
    require(sum(len(entry.clear) for entry in entries) <= MAX_RANGES_IN_ALL, "too many clear ranges in all")
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
    """The one canonical file for [(name, offset, stored bytes)], the seven included."""
    placed, cursor = [], HEADER.size + ROW.size * len(segments)
    for name, offset, data in segments:
        placed.append(Segment(name, offset, data, name_at=cursor))
        cursor += len(name.encode("utf-8")) + 1
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
