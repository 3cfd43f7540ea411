"""Every command that makes, takes in, gives out or ends a key, killed or failing at every call that changes a file."""

import hashlib
import shutil
import unittest

import acts
import points
import tokens
from acts import Act
from appliance import Appliance

VALUE = bytes(range(16))


def envelope_too(text):
    return text.replace('modes = ["token"]', 'modes = ["token", "envelope"]')


class Keys(acts.Acts):
    @classmethod
    def make(cls):
        appliance = Appliance(cards=1, policy_edit=envelope_too)
        appliance.qpcseal("mek", "generate", "first")
        appliance.qpcseal("mek", "generate", "other")
        cls.recovery, cls.backup = appliance.root / "recovery.key", appliance.root / "first.backup"
        appliance.qpcseal("recovery-key", "new", "-o", cls.recovery)
        appliance.qpcseal("mek", "backup", "first", "--to", cls.recovery, "-o", cls.backup)
        return appliance

    def sound(self):
        return {mek["label"] for mek in self.appliance.json("mek", "list") if mek["state"] == "ok"}

    def q(self, *command):
        return lambda: self.appliance.qpcseal(*command)

    def test_generate(self):
        self.sweep(Act("mek generate", ("mek", "generate", "second"), "mek-generate"))

    def test_rotate(self):
        self.sweep(Act("mek rotate", ("mek", "rotate", "first"), "mek-rotate"))

    def test_suspend(self):
        self.sweep(Act("mek suspend", ("mek", "suspend", "first"), "mek-suspend"))

    def test_resume(self):
        self.sweep(Act("mek resume", ("mek", "resume", "first"), "mek-resume", prepare=self.q("mek", "suspend", "first")))

    def test_destroy(self):
        self.sweep(Act("mek destroy", ("mek", "destroy", "first"), "mek-destroy", settles=True))

    def test_destroy_for_an_heir(self):
        self.sweep(Act("mek destroy --transfer-to", ("mek", "destroy", "first", "--transfer-to", self.recovery), "mek-destroy",
                       settles=True))

    def test_backup(self):
        out = self.out / "second.backup"

        def check(done, outcomes, where):
            if out.exists():
                entries = self.entries(where)[self.before:]
                digests = [e["data"].get("wrapped_sha256") for e in entries if e["kind"] == "mek-backup"]
                self.assertIn(hashlib.sha256(out.read_bytes()).hexdigest(), digests, f"{where}: not in the log")
                self.assertIn(outcomes, (["ok"], ["unknown"]), where)
            self.assertTrue(out.exists() or done.returncode != 0, where)

        self.sweep(Act("mek backup", ("mek", "backup", "first", "--to", self.recovery, "-o", out), "mek-backup", check=check,
                       again=("mek", "backup", "first", "--to", self.recovery, "-o", out, "--force")))

    def test_restore(self):
        self.sweep(Act("mek restore", ("mek", "restore", self.backup), "mek-restore", prepare=self.q("mek", "destroy", "first")))

    def test_drill(self):
        out = self.out / "drill.receipt"
        self.sweep(Act("mek drill", ("mek", "drill", self.backup, "-o", out), "mek-drill",
                       again=("mek", "drill", self.backup, "-o", out, "--force")))

    def test_import(self):
        file = self.root / "MEK.dat"
        self.sweep(Act("mek import", ("mek", "import", file, "--name", "old"), "mek-import",
                       fresh=lambda: file.write_bytes(VALUE)))

    def test_import_again(self):
        """A key that the token lost: its file brings it back."""
        file = self.root / "MEK.dat"
        command = ("mek", "import", file, "--name", "old")

        def prepare():
            file.write_bytes(VALUE)
            before = set((self.home / "tokens").rglob("*.object"))
            self.appliance.qpcseal(*command)
            made = max(set((self.home / "tokens").rglob("*.object")) - before, key=lambda path: path.stat().st_size)
            made.unlink()
            made.with_suffix(".lock").unlink(missing_ok=True)
            (self.home / "tokens.guard" / made.relative_to(self.home / "tokens")).unlink()

        def check(done, outcomes, where):
            if "ok" not in outcomes and self.on_token_file and "old#1" in self.sound():
                # The call to the token failed, and made the key: it is the log's, and whole.
                self.appliance.qpcseal("mek", "backup", "old", "--to", self.recovery, "-o", self.out / "old.backup")
                self.appliance.qpcseal("mek", "drill", self.out / "old.backup", "-o", self.out / "old.drill")
            else:
                self.assertEqual("old#1" in self.sound(), "ok" in outcomes, where)

        def again():
            return ("mek", "show", "old") if "old#1" in self.sound() else command

        self.sweep(Act("mek import of a lost key", command, "mek-import", prepare=prepare, check=check, again=again))

    def test_import_and_shred(self):
        file = self.root / "MEK.dat"
        command = ("mek", "import", file, "--name", "old", "--shred")

        def check(done, outcomes, where):
            if done.returncode == 0:
                self.assertFalse(file.exists(), where)
            if not file.exists() or file.read_bytes() != VALUE:
                self.assertIn("ok", outcomes, f"{where}: shredded, and the key is not in the token")
            again = self.run_it(*command)  # ends with the key in the token, no file, and a log that says so
            shreds = [e for e in self.entries(where) if e["kind"] == "shred" and e.get("outcome") == "ok"]
            if not shreds or again.returncode == 0:
                self.assertEqual(again.returncode, 0, f"{where}, again: {again.stderr}")
                self.assertFalse(file.exists(), where)

        self.sweep(Act("mek import --shred", command, "mek-import", check=check, fresh=lambda: file.write_bytes(VALUE),
                       settles=True))  # exit code 3: the key is in, and the file is still there

    def test_encrypt_model(self):
        for mode in ("token", "envelope"):
            out = self.out / "sealed"

            def check(done, outcomes, where):
                there = (out / "programqpc.bin").exists()  # pylint: disable=cell-var-from-loop
                self.assertTrue(not there or outcomes == ["ok"], f"{where}: a model that the log does not have")
                self.assertTrue(there or done.returncode != 0, where)

            command = ("encrypt-model", "--qpc", self.model, "--mek", "first", "--mode", mode, "--threads", "1",
                       "--output-dir", out)
            self.sweep(Act(f"encrypt-model, {mode}", command, "seal", check=check, again=(*command, "--force")))


class RecoveryKey(acts.Acts):
    def test_recovery_key(self):
        out = self.out / "recovery.key"
        self.sweep(Act("recovery-key new", ("recovery-key", "new", "-o", out), "recovery-key"))

    def test_recovery_key_show(self):
        out = self.out / "recovery.key"

        def prepare():
            self.appliance.qpcseal("recovery-key", "new", "-o", self.root / "recovery.key", "--force")

        command = ("recovery-key", "show", "-o", out)
        self.sweep(Act("recovery-key show", command, prepare=prepare, again=(*command, "--force")))


class Cleanup(acts.Acts):
    """Half-made objects in a token that is not the appliance's own: `mek cleanup` removes them."""

    @classmethod
    def make(cls):
        appliance = Appliance(cards=1, token=tokens.Forwarded)
        appliance.qpcseal("mek", "generate", "first")
        appliance.token.close()
        cls.objects_folder = appliance.root / "token" / "tokens"
        (folder,) = (path for path in cls.objects_folder.iterdir() if path.is_dir())
        cls.half = folder / "87c67806-b224-6da3-f411-c60db7855f52.object"
        cls.half.write_bytes(bytes(8))
        cls.half.with_suffix(".lock").touch()
        shutil.copytree(cls.objects_folder, appliance.root / "token-at-first")
        appliance.token.start()
        return appliance

    def count_objects(self):
        return len(list(self.objects_folder.rglob("*.object")))

    def reset(self):
        super().reset()
        token = self.appliance.token
        token.close()
        token.socket.unlink(missing_ok=True)
        points.copy_over(self.root / "token-at-first", self.objects_folder)
        token.start()

    def test_cleanup(self):
        def check(done, outcomes, where):
            self.assertTrue("ok" in outcomes or self.half.exists(), f"{where}: destroyed, and the log does not say so")
            self.assertFalse(done.returncode in acts.DONE and self.half.exists(), f"{where}: said to be destroyed")

        self.sweep(Act("mek cleanup", ("mek", "cleanup"), "leftovers", check=check))
        self.assertFalse(self.half.exists())


def tearDownModule():
    acts.TABLE.show()


if __name__ == "__main__":
    unittest.main()
