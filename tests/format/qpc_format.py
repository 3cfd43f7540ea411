"""The plain QPC container (FORMAT.md section 1): a strict reader, and a writer for both layouts compilers make."""

import dataclasses
import struct

HEADER = struct.Struct("<IBBHQQQQ")
ROW = struct.Struct("<QQQQ")
MAGIC = 0x00A1CD7C
MAX_SEGMENTS = 4096
MAX_NAME = 255


class FormatError(ValueError):
    """The bytes break a rule of FORMAT.md."""


def require(condition, message):
    if not condition:
        raise FormatError(message)


@dataclasses.dataclass
class Segment:
    name: str
    offset: int
    data: bytes
    at: int = 0  # where the data stands in the file; set by the reader
    name_at: int = 0


def read(data, *, output=False):
    """Returns (base, [Segment]). `output` is the stricter form that a sealer writes: base 0."""
    require(len(data) >= HEADER.size, "shorter than a header")
    magic, major, minor, compression, size, base, count, table = HEADER.unpack_from(data)
    require(magic == MAGIC, "wrong magic")
    require((major, minor) == (0, 1), "version is not 0.1")
    require(compression == 1, "compression is not 1")
    require(size == len(data), "size is not the file's size")
    require(count <= MAX_SEGMENTS, "too many segments")
    require(not output or base == 0, "base is not 0")

    def place(pointer, length):
        at = pointer - base
        require(0 <= at and at + length <= len(data), "a range outside the file")
        return at

    used = [(0, HEADER.size)]
    table_at = place(table, count * ROW.size)
    used.append((table_at, count * ROW.size))
    segments = []
    for row in range(count):
        length, offset, name_pointer, data_pointer = ROW.unpack_from(data, table_at + row * ROW.size)
        name_at = place(name_pointer, 1)
        name = _read_name(data, name_at)
        at = place(data_pointer, length)
        used += [(name_at, len(name.encode("utf-8")) + 1), (at, length)]
        require(name != "constants.bin" or offset <= length, "static part larger than constants.bin")
        segments.append(Segment(name, offset, data[at : at + length], at, name_at))
    require(len({segment.name for segment in segments}) == count, "two equal names")
    _refuse_overlap(used)
    return base, segments


def read_input(data):
    """The segments of a container that is to be sealed."""
    segments = read(data)[1]
    for segment in segments:
        require(not segment.name.startswith(("seal.", "MEK.")), f"the name {segment.name} is reserved")
    return segments


def _read_name(data, at):
    end = data.find(b"\0", at, at + MAX_NAME + 1)
    require(end != -1, "a name without its end, or longer than 255 bytes")
    name = data[at:end]
    check_name(name)
    return name.decode("utf-8")


def check_name(name):
    require(1 <= len(name) <= MAX_NAME, "an empty or long name")
    require(all(byte >= 0x20 and byte not in (0x2F, 0x7F) for byte in name), "a name with bytes that are not allowed")
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        require(False, "a name that is not UTF-8")


def _refuse_overlap(ranges):
    reached = 0
    for at, length in sorted(entry for entry in ranges if entry[1]):
        require(at >= reached, "two ranges overlap")
        reached = at + length


def align(position, step):
    return -(-position // step) * step


def assemble(segments, size, base=0):
    """A file of `size` bytes with the table at 40, from [Segment] whose `at` and `name_at` are set."""
    out = bytearray(size)
    HEADER.pack_into(out, 0, MAGIC, 0, 1, 1, size, base, len(segments), base + HEADER.size)
    for row, segment in enumerate(segments):
        fields = (len(segment.data), segment.offset, base + segment.name_at, base + segment.at)
        ROW.pack_into(out, HEADER.size + row * ROW.size, *fields)
        out[segment.name_at : segment.name_at + len(segment.name.encode("utf-8"))] = segment.name.encode("utf-8")
        out[segment.at : segment.at + len(segment.data)] = segment.data
    return bytes(out)


def write(segments, *, base=0, step=1):
    """Header, table, all names, all data; every item starts at, and the file ends at, a multiple of `step`."""
    placed, cursor = [], HEADER.size + ROW.size * len(segments)
    for name, offset, data in segments:
        placed.append(Segment(name, offset, data, name_at=cursor))
        cursor = align(cursor + len(name.encode("utf-8")) + 1, step)
    for segment in placed:
        segment.at = cursor
        cursor = align(cursor + len(segment.data), step)
    return assemble(placed, cursor, base)


def write_from_files(segments):
    """The layout of compilers that assemble files: base 0, no alignment. Takes [(name, offset, bytes)]."""
    return write(segments)


def write_in_buffer(segments, base=0x7F0000001010):
    """The layout of compilers that build in memory: the buffer's old address as base, items 8-byte aligned."""
    return write(segments, base=base, step=8)
