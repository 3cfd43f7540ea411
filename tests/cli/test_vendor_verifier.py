"""Evidence that a program of the site's verifies: what it may answer, and what becomes of any other answer."""

import hashlib
import json
import os
import pathlib
import re
import unittest

from vendor_support import VendorAppliance

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "VENDOR-SDK.md"


class Verifier(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = VendorAppliance()
        cls.site.qpcseal("mek", "generate", "stock-a")

    @classmethod
    def tearDownClass(cls):
        cls.site.close()

    def setUp(self):
        self.site.answer()

    def verdict(self, report, expect=0):
        return json.loads(self.site.qpcseal("attest", "verify", report, "--json", expect=expect).stdout)

    def denied(self, finding, words="", **changes):
        report = self.site.report("stock-a")
        self.site.answer(**changes)
        said = self.verdict(report, expect=5)
        self.assertEqual([one["id"] for one in said["findings"]], [finding], said)
        self.assertIn(words, json.dumps(said["findings"]))
        self.assertNotIn("card", said)
        return report

    def test_its_claims_are_judged_by_the_policy(self):
        report = self.site.report("stock-a")
        said = self.verdict(report)
        self.assertTrue(said["allowed"])
        self.assertEqual((said["scheme"], said["device_class"]), ("external:sdk", "stock"))
        self.site.answer(dbgstat=1)
        self.assertIn("POL-DBGSTAT", [one["id"] for one in self.verdict(report, expect=5)["findings"]])

    def test_a_raw_request_is_the_nonce_of_the_challenge(self):
        self.site.report("stock-a", name="raw.dat")
        nonce = (self.site.root / "raw.dat.request").read_bytes()
        self.assertEqual(len(nonce), 32)
        self.assertEqual(self.site.entries("challenge")[-1]["data"]["nonce"], nonce.hex())

    def test_raw_is_for_one_card(self):
        self.assertIn("--raw", self.site.qpcseal("attest", "request", "--mek", "stock-a", "--raw", "--host", "a", "--device",
                                                 "0-1", "-o", self.site.root / "trip", expect=2).stderr)

    def test_a_report_without_a_challenge_of_ours_starts_nothing(self):
        report = self.site.root / "garbage.dat"
        report.write_bytes(os.urandom(5000))
        said = self.verdict(report, expect=5)
        self.assertEqual([one["id"] for one in said["findings"]], ["ATT-EXTERNAL-CHALLENGE"])

    def test_a_report_with_two_challenges_starts_nothing(self):
        one, two = (self.site.report("stock-a", name=f"two{n}.dat").read_bytes() for n in range(2))
        report = self.site.root / "both.dat"
        report.write_bytes(one + two)
        said = self.verdict(report, expect=5)
        self.assertEqual([each["id"] for each in said["findings"]], ["ATT-EXTERNAL-CHALLENGE"])

    def test_a_report_of_another_signature_is_refused_by_the_verifier(self):
        report = self.site.report("stock-a")
        report.write_bytes(report.read_bytes()[:-1] + bytes([report.read_bytes()[-1] ^ 1]))
        said = self.verdict(report, expect=5)
        self.assertEqual([one["id"] for one in said["findings"]], ["ATT-EXTERNAL-RUN"])
        self.assertIn("does not verify", said["findings"][0]["observed"])

    def test_a_verifier_sees_nothing_of_the_workstation(self):
        report = self.denied("ATT-EXTERNAL-RUN", do="see")
        seen = json.loads(self.verdict(report, expect=5)["findings"][0]["observed"].split(": ", 1)[1])
        beside = ["answer", "container.py", "root.raw", "verifier.py"]
        self.assertEqual(seen, ["none", ["lo"], [], [], [], beside, True, "none"])

    def test_a_verifier_that_fails(self):
        self.denied("ATT-EXTERNAL-RUN", "exit status 1: the report is", do="fail")
        self.denied("ATT-EXTERNAL-RUN", "signal 6", do="crash")

    def test_a_verifier_that_sleeps(self):
        self.denied("ATT-EXTERNAL-RUN", "ran longer than 20 s", do="sleep")

    def test_a_verifier_that_forks(self):
        self.denied("ATT-EXTERNAL-RUN", "processes", do="fork")

    def test_a_verifier_that_says_too_much(self):
        self.denied("ATT-EXTERNAL-RUN", "65536 bytes", do="much")

    def test_answers_that_are_not_one_object(self):
        for kind in ("two", "twice", "nothing", "list", "float", "bytes"):
            with self.subTest(kind):
                self.denied("ATT-EXTERNAL-ANSWER", do=kind)

    def test_each_member_must_be_there(self):
        for member in ("format", "verifier", "chain", "nonce", "ueid", "session_key", "dbgstat", "measurements"):
            with self.subTest(member):
                self.denied("ATT-EXTERNAL-ANSWER", member, **{member: None})

    def test_each_member_must_be_of_its_kind(self):
        spki = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE" + "A" * 86 + "=="
        bad = {"format": ["", 1, "qpcseal/external/2"], "verifier": ["me", {}, {"name": "a"}, {"name": "a", "version": ""},
                                                                      {"name": "a", "version": "1", "more": 1},
                                                                      {"name": "a\u001b[31m", "version": "1"}],
               "chain": [[], ["ab"], ["AB" * 32], "ab" * 32, ["ab" * 32] * 7, [1]],
               "nonce": ["", "ab" * 31, "ab" * 33, "AB" * 32, 7], "ueid": ["01", "ab" * 34, "xy" * 17, None and 0, 5],
               "session_key": ["", "AAAA", spki, "A" * 4000, {"kty": "EC"}],
               "dbgstat": [-1, 5, "3", True], "lifecycle": ["locked", 2], "oemboot": [1, "true"], "oemid": [-1, "1"],
               "hwmodel": ["", "1", "ab" * 33, 1], "hwversion": ["", "a\nb", "x" * 129, 1], "exp": [-1, "later"],
               "iat": [1.5, "x"], "bootseed": ["ab", "ab" * 65], "measurements": [[], {}, [{}], [{"name": "a"}],
                    [{"name": "firmware", "digest": "cd" * 32}] * 2, [{"name": "firmware", "digest": "cd" * 33}],
                    [{"name": "firmware", "digest": "cd" * 32, "more": 1}]],
               "submods": [{}, [{}], [{"name": "a", "dbgstat": 3}], "none"], "unknown": [1, "x"]}
        report = self.site.report("stock-a")
        for member, values in bad.items():
            for value in values:
                if value is None:
                    continue
                with self.subTest(f"{member} = {value!r}"):
                    self.site.answer(**{member: value})
                    said = self.verdict(report, expect=5)
                    self.assertEqual([one["id"] for one in said["findings"]], ["ATT-EXTERNAL-ANSWER"], said["findings"])

    def test_another_nonce_root_or_time(self):
        self.denied("ATT-EXTERNAL-NONCE", nonce="ab" * 32)
        self.denied("ATT-EXTERNAL-ROOT", chain=["ab" * 32, "cd" * 32])
        self.denied("ATT-EXPIRED", exp=1000)

    def test_claims_that_the_policy_does_not_take(self):
        report = self.site.report("stock-a")
        for finding, changes in {"POL-OEMID": {"oemid": 2}, "POL-HWMODEL": {"hwmodel": "0103"}, "POL-OEMBOOT": {"oemboot": None},
                                 "POL-LIFECYCLE": {"lifecycle": "test"}, "POL-SUBMOD-EXTRA": {"submods": [
                                     {"name": "x", "dbgstat": 3, "measurements": [{"name": "a", "digest": "cd" * 32}]}]},
                                 "POL-SVN": {"measurements": [{"name": "firmware", "digest": "cd" * 32, "svn": 6}]},
                                 "POL-MEASUREMENT-DIGEST": {"measurements": [{"name": "firmware", "digest": "ce" * 32,
                                                                              "svn": 7}]}}.items():
            with self.subTest(finding):
                self.site.answer(**changes)
                self.assertIn(finding, [one["id"] for one in self.verdict(report, expect=5)["findings"]])

    def test_a_verifier_that_is_another_one_than_pinned(self):
        report = self.site.report("stock-a")
        file = self.site.vendor / "opt" / "answer"
        self.addCleanup(file.write_text, file.read_text())
        file.write_text('{"dbgstat": 4}')
        refused = self.site.qpcseal("attest", "verify", report, expect=5)
        self.assertIn("is another file than the site's facts name", refused.stderr)

    def test_a_release_names_who_verified(self):
        report = self.site.report("stock-a")
        self.site.answer(nonce="ab" * 32)
        refused = self.site.qpcseal("wrap-mek", "--format", "vendor", "--mek", "stock-a", "--pub-keys", report, "--output-dir",
                                    self.site.root / "never", expect=5)
        self.assertIn("ATT-EXTERNAL-NONCE", refused.stderr)
        event = self.site.entries("denied")[-1]["data"]
        pinned = next(one for one in self.site.json("site", "show")["facts"]["programs"] if one["name"] == "sdk")
        self.assertEqual(event["verifier"]["program_sha256"], pinned["program"]["sha256"])
        self.assertFalse((self.site.root / "never").exists())
        self.assertEqual(self.site.entries("mek-expose"), [])


class Fleet(unittest.TestCase):
    """Cards of a fleet that a program of the site judges: their folders have the names of its claims."""

    def setUp(self):
        self.site = VendorAppliance(policy_edit=lambda text: text.replace('formats = ["vendor"]', 'formats = ["vendor", "qpcseal"]'))
        self.addCleanup(self.site.close)
        self.site.answer()
        self.site.qpcseal("mek", "generate", "stock-a")

    def wrap(self, out, reports, *more, expect=0):
        return self.site.json("wrap-mek", "--mek", "stock-a", "--pub-keys", *reports, "--output-dir", out, "--skip-denied", *more,
                              expect=expect)

    def test_each_has_a_folder_of_its_own(self):
        reports = [self.site.report("stock-a", card=card, name=f"{card}.report") for card in (0, 1)]
        out = self.site.root / "fleet"
        said = self.wrap(out, reports)
        folders = [card["folder"] for card in said["released"]]
        self.assertEqual(len(set(folders)), 2)
        self.assertEqual({path.name for path in out.iterdir()}, {*folders, "config.json"})
        for folder in folders:
            self.assertTrue((out / folder / "MEK.encrypt").exists())
        self.assertTrue(all(card["earlier"] for card in self.wrap(out, reports)["released"]))

    def test_what_is_there_is_kept_and_costs_no_challenge(self):
        report, out = self.site.report("stock-a", name="one.report"), self.site.root / "taken"
        folder = self.wrap(self.site.root / "first", [report])["released"][0]["folder"]
        (out / folder).mkdir(parents=True)
        (out / folder / "MEK.encrypt").write_text("mine")
        (out / "precious").mkdir()
        again = self.site.report("stock-a", name="again.report")
        self.wrap(out, [again], expect=3)
        self.assertEqual((out / folder / "MEK.encrypt").read_text(), "mine")
        self.assertEqual(self.wrap(out, [again], "--force")["released"][0]["folder"], folder)
        self.assertTrue((out / "precious").exists())

    def test_one_that_the_program_refuses_is_denied_alone(self):
        reports = [self.site.report("stock-a", card=card, name=f"{card}.report") for card in (0, 1)]
        reports[1].write_bytes(reports[1].read_bytes()[:-1] + bytes([reports[1].read_bytes()[-1] ^ 1]))
        said = self.wrap(self.site.root / "fleet", reports, expect=5)
        self.assertEqual((len(said["released"]), len(said["denied"])), (1, 1))


class DocumentedWrapper(unittest.TestCase):
    """The frame in VENDOR-SDK.md, around the stand-in as the SDK's verifier."""

    def test_it_serves(self):
        site = VendorAppliance(pin=False)
        self.addCleanup(site.close)
        site.qpcseal("mek", "generate", "stock-a")
        wrapper, sdk = site.vendor / "opt" / "wrapper", site.verifier
        text = re.search(r"(?s)```python\n(#!.+?)```", DOCUMENT.read_text(encoding="utf-8"))[1]
        line = f'["/bin/sh", "-c", "exec {sdk} --nonce 0 --expires 1 --now 0 </tmp/report"]'
        text = re.sub(r"(?m)^VERIFIER = .*$", f"VERIFIER = {line}", text)
        wrapper.write_text(text.replace("raise NotImplementedError(said)",
                                        'return {k: v for k, v in json.loads(said).items() if k != "format"}'))
        options = [word.replace(f"sdk={sdk}", f"sdk={wrapper}") for word in site.pin_options()]
        site.qpcseal("site", "change", *options, "--program-file", f"sdk={sdk}", "--yes")
        report = site.report("stock-a")
        said = site.json("attest", "verify", report)
        self.assertEqual((said["allowed"], said["scheme"]), (True, "external:sdk"))
        report.write_bytes(report.read_bytes()[:-1] + bytes([report.read_bytes()[-1] ^ 1]))
        refused = site.qpcseal("attest", "verify", report, expect=5)
        self.assertIn("refused: the signature does not verify", refused.stdout + refused.stderr)


class DocumentedPolicy(unittest.TestCase):
    """The class, rule and quorum in VENDOR-SDK.md, with what is to be filled in."""

    class make(VendorAppliance):
        def stock_policy(self, text):
            shown = re.search(r"(?s)```toml\n(.+?)```", DOCUMENT.read_text(encoding="utf-8"))[1]
            root = hashlib.sha256((self.vendor / "root" / "root.raw").read_bytes()).hexdigest()
            for words, value in (("<SHA-256 of the vendor's root certificate>", root), ("<the card's identity>", self.ueid()),
                                 ("<SHA-256 or SHA-384>", "cd" * 32), ("mek-expose = 2", "mek-expose = 0")):
                assert shown.count(words) == 1, words
                shown = shown.replace(words, value)
            rules, approvals = shown.split("[approvals]\n")
            head, others = text.split("\n[approvals]\n")
            return head.replace('labels = ["*"]', 'labels = ["own-*"]') + "\n" + rules + "[approvals]\n" + approvals + others

    def test_it_serves(self):
        site = self.make()
        self.addCleanup(site.close)
        site.answer(oemid=None, hwmodel=None, hwversion=None)
        site.qpcseal("mek", "generate", "stock-a")
        wrapped = site.root / "wrapped"
        site.qpcseal("wrap-mek", "--format", "vendor", "--mek", "stock-a", "--pub-keys", site.report("stock-a"), "--output-dir",
                     wrapped)
        self.assertTrue((wrapped / "MEK.encrypt").exists())
        site.qpcseal("wrap-mek", "--format", "vendor", "--mek", "stock-a", "--pub-keys", site.report("stock-a", card=1),
                     "--output-dir", site.root / "never", expect=5)


class NoVerifier(unittest.TestCase):
    def test_a_policy_that_names_one_needs_a_pin(self):
        site = VendorAppliance(pin=False)
        self.addCleanup(site.close)
        site.qpcseal("mek", "generate", "stock-a")
        refused = site.qpcseal("attest", "verify", site.report("stock-a"), expect=5)
        self.assertIn("pin no such program", refused.stderr)

    def test_where_the_policy_names_none_any_file_is_no_report(self):
        site = VendorAppliance(policy_edit=lambda text: text.replace("external:sdk", "eat-card"))
        self.addCleanup(site.close)
        site.qpcseal("mek", "generate", "own-a")
        report = site.report("own-a")
        refused = site.qpcseal("wrap-mek", "--mek", "own-a", "--pub-keys", report, "--output-dir", site.root / "w", expect=4)
        self.assertIn("not an attestation report", refused.stderr)


if __name__ == "__main__":
    unittest.main()
