"""A sealed container that was changed, moved or laid out in another way is refused."""

import dataclasses
import struct
import unittest

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, rsa

import decryptor
import qpc_format
import sealed_format as sf
import strict_cbor
from containers import SEAL_KEY, Refusals, reclose, resealed, sealed, slots_for
from material import MEK, MEK_ID, SEAL_ID, SEGMENTS, ec_key, ed25519_key, filler
from qpc_format import FormatError


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

    def test_the_seven(self):
        rows = [(s.name, s.offset, s.data) for s in qpc_format.read(sealed())[1]]
        self.refused(sf.lay_out(rows[:-7] + [rows[-6], rows[-7]] + rows[-5:]), "last seven")
        self.refused(sf.lay_out(rows[-7:] + rows[:-7]), "last seven")
        self.refused(sf.lay_out(rows[:-7] + rows[-6:]), "last seven")
        self.refused(sf.lay_out(rows[:7] + [("seal.manifest", 1, rows[7][2])] + rows[8:]), "offset")
        for name, size in (("seal.tag", 59), ("seal.sig", 65), ("MEK.nonce", 1023)):
            self.refused(reclose(sealed(), **{name: bytes(size)}), name if size != 1023 else "1024")
        self.refused(qpc_format.write_from_files(SEGMENTS), "last seven")

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
                for at in (0, 70, 120, -1, -20):
                    self.refused(self.flip(name, at, mode=mode), "digest of")
        self.refused(self.flip("networkdesc.bin", 3), "digest of")

    def test_clear_ranges_are_covered_too(self):
        clear = (("network.elf", ((0, 64), (1000, 200), (70000, 1))),)
        decryptor.open_container(sealed(clear=clear), mek=MEK, seal_key=SEAL_KEY.public_key())
        for at in (0, 63, 64, 1000, 1199, 1200, 70000):
            self.refused(self.flip("network.elf", at, clear=clear), "digest of")

    def test_header_of_a_segment(self):
        cases = [(0, "version 2"), (8, "version 2"), (9, ""), (11, "reserved"), (15, "reserved"), (63, "reserved")]
        cases += [(10, ""), (16, "another's"), (24, "another seal"), (40, "another seal"), (56, "")]
        for at, message in cases:
            with self.subTest(at=at):
                self.refused(self.flip("seal.aead", at), message)

    def test_every_byte_of_seal_aead(self):
        for mode in (sf.TOKEN, sf.ENVELOPE):
            for at in range(len(self.aead(mode=mode, clear=self.CLEAR))):
                self.refused(self.flip("seal.aead", at, mode=mode, clear=self.CLEAR), None)

    CLEAR = (("network.elf", ((0, 64), (1000, 200))),)

    def aead(self, **changes):
        return decryptor.read_layout(sealed(**changes))[0]["seal.aead"].data

    def test_seal_aead_is_its_parts_and_nothing_else(self):
        aead = self.aead()
        for changed in (b"", aead[:-1], aead[:-28], aead[:70], aead + b"\0", aead + aead, aead[120:]):
            self.refused(reclose(sealed(), **{"seal.aead": changed}), None)
        two = decryptor.read_parts(sf.decode_manifest(decryptor.read_layout(sealed())[0]["seal.manifest"].data), aead)
        swapped = two[1][1] + two[0][1]
        self.refused(reclose(sealed(), **{"seal.aead": swapped}), "another's")

    def test_manifest_tag_signature(self):
        self.refused(self.flip("seal.manifest", 30), None, InvalidSignature)
        self.refused(self.flip("seal.manifest", 30), None, FormatError, mek=MEK)
        self.refused(self.flip("seal.sig", 10), None, InvalidSignature)
        self.refused(self.flip("seal.tag", 20), None, InvalidTag)
        self.refused(sealed(), None, InvalidTag, mek=filler("other mek", 16))
        self.refused(sealed(), None, InvalidSignature, mek=MEK, seal_key=ed25519_key("other").public_key())

    def test_headers_of_no_sealed_segment(self):
        def header(mode=1, log2_chunk=16, size=5):
            return sf.SegmentHeader(mode, log2_chunk, size, MEK_ID, SEAL_ID)

        def ranges(*clear):
            return dataclasses.replace(header(size=1000), clear=clear)

        cases = [(header(mode=0), "mode"), (header(mode=3), "mode"), (header(size=0), "a size"), (header(size=(1 << 48) + 1), "a size")]
        cases += [(header(log2_chunk=15), "chunk size"), (header(log2_chunk=21), "chunk size")]
        cases += [(ranges((0, 0)), "empty"), (ranges((5, 5), (10, 5)), "apart"), (ranges((50, 5), (10, 5)), "order")]
        cases += [(ranges((999, 2)), "outside"), (ranges((0, 1000)), "nothing is sealed"), (ranges((0, 1 << 63)), "outside")]
        cases += [(ranges(*((2 * at, 1) for at in range(65))), "too many")]
        for changed, message in cases:
            with self.subTest(changed), self.assertRaises(FormatError) as caught:
                sf.unpack_front(changed.pack() + bytes(44 if changed.mode == 2 else 0) + changed.pack_ranges())
            self.assertIn(message, str(caught.exception))
        for short in (header().pack()[:63], ranges((5, 5)).pack(), header(mode=2).pack()):
            with self.assertRaises(FormatError):
                sf.unpack_front(short)
        most = ranges(*((2 * at, 1) for at in range(64)))
        self.assertEqual(sf.unpack_front(most.pack() + most.pack_ranges() + b"more"), most)
        sf.unpack_front(header(log2_chunk=20, size=1 << 48).pack())

    def test_a_tag_of_another_manifest(self):
        """Whoever may sign but not use the MEK cannot carry an old tag over to a new manifest."""
        data = sealed()
        old_tag = decryptor.read_layout(data)[0]["seal.tag"].data
        edited = resealed(data, lambda m: dataclasses.replace(m, model="another"))
        self.refused(reclose(edited, **{"seal.tag": old_tag}), "tag is of another manifest")

    def test_reserved_names_among_the_sealed(self):
        for name in ("seal.more", "MEK.more"):
            self.refused(sealed([(name, 0, b"x")]), "reserved")

    def test_seal_keys_of_a_wrong_type(self):
        for key in (ec_key("seal", ec.SECP384R1()), rsa.generate_private_key(65537, 2048)):
            self.refused(sealed(), "a seal key is", mek=MEK, seal_key=key.public_key())

    def test_short_ciphertexts_and_long_slots(self):
        with self.assertRaises(FormatError):
            decryptor.gcm_open(MEK, bytes(27), b"")
        with self.assertRaises(FormatError):
            sf.pack_slot(bytes(1023))

    def test_chunks_cannot_move(self):
        """Even with digests, tag and signature made anew, the chunks' own tags hold order, name and end."""
        data = sealed()
        seven, others = decryptor.read_layout(data)
        parts = decryptor.read_parts(sf.decode_manifest(seven["seal.manifest"].data), seven["seal.aead"].data)
        network, constants = others[0].data, others[1].data
        header, part = parts[1]
        first, second = part[64:92], part[92:]
        swapped = (constants[65536:] + constants[:65536], part[:64] + second + first)
        shorter = (constants[:65536], dataclasses.replace(header, size=65536).pack() + first)
        for stored, part_of_it in (swapped, shorter):
            self.refused(self.with_segment(data, parts, stored, part_of_it), None, InvalidTag)
        other = (network, parts[0][1])
        self.refused(self.with_segment(data, parts, *other), None, InvalidTag)
        wider = dataclasses.replace(header, clear=((0, 1),))
        more = wider.pack() + wider.pack_ranges() + part[64:]
        self.refused(self.with_segment(data, parts, constants, more, wider.clear), None, InvalidTag)

    def with_segment(self, data, parts, stored, part, clear=()):
        """Another constants.bin, with all that can be made without the MEK's encryptions made anew."""
        def edit(manifest):
            change = {"size": len(stored), "digest": sf.segment_digest(stored, part), "clear": clear}
            rows = [dataclasses.replace(e, **change) if e.name == "constants.bin" else e for e in manifest.entries]
            return dataclasses.replace(manifest, entries=tuple(rows))

        return resealed(data, edit, **{"constants.bin": stored, "seal.aead": parts[0][1] + part})

    def test_a_manifest_that_tells_something_else(self):
        def with_entry(**change):
            def edit(m):
                return dataclasses.replace(m, entries=(dataclasses.replace(m.entries[0], **change), *m.entries[1:]))

            return edit

        cases = [
            (with_entry(name="network.elg"), "differ"),
            (with_entry(offset=1), "differ"),
            (with_entry(size=1), "a size differs"),
            (with_entry(kind=0), "another's"),
            (with_entry(clear=((0, 5),)), "another's"),
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
        changes = [(1, "qpcseal/manifest/1"), (2, b"short"), (4, -1), (4, "x"), (5, ""), (5, "é" * 65), (6, True)]
        changes += [(9, None), (10, {}), (10, [[]]), (10, [["a", 1, 0, 3, bytes(32), []]]), (10, [["a", 1, 0, 0, b"", []]])]
        rows = (["a", -1, 0, 0, bytes(32), []], ["a", 1, None, 0, bytes(32), []], [b"a", 1, 0, 0, bytes(32), []])
        rows += (["a", 1, 0, 0, bytes(32)], ["a", 9, 0, 0, bytes(32), [[0, 1]]], ["a", 9, 0, 1, bytes(32), [[0, 9]]])
        rows += (["a", 9, 0, 1, bytes(32), [[0]]], ["a", 9, 0, 1, bytes(32), [[0, 1, 2]]], ["a", 9, 0, 1, bytes(32), {}])
        changes += [(10, [row]) for row in rows]
        for key, value in changes + [(11, 0), (-1, 0)]:
            with self.subTest(key=key, value=value), self.assertRaises(FormatError):
                sf.decode_manifest(strict_cbor.encode({**fields, key: value}))
        with self.assertRaises(strict_cbor.CborError):
            sf.decode_manifest(encoded + b"\0")


if __name__ == "__main__":
    unittest.main()
