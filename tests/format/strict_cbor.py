"""Deterministic CBOR as FORMAT.md wants it: `encode` writes nothing else, `decode` takes nothing else."""

import dataclasses

MAX_DEPTH = 16
MAX_SIZE = 65536


class CborError(ValueError):
    """The bytes are not the one allowed encoding of an item."""


@dataclasses.dataclass(frozen=True)
class Tag:
    number: int
    value: object


def _head(major, argument):
    if not 0 <= argument < 1 << 64:
        raise CborError("a number beyond 64 bits")
    if argument < 24:
        return bytes([major << 5 | argument])
    for code, width in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << 8 * width:
            return bytes([major << 5 | code]) + argument.to_bytes(width, "big")


def encode(item):
    if item is None:
        return b"\xf6"
    if isinstance(item, bool):
        return b"\xf5" if item else b"\xf4"
    if isinstance(item, int):
        return _head(0, item) if item >= 0 else _head(1, -1 - item)
    if isinstance(item, bytes):
        return _head(2, len(item)) + item
    if isinstance(item, str):
        text = item.encode()
        return _head(3, len(text)) + text
    if isinstance(item, list):
        return _head(4, len(item)) + b"".join(map(encode, item))
    if isinstance(item, dict):
        pairs = sorted((encode(key), encode(value)) for key, value in item.items())
        return _head(5, len(pairs)) + b"".join(key + value for key, value in pairs)
    if isinstance(item, Tag):
        return _head(6, item.number) + encode(item.value)
    raise CborError(f"no encoding for {type(item).__name__}")


class _Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if count > len(self.data) - self.at:
            raise CborError("cut short")
        self.at += count
        return self.data[self.at - count : self.at]

    def head(self):
        first = self.take(1)[0]
        major, code = first >> 5, first & 31
        if major == 7:
            return major, code
        if code < 24:
            return major, code
        if code > 27:
            raise CborError("indefinite length or reserved code")
        argument = int.from_bytes(self.take(1 << code - 24), "big")
        if argument < (24, 1 << 8, 1 << 16, 1 << 32)[code - 24]:
            raise CborError("not the shortest form")
        return major, argument

    def item(self, depth):
        if depth > MAX_DEPTH:
            raise CborError("nested too deep")
        major, argument = self.head()
        if major == 7:
            if argument not in (20, 21, 22):
                raise CborError("a simple value or float that is not allowed")
            return {20: False, 21: True, 22: None}[argument]
        if major == 0:
            return argument
        if major == 1:
            return -1 - argument
        if major == 2:
            return self.take(argument)
        if major == 3:
            try:
                return self.take(argument).decode()
            except UnicodeDecodeError as error:
                raise CborError("text is not UTF-8") from error
        if major == 6:
            return Tag(argument, self.item(depth + 1))
        if argument > len(self.data) - self.at:
            raise CborError("count beyond the bytes that remain")
        if major == 4:
            return [self.item(depth + 1) for _ in range(argument)]
        return self.map(argument, depth)

    def map(self, count, depth):
        result, before = {}, b""
        for _ in range(count):
            start = self.at
            key = self.item(depth + 1)
            encoded = self.data[start : self.at]
            if isinstance(key, bool) or not isinstance(key, (int, str)):
                raise CborError("a map key that is neither number nor text")
            if encoded <= before:
                raise CborError("map keys out of order or twice")
            before, result[key] = encoded, self.item(depth + 1)
        return result


def decode(data, max_size=MAX_SIZE):
    if len(data) > max_size:
        raise CborError(f"longer than {max_size // 1024} KiB")
    reader = _Reader(bytes(data))
    item = reader.item(1)
    if reader.at != len(data):
        raise CborError("bytes after the item")
    return item
