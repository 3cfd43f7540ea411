"""What officers sign, killed or failing at every call that changes a file: a crash uses up no request, and a ceremony that
stopped anywhere goes on."""

import shutil
import unittest

import acts
import points
from acts import Act
from appliance import GuardedAppliance
from ceremony_support import Site, script


class Genesis(acts.Acts):
    @classmethod
    def make(cls):
        return GuardedAppliance(cards=1, genesis=False)

    def test_genesis_accept(self):
        text = self.root / "genesis"
        self.appliance.qpcseal("genesis", "show", "-o", text)
        signatures = [officer.sign(text) for officer in self.appliance.officers]
        self.sweep(Act("genesis accept", ("genesis", "accept", "--approval", *signatures), "genesis-accepted"))


class Approved(acts.Acts):
    @classmethod
    def make(cls):
        return Site(tokens=False, cards=1)

    def setUp(self):
        points.copy_over(self.root / "pristine", self.home)  # requests are made of the log from which the points begin

    def test_generate_with_approvals(self):
        self.sweep(Act("mek generate, approved", ("mek", "generate", "approved", *self.appliance.approved(
            "mek-generate", "--param", "name=approved")), "mek-generate"))

    def test_officers_install(self):
        following = self.root / "next-officers"
        following.write_text(self.appliance.officers_file.read_text().split("\n", 1)[1])
        request = self.appliance.request("officers-change", "--digest", f"officers_sha256={following}", name="change")
        signatures = [officer.sign(request, "officers") for officer in self.appliance.officers[:3]]
        self.sweep(Act("officers install", ("officers", "install", following, "--request", request, "--approval", *signatures),
                       "officers", settles=True))

    def test_ceremony(self):
        folder = self.root / "ceremony"
        plan = self.appliance.plan("first-key", folder, ceremony="swept", mek="swept", output="swept.checkpoint")
        options = (plan, "--dir", folder, "-o", self.out / "record")
        signed = (*self.appliance.sign_plan(plan), *self.appliance.rehearse(plan, folder))
        shutil.copytree(folder, self.root / "ceremony-at-first")

        def fresh():
            if not self.going_on:  # what a run wrote is an input of the one that goes on
                shutil.rmtree(folder, ignore_errors=True)
                shutil.copytree(self.root / "ceremony-at-first", folder)

        def again():
            """Until it has ended well: run it, or go on with it."""
            begun = any(e["kind"] == "ceremony" for e in self.entries("the ceremony"))
            shutil.rmtree(self.out / "record", ignore_errors=True)
            return ("ceremony", "resume", "--dir", folder, "-o", self.out / "record") if begun else self.act.command

        self.sweep(Act("ceremony run", ("ceremony", "run", *options, *signed), "ceremony", stdin=script(), fresh=fresh,
                       again=again, settles=True))


def tearDownModule():
    acts.TABLE.show()


if __name__ == "__main__":
    unittest.main()
