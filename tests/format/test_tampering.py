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
from containers import Refusals, reclose, resealed, sealed, slots_for
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

    def test_headers_of_no_sealed_segment(self):
        def header(mode=1, log2_chunk=16, size=5):
            return sf.SegmentHeader(mode, log2_chunk, size, MEK_ID, SEAL_ID)

        cases = [(header(mode=0), "mode"), (header(mode=3), "mode"), (header(size=0), "empty plaintext")]
        cases += [(header(log2_chunk=15), "chunk size"), (header(log2_chunk=25), "chunk size")]
        for changed, message in cases:
            with self.subTest(changed), self.assertRaises(FormatError) as caught:
                sf.unpack_header(changed.pack().ljust(changed.stored_size, b"\0"))
            self.assertIn(message, str(caught.exception))
        with self.assertRaises(FormatError):
            sf.unpack_header(header().pack()[:63])
        sf.unpack_header(header(log2_chunk=24).pack().ljust(header().stored_size, b"\0"))

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
            def edit(m):
                return dataclasses.replace(m, entries=(dataclasses.replace(m.entries[0], **change), *m.entries[1:]))

            return edit

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
        rows = (["a", -1, 0, 0, bytes(32)], ["a", 1, None, 0, bytes(32)], [b"a", 1, 0, 0, bytes(32)])
        changes += [(10, [row]) for row in rows]
        for key, value in changes + [(11, 0), (-1, 0)]:
            with self.subTest(key=key, value=value), self.assertRaises(FormatError):
                sf.decode_manifest(strict_cbor.encode({**fields, key: value}))
        with self.assertRaises(strict_cbor.CborError):
            sf.decode_manifest(encoded + b"\0")


if __name__ == "__main__":
    unittest.main()
