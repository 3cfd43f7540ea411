"""Containers as compilers write them, both flavours: what comes out sealed is still a QPC, and loads to the same.

The samples always; the fixtures where QPCSEAL_FIXTURES names their folder. The sealed file is read by the Python
reader that was written from FORMAT.md alone.
"""

import hashlib
import json
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "format"))
import qpc_format  # noqa: E402
from appliance import Appliance, Failed  # noqa: E402

ADDED = ["seal.aead", "seal.manifest", "seal.tag", "seal.sig", "MEK.encrypt", "MEK.nonce", "MEK.pub"]
CLEAR = ("constantsdesc.bin", "networkdesc.bin")


def segments_of(path):
    return qpc_format.read(path.read_bytes())[1]


def content(segment):
    return segment.name, segment.offset, segment.data


class Flavours(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.appliance = Appliance(cards=1)
        cls.appliance.qpcseal("mek", "generate", "m")

    @classmethod
    def tearDownClass(cls):
        cls.appliance.close()

    def round_trip(self, model):
        """Seals, binds, loads; gives the segments that the plain file has."""
        name = model.stem
        sealed = self.appliance.root / f"{name}.sealed"
        self.appliance.qpcseal("encrypt-model", "--qpc", model, "--mek", "m", "--output-dir", sealed)
        self.check_sealed(model, sealed / "programqpc.bin")
        report = self.appliance.attest("m", name=name + ".report")
        self.appliance.qpcseal("encrypt-with-session-keys", "--input-dir", sealed, "--mek", "m", "--pub-keys", report)
        self.check_sealed(model, sealed / "programqpc.bin")
        plain = self.appliance.root / f"{name}.plain"
        self.appliance.load(sealed / "programqpc.bin", out=plain)
        self.appliance.device("compare", model, plain)
        before, after = (segments_of(path) for path in (model, plain))
        self.assertEqual([content(s) for s in before], [content(s) for s in after])
        return before

    def check_sealed(self, model, sealed):
        """By the rules of the container: magic, size, names; order and offsets kept; what the host reads is clear."""
        data = sealed.read_bytes()
        self.assertEqual(int.from_bytes(data[:4], "little"), 0x00A1CD7C)
        self.assertEqual(int.from_bytes(data[8:16], "little"), len(data))
        before, after = segments_of(model), segments_of(sealed)
        self.assertEqual([s.name for s in after], [s.name for s in before] + ADDED)
        for old, new in zip(before, after):
            self.assertEqual(old.offset, new.offset)
            if old.name in CLEAR:
                self.assertEqual(old.data, new.data)
            self.assertEqual(len(old.data), len(new.data), old.name)
            if old.name in ("network.elf", "constants.bin"):
                middle = len(old.data) // 2
                part = old.data[middle:middle + 32]
                if any(part):  # zeros are in every padding
                    self.assertNotIn(part, data)

    def test_samples(self):
        contents = []
        for flavour in ("file", "buffer"):
            model = self.appliance.sample(f"sample-{flavour}.qpc", size=200001, flavour=flavour)
            base = int.from_bytes(model.read_bytes()[16:24], "little")
            self.assertEqual(base == 0, flavour == "file")
            contents.append(self.round_trip(model))
        self.assertEqual(*([content(s) for s in segments] for segments in contents))

    def many(self, count):
        """A model of so many segments, all but two with names of 255 bytes."""
        _, segments = qpc_format.read(self.appliance.sample(f"small-{count}.qpc", size=5000).read_bytes())
        rows = [(s.name, s.offset, s.data) for s in segments]
        rows += [(f"{number:04}-".ljust(255, "n"), 0, b"x" * (number % 3)) for number in range(count - len(rows))]
        model = self.appliance.root / f"many-{count}.qpc"
        model.write_bytes(qpc_format.write_from_files(rows))
        return model

    def test_as_many_segments_as_a_container_may_have(self):
        self.round_trip(self.many(4089))
        log = self.appliance.root / "home" / "log" / "entries.jsonl"
        before = log.read_bytes()
        with self.assertRaisesRegex(Failed, "exit 4(.|\n)*at most 4089 can be sealed"):
            self.appliance.qpcseal("encrypt-model", "--qpc", self.many(4090), "--mek", "m", "--output-dir",
                                   self.appliance.root / "none")
        self.assertEqual(log.read_bytes(), before)

    def test_fixtures(self):
        folder = os.environ.get("QPCSEAL_FIXTURES")
        if not folder:
            self.skipTest("QPCSEAL_FIXTURES names no folder of containers with listings")
        for listing in sorted(pathlib.Path(folder).glob("*.json")):
            with self.subTest(listing.stem):
                listed = json.loads(listing.read_text())
                segments = self.round_trip(listing.with_suffix(".qpc"))
                self.assertEqual([(s.name, len(s.data), s.offset, hashlib.sha256(s.data).hexdigest())
                                  for s in segments],
                                 [(s["name"], s["size"], s["offset"], s["sha256"]) for s in listed["segments"]])
                shown = self.appliance.json("inspect", listing.with_suffix(".qpc"))["segments"]
                self.assertEqual([(s["name"], s["size"], s["offset"]) for s in shown],
                                 [(s["name"], s["size"], s["offset"]) for s in listed["segments"]])


if __name__ == "__main__":
    unittest.main()
