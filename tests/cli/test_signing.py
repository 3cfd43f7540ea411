"""What `approve` and `policy sign` refuse to sign, because a signature would do nothing: expired, used, done."""

import hashlib
import re
import time
import unittest

from appliance import GuardedAppliance
from ceremony_support import PLANS

OFFICER = ("--module", "/none.so", "--token", "none", "--yes-digest", "00" * 32)  # what passes ends at the digest


class Signing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = GuardedAppliance(guarded=("mek-generate", "mek-resume", "release"))
        cls.q = staticmethod(cls.site.qpcseal)

    @classmethod
    def tearDownClass(cls):
        cls.site.close()

    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1].replace("test_", "").replace("_", "-")
        self.request = self.site.request("mek-generate", "--param", f"name={self.name}", name=self.name)

    def sign(self, file, *more, expect, env=None):
        return self.q("approve", file, *OFFICER, *more, expect=expect, env=env or self.site.env).stderr

    def refused(self, file, *words, **more):
        said = self.sign(file, expect=5, **more)
        self.assertIn("not signed: ", said)
        for word in words:
            self.assertIn(word, said)

    def edited(self, file, **lines):
        text = file.read_text()
        for name, value in lines.items():
            name = name.replace("_", " ")
            text = "".join(f"{name}: {value}\n" if line.startswith(name + ": ") else line
                           for line in text.splitlines(keepends=True))
        other = file.with_name(file.name + ".edited")
        other.write_text(text)
        return other

    def generate(self, request=None):
        request = request or self.request
        self.q("mek", "generate", self.name, "--request", request, "--approval",
               *(officer.sign(request) for officer in self.site.officers[:2]))

    def entry(self, kind, phase):
        return [one for one in self.site.json("audit", "show", "--kind", kind)["entries"] if one["phase"] == phase][-1]

    def test_a_good_one_is_signed(self):
        self.assertIn("names other bytes", self.sign(self.request, expect=2))
        self.assertIn("names other bytes", self.sign(self.request, "--reject", expect=2))

    def test_an_expired_one(self):
        old = self.edited(self.request, not_before="2026-01-01T00:00:00Z", not_after="2026-01-02T00:00:00Z")
        self.refused(old, "the request expired at 2026-01-02T00:00:00Z, and it is 20", "request new")
        away = dict(self.site.env, QPCSEAL_HOME=str(self.site.root / "nowhere"))
        self.refused(old, "expired at 2026-01-02T00:00:00Z", env=away)
        self.assertIn("names other bytes", self.sign(old, "--reject", expect=2))
        self.assertIn("names other bytes", self.sign(self.request, expect=2, env=away))

    def test_a_used_one(self):
        self.generate()
        entry = self.entry("mek-generate", "intent")
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry["time"]))
        self.refused(self.request, f"used already: log entry {entry['seq']}, mek-generate, of {when}", "serves once")

    def test_one_whose_act_is_done(self):
        second = self.site.request("mek-generate", "--param", f"name={self.name}", name=self.name + ".second")
        self.generate()
        self.refused(second, "what the request asks for is done", f"{self.name}#1, made 20")
        self.q("mek", "suspend", self.name)
        resume = self.site.request("mek-resume", "--mek", self.name, name=self.name + ".resume")
        self.q("mek", "resume", self.name, *self.site.approved("mek-resume", "--mek", self.name, name=self.name + ".other"))
        self.refused(resume, f"{self.name}#1 is not suspended")
        said = self.q("request", "new", "mek-resume", "--mek", self.name, "-o", resume, "--force", expect=2).stderr
        self.assertIn(f"not written: what the request asks for is done: {self.name}#1 is not suspended", said)

    def test_a_rejected_one(self):
        text = self.request.with_name(self.name + ".rejection")
        text.write_text(f"qpcseal rejection 1\nrequest sha256: {hashlib.sha256(self.request.read_bytes()).hexdigest()}\n")
        self.q("mek", "generate", self.name, "--request", self.request, "--approval", self.site.officers[2].sign(text),
               expect=7)
        entry = self.entry("rejection", "event")
        self.refused(self.request, f"was rejected: log entry {entry['seq']}, rejection, of 20")

    def test_one_that_does_not_fit(self):
        for line, value, word in (("policy_sha256", "11" * 32, "another policy"), ("log_root", "33" * 32, "a log of"),
                                  ("officers_sha256", "22" * 32, "another officers file")):
            with self.subTest(line):
                self.refused(self.edited(self.request, **{line: value}), word)

    def test_one_of_another_appliance_is_signed_unseen(self):
        other = self.edited(self.request, aud="00" * 16)
        self.assertIn("names other bytes", self.sign(other, expect=2))

    def test_a_release(self):
        self.generate()
        report = self.site.attest(self.name, name=self.name + ".dat")
        request = self.site.request("release", "--mek", self.name, "--report", report, name=self.name + ".release")
        self.assertIn("names other bytes", self.sign(request, expect=2))
        self.q("wrap-mek", "--mek", self.name, "--pub-keys", report, "--output-dir", self.site.root / (self.name + ".out"),
               "--request", request, "--approval", *(officer.sign(request) for officer in self.site.officers[:2]))
        self.refused(request, "used already: log entry", "release, of 20")

    def test_a_genesis_that_is_accepted(self):
        text = self.site.root / "genesis.again"
        text.unlink(missing_ok=True)
        self.q("genesis", "show", "-o", text)
        self.refused(text, "accepted already")

    def test_a_plan_that_is_over(self):
        text = next(folder / "first-key.toml" for folder in PLANS if (folder / "first-key.toml").exists()).read_text()
        plan = self.site.root / "over.toml"
        plan.write_text(text.replace("2026-12-31T00:00:00Z", "2026-01-01T00:00:00Z"))
        self.refused(plan, "the plan was valid until 2026-01-01T00:00:00Z")

    def test_policies(self):
        policy = self.site.root / "next.toml"
        text = self.site.policy.read_text()
        for changed, words in ((text, ("serial 1, and the one in force has 1",)),
                               (self.expiring(text).replace("serial = 1\n", "serial = 2\n"), ("this policy expired at 2026-01-01",))):
            policy.write_text(changed)
            said = self.q("policy", "sign", policy, *OFFICER, expect=5).stderr
            for word in words:
                self.assertIn(word, said)
        policy.write_text(text.replace("serial = 1\n", "serial = 2\n"))
        self.assertIn("names other bytes", self.q("policy", "sign", policy, *OFFICER, expect=2).stderr)

    @staticmethod
    def expiring(text):
        return re.sub(r'(?m)^expires = .*$', 'expires = "2026-01-01T00:00:00Z"', text)

    def test_a_stale_bundle(self):
        bundle = self.site.root / "stale.bundle"
        self.q("trust", "bundle", "--serial", 1, "--days", 1, "--trust", self.site.trust, "-o", bundle)
        self.assertIn("names other bytes", self.q("trust", "sign", bundle, *OFFICER, expect=2).stderr)
        bundle.write_text(re.sub(r'"not_(before|after)":"20\d\d', r'"not_\1":"2020', bundle.read_text()))
        self.assertIn("this bundle was fresh until 2020-", self.q("trust", "sign", bundle, *OFFICER, expect=5).stderr)


if __name__ == "__main__":
    unittest.main()
