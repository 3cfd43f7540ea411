"""The log's key is rotated, witnesses vouch: through the commands alone."""

import base64
import concurrent.futures
import hashlib
import html.parser
import io
import json
import shutil
import unittest

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from appliance import Appliance, QPCSEAL, run
from test_audit import NOWHERE, verify_note


class Witness:
    """Cosigns as C2SP tlog-cosignature says (type 0x04)."""

    def __init__(self, name="witness.test/w1"):
        self.name = name
        self.key = ed25519.Ed25519PrivateKey.generate()
        public = self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.id = hashlib.sha256(name.encode() + b"\n\x04" + public).digest()[:4]
        self.vkey = f"{name}+{self.id.hex()}+{base64.b64encode(bytes([4]) + public).decode()}"

    def cosign(self, note, time=1800000000):
        text = note.split("\n\n", 1)[0] + "\n"
        signature = self.key.sign(f"cosignature/v1\ntime {time}\n{text}".encode())
        blob = self.id + time.to_bytes(8, "big") + signature
        return note + f"\u2014 {self.name} {base64.b64encode(blob).decode()}\n"


class Case(unittest.TestCase):
    def setUp(self):
        self.appliance = Appliance()
        self.home = self.appliance.root / "home"
        self.q = self.appliance.qpcseal

    def tearDown(self):
        self.appliance.close()

    def checkpoint(self, name="checkpoint"):
        path = self.appliance.root / name
        self.q("audit", "checkpoint", "-o", path, "--force")
        return path

    def key(self):
        return self.q("trust", "show", "--log-key").stdout.strip()

    def restore_files(self, saved):
        shutil.rmtree(self.home / "log")
        shutil.copytree(saved, self.home / "log")


class Rotation(Case):
    def test_first_key_leads_to_the_last(self):
        first = self.key()
        self.q("mek", "generate", "resnet50")
        early = self.checkpoint("early")
        said = self.appliance.json("audit", "rotate-key")
        self.assertEqual(said["previous"], first)
        self.assertNotEqual(said["log_key"], first)
        self.q("mek", "generate", "second")
        third = self.appliance.json("audit", "rotate-key")["log_key"]
        self.q("mek", "generate", "third")
        verified = json.loads(run(QPCSEAL, "audit", "verify", "--log", self.home / "log", "--key", first, "--json",
                                  "--earlier", early, env=NOWHERE).stdout)
        self.assertEqual((verified["log_key"], verified["key_rotations"]), (third, 2))
        quick = run(QPCSEAL, "audit", "verify", "--quick", "--log", self.home / "log", "--key", first, env=NOWHERE)
        self.assertIn("not replayed", quick.stdout)
        verify_note(self.checkpoint().read_text(), third)
        receipt = self.appliance.root / "receipt"
        self.q("audit", "receipt", 1, "-o", receipt)
        for vkey in (first, said["log_key"], third):
            run(QPCSEAL, "audit", "check-receipt", receipt, "--key", vkey, env=NOWHERE)
        stranger = Appliance()
        try:
            run(QPCSEAL, "audit", "check-receipt", receipt, "--key",
                stranger.qpcseal("trust", "show", "--log-key").stdout.strip(), env=NOWHERE, expect=5)
        finally:
            stranger.close()

    def test_a_folder_that_is_no_log(self):
        point = self.checkpoint("point")
        for given, words, hint in ((point, "is a signed checkpoint, and --log is the log's folder", "--earlier takes a checkpoint"),
                                   (self.home / "log" / "entries.jsonl", "is a log's entries, and --log is the log's folder", ""),
                                   (self.home, "holds no log: entries.jsonl is not there", f"--log {self.home}/log"),
                                   (self.home / "trust", "holds no log", "")):
            said = run(QPCSEAL, "audit", "verify", "--log", given, env=NOWHERE, expect=3).stderr
            self.assertIn(f"{given} {words}", said)
            self.assertIn(hint, said)

    def test_a_key_of_another_log(self):
        stranger = Appliance(cards=1)
        self.addCleanup(stranger.close)
        other, own = stranger.qpcseal("trust", "show", "--log-key").stdout.strip(), self.key()
        for more in ((), ("--quick",)):
            said = run(QPCSEAL, "audit", "verify", "--log", self.home / "log", "--key", other, *more, env=NOWHERE, expect=5)
            self.assertIn("the log was signed for another key than the one that was given", said.stderr)
            self.assertIn(own, said.stderr)
            self.assertNotIn("damaged", said.stderr)

    def test_a_log_from_before_the_rotation_does_not_open(self):
        saved = self.appliance.root / "saved"
        shutil.copytree(self.home / "log", saved)
        self.q("audit", "rotate-key")
        self.restore_files(saved)
        self.assertIn("another key", self.q("mek", "list", expect=8).stderr)

    def test_policy_must_name_it(self):
        other = Appliance(policy_edit=lambda text: text.replace("log-key-rotate = 0\n", "").replace(
            "witness-change = 0\n", ""))
        try:
            self.assertIn("log-key-rotate", other.qpcseal("audit", "rotate-key", expect=5).stderr)
            other.qpcseal("audit", "witness", "trust", Witness().vkey, expect=5)
        finally:
            other.close()


class Witnessing(Case):
    def setUp(self):
        super().setUp()
        self.witness = Witness()
        self.q("audit", "witness", "trust", self.witness.vkey)

    def cosigned(self, name="cosigned", witness=None):
        path = self.appliance.root / name
        path.write_text((witness or self.witness).cosign(self.checkpoint().read_text()))
        return path

    def test_import_and_verify(self):
        self.q("mek", "generate", "resnet50")
        note = self.cosigned()
        said = self.appliance.json("audit", "witness", "import", note)
        self.assertEqual(said["witness"], self.witness.vkey)
        entry = self.appliance.json("audit", "show", "--kind", "witness")["entries"][0]
        self.assertEqual(entry["data"]["note"], note.read_text())
        self.assertIn(str(said["size"]), self.q("audit", "witness", "list").stdout)
        self.q("mek", "generate", "second")
        self.q("audit", "verify", "--witness", note)
        run(QPCSEAL, "audit", "verify", "--log", self.home / "log", "--key", self.key(), "--witness", note,
            "--witness-key", self.witness.vkey, env=NOWHERE)
        run(QPCSEAL, "audit", "verify", "--log", self.home / "log", "--key", self.key(), "--witness", note,
            "--witness-key", Witness().vkey, env=NOWHERE, expect=8)

    def test_strangers_and_changed_notes_are_refused(self):
        self.q("audit", "witness", "import", self.cosigned(witness=Witness("witness.test/w2")), expect=5)
        good = self.cosigned()
        text = good.read_text()
        good.write_text(text.replace("\n", "\n1", 1))
        self.q("audit", "witness", "import", good, expect=8)
        good.write_text("nothing")
        self.q("audit", "witness", "import", good, expect=4)
        self.q("audit", "witness", "trust", "a+b+c", expect=4)
        self.q("audit", "witness", "trust", self.witness.vkey, expect=2)
        self.q("audit", "witness", "distrust", self.witness.vkey)
        self.q("audit", "witness", "distrust", self.witness.vkey, expect=2)
        good.write_text(text)
        self.q("audit", "witness", "import", good, expect=5)

    def rolled_back(self):
        """The log and token of a moment ago, both put back whole: no anchor can tell."""
        saved = self.appliance.root / "saved"
        shutil.copytree(self.home, saved)
        self.q("mek", "generate", "resnet50")
        return saved

    def test_log_and_token_put_back_are_refused_against_home_witness(self):
        saved = self.rolled_back()
        self.q("audit", "witness", "import", self.cosigned())
        for part in ("log", "tokens"):
            shutil.rmtree(self.home / part)
            shutil.copytree(saved / part, self.home / part)
        said = self.q("mek", "list", expect=8).stderr
        self.assertIn("rolled back", said)

    def test_a_home_put_back_and_continued_otherwise_is_refused(self):
        """As long as the one that the witness saw, signed by the log's own key, and another history."""
        saved = self.rolled_back()
        note = self.cosigned()
        shutil.rmtree(self.home)
        shutil.copytree(saved, self.home)
        for name in ("another", "third"):
            self.q("mek", "generate", name)
        for command in (("witness", "import", note), ("verify", "--witness", note)):
            self.assertIn("it was rewritten", self.q("audit", *command, expect=8).stderr)

    def test_an_earlier_note_after_a_later_one_is_refused(self):
        early = self.cosigned("early")
        self.q("mek", "generate", "resnet50")
        self.q("audit", "witness", "import", self.cosigned("late"))
        self.assertIn("a later checkpoint", self.q("audit", "witness", "import", early, expect=2).stderr)

    def test_a_home_put_back_whole_is_refused_when_the_note_is_brought(self):
        saved = self.rolled_back()
        note = self.cosigned()
        shutil.rmtree(self.home)
        shutil.copytree(saved, self.home)
        self.q("mek", "list")
        self.assertIn("rolled back", self.q("audit", "witness", "import", note, expect=8).stderr)
        self.assertIn("rolled back", self.q("audit", "verify", "--witness", note, expect=8).stderr)


class Concurrent(Case):
    def test_eight_processes_at_once_land_each_entry_once_in_one_order(self):
        processes, each = 8, 3
        self.q("mek", "generate", "resnet50")
        before = self.appliance.json("audit", "verify")["size"]

        def work(number):
            return [self.appliance.json("attest", "request", "--mek", "resnet50", "-o",
                                        self.appliance.root / f"request-{number}-{i}")["nonce"] for i in range(each)]

        with concurrent.futures.ThreadPoolExecutor(processes) as pool:
            nonces = [nonce for done in pool.map(work, range(processes)) for nonce in done]
        self.assertEqual(len(set(nonces)), processes * each)
        run(QPCSEAL, "audit", "verify", "--log", self.home / "log", "--key", self.key(), env=NOWHERE)
        entries = self.appliance.json("audit", "show")["entries"]
        self.assertEqual([entry["seq"] for entry in entries], list(range(before + processes * each)))
        self.assertEqual(sorted(nonces), sorted(entry["data"]["nonce"] for entry in entries[before:]))


class Snapshot(Case):
    def test_dropping_or_damaging_it_changes_nothing(self):
        snapshot = self.home / "log" / "snapshot"
        self.q("mek", "generate", "resnet50")
        self.assertFalse(snapshot.exists())
        before = self.q("mek", "list").stdout
        snapshot.write_bytes(b"nonsense")
        self.assertEqual(self.q("mek", "list").stdout, before)
        snapshot.unlink()
        snapshot.symlink_to(self.home / "site.toml")
        self.assertEqual(self.q("mek", "list").stdout, before)


class Page(Case):
    def test_report_is_one_page_with_everything_escaped(self):
        self.q("mek", "generate", "resnet50")
        evil = "<script>alert(1)</script>&\"'"
        report = self.appliance.attest("resnet50")
        model = self.appliance.sample()
        self.q("encrypt-model", "--qpc", model, "--mek", "resnet50", "--output-dir", self.appliance.root / "sealed",
               "--name", evil, "--pub-keys", report)
        self.q("encrypt-model", "--qpc", model, "--mek", "resnet50", "--output-dir", self.appliance.root / "again",
               "--pub-keys", report, expect=5)
        path = self.appliance.root / "report.html"
        broken = self.appliance.root / "broken.dat"
        broken.write_bytes(report.read_bytes()[:-1] + b"\0")
        self.q("wrap-mek", "--mek", "resnet50", "--pub-keys", broken, "--output-dir", self.appliance.root / "broken",
               expect=5)
        self.q("audit", "report", "-o", path)
        text = path.read_text()
        mek = self.appliance.json("audit", "show", "--kind", "mek-generate")["entries"][0]["data"]["mek_id"]
        self.assertEqual(text.count(mek), 1, "an id stands once, at the key's history; else its label")
        html.parser.HTMLParser().feed(text)
        self.assertNotIn("<script", text)
        self.assertNotRegex(text, r"(src|href)\s*=")
        self.assertNotIn("url(", text)
        self.assertIn("default-src 'none'", text)
        said = self.appliance.json("audit", "checkpoint")
        self.assertIn(said["root"], text)
        for word in said["words"].split():
            self.assertIn(word, text)
        for wanted in ("resnet50#1", "POL-", "released", "denied", said["root"]):
            self.assertIn(wanted, text)
        self.q("audit", "report", "-o", path, expect=3)


if __name__ == "__main__":
    unittest.main()
