"""Officers and many cards: one request for all, under which a run that was cut short goes on."""

import collections
import hashlib
import json
import pathlib
import shutil
import subprocess
import unittest

from appliance import BUILD, GuardedAppliance, QPCSEAL
from fleet_support import FleetDesk
from test_audit import NOWHERE


class ApprovedDesk(FleetDesk):
    """An appliance whose officers agree to releases."""

    @classmethod
    def make_home(cls):
        cls.guard = GuardedAppliance(guarded=("release",), cards=1, init_now=False)
        cls.guard.policy.write_text(cls.guard.with_thresholds((cls.root / "policy.toml").read_text()))
        shutil.copy(cls.root / "root.pem", cls.guard.trust / "root.pem")
        cls.guard.init()
        cls.env = cls.guard.env

    @classmethod
    def tearDownClass(cls):
        cls.guard.close()
        super().tearDownClass()

    def ask(self, trip, by=(0, 1), *more):
        return self.guard.approved("release", "--mek", "m", "--report", trip, *more, by=by, name=trip.name + ".request")

    def intents(self, since):
        return [e["data"] for e in self.entries()[since:] if e["kind"] == "release" and e["phase"] == "intent"]

    def check_one_approval(self, since, request):
        """One intent carries it, all others name it."""
        intents = self.intents(since)
        digest = hashlib.sha256(pathlib.Path(request).read_bytes()).hexdigest()
        carrying = [data for data in intents if "approval" in data]
        self.assertEqual(len(carrying), 1)
        self.assertEqual(carrying[0]["approval"]["request_sha256"], digest)
        nonce = carrying[0]["approval"]["nonce"]
        self.assertEqual(collections.Counter(data.get("approved_by") for data in intents),
                         collections.Counter({None: 1, **({nonce: len(intents) - 1} if len(intents) > 1 else {})}))

    def check_bundle(self, entry, who=("anna", "bela")):
        bundle = self.root / f"{entry}.bundle"
        self.qpcseal("audit", "receipt", "--bundle", entry, "-o", bundle)
        key = self.qpcseal("trust", "show", "--log-key").stdout.strip()
        done = subprocess.run([QPCSEAL, "audit", "check-receipt", bundle, "--key", key, "--json"], env=NOWHERE,
                              capture_output=True, text=True, check=True)
        said = json.loads(done.stdout)["recomputed"]
        self.assertEqual((said["allowed"], said["signed"]["release"]), (True, list(who)))
        return bundle, key


class Approved(ApprovedDesk):
    CARDS = 600  # two batches

    def test_a_fleet_under_one_request(self):
        """Killed in the first batch and in the second, and run again with the same request each time."""
        trip, since = self.reports("fleet-trip", self.CARDS), len(self.entries())
        options = self.ask(trip)
        text = pathlib.Path(options[1]).read_text()
        self.assertIn(f"parameter report_count: {self.CARDS}\n", text)
        self.assertLess(len(text), 2048)
        self.wrap_killed(trip, "renameat2:when=100", *options)
        self.wrap_killed(trip, "fdatasync:when=3", *options)
        said = json.loads(self.wrap(trip, *options, "--json").stdout)
        self.assertEqual(len(said["released"]), self.CARDS)
        self.check_outputs(trip / "wrapped", self.CARDS)
        self.check_one_approval(since, options[1])
        intents, done = self.releases()
        mine = [card["nonce"] for card in json.loads((trip / "wrapped" / "config.json").read_text())["wrapped"]]
        self.assertEqual(({intents[nonce] for nonce in mine}, {done[nonce] for nonce in mine}), ({1}, {1}))
        self.check_bundles_of_a_fleet(said["released"])

    def check_bundles_of_a_fleet(self, released):
        """Of the intent that carries the approval, one beside it, one of the last batch: all name the list."""
        for place in (0, 1, -1):
            bundle, key = self.check_bundle(released[place]["receipt"]["entry"])
        good = json.loads(bundle.read_text())
        reports = good["signed"]["release"]["reports"]
        lines = reports.splitlines(keepends=True)
        self.assertEqual(len(lines), self.CARDS)
        for bad in ("", reports[:-65], "".join(lines[1:]), "".join(reversed(lines)), reports.upper(), reports + "x"):
            good["signed"]["release"]["reports"] = bad
            bundle.write_text(json.dumps(good, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n")
            done = subprocess.run([QPCSEAL, "audit", "check-receipt", bundle, "--key", key], env=NOWHERE,
                                  capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 8, done.stderr)
            self.assertIn("another release", done.stderr)

    def test_a_release_goes_on_under_its_request(self):
        """All or nothing over four reports, killed between intents and results."""
        trip, since = self.reports("whole", 4), len(self.entries())
        options = self.ask(trip)
        command = ["wrap-mek", "--mek", "m", "--pub-keys", trip, "--output-dir", trip / "wrapped"]
        subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e",
                        "inject=fdatasync:signal=KILL:when=2", QPCSEAL, *command, *options], env=self.env, check=False)
        self.assertEqual(len(self.intents(since)), 4, "the kill was to come after the intents")
        self.assertFalse((trip / "wrapped" / "config.json").exists())
        self.qpcseal(*command, *options)
        self.assertEqual(len(self.intents(since)), 4, "taken up, not begun again")
        self.check_one_approval(since, options[1])
        for card in json.loads((trip / "wrapped" / "config.json").read_text())["wrapped"]:
            self.check_bundle(card["receipt"]["entry"])

    def test_a_release_goes_on_under_another_request(self):
        """The first one is rejected meanwhile; without a new one nothing goes on, with it the bundle names it."""
        trip, since = self.reports("other", 3), len(self.entries())
        options = self.ask(trip)
        self.wrap_killed(trip, "fdatasync:when=2", *options)
        self.wrap(trip, *options, "--approval", self.rejection(options[1]), expect=7)
        other = self.guard.approved("release", "--mek", "m", "--report", trip, name="other.request", by=(1, 2))
        self.wrap_killed(trip, "fdatasync:when=2", *other)
        said = json.loads(self.wrap(trip, *other, "--json").stdout)
        self.assertEqual((len(said["released"]), len(self.intents(since))), (3, 3))
        self.assertEqual({e["phase"] for e in self.entries()[since:] if "agreed" in e["data"]}, {"event"})
        for card in said["released"]:
            self.check_bundle(card["receipt"]["entry"], who=("bela", "carl"))

    def rejection(self, request):
        """carl's, of that request."""
        request = pathlib.Path(request)
        text = request.with_name(request.name + ".rejection")
        digest = hashlib.sha256(request.read_bytes()).hexdigest()
        text.write_text(f"qpcseal rejection 1\nrequest sha256: {digest}\n")
        return self.guard.officers[2].sign(text)

    def test_a_request_that_was_used_serves_no_other_release(self):
        trip = self.reports("used", 2)
        options = self.ask(trip)
        self.wrap(trip, *options)
        out = trip / "again"
        said = json.loads(self.wrap(trip, *options, "--json", out=out, expect=5).stdout)
        self.assertEqual((said["released"], len(said["denied"])), ([], 2))
        next_trip = self.reports("used-next", 2)
        self.assertIn("parameter 'reports' is", self.wrap(next_trip, *options, expect=7).stderr)
        self.assertFalse((next_trip / "wrapped").exists())

    def test_other_reports_than_those_that_were_signed(self):
        trip = self.reports("fewer", 70)
        options = self.ask(trip)
        before = len(self.entries())
        (trip / "node-9.report").rename(trip / "node-9.away")
        self.assertIn("report_count", self.wrap(trip, *options, expect=7).stderr)
        shutil.copy(trip / "node-8.report", trip / "node-9.report")
        self.wrap(trip, *options, expect=7)  # one card twice
        (trip / "node-9.report").write_bytes(b"\xa0")
        self.assertIn("report_count", self.wrap(trip, *options, expect=7).stderr)
        self.assertEqual(len(self.entries()), before)
        (trip / "node-9.away").rename(trip / "node-9.report")
        self.wrap(trip, *options)

    def test_a_rejection_ends_what_is_left(self):
        trip = self.reports("rejected", 4)
        options = self.ask(trip)
        self.wrap_killed(trip, "fdatasync:when=2", *options)
        against = self.rejection(options[1])
        self.assertIn("rejected by carl", self.wrap(trip, *options, "--approval", against, expect=7).stderr)
        self.assertIn("rejected: log entry", self.wrap(trip, *options, expect=7).stderr)
        self.assertFalse((trip / "wrapped" / "config.json").exists())
        self.qpcseal("audit", "verify")

    def test_too_few_officers(self):
        trip = self.reports("few", 3)
        self.wrap(trip, expect=7)
        self.wrap(trip, *self.ask(trip, by=(0,)), expect=7)
        self.wrap(trip, *self.ask(trip), expect=0)

    def test_the_officer_checks_the_reports(self):
        """approve --report signs only what the reports in hand are; a token is not even asked."""
        trip, other = self.reports("officer", 70), self.reports("officer-other", 70)
        request = self.guard.request("release", "--mek", "m", "--report", trip, name="officer.request")
        nowhere = ("--module", "/nowhere.so", "--token", "none")
        refused = self.qpcseal("approve", request, "--report", other, *nowhere, expect=5)
        self.assertIn("about other reports", refused.stderr)
        digest = hashlib.sha256(request.read_bytes()).hexdigest()
        asked = self.qpcseal("approve", request, "--report", trip, "--yes-digest", digest, *nowhere, expect=6)
        self.assertIn("to ask for the PIN", asked.stderr)

    def test_what_a_request_for_a_release_takes(self):
        trip, out = self.reports("takes", 1), self.root / "takes.request"
        for bad in (["release", "--mek", "m"], ["release", "--report", trip],
                    ["release", "--mek", "m", "--report", trip, "--param", "x=y"], ["seal", "--report", trip]):
            self.qpcseal("request", "new", *bad, "-o", out, expect=2)
        self.assertFalse(out.exists())


class Late(ApprovedDesk):
    """With a log of its own, whose time goes on from the later one."""

    CARDS = 3

    def test_a_request_that_expired_meanwhile(self):
        trip = self.reports("late", 3)
        options = self.ask(trip, (0, 1), "--valid", "1h")
        self.wrap_killed(trip, "fdatasync:when=2", *options)
        later = subprocess.run([QPCSEAL, *map(str, self.wrap_command(trip, *options))], capture_output=True, text=True,
                               env={**self.env, "LD_PRELOAD": str(BUILD / "tests" / "clock" / "libshift-clock.so"),
                                    "SHIFT_CLOCK": "7200"}, check=False)
        self.assertEqual(later.returncode, 7, later.stderr)
        self.assertIn("expired", later.stderr)


if __name__ == "__main__":
    unittest.main()
