# SPDX-License-Identifier: Apache-2.0
"""What of a sealed model a host can read: the same as of the plain one, seen by binutils; and nothing else."""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "format"))
import qpc_format  # noqa: E402
from appliance import Appliance  # noqa: E402

CONSTANTS = bytes(range(256)) * 1500
REST = [("constants.bin", 5000, CONSTANTS), ("constantsdesc.bin", 0, b"D" * 300), ("networkdesc.bin", 0, b"N" * 400),
        ("constants.bin.crc", 0, b"\1\2\3\4"), ("opstatsdesc.bin", 0, b"statistics" * 50), ("metadata.crc", 7, b"meta")]


def command(*words):
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True).stdout


def real_elf(folder, sections=("metadata_fb", "metadata")):
    """Code and data from an assembler, and the sections from objcopy."""
    source, output = folder / "code.s", folder / "network.o"
    lines = "\n".join(f".quad {number * 0x9E3779B97F4A7C15 % (1 << 64)}" for number in range(20000))
    source.write_text(f".text\n.globl entry\nentry:\n nop\n{lines}\n.data\ntable:\n{lines}\n.bss\n.skip 100\n")
    command("as", "-o", output, source)
    for name in sections:
        content = folder / name
        content.write_bytes(f"what the host reads of {name} ".encode() * 40)
        command("objcopy", "--add-section", f"{name}={content}", output)
    return output.read_bytes()


def sections_of(folder, data):
    """name -> bytes, as objcopy gives them; and the listing of readelf."""
    path = folder / "listed"
    path.write_bytes(data)
    listing = command("readelf", "-SW", path)
    found = {}
    for name, at, size in re.findall(r"\] (\S+) +(?:PROGBITS|SYMTAB|STRTAB|RELA) +\S+ (\S+) (\S+)", listing):
        found[name] = data[int(at, 16):int(at, 16) + int(size, 16)]
    return found, listing.split("\n", 1)[1]


class Readable(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.appliance = Appliance(cards=1)
        cls.appliance.qpcseal("mek", "generate", "m")
        cls.tools = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.tools.name)
        cls.elf = real_elf(cls.folder)

    @classmethod
    def tearDownClass(cls):
        cls.appliance.close()
        cls.tools.cleanup()

    def model(self, name, segments):
        path = self.appliance.root / f"{self.id().rsplit('.', 1)[1]}-{name}.qpc"
        path.write_bytes(qpc_format.write_from_files(segments))
        return path

    def seal(self, model, *more, expect=0):
        out = self.appliance.root / (model.stem + ".sealed")
        said = self.appliance.qpcseal("encrypt-model", "--qpc", model, "--mek", "m", "--output-dir", out, *more,
                                      expect=expect)
        return out / "programqpc.bin", said

    def test_a_host_reads_the_sections_that_it_needs_and_no_others(self):
        segments = [("network.elf", 3, self.elf), *REST]
        sealed, said = self.seal(self.model("real", segments))
        after = qpc_format.read(sealed.read_bytes())[1]
        stored = {s.name: s for s in after}
        for name, offset, data in segments:
            self.assertEqual((len(stored[name].data), stored[name].offset), (len(data), offset), name)
        before, listing = sections_of(self.folder, self.elf)
        then, listing_of_sealed = sections_of(self.folder, stored["network.elf"].data)
        self.assertEqual(listing, listing_of_sealed)
        self.assertGreater(len(before), 6)
        for name, data in before.items():
            if name in ("metadata_fb", "metadata", ".shstrtab"):
                self.assertEqual(data, then[name], name)
            else:
                same = sum(a == b for a, b in zip(data, then[name]))
                self.assertLess(same, max(4, len(data) // 50), name)
        for name in ("metadata_fb", "metadata"):
            dumps = []
            for data in (self.elf, stored["network.elf"].data):
                (self.folder / "dumped").write_bytes(data)
                dumps.append(command("readelf", "-x", name, self.folder / "dumped"))
            self.assertEqual(*dumps)
            self.assertIn("what the host re", dumps[0])
        self.assertIn("network.elf: its ELF headers, the names of its sections, and metadata_fb, metadata", said.stdout)

    def test_what_is_sealed_and_what_the_command_says_stays_readable(self):
        model = self.model("real", [("network.elf", 0, self.elf), *REST])
        sealed, _ = self.seal(model)
        kinds = {s["name"]: s["kind"] for s in self.appliance.json("inspect", sealed)["segments"]}
        clear = {"constantsdesc.bin", "networkdesc.bin", "metadata.crc"}
        self.assertEqual({name for name, kind in kinds.items() if kind == "clear"}, clear)
        said = json.loads(self.seal(model, "--force", "--json")[1].stdout)["readable"]
        self.assertEqual({part["segment"] for part in said if not part["sealed"]}, clear)
        (network,) = [part for part in said if part["sealed"]]
        self.assertEqual((network["segment"], network["sections"]), ("network.elf", ["metadata_fb", "metadata"]))

    def test_it_loads_and_the_other_reader_opens_it(self):
        model = self.model("real", [("network.elf", 0, self.elf), *REST])
        report = self.appliance.attest("m", name="readable.report")
        sealed, _ = self.seal(model, "--pub-keys", report)
        plain = self.appliance.root / "readable.plain"
        self.appliance.load(sealed, out=plain)
        self.appliance.device("compare", model, plain)
        first = self.appliance.json("inspect", sealed)["segments"][0]
        self.assertGreater(first["clear_bytes"], 2000)
        self.assertEqual(sum(size for _, size in first["clear"]), first["clear_bytes"])
        data = sealed.read_bytes()
        at = qpc_format.read(data)[1][0].at
        for first_byte, size in first["clear"]:
            for place in (first_byte, first_byte + size - 1):
                broken = bytearray(data)
                broken[at + place] ^= 4
                sealed.write_bytes(broken)
                said = self.appliance.load(sealed, expect=5)
                self.assertIn("'network.elf' is not the one that was sealed", said.stderr)

    def test_what_is_no_elf_is_sealed_whole_and_that_is_said(self):
        size_at = int.from_bytes(self.elf[40:48], "little") + 64 + 32  # of the first section
        longer = self.elf[:size_at] + bytes([self.elf[size_at] + 1]) + self.elf[size_at + 1:]
        odd = {"no ELF file": b"\x7fELG" + self.elf[4:], "share bytes": longer,
               "none of the sections": real_elf(self.folder, sections=())}
        for words, elf in odd.items():
            model = self.model(words.replace(" ", "-"), [("network.elf", 0, elf), *REST])
            sealed, said = self.seal(model)
            self.assertRegex(said.stdout, f"network.elf: nothing \\(.*{words}.*\\); a host must not need to read it")
            stored = qpc_format.read(sealed.read_bytes())[1][0].data
            self.assertEqual(self.appliance.json("inspect", sealed)["segments"][0]["clear"], [])
            self.assertLess(sum(a == b for a, b in zip(stored, elf)), len(elf) // 50)

    def test_blanks_and_letters_in_names(self):
        name = "ein Name, größer.bin"
        model = self.model("names", [("network.elf", 0, self.elf), *REST, (name, 9, b"clear")])
        report = self.appliance.attest("m", name="names.report")
        sealed, _ = self.seal(model, "--pub-keys", report)
        self.appliance.load(sealed)
        self.assertIn(name, [s["name"] for s in self.appliance.json("inspect", sealed)["segments"]])
        shown = self.appliance.qpcseal("inspect", sealed, env=dict(self.appliance.env, LC_ALL="C")).stdout
        self.assertIn("ein Name, gr\\xc3\\xb6\\xc3\\x9fer.bin", shown)

    def test_what_no_card_can_load_is_refused_before_it_is_sealed(self):
        log = self.appliance.root / "home" / "log" / "entries.jsonl"
        full = [("network.elf", 0, self.elf), *REST]
        lacking = {"network.elf": "no network.elf", "networkdesc.bin": "no networkdesc.bin",
                   "constants.bin": "without the other", "constantsdesc.bin": "without the other"}
        for name, words in lacking.items():
            before = log.read_bytes()
            model = self.model("lacks-" + name, [row for row in full if row[0] != name])
            _, said = self.seal(model, expect=4)
            self.assertIn(words, said.stderr)
            self.assertIn("--allow-incomplete", said.stderr)
            self.assertEqual(log.read_bytes(), before)
            self.seal(model, "--allow-incomplete")
        for name in ("network.elf", "networkdesc.bin"):
            model = self.model("empty-" + name, [(n, o, b"" if n == name else d) for n, o, d in full])
            self.assertIn(f"no {name}, or an empty one", self.seal(model, expect=4)[1].stderr)
        without = [row for row in full if row[0] not in ("constants.bin", "constantsdesc.bin")]
        self.seal(self.model("without-constants", without))

    def test_slices_in_the_order_of_their_names(self):
        inner = [qpc_format.write_from_files([("network.elf", 0, self.elf), ("networkdesc.bin", 0, bytes([number]) * 9)])
                 for number in range(3)]
        rows = [(f"net_slice{number:02}", 0, inner[number]) for number in (2, 0, 1)]
        model = self.model("sliced", [*rows, ("mdp_meta_info", 0, b"opaque")])
        _, said = self.seal(model, expect=4)
        self.assertIn("--partition-order slices", said.stderr)
        _, said = self.seal(model, "--partition-order", "slices")
        self.assertIn("partition 0: net_slice00\npartition 1: net_slice01\npartition 2: net_slice02\n", said.stdout)
        self.assertIn("net_slice02/network.elf: its ELF headers", said.stdout)
        gap = self.model("gap", [row for row in rows if row[0] != "net_slice01"])
        self.assertIn("X_slice00", self.seal(gap, "--partition-order", "slices", expect=4)[1].stderr)
        broken = [(name, 0, data) for name, _, data in rows[:2]]
        broken.append(("net_slice01", 0, qpc_format.write_from_files([("network.elf", 0, self.elf)])))
        _, said = self.seal(self.model("broken", broken), "--partition-order", "slices", expect=4)
        self.assertIn("partition 'net_slice01': no card can load it", said.stderr)


class PolicyWords(unittest.TestCase):
    """elf and elf_sections in the policy."""

    def appliance(self, line):
        made = Appliance(cards=1, policy_edit=lambda text: text.replace("segments = []\n", f"segments = []\n{line}\n"))
        self.addCleanup(made.close)
        made.qpcseal("mek", "generate", "m")
        return made

    def seal(self, appliance, elf, name, expect=0):
        model = appliance.root / f"{name}.qpc"
        model.write_bytes(qpc_format.write_from_files([("network.elf", 0, elf), *REST]))
        out = appliance.root / name
        said = appliance.qpcseal("encrypt-model", "--qpc", model, "--mek", "m", "--output-dir", out, expect=expect)
        return said if expect else (said, appliance.json("inspect", out / "programqpc.bin")["segments"][0])

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.elf = real_elf(pathlib.Path(folder.name), sections=("metadata", "notes"))

    def test_host_readable_refuses_what_a_host_cannot_read(self):
        appliance = self.appliance('elf = "host-readable"')
        said = self.seal(appliance, b"no ELF file" * 9, "bad", expect=5)
        self.assertIn("POL-ELF", said.stderr)
        self.assertIn("it is no ELF file", said.stderr)
        self.assertEqual(appliance.json("audit", "show", "--kind", "seal")["entries"], [])
        self.assertNotEqual(self.seal(appliance, self.elf, "good")[1]["clear"], [])

    def test_whole_leaves_nothing(self):
        said, segment = self.seal(self.appliance('elf = "whole"'), self.elf, "model")
        self.assertEqual(segment["clear"], [])
        self.assertIn("network.elf: nothing (the policy says so); a host must not need to read it", said.stdout)

    def test_other_sections(self):
        said, segment = self.seal(self.appliance('elf_sections = ["notes"]'), self.elf, "model")
        self.assertNotEqual(segment["clear"], [])
        self.assertRegex(said.stdout, "the names of its sections( and symbols)?, and notes\n")


if __name__ == "__main__":
    unittest.main()
