# SPDX-License-Identifier: Apache-2.0
"""Every command does its work once, as officers and an operator would use it. Those that write a file are in test_outputs."""

import re
import shutil
import unittest

from appliance import Officer, shifted, today
from ceremony_support import Site, script
from second import Second
from test_audit_keys import Witness
from test_outputs import commands, writing

DAY = 24 * 60 * 60


class EveryCommand(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = Site(tokens=False, guarded=(), cards=1)
        cls.root, cls.home = cls.site.root, cls.site.root / "home"
        cls.names = dict(commands())
        cls.seen = {"init", "genesis accept"}  # that was setUpClass

    @classmethod
    def tearDownClass(cls):
        cls.site.close()

    def q(self, *words, site=None, **more):
        name = next(" ".join(words[:size]) for size in (3, 2, 1) if " ".join(map(str, words[:size])) in self.names)
        self.seen.add(name)
        return (site or self.site).qpcseal(*words, **more)

    def says(self, expected, *words, **more):
        self.assertIn(expected, self.q(*words, **more).stdout)

    def state(self, label):
        return {mek["label"]: mek["state"] for mek in self.site.json("mek", "list")}[label]

    def key(self):
        """The log's first."""
        return self.site.json("audit", "show", "--kind", "genesis")["entries"][0]["data"]["log_key"]

    def of_keys(self):
        other = Second(self.site, "other")
        key, backup, file = self.root / "recovery.key", self.root / "m.backup", self.root / "MEK.dat"
        other.qpcseal("recovery-key", "new", "-o", key)
        self.says("m#1", "mek", "generate", "m")
        self.says("m#1", "mek", "show", "m")
        self.q("mek", "suspend", "m")
        self.assertEqual(self.state("m#1"), "suspended")
        self.q("mek", "resume", "m")
        self.says("m#2", "mek", "rotate", "m")
        self.says("m#2", "mek", "list")
        self.q("mek", "backup", "m#1", "--to", key, "-o", backup)
        other.qpcseal("mek", "drill", backup, "-o", self.root / "drill")
        self.says("m#1", "mek", "drills", site=other)
        self.says("m#1", "mek", "restore", backup, site=other)
        self.q("mek", "destroy", "m#2")
        self.assertNotIn("m#2", self.q("mek", "list").stdout)
        file.write_bytes(bytes(range(16)))
        self.says("old#1", "mek", "import", file, "--name", "old")
        self.says("nothing half made", "mek", "cleanup")
        self.says("m#1", "plan", "compromise", "m#1")
        pin = self.root / "new-pin"
        pin.write_text("another-pin-1\n")
        with open(pin, encoding="ascii") as new:
            self.q("pin", "change", "--new-pin-fd", new.fileno(), pass_fds=(new.fileno(),))

    def of_cards(self):
        self.says("ALLOWED: m#1", "attest", "verify", self.site.attest("m#1"))
        self.says("network.elf", "inspect", self.site.sample())

    def of_the_log(self):
        receipt, witness = self.root / "receipt", Witness()
        self.says("is whole", "audit", "verify")
        self.says("mek-generate", "audit", "show")
        self.q("audit", "receipt", "0", "-o", receipt)
        self.says("genesis", "audit", "check-receipt", receipt, "--key", self.key())
        checkpoint = self.root / "checkpoint"
        self.q("audit", "witness", "trust", witness.vkey)
        self.q("audit", "checkpoint", "-o", checkpoint)
        checkpoint.write_text(witness.cosign(checkpoint.read_text()))
        self.q("audit", "witness", "import", checkpoint)
        self.says(witness.name, "audit", "witness", "list")
        self.q("audit", "witness", "distrust", witness.vkey)
        self.q("audit", "rotate-key")

    def of_officers(self):
        emil = Officer(self.root / "officers-keys", "emil", "-t", "ed25519")
        more = self.root / "officers.more"
        more.write_text(self.site.officers_file.read_text() + emil.line())
        self.seen.add("officers install")
        self.site.change_officers(more)
        self.says("emil", "officers", "show")
        following = self.root / "policy.2"
        following.write_text(re.sub("(?m)^serial = 1$", "serial = 2", self.site.policy.read_text()))
        self.q("policy", "check", following)
        self.says("serial", "policy", "diff", self.site.policy, following)
        self.q("policy", "install", following, "--approval", *(o.sign(following, "policy") for o in self.site.officers[:2]))
        self.says("Policy number 2", "policy", "show")
        bundle = self.root / "bundle"
        self.q("trust", "bundle", "--serial", 1, "--trust", self.site.trust, "-o", bundle)
        self.q("trust", "import", bundle, "--approval", self.site.officers[0].sign(bundle, "collateral"))
        self.says("collateral bundle 1", "trust", "show")
        self.says("log anchor in the token", "site", "show")
        self.q("site", "change", "--clock-days", 9, *self.site.approved("site-change", "--param", "clock_days=9"))

    def of_the_machine(self):
        self.says("nothing stops the next command", "doctor")
        self.says("entries", "status")
        backup, before = self.root / "home.tar", self.root / "before"
        self.q("home", "backup", "-o", backup)
        self.says("whole", "home", "verify", backup)
        self.q("home", "restore", backup, "--force")
        shutil.copytree(self.home / "tokens", before)
        self.q("mek", "suspend", "m#1")
        self.q("mek", "resume", "m#1")
        shutil.rmtree(self.home / "tokens")
        before.rename(self.home / "tokens")
        said = self.q("mek", "list", expect=8).stderr
        anchor = re.search(r"\(anchor (\d+ [0-9a-f]{64})\)", said)[1]
        self.q("audit", "anchor-accept", *self.site.approved("anchor-accept", "--param", f"anchor={anchor}"))
        false = shifted(self.site.env, 40 * DAY)
        self.q("attest", "request", "--mek", "m#1", "-o", self.root / "late", "--clock", today(40 * DAY), env=false)
        self.q("clock", "correct", *self.site.approved("clock-correct"))

    def of_the_program(self):
        file = self.root / "commands.jsonl"
        file.write_text('{"command": ["mek", "list"]}\n')
        self.says('"exit_code":0', "run", file)
        self.says("m#1", "shell", stdin="mek list\n")
        self.says("complete", "completion", "bash")
        self.says("Usage: qpcseal mek show", "help", "mek", "show")
        self.says("qpcseal ", "version")

    def of_ceremonies(self):
        folder, record = self.root / "ceremony", self.root / "ceremony" / "record"
        plan = self.site.plan("first-key", folder, mek="c", output="c.checkpoint")
        self.says("step 2", "ceremony", "lint", plan, "--dir", folder)
        rehearsal = self.site.rehearse(plan, folder)
        self.q("ceremony", "run", plan, "--dir", folder, "-o", record, *rehearsal, *self.site.sign_plan(plan), stdin=script())
        self.says("c#1", "mek", "list")
        self.q("ceremony", "report", plan, "-o", folder / "again")
        self.q("ceremony", "check", record / "record.json", "--log", self.home / "log", "--key", self.key())

    def test_each_works(self):
        for part in (self.of_keys, self.of_cards, self.of_the_log, self.of_officers, self.of_the_machine, self.of_the_program,
                     self.of_ceremonies):
            with self.subTest(part.__name__):
                part()
        self.site.qpcseal("audit", "verify")
        self.assertEqual(set(self.names) - writing(self.names) - self.seen, set())


if __name__ == "__main__":
    unittest.main()
