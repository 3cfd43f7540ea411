"""Round trips and refusals of the implementation that was written from FORMAT.md alone."""

import dataclasses
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

import cbor2
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap

import decryptor
import qpc_format
import sealed_format as sf
import sealer
import strict_cbor
import wrapping
from material import MEK, MEK_ID, NONCE, SEAL_ID, SEGMENTS, UEID, Draw, ec_key, ed25519_key, filler
from qpc_format import FormatError

SEAL_KEY = ed25519_key("seal")
RSA_KEY = rsa.generate_private_key(65537, 3072)
SESSION_KEYS = {"p256": ec_key("session", ec.SECP256R1()), "p384": ec_key("session", ec.SECP384R1()), "rsa": RSA_KEY}
SUITES = [(1, "p256"), (1, "p384"), (2, "p256"), (3, "rsa"), (4, "rsa")]


def plan(**changes):
    base = sealer.Plan(MEK, MEK_ID, SEAL_ID, SEAL_KEY, log2_chunk=16)
    return dataclasses.replace(base, **changes)


def sealed(segments=SEGMENTS, slots=(b"", b"", b""), **changes):
    return sealer.seal(plan(**changes), segments, Draw("seal"), slots)


def slots_for(suite, kind, ueid=UEID, nonce=NONCE, mek_id=MEK_ID):
    session = SESSION_KEYS[kind]
    values = {"seed": filler("seed", 32 if suite == 3 else 20)}
    if kind != "rsa":
        values = {"ephemeral": ec_key("ephemeral", session.curve)}
    return wrapping.wrap(suite, MEK, mek_id, nonce, session.public_key(), ueid, **values)


def reclose(data, **changed):
    """The same container with the contents of some segments replaced, laid out canonically again."""
    rows = [(s.name, s.offset, changed.get(s.name, s.data)) for s in qpc_format.read(data)[1]]
    return sf.lay_out(rows)


def resealed(data, edit, **options):
    """The same container with a manifest edited by `edit`, tagged and signed anew."""
    six, _ = decryptor.read_layout(data)
    manifest = edit(sf.decode_manifest(six["seal.manifest"].data))
    encoded = manifest if isinstance(manifest, bytes) else manifest.encode()
    tag = sealer.make_tag(MEK, filler("tag iv", 12), encoded)
    six = {"seal.manifest": encoded, "seal.tag": tag, "seal.sig": sealer.sign(SEAL_KEY, encoded)}
    return reclose(data, **six, **options)


class Refusals(unittest.TestCase):
    def refused(self, data, message, kind=FormatError, **keys):
        with self.assertRaises(kind) as caught:
            decryptor.open_container(bytes(data), **(keys or {"mek": MEK, "seal_key": SEAL_KEY.public_key()}))
        if message:
            self.assertIn(message, str(caught.exception))


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
        for name in ("", "a/b", "a\x7f", "a\n", "n" * 256):
            with self.subTest(name=name):
                self.refused(qpc_format.write_from_files([(name, 0, b"x")]), "name")
        qpc_format.read(qpc_format.write_from_files([("n" * 255, 0, b"x"), ("a b~", 7, b"")]))
        for name in ("seal.x", "MEK.pub"):
            with self.assertRaises(FormatError):
                qpc_format.read_input(qpc_format.write_from_files([(name, 0, b"x")]))


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
        decryptor.open_container(bound, mek=MEK, seal_key=SEAL_KEY.public_key())
        opened = decryptor.open_container(inner, session_key=SESSION_KEYS["p256"], ueid=UEID)
        self.assertEqual(opened["segments"], SEGMENTS[:3])


class Layout(Refusals):
    def test_every_padding_byte_counts(self):
        data = sealed(slots=slots_for(1, "p256"))
        used = bytearray(len(data))
        segments = qpc_format.read(data)[1]
        for at, size in [(0, 40 + 32 * len(segments))] + [(s.at, len(s.data)) for s in segments]:
            used[at : at + size] = b"\1" * size
        for segment in segments:
            used[segment.name_at : segment.name_at + len(segment.name) + 1] = b"\1" * (len(segment.name) + 1)
        padding = [at for at, flag in enumerate(used) if not flag]
        self.assertGreater(len(padding), 4096)
        for at in padding[:: len(padding) // 40] + padding[-1:]:
            broken = bytearray(data)
            broken[at] = 1
            self.refused(broken, "canonical")

    def test_another_layout(self):
        data = sealed()
        rows = [(s.name, s.offset, s.data) for s in qpc_format.read(data)[1]]
        self.refused(qpc_format.write_from_files(rows), "canonical")
        self.refused(qpc_format.write_in_buffer(rows), "base")
        grown = bytearray(data + b"\0")
        struct.pack_into("<Q", grown, 8, len(grown))
        self.refused(grown, "canonical")

    def test_the_six(self):
        rows = [(s.name, s.offset, s.data) for s in qpc_format.read(sealed())[1]]
        self.refused(sf.lay_out(rows[:-6] + [rows[-5], rows[-6]] + rows[-4:]), "last six")
        self.refused(sf.lay_out(rows[-6:] + rows[:-6]), "last six")
        self.refused(sf.lay_out(rows[:6] + [("seal.manifest", 1, rows[6][2])] + rows[7:]), "offset")
        for name, size in (("seal.tag", 59), ("seal.sig", 65), ("MEK.nonce", 1023)):
            self.refused(reclose(sealed(), **{name: bytes(size)}), name if size != 1023 else "1024")
        self.refused(qpc_format.write_from_files(SEGMENTS), "last six")

    def test_slots(self):
        full = sf.pack_slot(filler("slot", 1022))
        self.assertEqual(sf.unpack_slot(full), filler("slot", 1022))
        self.refused(reclose(sealed(), **{"MEK.pub": b"\x03\xff".ljust(1024, b"\0")}), "malformed slot")
        self.refused(reclose(sealed(), **{"MEK.pub": b"\0\1ab".ljust(1024, b"\0")}), "after a slot")
        self.refused(reclose(sealed(), **{"MEK.pub": b"\0\0a".ljust(1024, b"\0")}), "after a slot")
        for name in sf.SLOTS:
            one_empty = reclose(sealed(slots=slots_for(1, "p256")), **{name: bytes(1024)})
            self.refused(one_empty, "one slot is empty")


class Tampering(Refusals):
    def flip(self, name, at, **changes):
        data = sealed(**changes)
        content = bytearray(next(s.data for s in qpc_format.read(data)[1] if s.name == name))
        content[at] ^= 1
        return reclose(data, **{name: bytes(content)})

    def test_segments(self):
        for name in ("network.elf", "constants.bin"):
            for mode in (sf.TOKEN, sf.ENVELOPE):
                for at in (70, 120, -1, -20):
                    self.refused(self.flip(name, at, mode=mode), "digest of")
        self.refused(self.flip("networkdesc.bin", 3), "digest of")

    def test_header_of_a_segment(self):
        cases = [(0, "version 1"), (8, "version 1"), (9, ""), (11, "reserved"), (15, "reserved"), (63, "reserved")]
        for at, message in cases + [(10, ""), (16, "stored size"), (24, "digest of"), (40, "digest of")]:
            with self.subTest(at=at):
                self.refused(self.flip("network.elf", at), message)

    def test_manifest_tag_signature(self):
        self.refused(self.flip("seal.manifest", 30), None, InvalidSignature)
        self.refused(self.flip("seal.manifest", 30), None, FormatError, mek=MEK)
        self.refused(self.flip("seal.sig", 10), None, InvalidSignature)
        self.refused(self.flip("seal.tag", 20), None, InvalidTag)
        self.refused(sealed(), None, InvalidTag, mek=filler("other mek", 16))
        self.refused(sealed(), None, InvalidSignature, mek=MEK, seal_key=ed25519_key("other").public_key())

    def test_chunks_cannot_move(self):
        """Even with digests, tag and signature made anew, the chunks' own tags hold order, name and end."""
        data = sealed()
        stored = next(s.data for s in qpc_format.read(data)[1] if s.name == "constants.bin")
        header = sf.unpack_header(stored)
        first, second = sf.stored_chunks(header, stored)
        swapped = stored[:64] + second + first
        shorter = dataclasses.replace(header, plaintext_size=65536).pack() + first
        for changed in (swapped, shorter):
            self.refused(self.with_segment(data, "constants.bin", changed), None, InvalidTag)
        other = next(s.data for s in qpc_format.read(sealed())[1] if s.name == "network.elf")
        self.refused(self.with_segment(data, "constants.bin", other), None, InvalidTag)

    def with_segment(self, data, name, stored):
        def edit(manifest):
            change = {"stored_size": len(stored), "digest": sf.sealed_digest(stored)}
            rows = [dataclasses.replace(e, **change) if e.name == name else e for e in manifest.entries]
            return dataclasses.replace(manifest, entries=tuple(rows))

        return resealed(data, edit, **{name: stored})

    def test_a_manifest_that_tells_something_else(self):
        def with_entry(**change):
            return lambda m: dataclasses.replace(m, entries=(dataclasses.replace(m.entries[0], **change),) + m.entries[1:])

        cases = [
            (with_entry(name="network.elg"), "differ"),
            (with_entry(offset=1), "differ"),
            (with_entry(stored_size=1), "stored size"),
            (with_entry(kind=0), "digest"),
            (with_entry(digest=bytes(32)), "digest"),
            (lambda m: dataclasses.replace(m, entries=m.entries[:-1]), "differ"),
            (lambda m: dataclasses.replace(m, entries=m.entries[1:] + m.entries[:1]), "differ"),
            (lambda m: dataclasses.replace(m, mek_id=bytes(16)), "another seal"),
            (lambda m: dataclasses.replace(m, seal_id=bytes(16)), "another seal"),
        ]
        for edit, message in cases:
            self.refused(resealed(sealed(), edit), message)

    def test_manifest_is_strict(self):
        encoded = sf.decode_manifest(decryptor.read_layout(sealed())[0]["seal.manifest"].data).encode()
        fields = strict_cbor.decode(encoded)
        changes = [(1, "qpcseal/manifest/2"), (2, b"short"), (4, -1), (4, "x"), (5, ""), (5, "é" * 65), (6, True)]
        changes += [(9, None), (10, {}), (10, [[]]), (10, [["a", 1, 0, 3, bytes(32)]]), (10, [["a", 1, 0, 0, b""]])]
        for key, value in changes + [(11, 0), (-1, 0)]:
            with self.subTest(key=key, value=value), self.assertRaises(FormatError):
                sf.decode_manifest(strict_cbor.encode({**fields, key: value}))
        with self.assertRaises(strict_cbor.CborError):
            sf.decode_manifest(encoded + b"\0")


class Wrapping(Refusals):
    def opened(self, slots, kind, ueid=UEID):
        return wrapping.unwrap(*slots, SESSION_KEYS[kind], ueid)

    def test_bound_to_every_part_of_the_context(self):
        for suite, kind in SUITES[:4]:
            encrypt, nonce, public = slots_for(suite, kind)
            wrong = (InvalidUnwrap, ValueError)
            other_id = encrypt[:6] + filler("other id", 16) + encrypt[22:]
            for slots, ueid in [
                ((other_id, nonce, public), UEID),
                ((encrypt, filler("other", 32), public), UEID),
                ((encrypt, nonce, public), UEID[:-1] + b"\0"),
            ]:
                with self.subTest(suite=suite), self.assertRaises(wrong):
                    self.opened(slots, kind, ueid)
            self.assertEqual(self.opened((encrypt, nonce, public), kind), (MEK_ID, MEK))

    def test_suite_cannot_be_renamed(self):
        encrypt, nonce, public = slots_for(1, "p256")
        for suite, kind in ((2, InvalidUnwrap), (3, FormatError), (0, FormatError), (5, FormatError)):
            renamed = encrypt[:5] + bytes([suite]) + encrypt[6:]
            with self.assertRaises(kind):
                self.opened((renamed, nonce, public), "p256")

    def test_another_cards_key(self):
        encrypt, nonce, public = slots_for(1, "p256")
        with self.assertRaises(InvalidUnwrap):
            wrapping.unwrap(encrypt, nonce, public, ec_key("other", ec.SECP256R1()), UEID)
        with self.assertRaises(FormatError):
            wrapping.unwrap(encrypt, nonce, public, SESSION_KEYS["p384"], UEID)
        encrypt, nonce, public = slots_for(4, "rsa")
        with self.assertRaises(FormatError):
            wrapping.unwrap(encrypt, nonce, public[:-1] + b"\0", RSA_KEY, UEID)

    def test_points(self):
        encrypt, nonce, public = slots_for(1, "p256")
        for bad in (public[:-1] + bytes([public[-1] ^ 1]), b"\2" + public[1:33], public[:-1], b""):
            with self.assertRaises(ValueError):
                self.opened((encrypt, nonce, bad), "p256")

    def test_a_container_bound_under_another_mek_id(self):
        data = sealed(slots=slots_for(1, "p256", mek_id=filler("other id", 16)))
        self.refused(data, "another MEK", session_key=SESSION_KEYS["p256"], ueid=UEID)
        self.refused(sealed(), "not bound", session_key=SESSION_KEYS["p256"], ueid=UEID)
        self.refused(sealed(), "give a MEK", seal_key=None)


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
            "reserved": "1c",
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
        strict_cbor.decode(bytes.fromhex("81" * 15 + "00"))
        with self.assertRaises(strict_cbor.CborError):
            strict_cbor.decode(strict_cbor.encode(bytes(65536)))


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
        self.assertEqual(self.with_mek(MEK[:15]).returncode, 1)
        self.assertFalse(self.out.exists())
        self.out.write_bytes(b"there before")
        self.assertEqual(self.with_mek(MEK).returncode, 1)
        self.assertEqual(self.out.read_bytes(), b"there before")


if __name__ == "__main__":
    unittest.main()
