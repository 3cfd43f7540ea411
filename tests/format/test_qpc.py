"""The plain container: both layouts, and every refusal."""

import os
import pathlib
import struct
import unittest

import qpc_format
from material import SEGMENTS
from qpc_format import FormatError


class PlainContainer(unittest.TestCase):
    def read(self, data):
        base, segments = qpc_format.read(data)
        return base, [(s.name, s.offset, s.data) for s in segments]

    def refused(self, data, message):
        with self.assertRaises(FormatError) as caught:
            qpc_format.read(bytes(data))
        self.assertIn(message, str(caught.exception))

    def patched(self, at, code, value, segments=SEGMENTS):
        data = bytearray(qpc_format.write_from_files(segments))
        struct.pack_into(code, data, at, value)
        return data

    def test_both_layouts_read_back(self):
        self.assertEqual(self.read(qpc_format.write_from_files(SEGMENTS)), (0, SEGMENTS))
        self.assertEqual(self.read(qpc_format.write_in_buffer(SEGMENTS, 0x7FD92AD28010)), (0x7FD92AD28010, SEGMENTS))
        self.assertEqual(self.read(qpc_format.write_from_files([])), (0, []))

    def test_in_a_buffer_every_item_is_aligned(self):
        data = qpc_format.write_in_buffer(SEGMENTS)
        self.assertEqual(len(data) % 8, 0)
        self.assertTrue(all(s.at % 8 == 0 and s.name_at % 8 == 0 for s in qpc_format.read(data)[1]))

    @unittest.skipUnless("QPCSEAL_FIXTURES" in os.environ, "QPCSEAL_FIXTURES is not set")
    def test_compilers_samples_are_rewritten_byte_for_byte(self):
        for name in ("buffer-built.qpc", "file-built.qpc"):
            data = pathlib.Path(os.environ["QPCSEAL_FIXTURES"], name).read_bytes()
            base, segments = self.read(data)
            again = qpc_format.write_in_buffer(segments, base) if base else qpc_format.write_from_files(segments)
            self.assertEqual(again, data, name)

    def test_header_fields(self):
        cases = [
            (0, "<I", 1, "magic"),
            (4, "<B", 1, "version"),
            (5, "<B", 2, "version"),
            (6, "<H", 0, "compression"),
            (8, "<Q", 41, "size"),
            (16, "<Q", 41, "outside"),
            (24, "<Q", 4097, "too many"),
            (24, "<Q", 4096, "outside"),
            (32, "<Q", 1 << 40, "outside"),
            (32, "<Q", (1 << 64) - 32, "outside"),
        ]
        for at, code, value, message in cases:
            with self.subTest(at=at, value=value):
                self.refused(self.patched(at, code, value), message)
        self.refused(qpc_format.write_from_files(SEGMENTS)[:39], "shorter")
        self.refused(qpc_format.write_from_files(SEGMENTS) + b"\0", "size")

    def test_row_fields(self):
        segments = [("constants.bin", 4, b"12345678"), ("b", 0, b"87654321")]
        data = qpc_format.write_from_files(segments)
        first, second = (s.at for s in qpc_format.read(data)[1])
        cases = [
            (40, "<Q", 1 << 63, "outside"),
            (40, "<Q", 9, "overlap"),
            (48, "<Q", 9, "static part"),
            (56, "<Q", len(data), "outside"),
            (56, "<Q", len(data) - 1, "name"),
            (64, "<Q", len(data), "outside"),
            (64, "<Q", second, "overlap"),
            (64, "<Q", 40, "overlap"),
            (64, "<Q", 39, "overlap"),
            (64, "<Q", 0, "overlap"),
            (88, "<Q", 40 + 64, "equal names"),
            (88, "<Q", 40 + 65, "overlap"),
            (88, "<Q", first + 8, "name"),
        ]
        for at, code, value, message in cases:
            with self.subTest(at=at, value=value):
                self.refused(self.patched(at, code, value, segments), message)

    def test_names(self):
        for name in ("", "a/b", "a\x7f", "a\n", "n" * 256, "é" * 128):
            with self.subTest(name=name):
                self.refused(qpc_format.write_from_files([(name, 0, b"x")]), "name")
        broken = qpc_format.write_from_files([("ab", 0, b"x")]).replace(b"ab\0", b"a\xc3\0")
        self.refused(broken, "UTF-8")
        segments = [("n" * 255, 0, b"x"), ("a b~", 7, b""), ("größer", 0, b"y")]
        self.assertEqual(self.read(qpc_format.write_from_files(segments)), (0, segments))
        for name in ("seal.x", "MEK.pub"):
            with self.assertRaises(FormatError):
                qpc_format.read_input(qpc_format.write_from_files([(name, 0, b"x")]))


if __name__ == "__main__":
    unittest.main()
