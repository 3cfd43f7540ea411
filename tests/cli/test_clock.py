"""A clock that is wrong: asked about before the log takes its time, and put right by officers when it did."""

import unittest

from appliance import ATTEST, Appliance, GuardedAppliance, run, shifted, today

DAY = 86400


class Case(unittest.TestCase):
    def setUp(self):
        # The sample's policy holds for a year, so that the leaps below lie within it or far behind it.
        self.appliance = self.make()
        self.addCleanup(self.appliance.close)
        self.q, self.root = self.appliance.qpcseal, self.appliance.root

    def make(self):
        appliance = Appliance(cards=1)
        appliance.qpcseal("mek", "generate", "m")
        return appliance

    def ahead(self, days):
        return shifted(self.appliance.env, days * DAY)

    def request(self, name, *options, env=None, **more):
        return self.q("attest", "request", "--mek", "m", "-o", self.root / name, *options,
                      env=env or self.appliance.env, **more)

    def kinds(self):
        return [entry["kind"] for entry in self.appliance.json("audit", "show")["entries"]]

    def size(self):
        return self.appliance.json("audit", "checkpoint")["size"]


class Leaps(Case):
    def test_seven_days_ask_nobody_and_more_do(self):
        self.request("in-time", env=self.ahead(6))
        size = self.size()
        later = self.ahead(14)
        said = self.request("late", env=later, expect=5).stderr
        self.assertIn("more than 7 days after the log's last entry", said)
        self.assertIn(f"--clock {today(14 * DAY)}", said)
        self.assertFalse((self.root / "late").exists())
        self.assertEqual(self.size(), size)
        self.q("mek", "list", env=later)  # looking is no act
        for wrong in (today(), "2001-01-01", "tomorrow", ""):
            self.assertIn("the clock says", self.request("late", "--clock", wrong, env=later, expect=2).stderr)
        self.request("late", "--clock", today(14 * DAY), env=later)
        self.assertEqual(self.kinds()[-2:], ["clock", "challenge"])
        self.request("later", env=later)
        self.q("audit", "verify")

    def test_it_is_an_option_of_the_program_too(self):
        later = self.ahead(14)
        self.q("--clock", today(14 * DAY), "mek", "suspend", "m", env=later)
        self.assertEqual(self.kinds()[-2:], ["clock", "mek-suspend"])

    def test_a_confirmation_that_nothing_asks_for_leaves_no_entry(self):
        self.request("now", "--clock", today())
        self.assertNotIn("clock", self.kinds())

    def test_the_sites_days_count(self):
        self.q("site", "change", "--clock-days", 90, "--yes")
        self.request("late", env=self.ahead(80))
        self.q("site", "change", "--clock-days", 1, "--yes", env=self.ahead(80))
        self.request("later", env=self.ahead(82), expect=5)

    def test_a_leap_of_ten_years_locks_nothing(self):
        far = self.ahead(3650)
        self.request("far", env=far, expect=5)
        self.q("mek", "generate", "other", env=far, expect=5)
        self.q("mek", "suspend", "m", env=far)
        self.q("mek", "list")
        self.q("mek", "resume", "m")
        self.request("now")
        self.q("audit", "verify")

    def test_a_confirmed_leap_past_the_policys_end_makes_no_challenge(self):
        said = self.request("far", "--clock", today(3650 * DAY), env=self.ahead(3650), expect=5).stderr
        self.assertIn("the policy expired at", said)
        self.assertFalse((self.root / "far").exists())


class Correction(Case):
    def make(self):
        appliance = super().make()
        appliance.qpcseal("attest", "request", "--mek", "m", "-o", appliance.root / "false",
                          "--clock", today(40 * DAY), env=shifted(appliance.env, 40 * DAY))
        return appliance

    def test_time_goes_on_from_the_clock_and_the_false_challenges_are_void(self):
        said = self.request("now", expect=5).stderr
        self.assertIn("the log's last entry is of", said)
        self.assertIn("qpcseal clock correct", said)
        self.q("mek", "list")
        self.q("mek", "suspend", "m")
        self.q("mek", "resume", "m", expect=5)
        self.assertIn("--yes", self.q("clock", "correct", expect=2).stderr)
        before = self.appliance.json("audit", "show")["entries"]
        self.q("clock", "correct", "--yes")
        after = self.appliance.json("audit", "show")["entries"][-1]
        self.assertEqual(after["kind"], "clock-correct")
        self.assertGreater(after["data"]["old_floor"] - after["data"]["new_floor"], 39 * DAY)
        self.assertEqual(after["seq"], before[-1]["seq"] + 1)
        self.q("mek", "resume", "m")
        self.assertIn("nothing to correct", self.q("clock", "correct", "--yes", expect=2).stderr)
        for verify in ((), ("--quick",)):
            self.q("audit", "verify", *verify)

    def test_a_report_that_answers_a_challenge_of_the_false_time_is_denied(self):
        self.appliance.serve()
        report = self.root / "report"
        run(ATTEST, "--ip", "127.0.0.1", "--port", self.appliance.port, "--device", 0, "-i", self.root / "false",
            "-o", report, env=self.appliance.env)
        self.q("clock", "correct", "--yes")
        out = self.root / "out"
        said = self.q("wrap-mek", "--mek", "m", "--pub-keys", report, "--output-dir", out, expect=5).stderr
        self.assertIn("POL-CHALLENGE", said)
        self.assertFalse((out / "MEK.encrypt").exists())
        fresh = self.appliance.attest("m", name="fresh")
        self.q("wrap-mek", "--mek", "m", "--pub-keys", fresh, "--output-dir", out)


class Officers(unittest.TestCase):
    def test_officers_put_the_time_back(self):
        appliance = GuardedAppliance()
        self.addCleanup(appliance.close)
        later = shifted(appliance.env, 40 * DAY)
        approved = appliance.approved("mek-generate", "--param", "name=m", name="first")
        appliance.qpcseal("mek", "generate", "m", *approved)
        appliance.qpcseal("attest", "request", "--mek", "m", "-o", appliance.root / "false", "--clock",
                          today(40 * DAY), env=later)
        correct = ("clock", "correct")
        self.assertIn("no request for it", appliance.qpcseal(*correct, "--yes", expect=7).stderr)
        request = appliance.request("clock-correct")
        self.assertIn("parameter old_floor", request.read_text())
        one, two = (officer.sign(request) for officer in appliance.officers[:2])
        self.assertIn("what counts is 1",
                      appliance.qpcseal(*correct, "--request", request, "--approval", one, expect=7).stderr)
        appliance.qpcseal(*correct, "--request", request, "--approval", one, two)
        entry = appliance.json("audit", "show", "--kind", "clock-correct")["entries"][0]
        self.assertEqual(len(entry["data"]["approval"]["approvers"]), 2)
        appliance.qpcseal("attest", "request", "--mek", "m", "-o", appliance.root / "true")

    def test_no_clock_makes_their_agreement_to_suspend_a_key_too_old(self):
        appliance = GuardedAppliance(guarded=("mek-suspend",), cards=1)
        self.addCleanup(appliance.close)
        for name, shift in (("a", 400 * DAY), ("b", -400 * DAY), ("c", 20 * DAY)):
            appliance.qpcseal("mek", "generate", name)
            signed = appliance.approved("mek-suspend", "--mek", name, name=f"request-{name}")
            appliance.qpcseal("mek", "suspend", name, *signed, env=shifted(appliance.env, shift))
        # A clock that fits the log is believed.
        appliance.qpcseal("mek", "generate", "d")
        late = appliance.approved("mek-suspend", "--mek", "d", "--valid", "1h", name="request-d")
        said = appliance.qpcseal("mek", "suspend", "d", *late, env=shifted(appliance.env, DAY), expect=7).stderr
        self.assertIn("the request expired", said)


if __name__ == "__main__":
    unittest.main()
