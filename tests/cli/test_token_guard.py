"""The embedded token's files are guarded: what a kill, a full disk or a hand takes from them comes back."""

import json
import os
import shutil
import subprocess
import unittest

from appliance import QPCSEAL
from token_points import TokenPoints


class TokenGuard(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.points = TokenPoints()
        cls.home = cls.points.home

    @classmethod
    def tearDownClass(cls):
        cls.points.close()

    def setUp(self):
        self.points.reset()
        self.token = next((self.home / "tokens").glob("*/token.object"))

    def restored(self):
        lines = (self.home / "log" / "entries.jsonl").read_text().splitlines()
        return [entry["data"] for entry in map(json.loads, lines) if entry["kind"] == "token-restored"]

    def check(self, command, points, faults):
        wrong = [self.points.point(command, call, when, fault) for call, when in points for fault in faults]
        self.assertEqual([one for one in wrong if one], [])

    def test_a_kill_at_the_login_loses_nothing(self):
        login = [(call, when) for call, when in self.points.points(("mek", "list"))
                 if call in ("ftruncate", "write", "openat")]
        self.assertGreater(len(login), 2)
        self.check(("mek", "list"), login, ("signal=KILL",))

    def test_a_full_disk_at_the_login_loses_nothing(self):
        writes = [point for point in self.points.points(("mek", "list")) if point[0] == "write"]
        self.check(("mek", "list"), writes, ("error=ENOSPC", "error=EIO"))

    def test_a_sample_of_the_points_of_acts(self):
        for command in (("mek", "generate", "second"), ("mek", "destroy", "gone"),
                        ("mek", "import", self.points.value, "--name", "imp", "--shred")):
            all_of_them = self.points.points(command)
            sample = all_of_them[::max(1, len(all_of_them) // 6)]
            self.check(command, sample, ("signal=KILL", "error=ENOSPC"))

    def test_the_log_says_what_was_put_back(self):
        self.token.write_bytes(b"")
        listed = self.points.run(("mek", "list", "--json"))
        self.assertEqual(listed.returncode, 0, listed.stderr)
        self.assertEqual({mek["label"] for mek in json.loads(listed.stdout)}, {"first#1", "gone#1"})
        (data,) = self.restored()
        self.assertEqual(data["count"], 1)
        self.assertEqual(data["files"][0]["name"], f"{self.token.parent.name}/token.object")
        self.assertEqual(data["files"][0]["was"], "empty")
        self.points.run(("mek", "list"))
        self.assertEqual(len(self.restored()), 1, "once")
        shown = self.points.run(("audit", "show", "--kind", "token-restored", "--json"))
        self.assertIn("token.object", shown.stdout)

    def test_a_destroyed_key_does_not_come_back(self):
        before = set(self.token.parent.glob("*.object"))
        self.assertEqual(self.points.run(("mek", "destroy", "gone")).returncode, 0)
        gone = before - set(self.token.parent.glob("*.object"))
        copies = self.home / "tokens.guard" / self.token.parent.name
        self.assertTrue(gone)
        for path in gone:
            self.assertFalse((copies / path.name).exists(), "the copy of a destroyed key")
        self.points.run(("mek", "list"))
        self.assertFalse(gone & set(self.token.parent.glob("*.object")))

    def test_all_files_removed_by_hand(self):
        shutil.rmtree(self.token.parent)
        refused = self.points.run(("mek", "list"))
        self.assertEqual(refused.returncode, 8, "the anchor has no copy: " + refused.stderr)
        accepted = self.points.run(("audit", "anchor-accept", "--yes"))
        self.assertEqual(accepted.returncode, 0, accepted.stderr)
        listed = self.points.run(("mek", "list", "--json"))
        self.assertEqual(listed.returncode, 0, listed.stderr)
        self.assertEqual(len(json.loads(listed.stdout)), 2)

    def test_lock_files_that_a_backup_left_out(self):
        for lock in self.token.parent.glob("*.lock"):
            lock.unlink()
        for command in (("mek", "generate", "second"), ("mek", "destroy", "gone")):
            done = self.points.run(command)
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_limit_on_file_sizes_is_an_error_and_loses_nothing(self):
        limited = subprocess.run(["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", QPCSEAL, "mek", "generate", "second"],
                                 env=self.points.appliance.env, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(limited.returncode, 3, limited.stderr)
        self.assertIn("error:", limited.stderr)
        done = self.points.run(("mek", "generate", "third"))
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_copies_are_not_in_a_backup_of_the_home(self):
        archive = self.points.root / "home.tar"
        self.assertEqual(self.points.run(("home", "backup", "-o", archive, "--force")).returncode, 0)
        names = subprocess.run(["tar", "tf", archive], capture_output=True, text=True, check=True).stdout
        self.assertNotIn("tokens", names)
        self.assertNotIn("reserve", names)


@unittest.skipUnless(os.geteuid() == 0, "mounting is for root")
class SmallHome(unittest.TestCase):
    """A home on a file system of its own, that is full or read-only."""

    def setUp(self):
        self.points = TokenPoints()
        self.addCleanup(self.points.close)
        self.home = self.points.home
        kept = self.points.pristine
        shutil.rmtree(self.home)
        self.home.mkdir(0o700)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", self.home],
                          check=False).returncode != 0:
            self.skipTest("tmpfs cannot be mounted here")
        self.addCleanup(subprocess.run, ["umount", self.home], check=True)
        shutil.copytree(kept, self.home, dirs_exist_ok=True)

    def fill(self):
        subprocess.run(["dd", "if=/dev/zero", f"of={self.home}/filler", "bs=4k"], stderr=subprocess.DEVNULL, check=False)

    def test_a_key_is_suspended_on_a_full_disk(self):
        self.assertEqual(self.points.run(("mek", "list")).returncode, 0)
        self.assertEqual((self.home / "log" / "reserve").stat().st_blocks * 512, 256 << 10)
        self.fill()
        looked = self.points.run(("status",))
        self.assertEqual(looked.returncode, 3, looked.stderr)
        self.assertIn("the log cannot be written", looked.stdout)
        done = self.points.run(("mek", "generate", "second"))
        self.assertEqual(done.returncode, 3, done.stderr)
        done = self.points.run(("mek", "suspend", "first"))
        self.assertEqual(done.returncode, 0, done.stderr)
        (self.home / "filler").unlink()
        listed = json.loads(self.points.run(("mek", "list", "--json")).stdout)
        self.assertEqual({mek["label"]: mek["state"] for mek in listed}, {"first#1": "suspended", "gone#1": "ok"})
        self.assertTrue((self.home / "log" / "reserve").exists(), "held back again when there is room")

    def test_a_read_only_home_can_be_looked_at(self):
        archive = self.points.root / "home.tar"
        subprocess.run(["mount", "-o", "remount,ro", self.home], check=True)
        try:
            listed = self.points.run(("mek", "list"))
            self.assertEqual(listed.returncode, 0, listed.stderr)
            self.assertIn("first#1", listed.stdout)
            self.assertIn("the token was not asked", listed.stdout)
            for command in (("audit", "verify"), ("audit", "show"), ("policy", "show"), ("trust", "show", "--log-key"),
                            ("home", "backup", "-o", archive)):
                done = self.points.run(command)
                self.assertEqual(done.returncode, 0, (command, done.stderr))
            for command in (("mek", "generate", "second"), ("mek", "suspend", "first"), ("doctor",)):
                done = self.points.run(command)
                self.assertEqual(done.returncode, 3, (command, done.stderr))
        finally:
            subprocess.run(["mount", "-o", "remount,rw", self.home], check=True)
        self.assertTrue(archive.exists())


if __name__ == "__main__":
    unittest.main()
