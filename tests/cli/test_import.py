"""A MEK file of the vendor's tool comes in: once, known again by its check value, and shredded."""

import hashlib
import hmac
import os
import unittest

from appliance import Appliance
from second import killed


def check_value(key):
    return hmac.new(key, b"qpcseal/import-check/2", hashlib.sha256).hexdigest()


class Import(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.first = Appliance(cards=1)

    @classmethod
    def tearDownClass(cls):
        cls.first.close()

    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1].replace("test_", "")
        self.value = os.urandom(16)
        self.file = self.first.root / (self.name + ".dat")
        self.file.write_bytes(self.value)

    def bring_in(self, *more, expect=0, name=None):
        return self.first.qpcseal("mek", "import", self.file, "--name", name or self.name, *more, expect=expect)

    def labels(self):
        return [mek["label"] for mek in self.first.json("mek", "list")]

    def entries(self, kind):
        return [entry for entry in self.first.json("audit", "show", "--kind", kind)["entries"]
                if self.name in entry["data"].get("label", "") + entry["data"].get("mek", "")]

    def test_import(self):
        self.file.write_bytes(bytes(15))
        self.bring_in(expect=4)
        self.file.write_bytes(self.value)
        self.assertIn("history is unknown", self.bring_in().stdout)
        self.assertTrue(self.file.exists())
        self.assertEqual(self.first.json("mek", "show", self.name)["origin"], "imported")
        mek = [mek for mek in self.first.json("mek", "list") if mek["label"] == self.name + "#1"]
        self.assertEqual(mek[0]["encryptions"], 0, "the check value is none")
        self.assertEqual(self.entries("mek-import")[0]["data"]["check_value"], check_value(self.value))
        home = self.first.root / "home"
        for path in [*(home / "log").iterdir(), *home.glob("*.toml")]:
            self.assertNotIn(self.value, path.read_bytes())
            self.assertNotIn(self.value.hex().encode(), path.read_bytes())
        self.first.qpcseal("mek", "import", self.first.root, "--name", "folder", expect=3)

    def test_the_same_key_twice(self):
        self.bring_in()
        self.assertIn(f"as {self.name}#1", self.bring_in(name="other", expect=2).stderr)
        self.assertIn("imported before", self.bring_in("--shred", name="other", expect=2).stderr)
        self.assertIn("imported before", self.bring_in(expect=2).stderr)
        self.assertNotIn("other#1", self.labels())
        self.first.qpcseal("mek", "destroy", self.name)
        self.assertIn("'destroyed'", self.bring_in(name="other", expect=2).stderr)
        self.assertIn("'destroyed'", self.bring_in("--shred", expect=2).stderr)
        self.assertEqual(self.file.read_bytes(), self.value)

    def test_another_key_of_the_same_name(self):
        self.bring_in()
        self.file.write_bytes(os.urandom(16))
        self.assertIn("already", self.bring_in(expect=2).stderr)

    def test_shred(self):
        said = self.first.json("mek", "import", self.file, "--name", self.name, "--shred")
        self.assertEqual((said["shredded"], said["known"], self.file.exists()), (True, False, False))

    def test_shred_what_an_earlier_run_left(self):
        """Killed at any point: the same command again ends with one key and no file."""
        ways = set()
        for call in ("fdatasync", "unlink"):
            for when in range(1, 40):
                name, value = f"{self.name}-{call}{when}", os.urandom(16)
                self.file = self.first.root / name
                self.file.write_bytes(value)
                command = ("mek", "import", self.file, "--name", name, "--shred")
                if killed(self.first.env, call, when, *command) == 0:
                    break
                if self.file.exists() and self.file.read_bytes() == value:
                    said = self.first.json(*command)
                    self.assertTrue(said["shredded"])
                    ways.add(said["known"])
                    self.assertFalse(self.file.exists())
                self.assertEqual(self.labels().count(name + "#1"), 1)
        self.assertEqual(ways, {False, True})
        shown = self.first.json("audit", "show", "--kind", "shred")["entries"]
        done = [entry for entry in shown if entry.get("outcome") == "ok"]
        self.assertGreater(len(done), 1)

    def test_a_file_with_another_name_is_kept(self):
        os.link(self.file, self.first.root / "other-name")
        said = self.first.json("mek", "import", self.file, "--name", "linked", "--shred", expect=3)
        self.assertFalse(said["shredded"])
        self.assertTrue(self.file.exists())


if __name__ == "__main__":
    unittest.main()
