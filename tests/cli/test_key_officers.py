"""What officers agree to in the life of a key: who may stop it and who may let it go on, and what requests say."""

import hashlib
import json
import os
import unittest

from appliance import Appliance, Failed, GuardedAppliance

OPERATIONS = ("mek-generate", "mek-resume", "mek-destroy", "mek-backup", "mek-restore", "mek-drill", "mek-import",
              "mek-rotate", "recovery-key")


class OneStopsIt(GuardedAppliance):
    """Any one officer may suspend; two let the key be used again."""

    def with_thresholds(self, text):
        return super().with_thresholds(text).replace("\nmek-suspend = 0\n", "\nmek-suspend = 1\n")


class KeyOfficers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = OneStopsIt(guarded=OPERATIONS, cards=1)
        cls.recovery = GuardedAppliance(guarded=OPERATIONS, cards=1)
        cls.key = cls.site.root / "recovery.key"
        cls.made = json.loads(cls.recovery.qpcseal("recovery-key", "new", "-o", cls.key,
                                                   *cls.recovery.approved("recovery-key"), "--json").stdout)
        cls.site.qpcseal("mek", "generate", "k", *cls.site.approved("mek-generate", "--param", "name=k"))

    @classmethod
    def tearDownClass(cls):
        cls.site.close()
        cls.recovery.close()

    def path(self, name):
        return self.site.root / name

    def refused(self, *arguments, site=None):
        """A request that is not written; what was said."""
        out = self.path("refused")
        said = (site or self.site).qpcseal("request", "new", *arguments, "-o", out, expect=2).stderr
        self.assertFalse(out.exists())
        return said

    def parameters(self, request):
        return self.site.json("inspect", request)["parameters"]

    def backup(self, name):
        out = self.path(name)
        self.site.qpcseal("mek", "backup", "k", "--to", self.key, "-o", out,
                          *self.site.approved("mek-backup", "--mek", "k", "--recovery-key", self.key))
        return out

    def test_one_stops_a_key_and_two_let_it_go_on(self):
        state = {"": "ok"}
        for officer in range(3):
            self.site.qpcseal("mek", "suspend", "k", *self.site.approved("mek-suspend", "--mek", "k", by=(officer,)))
            state = self.site.json("mek", "list")[0]["state"]
            self.assertEqual(state, "suspended")
            one = self.site.approved("mek-resume", "--mek", "k", by=(officer,))
            said = self.site.qpcseal("mek", "resume", "k", *one, expect=7)
            self.assertIn("needs the approval of 2 officers; what counts is 1", said.stderr)
            self.assertEqual(self.site.json("mek", "list")[0]["state"], "suspended")
            two = self.site.approved("mek-resume", "--mek", "k", by=(officer, (officer + 1) % 3))
            self.site.qpcseal("mek", "resume", "k", *two)
            self.assertEqual(self.site.json("mek", "list")[0]["state"], "ok")

    def test_an_import_is_of_the_key_that_officers_agreed_to(self):
        for name in ("one", "other"):
            self.path(name + ".dat").write_bytes(os.urandom(16))
        request = self.site.approved("mek-import", "--param", "name=old", "--file", self.path("one.dat"), name="in")
        said = self.site.qpcseal("mek", "import", self.path("other.dat"), "--name", "old", *request, expect=7)
        self.assertIn("parameter 'check_value'", said.stderr)
        self.site.qpcseal("mek", "import", self.path("one.dat"), "--name", "old", *request)
        entry = self.site.json("audit", "show", "--kind", "mek-import")["entries"][0]["data"]
        self.assertEqual(entry["check_value"], self.parameters(request[1])["check_value"])

    def test_a_drill_for_the_days_that_officers_agreed_to(self):
        backup = self.backup("drill.backup")
        request = self.recovery.approved("mek-drill", "--backup", backup, "--days", 30)
        drill = ("mek", "drill", backup, "-o", self.path("certificate"))
        said = self.recovery.qpcseal(*drill, "--days", 31, *request, expect=7)
        self.assertIn("parameter 'days'", said.stderr)
        self.recovery.qpcseal(*drill, "--days", 30, *request)
        entry = self.recovery.json("audit", "show", "--kind", "mek-drill")["entries"][-1]["data"]
        self.assertEqual(entry["days"], 30)
        # The handbook's defaults agree with each other.
        self.recovery.qpcseal(*drill, "--force", *self.recovery.approved("mek-drill", "--backup", backup))

    def test_requests_are_filled_in_from_files(self):
        backup = self.backup("filled.backup")
        seen = self.site.json("inspect", backup)
        self.assertEqual((seen["type"], seen["mek"], seen["backup_sha256"], seen["recovery_key_sha256"]),
                         ("backup", "k#1", hashlib.sha256(backup.read_bytes()).hexdigest(), self.made["sha256"]))
        request = self.recovery.approved("mek-restore", "--backup", backup)
        asked = self.parameters(request[1])
        self.assertEqual(asked.pop("origin"), "restored")
        self.assertEqual(asked, {name: seen[name] for name in asked})
        self.assertEqual(len(asked), 6)
        self.recovery.qpcseal("mek", "restore", backup, *request)
        transferee = self.path("transferee-request")
        self.recovery.qpcseal("request", "new", "mek-restore", "--backup", backup, "--param", "origin=transferee", "-o", transferee)
        self.assertEqual(self.parameters(transferee)["origin"], "transferee")
        end = self.path("end-request")
        self.site.qpcseal("request", "new", "mek-destroy", "--mek", "k", "--transfer-to", self.key, "-o", end)
        self.assertEqual(self.parameters(end)["transferee_recovery_key_sha256"], self.made["sha256"])
        self.assertIn("--backup is not for", self.refused("mek-destroy", "--mek", "k", "--backup", backup))
        self.assertIn("--transfer-to is not for", self.refused("mek-backup", "--mek", "k", "--transfer-to", self.key))
        self.assertIn("--recovery-key is not for", self.refused("mek-destroy", "--mek", "k", "--recovery-key", self.key))
        self.assertIn("--file is not for", self.refused("mek-generate", "--param", "name=x", "--file", self.key))
        self.assertIn("--days goes with", self.refused("mek-restore", "--backup", backup, "--days", 3))
        with self.assertRaisesRegex(Failed, "exit 4"):
            self.refused("mek-backup", "--mek", "k", "--recovery-key", backup)

    def test_requests_want_the_parameters_of_their_operation(self):
        key = ("--digest", f"recovery_key_sha256={self.key}")
        for arguments, words in (
                (("mek-backup", "--mek", "k"), ("'recovery_key_sha256' is missing", "takes mek, mek_id, recovery_key")),
                (("mek-backup", "--param", "mek=k", *key), ("'mek_id' is missing",)),
                (("mek-backup", "--mek", "k", "--digest", f"recovery_key_sha265={self.key}"),
                 ("no parameter 'recovery_key_sha265'",)),
                (("mek-generate", "--param", "name=x", "--param", "also=y"), ("no parameter 'also'", "takes name")),
                (("mek-generate",), ("'name' is missing",)),
                (("recovery-key", "--param", "name=x"), ("takes no parameters",)),
                (("mek-destroy", "--mek", "k", "--param", "transferee_recovery_key_sha256=00"), ("32 bytes in hex",)),
                (("mek-destroy", "--param", "mek=k#1", "--param", "mek_id=zz"), ("16 bytes in hex",)),
                (("mek-drill", "--param", "mek=k#1", "--param", "mek_id=" + "0" * 32, "--param", "days=ten",
                  "--param", "backup_sha256=" + "0" * 64, "--param", "source_appliance=x", "--param", "source_serial=x",
                  "--param", "source_seal_key_sha256=" + "0" * 64), ("'days' is a number",)),
                (("policy-change", "--param", "name=x"), ("officers sign the file itself", "policy sign")),
                (("trust-import",), ("officers sign the file itself", "trust sign"))):
            with self.subTest(arguments):
                said = self.refused(*arguments)
                for word in words:
                    self.assertIn(word, said)

    def test_a_generation_that_is_destroyed_is_not_meant(self):
        self.site.qpcseal("mek", "generate", "y", *self.site.approved("mek-generate", "--param", "name=y"))
        first = [mek for mek in self.site.json("mek", "list") if mek["label"] == "y#1"][0]
        self.assertIn("'y#9'", self.refused("mek-destroy", "--mek", "y#9"))
        self.site.qpcseal("mek", "rotate", "y", *self.site.approved("mek-rotate", "--mek", "y#1"))
        self.assertIn("several keys", self.refused("mek-destroy", "--mek", "y"))
        self.site.qpcseal("mek", "destroy", "y#1", *self.site.approved("mek-destroy", "--mek", "y#1"))
        request = self.site.approved("mek-destroy", "--mek", "y")
        self.assertNotEqual(self.parameters(request[1])["mek_id"], first["id"])
        self.assertIn("not destroyed", self.refused("mek-destroy", "--mek", "y#1"))
        self.site.qpcseal("mek", "destroy", "y", *request)


class Inspect(unittest.TestCase):
    def test_recovery_keys_and_backups(self):
        first = Appliance(cards=1)
        self.addCleanup(first.close)
        key, backup = first.root / "key", first.root / "backup"
        made = first.json("recovery-key", "new", "-o", key)
        first.qpcseal("mek", "generate", "k")
        out = first.json("mek", "backup", "k", "--to", key, "-o", backup)
        seen = first.json("inspect", key)
        for name, value in (("type", "recovery key"), ("recovery_key_sha256", made["sha256"]), ("words", made["words"]),
                            ("appliance", "test"), ("token_serial", made["token_serial"])):
            self.assertEqual(seen[name], value)
        self.assertIn(made["words"], " ".join(first.qpcseal("inspect", key).stdout.split()))
        seen = first.json("inspect", backup)
        genesis = first.json("audit", "show", "--kind", "genesis")["entries"][0]["data"]
        for name, value in (("type", "backup"), ("mek", "k#1"), ("mek_id", out["id"]), ("backup_sha256", out["sha256"]),
                            ("source_appliance", "test"), ("source_serial", genesis["token"]["serial"]),
                            ("encryptions", 1), ("recovery_key_sha256", made["sha256"]),
                            ("source_log_key", genesis["log_key"])):
            self.assertEqual(seen[name], value)
        for value in (seen["source_seal_key_sha256"], seen["backup_sha256"]):
            self.assertIn(value, first.qpcseal("inspect", backup).stdout)
        changed = bytearray(backup.read_bytes())
        changed[-1] ^= 1
        backup.write_bytes(bytes(changed))
        first.qpcseal("inspect", backup, expect=5)


if __name__ == "__main__":
    unittest.main()
