"""Recovery keys: one a token, whatever is cut short; and who may go on with a key in its source's place."""

import os
import shutil
import subprocess
import unittest

from appliance import Appliance, softhsm_env
from second import Second, killed

MODULE = "/usr/lib/softhsm/libsofthsm2.so"


class Case(unittest.TestCase):
    def setUp(self):
        self.first = Appliance(cards=1)
        self.addCleanup(self.first.close)
        self.first.qpcseal("mek", "generate", "k")
        self.token = Second(self.first, "B")
        self.key = self.first.root / "B.key"

    def path(self, name):
        return self.first.root / name

    def backup(self, source=None, to=None, out="k.backup"):
        self.path(out).unlink(missing_ok=True)
        (source or self.first).qpcseal("mek", "backup", "k", "--to", to or self.key, "-o", self.path(out))
        return self.path(out)

    def drill(self, backup, expect=0):
        return self.token.qpcseal("mek", "drill", backup, "-o", self.path("certificate"), "--force", expect=expect)


class Making(Case):
    def entries(self):
        return self.token.json("audit", "show", "--kind", "recovery-key")["entries"]

    def again(self, pristine):
        shutil.rmtree(self.token.home)
        shutil.copytree(pristine, self.token.home)

    def test_one_a_token(self):
        made = self.token.json("recovery-key", "new", "-o", self.key)
        size = len(self.entries())
        refused = self.token.qpcseal("recovery-key", "new", "-o", self.path("B2.key"), expect=6)
        self.assertIn("holds a recovery key already", refused.stderr)
        self.assertEqual(len(self.entries()), size, "the log does not hear of it")
        self.assertFalse(self.path("B2.key").exists())
        shown = self.token.json("recovery-key", "show", "-o", self.path("shown.key"))
        self.assertEqual((shown["sha256"], self.path("shown.key").read_bytes()), (made["sha256"], self.key.read_bytes()))
        self.token.qpcseal("audit", "receipt", made["entry"], "-o", self.path("receipt"))
        self.assertEqual(self.token.json("inspect", self.path("receipt"))["data"]["recovery_key_sha256"],
                         made["sha256"])
        self.first.qpcseal("recovery-key", "show", "-o", self.path("none"), expect=6)

    def test_a_second_one_that_is_cut_short_leaves_the_first(self):
        self.token.qpcseal("recovery-key", "new", "-o", self.key)
        backup = self.backup()
        for when in range(1, 6):
            killed(self.token.env, "fdatasync", when, "recovery-key", "new", "-o", self.path("B2.key"))
            self.drill(backup)

    def test_cut_short_anywhere(self):
        """A file that is there opens backups; a key that the log has can write its file again."""
        pristine = self.path("pristine")
        shutil.copytree(self.token.home, pristine)
        outcomes = set()
        for call in ("fdatasync", "fsync", "rename", "renameat2", "linkat"):
            for when in range(1, 40):
                self.again(pristine)
                self.key.unlink(missing_ok=True)
                if killed(self.token.env, call, when, "recovery-key", "new", "-o", self.key) == 0:
                    break
                there = self.key.exists()
                self.token.qpcseal("mek", "list")
                results = [entry["outcome"] for entry in self.entries() if entry["phase"] == "result"]
                kept = results == ["ok"]
                outcomes.add((there, kept))
                self.assertFalse(there and not kept, f"{call} {when}: a file whose pair is gone")
                if not kept:
                    self.token.qpcseal("recovery-key", "new", "-o", self.key)
                elif not there:
                    self.token.qpcseal("recovery-key", "show", "-o", self.key)
                self.drill(self.backup())
            else:
                self.fail(f"{call} has no end")
        self.assertLessEqual({(False, False), (False, True)}, outcomes)

    def test_rollback_spares_a_pair_that_the_log_has(self):
        """An intent is open, and the token has the pair of an earlier entry."""
        self.token.qpcseal("recovery-key", "new", "-o", self.key)
        backup = self.backup()
        tokens, aside = self.token.home / "tokens", self.path("aside")
        shutil.copytree(tokens, aside)
        pin = (self.token.home / "pin").read_text().strip()
        for kind in ("privkey", "pubkey"):
            subprocess.run(["pkcs11-tool", "--module", MODULE, "--token-label", "qpcseal", "--login", "--pin", pin,
                            "--delete-object", "--type", kind, "--label", "qpcseal-recovery"], check=True,
                           capture_output=True,
                           env=softhsm_env(tokens, self.path("outside").parent))
        pair = [path.relative_to(aside) for path in aside.rglob("*.object") if not
                (tokens / path.relative_to(aside)).exists()]
        self.assertEqual(len(pair), 2)
        for name in pair:
            (self.token.home / "tokens.guard" / name).unlink()
        for when in range(1, 40):  # until the intent is signed, and nothing was made
            code = killed(self.token.env, "fsync", when, "recovery-key", "new", "-o", self.path("B2.key"))
            self.assertNotEqual(code, 0)
            if self.entries()[-1]["phase"] == "intent":
                break
        for name in pair:
            shutil.copy(aside / name, tokens / name)
            if (aside / name).with_suffix(".lock").exists():
                shutil.copy((aside / name).with_suffix(".lock"), (tokens / name).with_suffix(".lock"))
        self.drill(backup)
        last = self.entries()[-1]
        self.assertEqual((last["phase"], last["outcome"]), ("result", "failed"))
        self.assertIn("stays", last["data"]["reconciled"])


class Transferees(Case):
    def setUp(self):
        super().setUp()
        self.third = Second(self.first, "C")
        self.token.qpcseal("recovery-key", "new", "-o", self.key)
        self.third.qpcseal("recovery-key", "new", "-o", self.path("C.key"))
        self.first.sample("model.qpc")

    def seal(self, appliance, out, expect=0):
        return appliance.qpcseal("encrypt-model", "--qpc", self.path("model.qpc"), "--mek", "k", "--output-dir",
                                 self.path(out), expect=expect)

    def end(self, appliance, name, *transferee):
        gone = appliance.json("mek", "destroy", "k", *transferee)
        appliance.qpcseal("audit", "receipt", gone["entry"], "-o", self.path(name))
        return self.path(name), gone["encryptions"]

    def test_who_handed_a_key_on_is_not_its_heir_again(self):
        first_backup = self.backup()
        first_end, _ = self.end(self.first, "A.end", "--transfer-to", self.key)
        self.token.qpcseal("mek", "restore", first_backup, "--retirement", first_end)
        self.seal(self.token, "s1")
        second_backup = self.backup(self.token, self.path("C.key"), "BC")
        second_end, _ = self.end(self.token, "B.end", "--transfer-to", self.path("C.key"))
        self.assertEqual(self.third.json("mek", "restore", second_backup, "--retirement", second_end)["origin"], "transferee")
        self.seal(self.third, "s2")
        refused = self.token.qpcseal("mek", "restore", first_backup, "--retirement", first_end, expect=5)
        self.assertIn("as its transferee", refused.stderr)
        # To wrap only it comes back; and that is no way round.
        self.token.qpcseal("mek", "restore", first_backup)
        self.assertIn("only wraps", self.seal(self.token, "s3", expect=5).stderr)
        self.token.qpcseal("mek", "destroy", "k")
        self.token.qpcseal("mek", "restore", first_backup, "--retirement", first_end, expect=5)
        self.token.qpcseal("audit", "verify")

    def test_a_token_that_named_itself_and_then_another(self):
        own_key = self.path("A.key")
        self.first.qpcseal("recovery-key", "new", "-o", own_key)
        own = self.backup(to=own_key, out="own")
        end, count = self.end(self.first, "own.end", "--transfer-to", own_key)
        self.assertEqual(self.first.json("mek", "restore", own, "--retirement", end)["encryptions"], count)
        self.seal(self.first, "s1")
        self.backup()
        self.end(self.first, "A.end", "--transfer-to", self.key)
        self.first.qpcseal("mek", "restore", own, "--retirement", end, expect=5)

    def test_a_count_never_falls(self):
        """Whether it comes back as a transferee or to wrap only, from this backup or an older one."""
        old = self.backup(out="old")
        self.seal(self.first, "s0")
        new = self.backup(out="new")
        end, _ = self.end(self.first, "A.end", "--transfer-to", self.key)
        self.token.qpcseal("mek", "restore", new, "--retirement", end)
        self.seal(self.token, "s1")
        most = self.token.json("mek", "destroy", "k")["encryptions"]
        for backup in (old, new):
            self.assertEqual(self.token.json("mek", "restore", backup)["encryptions"], most)
            self.assertEqual(self.token.json("mek", "list")[0]["encryptions"], most)
            self.token.qpcseal("mek", "destroy", "k")
        self.assertEqual(self.token.json("mek", "restore", old, "--retirement", end)["encryptions"], most)
        self.token.qpcseal("audit", "verify")
        # At the source too: its own backup, made before the key was used.
        own_key = self.path("A.key")
        self.first.qpcseal("mek", "generate", "own")
        self.first.qpcseal("recovery-key", "new", "-o", own_key)
        self.first.qpcseal("mek", "backup", "own", "--to", own_key, "-o", self.path("own.backup"))
        self.first.qpcseal("encrypt-model", "--qpc", self.path("model.qpc"), "--mek", "own", "--output-dir",
                           self.path("s4"))
        most = self.first.json("mek", "destroy", "own")["encryptions"]
        self.assertEqual(self.first.json("mek", "restore", self.path("own.backup"))["encryptions"], most)


if __name__ == "__main__":
    unittest.main()
