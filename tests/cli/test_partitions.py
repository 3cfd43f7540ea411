"""A model in partitions on several cards."""

import json
import pathlib
import shutil
import subprocess
import sys
import unittest

from appliance import DEVICE, QPCSEAL, run
from test_rewrap import Case


class Partitions(Case):
    cards = 4

    def parts(self, info="json", count=4, name="parts.qpc"):
        """A plain model; its mdp_meta_info names the last partition first."""
        path = self.folder(name)
        if not path.exists():
            self.appliance.device("sample", "--out", path, "--size", 300000, "--partitions", count, "--mdp-info", info)
        return path

    def encrypt(self, model, reports=(), name="sealed", expect=0, more=()):
        out = self.folder(name)
        extra = ["--pub-keys", *reports] if reports else []
        self.said = self.appliance.qpcseal("encrypt-model", "--qpc", model, "--mek", "resnet50", "--output-dir", out,
                                           *extra, *more, expect=expect)
        return out

    def load(self, container, cards="0,1,2,3", expect=0, out=None):
        return self.appliance.load(container, device=cards, expect=expect, out=out)

    def reports(self, cards=range(4)):
        return [self.attest(card) for card in cards]

    def test_single_command_and_all_cards_load(self):
        model = self.parts()
        sealed = self.encrypt(model, self.reports()) / "programqpc.bin"
        plain = self.folder("plain.qpc")
        said = self.load(sealed, out=plain)
        self.appliance.device("compare", model, plain)
        self.assertIn('card 0 loaded "' + model.stem + '" version 0 partition "partition-3.qpc"', said.stdout)
        releases = [e for e in self.appliance.json("audit", "show", "--kind", "release")["entries"]][-8:]
        self.assertEqual(len({e["txn"] for e in releases}), 1, "one transaction over the releases")
        self.assertEqual([e["data"]["act"]["containers"][0]["partition"] for e in releases[4:]], [0, 1, 2, 3])

    def test_the_decryptor_written_from_the_format_opens_it_too(self):
        model = self.parts(count=2)
        sealed = self.encrypt(model, self.reports(range(2))) / "programqpc.bin"
        decryptor = pathlib.Path(__file__).parent.parent / "format" / "decryptor.py"
        cards = json.loads(self.appliance.device("list", "--dir", self.appliance.cards, "--json").stdout)["devices"][:2]
        for card in cards:
            key = self.appliance.cards / "cards" / str(card["device"]) / "boot" / "session.pem"
            out = self.folder(f"plain-{card['device']}.qpc")
            run(sys.executable, decryptor, sealed, "--session-key", key, "--ueid", card["ueid"], "--seal-key",
                self.appliance.root / "seal-key.pem", "-o", out)
            self.appliance.device("compare", model, out)

    def test_sealed_then_bound_then_replaced(self):
        model = self.parts()
        folder = self.encrypt(model)
        sealed = folder / "programqpc.bin"
        self.load(sealed, expect=5)
        self.appliance.qpcseal("encrypt-with-session-keys", "--input-dir", folder, "--mek", "resnet50", "--pub-keys",
                               *self.reports())
        self.load(sealed)
        for card in range(4):
            self.reset(card)
        self.load(sealed, expect=5)
        wrapped, out = self.wrap(self.reports()), self.folder("out")
        before = sealed.read_bytes()
        self.replace(sealed, [wrapped], "--output-dir", out)
        self.load(out / "programqpc.bin")
        after = (out / "programqpc.bin").read_bytes()
        pages = {i // 4096 for i in range(len(before)) if before[i] != after[i]}
        self.assertEqual(len(pages), 4, "one page of MEK slots a partition")
        self.replace(sealed, [wrapped], "--in-place")
        self.assertEqual(sealed.read_bytes(), after)

    def test_killed_in_place_is_the_old_binding_or_the_new(self):
        """Moved from cards 0 and 1 to 2 and 3: at no moment does it load on neither pair."""
        sealed = self.encrypt(self.parts(count=2), self.reports((0, 1))) / "programqpc.bin"
        wrapped = self.wrap(self.reports((2, 3)))
        points = 0
        for call in ("pwrite64", "copy_file_range", "fsync", "rename"):
            for when in range(1, 8):
                copy = self.folder("copy.qpc")
                shutil.copy(sealed, copy)
                killed = subprocess.run(
                    ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                     f"inject={call}:signal=KILL:when={when}", QPCSEAL, "replace-mek", "--encrypted-qpc", copy,
                     "--wrapped-meks", wrapped, "--in-place"], env=self.appliance.env, capture_output=True, check=False)
                loads = [self.appliance.loads(copy, cards) for cards in ("0,1", "2,3")]
                self.assertEqual(sorted(loads), [False, True], f"{call} {when}")
                if killed.returncode == 0:
                    break
                points += 1
                self.replace(copy, [wrapped], "--in-place")
                self.load(copy, "2,3")
        self.assertGreater(points, 4)

    def test_wrong_order_missing_card_and_card_twice(self):
        sealed = self.encrypt(self.parts(), self.reports()) / "programqpc.bin"
        for cards, code, words in (("1,0,2,3", 5, "partition 0 on card 1"), ("0,1,2", 2, "4 partitions"),
                                   ("0,1,2,2", 2, "twice"), ("0", 2, "4 partitions"),
                                   ("0-9,4", 2, "twice"), ("3-0", 2, "backwards")):
            out = self.folder("plain")
            said = self.load(sealed, cards=cards, expect=code, out=out)
            self.assertIn(words, said.stderr, cards)
            self.assertFalse(out.exists())
        self.load(sealed, cards="0-3")

    def test_wrong_numbers_of_reports(self):
        model = self.parts()
        reports = self.reports(range(3))
        out = self.encrypt(model, reports, expect=2)
        self.assertIn("3 reports for a model of 4 partitions", self.said.stderr)
        self.assertFalse(out.exists())
        out = self.encrypt(model, [*reports, self.attest(2)], expect=5)
        self.assertIn("POL-CARD-TWICE", self.said.stderr)
        self.assertFalse((out / "programqpc.bin").exists())
        self.encrypt(self.model, reports[:2], expect=2)
        self.encrypt(model, [*reports, self.attest(3)], name="good")  # nothing was used up

    def test_one_denied_report_and_nothing_is_released(self):
        used = self.attest(3)
        self.wrap([used])
        before, entries = self.mek()["releases"], len(self.appliance.json("audit", "show", "--kind", "release")["entries"])
        out = self.encrypt(self.parts(), [*self.reports(range(3)), used], expect=5)
        self.assertIn("POL-CHALLENGE-USED", self.said.stderr)
        self.assertFalse((out / "programqpc.bin").exists())
        self.assertEqual(self.mek()["releases"], before)
        self.assertEqual(len(self.appliance.json("audit", "show", "--kind", "release")["entries"]), entries, "none was begun")
        self.assertEqual(len(self.appliance.json("audit", "show", "--kind", "refused")["entries"]), 1)

    def mek(self):
        return next(m for m in self.appliance.json("mek", "list") if m["label"] == "resnet50#1")

    def test_order_without_metadata_must_be_said(self):
        for info in ("opaque", "absent"):
            model = self.parts(info, name=info)
            out = self.encrypt(model, expect=4, name="none")
            self.assertIn("mdp_meta_info", self.said.stderr)
            self.assertIn("--partition-order container", self.said.stderr)
            self.assertFalse((out / "programqpc.bin").exists())
            self.encrypt(model, name=info + "-sealed", more=["--partition-order", "container"])
            self.assertIn("partition 0: partition-0.qpc", self.said.stdout)
        self.encrypt(self.parts("json"), name="json-sealed")
        self.assertIn("partition 0: partition-3.qpc", self.said.stdout)

    def test_inspect_shows_the_tree(self):
        sealed = self.encrypt(self.parts(count=2), [self.attest(0), self.attest(1)]) / "programqpc.bin"
        said = self.appliance.json("inspect", sealed)
        self.assertEqual(said["mek"], "resnet50#1")
        kinds = {s["name"]: s for s in said["segments"]}
        self.assertEqual(kinds["mdp_meta_info"]["kind"], "clear")
        inner = kinds["partition-1.qpc"]
        self.assertEqual((inner["kind"], inner["partition"]), ("inner container", 0))
        self.assertEqual({s["name"] for s in inner["segments"] if s["kind"] == "sealed"},
                         {"network.elf", "constants.bin", "constants.bin.crc"})
        self.assertEqual([p["bound"] for p in said["partitions"]], [True, True])
        self.assertEqual(said["mode"], "token")
        nowhere = json.loads(run(self.appliance_binary(), "inspect", sealed, "--json",
                                 env={"HOME": "/nonexistent", "PATH": "/usr/bin:/bin"}).stdout)
        self.assertIsNone(nowhere["mek"])
        self.assertEqual(nowhere["mek_id"], said["mek_id"])
        text = self.appliance.qpcseal("inspect", sealed).stdout
        self.assertIn("partition 1 (partition-0.qpc): bound", text)

    @staticmethod
    def appliance_binary():
        return DEVICE.replace("qpcseal-device", "qpcseal")

    def test_a_partition_alone_does_not_load(self):
        sealed = self.encrypt(self.parts(count=2), [self.attest(0), self.attest(1)]) / "programqpc.bin"
        data = sealed.read_bytes()
        at = 4096
        while data[at:at + 4] != b"\x7c\xcd\xa1\x00":
            at += 4096
        size = int.from_bytes(data[at + 8:at + 16], "little")
        alone = self.folder("alone.qpc")
        alone.write_bytes(data[at:at + size])
        said = self.appliance.load(alone, device=1, expect=5)
        self.assertIn("taken out of it", said.stderr)
        swapped = self.folder("changed.qpc")
        swapped.write_bytes(data[:at + size - 3] + bytes([data[at + size - 3] ^ 1]) + data[at + size - 2:])
        self.load(swapped, cards="0,1", expect=5)


if __name__ == "__main__":
    unittest.main()
