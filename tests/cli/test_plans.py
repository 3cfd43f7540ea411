"""Every sample plan of docs/plans, as docs/OPERATIONS.md tells: rehearsed, signed by two officers, run."""

import hashlib
import json
import shutil
import unittest

from ceremony_support import Site, script


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class SamplePlans(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = Site(tokens=False)
        cls.recovery = Site(tokens=False, cards=1)

    @classmethod
    def tearDownClass(cls):
        cls.site.close()
        cls.recovery.close()

    def run_plan(self, site, sample, folder=None, **edits):
        folder = folder or site.root / f"work-{sample}"
        plan = site.plan(sample, folder, **edits)
        rehearsal = site.rehearse(plan, folder)
        out = folder / "record"
        self.screen = site.qpcseal("ceremony", "run", plan, "--dir", folder, "-o", out, *rehearsal, *site.sign_plan(plan),
                                   stdin=script()).stderr
        record = json.loads((out / "record.json").read_text())
        self.assertTrue(all(step["done"] for step in record["steps"]))
        self.assertEqual(record["comparison"], [])
        return folder

    def labels(self, site, name="resnet50"):
        return [mek["label"] for mek in site.json("mek", "list") if mek["label"].startswith(name)]

    def test_rotation(self):
        self.site.qpcseal("mek", "generate", "rotated", *self.site.approved("mek-generate", "--param", "name=rotated"))
        self.run_plan(self.site, "rotation", mek="rotated")
        self.assertEqual(self.labels(self.site, "rotated"), ["rotated#1", "rotated#2"])

    def test_in_the_order_of_a_key_s_life(self):
        site, recovery = self.site, self.recovery
        self.run_plan(site, "first-key")
        self.assertEqual(self.labels(site), ["resnet50#1"])

        backup = site.root / "work-backup"
        backup.mkdir()
        recovery.qpcseal("recovery-key", "new", "-o", recovery.root / "recovery.key",
                         *recovery.approved("recovery-key"))
        shutil.copy(recovery.root / "recovery.key", backup / "recovery.key")
        self.run_plan(site, "backup", backup, recovery_key_sha256=digest(backup / "recovery.key"))
        compared = f"  recovery.key: SHA-256 {digest(backup / 'recovery.key')}, by plan\n"
        words = site.json("inspect", backup / "recovery.key")["words"]
        for shown in self.screen.split(compared)[1:]:  # where people compare, and where the key is used
            self.assertEqual(shown.split()[:32], words.split())
        self.assertEqual(self.screen.count(compared), 2)

        drill = recovery.root / "work-drill"
        drill.mkdir()
        shutil.copy(backup / "resnet50.backup", drill)
        self.run_plan(recovery, "recovery-drill", drill, backup_sha256=digest(drill / "resnet50.backup"))
        self.assertEqual(self.labels(recovery), [])

        self.run_plan(site, "compromise")
        self.assertEqual(self.labels(site), ["resnet50-b#1"])
        self.run_plan(site, "decommissioning", mek="resnet50-b")
        self.assertEqual(self.labels(site), [])

    def test_a_recovery_key_that_nobody_approved(self):
        """Officers signed one recovery key; another one does not get the MEK, by plan or by request."""
        site = self.site
        name = "unapproved"
        site.qpcseal("mek", "generate", name, *site.approved("mek-generate", "--param", f"name={name}"))
        mine, other = Site(tokens=False, cards=1), Site(tokens=False, cards=1)
        try:
            for each in (mine, other):
                each.qpcseal("recovery-key", "new", "-o", each.root / "recovery.key", *each.approved("recovery-key"))
            mek_id = next(mek["id"] for mek in site.json("mek", "list") if mek["label"] == name + "#1")
            wanted = ("--param", f"mek={name}#1", "--param", f"mek_id={mek_id}")
            approved = site.approved("mek-backup", *wanted, "--param",
                                     f"recovery_key_sha256={digest(mine.root / 'recovery.key')}")
            out = site.root / "unapproved.backup"
            said = site.qpcseal("mek", "backup", name, "--to", other.root / "recovery.key", "-o", out, *approved,
                                expect=7)
            self.assertIn("recovery_key_sha256", said.stderr)
            site.qpcseal("mek", "backup", name, "--to", other.root / "recovery.key", "-o", out, expect=7)
            self.assertFalse(out.exists())
            site.qpcseal("mek", "backup", name, "--to", mine.root / "recovery.key", "-o", out, *approved)
            restore = ("mek", "restore", out, *other.approved("mek-restore", "--backup", out))
            self.assertIn("another recovery key", other.qpcseal(*restore, expect=5).stderr)

            folder = site.root / "work-unapproved"
            folder.mkdir()
            shutil.copy(other.root / "recovery.key", folder / "recovery.key")
            plan = site.plan("backup", folder, recovery_key_sha256=digest(mine.root / "recovery.key"), mek=name)
            said = site.qpcseal("ceremony", "run", plan, "--dir", folder, "-o", folder / "record",
                                *site.sign_plan(plan), expect=5, stdin=script())
            self.assertIn("the plan says", said.stderr)
        finally:
            mine.close()
            other.close()


if __name__ == "__main__":
    unittest.main()
