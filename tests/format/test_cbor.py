"""Deterministic CBOR, compared with cbor2, and what it refuses."""

import unittest

import cbor2

import strict_cbor


class Cbor(unittest.TestCase):
    def test_agrees_with_another_implementation(self):
        items = [0, 23, 24, 255, 256, 65535, 65536, 1 << 32, (1 << 64) - 1, -1, -24, -25, -75002, -(1 << 64)]
        items += [b"", b"x" * 300, "", "é", [], [1, [2, [3]]], {}, {1: {2: 3}, -1: "a", "": b""}, True, False, None]
        for item in items:
            with self.subTest(item=str(item)[:40]):
                self.assertEqual(strict_cbor.encode(item), cbor2.dumps(item, canonical=True))
                self.assertEqual(strict_cbor.decode(cbor2.dumps(item, canonical=True)), item)
        # RFC 8949 sorts keys bytewise; the older canonical order, which cbor2 writes, puts short keys first.
        self.assertEqual(strict_cbor.encode({-1: 0, 256: 0}).hex(), "a2190100002000")
        tagged = strict_cbor.Tag(61, strict_cbor.Tag(18, [b"", {}]))
        self.assertEqual(strict_cbor.decode(strict_cbor.encode(tagged)), tagged)

    def test_refusals(self):
        for name, data in {
            "nothing": "",
            "more than one item": "0000",
            "longer than needed": "1817",
            "longer than needed, 2 bytes": "1900ff",
            "longer than needed, 4 bytes": "1a0000ffff",
            "longer than needed, 8 bytes": "1b00000000ffffffff",
            "long length": "580161",
            "indefinite bytes": "5f4161ff",
            "indefinite list": "9f00ff",
            "indefinite map": "bf0000ff",
            "reserved": "1c" + "00" * 16,
            "break": "ff",
            "half float": "f93c00",
            "double": "fb3ff0000000000000",
            "undefined": "f7",
            "simple 32": "f820",
            "duplicate key": "a200000000",
            "keys out of order": "a201000000",
            "key out of bytewise order": "a220000100",
            "boolean key": "a1f500",
            "list key": "a18000",
            "count beyond the end": "9b7fffffffffffffff00",
            "map count beyond the end": "bb7fffffffffffffff00",
            "bytes cut short": "4261",
            "not UTF-8": "61ff",
            "depth 17": "81" * 16 + "00",
        }.items():
            with self.subTest(name), self.assertRaises(strict_cbor.CborError):
                strict_cbor.decode(bytes.fromhex(data))
        with self.assertRaisesRegex(strict_cbor.CborError, "count beyond"):
            strict_cbor.decode(bytes.fromhex("9a0100000000"))
        for item in (1 << 64, -(1 << 64) - 1, 1.5, (1, 2)):
            with self.assertRaises(strict_cbor.CborError):
                strict_cbor.encode(item)
        strict_cbor.decode(bytes.fromhex("81" * 15 + "00"))
        with self.assertRaises(strict_cbor.CborError):
            strict_cbor.decode(strict_cbor.encode(bytes(65536)))


if __name__ == "__main__":
    unittest.main()
