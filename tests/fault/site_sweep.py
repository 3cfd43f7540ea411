"""Every command that changes what an appliance goes by, killed or failing at every call that changes a file: its PIN, log,
policy, trust, site, clock, witnesses and home; and the making of one. `home backup` and `home restore` are in
home_restore.py, binding in place in in_place.py, releases in release_sweep.py."""

import hashlib
import json
import shutil
import unittest

import acts
from acts import Act
from appliance import Appliance, shifted, today

from test_audit_keys import Witness

DAY = 86400


class Site(acts.Acts):
    def test_pin_change(self):
        pin = self.home / "pin"

        def check(done, outcomes, where):
            self.assertFalse((self.home / "pin.qpcseal-next").exists(), f"{where}: not settled")
            changed = pin.read_text().strip() == "another-pin"
            self.assertEqual("ok" in outcomes, changed, where)
            self.assertTrue(changed or done.returncode not in acts.DONE, where)

        self.sweep(Act("pin change", ("pin", "change", "--new-pin-fd", "{fd}"), "pin-change", pin=b"another-pin\n",
                       check=check, settles=True))

    def test_rotate_key(self):
        self.sweep(Act("audit rotate-key", ("audit", "rotate-key"), "rotate-key"))

    def test_policy_install(self):
        text = (self.root / "policy.toml").read_text()
        following = self.root / "next.toml"
        following.write_text(text.replace("serial = 1\n", "serial = 2\n"))
        old, new = (hashlib.sha256(t.encode()).hexdigest() for t in (text, following.read_text()))

        def check(done, outcomes, where):
            now = json.loads(self.run_it("policy", "show", "--json").stdout)["sha256"]
            self.assertEqual(now, new if "ok" in outcomes else old, where)

        self.sweep(Act("policy install", ("policy", "install", following), "policy", check=check, settles=True))

    def test_trust_import(self):
        bundle = self.root / "bundle"
        self.appliance.qpcseal("trust", "bundle", "--serial", 1, "--trust", self.appliance.trust, "-o", bundle)

        def check(done, outcomes, where):
            there = json.loads(self.run_it("trust", "show", "--json").stdout).get("bundle")
            self.assertEqual("ok" in outcomes, there is not None, where)

        self.sweep(Act("trust import", ("trust", "import", bundle), "trust", check=check, settles=True))

    def test_attest_request(self):
        request = self.out / "request"

        def check(done, outcomes, where):
            self.assertTrue(request.exists() or done.returncode != 0, where)
            if request.exists():
                nonce = json.loads(self.run_it("inspect", request, "--json").stdout)["nonce"]
                self.assertIn(nonce, [e["data"].get("nonce") for e in self.entries(where)], f"{where}: not in the log")

        command = ("attest", "request", "--mek", "first", "-o", request)
        self.sweep(Act("attest request", command, "challenge", check=check, again=(*command, "--force"),
                       settles=True))  # a request that was not written is made again: its challenge expires

    def test_replace_mek(self):
        sealed, wrapped = self.root / "sealed-model", self.root / "wrapped"

        def prepare():
            for folder in (sealed, wrapped):
                shutil.rmtree(folder, ignore_errors=True)
            self.appliance.qpcseal("encrypt-model", "--qpc", self.model, "--mek", "first", "--output-dir", sealed)
            self.appliance.qpcseal("wrap-mek", "--mek", "first", "--pub-keys", self.appliance.attest("first"),
                                   "--output-dir", wrapped)

        def check(done, outcomes, where):
            there = self.out / "bound" / "programqpc.bin"
            self.assertTrue(there.exists() or done.returncode != 0, where)
            if there.exists():
                self.appliance.load(there)

        command = ("replace-mek", "--encrypted-qpc", sealed, "--wrapped-meks", wrapped, "--output-dir", self.out / "bound")
        self.sweep(Act("replace-mek", command, prepare=prepare, check=check, again=(*command, "--force")))

    def test_site_change(self):
        def check(done, outcomes, where):
            said = self.run_it("site", "show").stdout
            self.assertEqual("ok" in outcomes, "14" in said, f"{where}: {said}")

        self.sweep(Act("site change", ("site", "change", "--clock-days", "14", "--yes"), "site", check=check))

    def test_clock_correct(self):
        def prepare():
            self.appliance.qpcseal("attest", "request", "--mek", "first", "-o", self.root / "false.request", "--force",
                                   "--clock", today(14 * DAY), env=shifted(self.env, 14 * DAY))

        self.sweep(Act("clock correct", ("clock", "correct", "--yes"), "clock-correct", prepare=prepare))

    def test_clock_confirmed(self):
        """The date is typed and logged, and then the command's own act."""
        self.sweep(Act("--clock DATE", ("--clock", today(), "mek", "suspend", "first"), "mek-suspend"))

    def test_witness_trust(self):
        self.sweep(Act("audit witness trust", ("audit", "witness", "trust", Witness().vkey), "witness-key"))

    def test_witness_import(self):
        witness, note = Witness(), self.root / "cosigned"

        def prepare():
            self.appliance.qpcseal("audit", "witness", "trust", witness.vkey)
            self.appliance.qpcseal("audit", "checkpoint", "-o", note, "--force")
            note.write_text(witness.cosign(note.read_text()))

        self.sweep(Act("audit witness import", ("audit", "witness", "import", note), "witness", prepare=prepare))

    def test_anchor_accept(self):
        tokens = self.root / "older-tokens"

        def prepare():
            shutil.rmtree(tokens, ignore_errors=True)
            shutil.copytree(self.home / "tokens", tokens)
            for _ in range(3):
                self.appliance.qpcseal("attest", "request", "--mek", "first", "-o", self.root / "more", "--force")
            shutil.rmtree(self.home / "tokens")
            shutil.copytree(tokens, self.home / "tokens")

        self.sweep(Act("audit anchor-accept", ("audit", "anchor-accept", "--yes"), "anchor-accept", prepare=prepare,
                       unusable_before=True, settles=True))


class Init(acts.Acts):
    """From nothing: what is there afterwards is an appliance, or can be made one by the same command."""

    @classmethod
    def make(cls):
        appliance = Appliance(cards=1, init=False)
        (appliance.root / "home").mkdir()
        return appliance

    def point(self, point, number, notes):
        self.reset()
        where = f"init: {point}"
        done, _ = self.traced(point.inject)
        killed = done.returncode == -9 or "the module crashed" in done.stderr  # in the process that makes the token
        self.assertEqual(killed, "KILL" in point.fault, f"{where}: {done.stderr}")
        if done.returncode == 0:
            notes["made"] += 1
        else:
            listed = self.run_it("mek", "list")
            notes["made"] += listed.returncode == 0
            if listed.returncode:
                notes["not made"] += 1
                again = self.run_it(*self.act.command)
                if again.returncode:  # it says what to remove
                    notes["again once the home is removed"] += 1
                    self.assertIn("hint:", again.stderr, where)
                    shutil.rmtree(self.home)
                    again = self.run_it(*self.act.command)
                self.assertEqual(again.returncode, 0, f"{where}, again: {again.stderr}")
        made = self.run_it("mek", "generate", "first")
        self.assertEqual(made.returncode, 0, f"{where}: {made.stderr}")
        self.assertEqual(self.run_it("audit", "verify").returncode, 0, where)
        return done.returncode

    def start(self):
        shutil.rmtree(self.begin, ignore_errors=True)
        self.begin.mkdir()

    def test_init(self):
        self.sweep(Act("init", ("init", "--embedded", "--insecure-demo", "--appliance-id", "test", "--policy",
                                self.root / "policy.toml", "--trust", self.root / "trust")))


def tearDownModule():
    acts.TABLE.show()


if __name__ == "__main__":
    unittest.main()
