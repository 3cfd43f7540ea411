"""A key that the log knows and the token lost: it is named, comes back from its own backup with its history, or is
given up; and what a killed token left half made is removed."""

import json
import os
import shutil
import unittest

import tokens
from appliance import Appliance
from second import Second, killed


class LostKeys(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = Appliance(cards=1)
        cls.key = cls.site.root / "recovery.key"
        cls.site.qpcseal("recovery-key", "new", "-o", cls.key)
        cls.model = cls.site.sample(size=70000)

    @classmethod
    def tearDownClass(cls):
        cls.site.close()

    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1].replace("test_", "")[:60]

    def objects(self, site=None):
        return set(((site or self.site).root / "home" / "tokens").rglob("*.object"))

    def made_by(self, *command):
        """The file of the key that the command makes: of the new ones the largest, for the other is the anchor's."""
        before = self.objects()
        self.site.qpcseal(*command)
        return max(self.objects() - before, key=lambda path: path.stat().st_size)

    def generate(self):
        """A key that sealed a model, and its backup; the key's file."""
        file = self.made_by("mek", "generate", self.name)
        self.seal("before")
        self.backup = self.site.root / f"{self.name}.backup"
        self.site.qpcseal("mek", "backup", self.name, "--to", self.key, "-o", self.backup)
        return file

    def seal(self, folder, expect=0):
        return self.site.qpcseal("encrypt-model", "--qpc", self.model, "--mek", self.name, "--output-dir",
                                 self.site.root / f"{self.name}-{folder}", expect=expect)

    def listed(self, label=None):
        found = [mek for mek in self.site.json("mek", "list") if mek["label"] == (label or f"{self.name}#1")]
        return found[0] if found else None

    def lose(self, file):
        """Beyond what the copies can bring back."""
        home = self.site.root / "home"
        file.unlink()
        file.with_suffix(".lock").unlink(missing_ok=True)
        (home / "tokens.guard" / file.relative_to(home / "tokens")).unlink()

    def test_another_ones_key_does_not_take_its_name(self):
        """One label is one key, in the token or not: limits count by label."""
        other = Second(self.site, "other")
        other.qpcseal("mek", "generate", self.name)
        theirs = self.site.root / "theirs.backup"
        other.qpcseal("mek", "backup", self.name, "--to", self.key, "-o", theirs)
        self.lose(self.generate())
        said = self.site.qpcseal("mek", "restore", theirs, expect=2).stderr
        self.assertIn(f"there is a MEK '{self.name}#1'", said)
        self.site.qpcseal("mek", "restore", self.backup)

    def test_the_loss_is_told_everywhere(self):
        self.lose(self.generate())
        said = self.site.qpcseal("mek", "list")
        self.assertRegex(said.stdout, f"{self.name}#1 .*MISSING from the token \\(ok in the log\\)")
        self.assertIn(f"warning: {self.name}#1", said.stderr)
        mek = self.listed()
        self.assertEqual((mek["state"], mek["logged_state"], mek["origin"]), ("missing", "ok", "generated"))
        self.assertIn(f"{self.name}#1", self.site.qpcseal("doctor", expect=6).stdout)
        shown = self.site.qpcseal("mek", "show", self.name, expect=6)
        self.assertIn("the token lost it", shown.stdout)
        refused = self.seal("lost", expect=6).stderr
        self.assertIn("the token lost it", refused)
        self.assertIn("mek restore BACKUP", refused)
        self.assertIn("already", self.site.qpcseal("mek", "generate", self.name, expect=2).stderr)
        self.site.qpcseal("audit", "verify")
        self.site.qpcseal("mek", "destroy", self.name)  # for the tests to come

    def test_its_own_backup_brings_it_back_as_it_was(self):
        file = self.generate()
        before = self.listed()
        self.lose(file)
        back = self.site.json("mek", "restore", self.backup)
        self.assertEqual((back["origin"], back["state"], back["id"]), ("returned", "ok", before["id"]))
        after = self.listed()
        for member in ("id", "created", "encryptions", "releases", "origin", "state"):
            self.assertEqual(after[member], before[member], member)
        self.seal("after")  # its log alone counts its encryptions
        self.assertGreater(self.listed()["encryptions"], before["encryptions"])
        self.site.qpcseal("mek", "show", self.name)  # its attributes are those of such a key
        intent = self.site.json("audit", "show", "--kind", "mek-restore")["entries"][-2]["data"]
        self.assertEqual((intent["origin"], intent["lost"]), ("returned", "generated"))
        self.assertIn("already", self.site.qpcseal("mek", "restore", self.backup, expect=2).stderr)

    def test_a_suspended_one_comes_back_suspended(self):
        file = self.generate()
        self.site.qpcseal("mek", "suspend", self.name)
        self.lose(file)
        self.assertEqual(self.site.json("mek", "restore", self.backup)["state"], "suspended")
        self.seal("suspended", expect=5)

    def test_a_backup_of_another_source_does_not_bring_it_back(self):
        """Another appliance restored the key, and its backup has the same id; who knows what key is in it?"""
        file = self.generate()
        other = Second(self.site, self.name)
        key = self.site.root / f"{self.name}.key"
        other.qpcseal("recovery-key", "new", "-o", key)
        handed, gone = self.site.root / f"{self.name}.handed", self.site.root / f"{self.name}.gone"
        self.site.qpcseal("mek", "backup", self.name, "--to", key, "-o", handed)
        self.lose(file)
        entry = self.site.json("mek", "destroy", self.name, "--transfer-to", key)["entry"]
        self.site.qpcseal("audit", "receipt", entry, "-o", gone)
        other.qpcseal("mek", "restore", handed, "--retirement", gone)
        foreign = self.site.root / f"{self.name}.foreign"
        other.qpcseal("mek", "backup", self.name, "--to", self.key, "-o", foreign)
        copy = self.made_by("mek", "restore", self.backup)  # to wrap only, for the other is its transferee
        self.assertEqual(self.listed()["origin"], "restored")
        self.lose(copy)
        self.assertEqual(self.listed()["state"], "missing")
        self.assertIn("another source", self.site.qpcseal("mek", "restore", foreign, expect=5).stderr)
        self.assertEqual(self.site.json("mek", "restore", self.backup)["origin"], "restored")
        self.assertIn("only wraps", self.seal("copy", expect=5).stderr)

    def test_an_imported_one_comes_back_from_its_file(self):
        value = self.site.root / f"{self.name}.dat"
        value.write_bytes(os.urandom(16))
        bring_in = ("mek", "import", value, "--name", self.name)
        file = self.made_by(*bring_in)
        self.seal("before")
        before = self.listed()
        self.lose(file)
        self.assertIn(f"mek import FILE --name {self.name}", self.site.qpcseal("mek", "list").stdout)
        self.assertEqual(self.listed()["state"], "missing")
        said = self.site.qpcseal("mek", "import", value, "--name", "other", "--shred", expect=2).stderr
        self.assertIn(f"'mek import FILE --name {self.name}' brings it back", said)
        other = self.site.root / f"{self.name}.other"
        other.write_bytes(os.urandom(16))
        self.assertIn("already", self.site.qpcseal("mek", "import", other, "--name", self.name, expect=2).stderr)
        back = self.site.json(*bring_in, "--shred")
        self.assertEqual((back["returned"], back["known"], back["shredded"], back["id"]), (True, False, True, before["id"]))
        self.assertFalse(value.exists())
        after = self.listed()
        for member in ("id", "created", "encryptions", "releases", "origin", "state"):
            self.assertEqual(after[member], before[member], member)
        self.seal("after")
        self.assertGreater(self.listed()["encryptions"], before["encryptions"])
        self.site.qpcseal("mek", "show", self.name)
        self.site.qpcseal("audit", "verify")

    def test_a_suspended_imported_one_comes_back_suspended(self):
        value = self.site.root / f"{self.name}.dat"
        value.write_bytes(os.urandom(16))
        bring_in = ("mek", "import", value, "--name", self.name)
        file = self.made_by(*bring_in)
        self.site.qpcseal("mek", "suspend", self.name)
        self.lose(file)
        self.assertEqual(self.site.json(*bring_in)["state"], "suspended")
        self.seal("suspended", expect=5)

    def test_one_that_came_back_otherwise_is_not_known_by_its_file(self):
        """It came from a backup of another source: who knows what key is in it?"""
        value = self.site.root / f"{self.name}.dat"
        value.write_bytes(os.urandom(16))
        self.site.qpcseal("mek", "import", value, "--name", self.name)
        self.backup = self.site.root / f"{self.name}.backup"
        self.site.qpcseal("mek", "backup", self.name, "--to", self.key, "-o", self.backup)
        self.site.qpcseal("mek", "destroy", self.name)
        self.lose(self.made_by("mek", "restore", self.backup))
        said = self.site.qpcseal("mek", "import", value, "--name", self.name, expect=2).stderr
        self.assertIn("came back from a backup", said)
        self.assertEqual(self.site.json("mek", "restore", self.backup)["origin"], "restored")

    def test_it_is_given_up(self):
        self.lose(self.generate())
        gone = self.site.json("mek", "destroy", self.name)
        self.assertEqual(gone["state"], "destroyed")
        self.assertIsNone(self.listed())
        intent = self.site.json("audit", "show", "--kind", "mek-destroy")["entries"][-2]["data"]
        self.assertTrue(intent["lost"])

    def test_its_next_generation_takes_its_place(self):
        self.lose(self.generate())
        self.assertIn(f"{self.name}#2", self.site.qpcseal("mek", "rotate", self.name).stdout)
        self.seal("next")
        self.assertEqual(self.listed(f"{self.name}#1")["state"], "missing")
        self.site.qpcseal("mek", "destroy", f"{self.name}#1")

    def test_a_bare_name_does_not_fall_back_to_an_older_generation(self):
        self.generate()
        newest = self.made_by("mek", "rotate", self.name)
        self.lose(newest)
        request = self.site.root / f"{self.name}.request"
        said = self.site.qpcseal("attest", "request", "--mek", self.name, "-o", request, expect=6)
        self.assertIn(f"{self.name}#2", said.stderr)
        self.assertFalse(request.exists())
        self.site.qpcseal("mek", "destroy", f"{self.name}#2")

    def test_a_restore_that_is_killed_leaves_it_missing(self):
        file = self.generate()
        self.lose(file)
        states = set()
        for when in (2, 3, 4, 6):
            if killed(self.site.env, "fdatasync", when, "mek", "restore", self.backup) == 0:
                break
            states.add(self.listed()["state"])
            if self.listed()["state"] == "ok":
                break
        self.assertLessEqual(states, {"missing", "ok"})
        self.assertIn("missing", states)
        if self.listed()["state"] == "missing":
            self.site.qpcseal("mek", "restore", self.backup)
        self.assertEqual(self.listed()["origin"], "generated")


class HalfMade(unittest.TestCase):
    def test_what_a_kill_leaves_half_made_goes_at_the_next_start(self):
        """Killed at writes of the token's files: the log's anchor, log and seal keys stay, and nothing else does."""
        site = Appliance(cards=1)
        try:
            pristine = len(set((site.root / "home" / "tokens").rglob("*.object")))
            left = 0
            for when in range(20, 200, 15):
                killed(site.env, "write", when, "mek", "generate", f"k{when}")
                if site.qpcseal("mek", "list", "--json").stdout.strip() == "[]":
                    site.qpcseal("mek", "list")  # what the first start destroyed is gone from the folder
                    # An empty file is no object: the token passes it over.
                    count = sum(file.stat().st_size > 0 for file in (site.root / "home" / "tokens").rglob("*.object"))
                    self.assertLessEqual(count, pristine + 1, f"write {when}")
                    left += 1
                else:
                    for mek in json.loads(site.qpcseal("mek", "list", "--json").stdout):
                        site.qpcseal("mek", "destroy", mek["label"])
            self.assertGreater(left, 2)
            self.assertEqual(site.json("mek", "cleanup")["destroyed"], 0)
        finally:
            site.close()

    def test_half_of_a_log_key_that_never_signed_goes_at_the_next_start(self):
        site = Appliance(cards=1)
        self.addCleanup(site.close)
        home, saved, halves = site.root / "home", site.root / "saved", 0
        shutil.copytree(home, saved, symlinks=True)

        def left():
            """SoftHSM encrypts attributes of private objects alone."""
            return any(b"qpcseal-log#2" in file.read_bytes() for file in (home / "tokens").rglob("*.object"))

        for when in range(20, 120, 4):
            shutil.rmtree(home)
            shutil.copytree(saved, home, symlinks=True)
            if killed(site.env, "write", when, "audit", "rotate-key") == 0:
                break
            before = len(site.json("audit", "show", "--kind", "rotate-key")["entries"])
            halves += left() and before == 1  # the intent alone
            site.qpcseal("mek", "list")
            outcomes = [entry.get("outcome") for entry in site.json("audit", "show", "--kind", "rotate-key")["entries"]]
            self.assertEqual(left(), "ok" in outcomes, f"write {when}")
        self.assertGreater(halves, 1)

    def test_an_object_without_class_in_a_token_that_nobody_guards(self):
        """A full disk leaves a file of eight bytes. SoftHSM then answers C_GetAttributeValue with
        CKR_ATTRIBUTE_VALUE_INVALID."""
        site = Appliance(cards=1, token=tokens.Forwarded)
        self.addCleanup(site.close)
        site.qpcseal("mek", "generate", "m")
        site.token.close()
        (folder,) = (path for path in (site.root / "token" / "tokens").iterdir() if path.is_dir())
        half = folder / "87c67806-b224-6da3-f411-c60db7855f52.object"
        half.write_bytes(bytes(8))
        half.with_suffix(".lock").touch()
        site.token.socket.unlink(missing_ok=True)
        site.token.start()
        self.assertIn("half made: a token object without class", site.qpcseal("mek", "list").stdout)
        self.assertEqual(site.json("mek", "cleanup")["destroyed"], 1)
        self.assertNotIn("half made", site.qpcseal("mek", "list").stdout)
        self.assertFalse(half.exists())


if __name__ == "__main__":
    unittest.main()
