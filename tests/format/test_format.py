"""Round trips through the implementation that was written from FORMAT.md alone, and its command line."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

import decryptor
import qpc_format
import sealed_format as sf
from containers import SEAL_KEY, SESSION_KEYS, SUITES, Refusals, reclose, sealed, slots_for
from material import MEK, SEAL_ID, SEGMENTS, UEID, ec_key, filler


class RoundTrip(unittest.TestCase):
    def test_both_modes_with_the_mek(self):
        for mode in (sf.TOKEN, sf.ENVELOPE):
            opened = decryptor.open_container(sealed(mode=mode), mek=MEK, seal_key=SEAL_KEY.public_key())
            self.assertEqual(opened["segments"], SEGMENTS)
            self.assertEqual(opened["manifest"].seal_id, SEAL_ID)

    def test_chunk_borders(self):
        for log2_chunk in (16, 17):
            chunk = 1 << log2_chunk
            for size in (1, chunk - 1, chunk, chunk + 1, 2 * chunk, 2 * chunk + 1):
                with self.subTest(size=size):
                    segments = [("network.elf", 0, filler("border", size))]
                    data = sealed(segments, log2_chunk=log2_chunk)
                    self.assertEqual(decryptor.open_container(data, mek=MEK)["segments"], segments)

    def test_clear_ranges_stay_where_they_are(self):
        segments = [("network.elf", 0, filler("elf", 5 * 65536 + 9))]
        for ranges in (((0, 52),), ((100, 9), (65536, 65536)), ((65535, 2),), ((0, 2 * 65536), (3 * 65536 + 1, 2 * 65536 + 8))):
            for mode in (sf.TOKEN, sf.ENVELOPE):
                data = sealed(segments, mode=mode, clear=(("network.elf", ranges),))
                self.assertEqual(decryptor.open_container(data, mek=MEK)["segments"], segments)
                stored = qpc_format.read(data)[1][0].data
                clear = {at for first, length in ranges for at in range(first, first + length)}
                same = sum(a == b for at, (a, b) in enumerate(zip(stored, segments[0][2])) if at not in clear)
                self.assertTrue(all(stored[at] == segments[0][2][at] for at in clear))
                self.assertLess(same, len(stored) // 100)

    def test_every_suite(self):
        for suite, kind in SUITES:
            with self.subTest(suite=suite, kind=kind):
                data = sealed(slots=slots_for(suite, kind))
                opened = decryptor.open_container(data, session_key=SESSION_KEYS[kind], ueid=UEID)
                self.assertEqual(opened["segments"], SEGMENTS)

    def test_p256_seal_key(self):
        key = ec_key("seal", ec.SECP256R1())
        data = sealed(seal_key=key)
        decryptor.open_container(data, mek=MEK, seal_key=key.public_key())
        with self.assertRaises(InvalidSignature):
            decryptor.open_container(data, mek=MEK, seal_key=ec_key("other", ec.SECP256R1()).public_key())

    def test_the_stored_bytes_hide_the_plaintext(self):
        data = sealed()
        for name, _, plain in SEGMENTS[:2]:
            self.assertNotIn(plain[:16], data, name)

    def test_binding_touches_only_the_slot_page(self):
        unbound, bound = sealed(), sealed(slots=slots_for(1, "p384"))
        at = qpc_format.read(unbound)[1][-3].at
        self.assertEqual(at % 4096, 0)
        self.assertEqual(unbound[:at], bound[:at])
        self.assertEqual(unbound[at + 4096 :], bound[at + 4096 :])
        self.assertEqual(bound[at : at + 4096], sf.slot_page(*slots_for(1, "p384")))

    def test_no_segments_and_only_empty_ones(self):
        for segments in ([], [("a", 0, b"")], [("a", 0, b""), ("network.elf", 0, b""), ("b", 0, b"")]):
            self.assertEqual(decryptor.open_container(sealed(segments), mek=MEK)["segments"], segments)

    def test_as_many_segments_as_a_container_may_have(self):
        segments = [(f"{number:04}-".ljust(255, "n"), 0, b"") for number in range(4089)]
        self.assertEqual(decryptor.open_container(sealed(segments), mek=MEK)["segments"], segments)


class Nested(Refusals):
    def nested(self, indices=(0, 1), count=2, root=SEAL_ID):
        inners = [
            sealed(SEGMENTS[:3], seal_id=filler(f"inner {index}", 16), root=root, index=index, count=count)
            for index in indices
        ]
        names = [f"part{at}" for at in range(len(inners))]
        self.segments = [("mdp_meta_info", 0, b"{}")] + [(n, 0, c) for n, c in zip(names, inners)]
        return sealed(self.segments, inner=tuple(names))

    def test_round_trip(self):
        opened = decryptor.open_container(self.nested(), mek=MEK, seal_key=SEAL_KEY.public_key())
        plain = qpc_format.write_from_files(SEGMENTS[:3])
        self.assertEqual(opened["segments"], [("mdp_meta_info", 0, b"{}"), ("part0", 0, plain), ("part1", 0, plain)])

    def test_refusals(self):
        self.refused(self.nested(root=filler("other", 16)), "another seal")
        self.refused(self.nested(count=3), "count")
        self.refused(self.nested(indices=(0, 0)), "indices")
        data = self.nested()
        swapped = {"part0": self.segments[2][2], "part1": self.segments[1][2]}
        self.refused(reclose(data, **swapped), "inner container's digest")

    def test_binding_an_inner_container_keeps_the_outer_seal(self):
        data = self.nested()
        inner = reclose(self.segments[1][2], **dict(zip(sf.SLOTS, map(sf.pack_slot, slots_for(1, "p256")))))
        bound = reclose(data, part0=inner)
        by_mek = decryptor.open_container(bound, mek=MEK, seal_key=SEAL_KEY.public_key())
        opened = decryptor.open_container(bound, session_key=SESSION_KEYS["p256"], ueid=UEID)
        self.assertEqual(opened["segments"], by_mek["segments"])
        self.refused(data, "no partition is bound", session_key=SESSION_KEYS["p256"], ueid=UEID)
        self.refused(inner, "taken out of it")

    def test_slots_beside_partitions_and_partitions_in_partitions(self):
        slots = dict(zip(sf.SLOTS, map(sf.pack_slot, slots_for(1, "p256"))))
        self.refused(reclose(self.nested(), **slots), "slots in use")
        segments = [("part", 0, self.nested()), ("mdp_meta_info", 0, b"{}")]
        self.refused(sealed(segments, seal_id=filler("outermost", 16), inner=("part",)), "partitions in a partition")


class CommandLine(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.container = self.folder / "container"
        self.out = self.folder / "out"

    def run_it(self, *arguments, fd=None):
        command = [sys.executable, decryptor.__file__, self.container, *arguments, "-o", self.out]
        return subprocess.run(command, pass_fds=[fd] if fd else [], capture_output=True, text=True, check=False)

    def pem(self, name, key, private):
        path = self.folder / name
        spki = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        pkcs8 = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        path.write_bytes(key.private_bytes(*pkcs8) if private else key.public_key().public_bytes(*spki))
        return path

    def with_mek(self, mek, *more):
        read_end, write_end = os.pipe()
        os.write(write_end, mek.hex().encode() + b"\n")
        os.close(write_end)
        try:
            return self.run_it("--mek-hex-fd", str(read_end), *more, fd=read_end)
        finally:
            os.close(read_end)

    def test_with_a_mek(self):
        self.container.write_bytes(sealed())
        done = self.with_mek(MEK, "--seal-key", self.pem("seal", SEAL_KEY, False))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(self.out.read_bytes(), qpc_format.write_from_files(SEGMENTS))

    def test_with_session_keys(self):
        for suite, kind in SUITES:
            self.out.unlink(missing_ok=True)
            self.container.write_bytes(sealed(slots=slots_for(suite, kind)))
            key = self.pem(kind, SESSION_KEYS[kind], True)
            done = self.run_it("--session-key", key, "--ueid", UEID.hex())
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("signature not checked", done.stderr)
            self.assertEqual(self.out.read_bytes(), qpc_format.write_from_files(SEGMENTS))

    def test_failures_leave_no_output(self):
        self.container.write_bytes(sealed())
        self.assertEqual(self.with_mek(filler("other", 16)).returncode, 1)
        self.assertIn("a MEK is 16 bytes", self.with_mek(MEK[:15]).stderr)
        self.assertFalse(self.out.exists())
        self.out.write_bytes(b"there before")
        self.assertEqual(self.with_mek(MEK).returncode, 1)
        self.assertEqual(self.out.read_bytes(), b"there before")


if __name__ == "__main__":
    unittest.main()
