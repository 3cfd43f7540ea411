"""What `attest verify` and the log say about a report, and the budgets of cards and versions."""

import json
import os
import pathlib
import re
import shutil
import unittest

from appliance import ATTEST, Appliance, run

AFFIRMING = {"value": 2, "tier": "affirming"}


class Verdicts(unittest.TestCase):
    def appliance(self, **how):
        appliance = Appliance(**how)
        self.addCleanup(appliance.close)
        appliance.qpcseal("mek", "generate", "m")
        return appliance

    def release(self, appliance, report, expect=0):
        out = report.with_suffix(".sealed")
        return appliance.qpcseal("encrypt-model", "--qpc", appliance.sample(report.stem + ".qpc"), "--mek", "m", "--output-dir", out,
                                 "--pub-keys", report, expect=expect)

    def results(self, appliance, kind):
        entries = (appliance.root / "home" / "log" / "entries.jsonl").read_text().splitlines()
        return [entry for entry in map(json.loads, entries) if entry["kind"] == kind]

    def test_good_report(self):
        appliance = self.appliance()
        report = appliance.attest("m")
        shown = appliance.json("attest", "verify", report)
        self.assertTrue(shown["allowed"] and shown["verified"])
        self.assertEqual(shown["scheme"], "eat-card")
        self.assertEqual(list(shown["trust_vector"]), ["instance-identity", "configuration", "executables",
                                                       "hardware"])
        self.assertEqual(list(shown["trust_vector"].values()), [AFFIRMING] * 4)
        text = appliance.qpcseal("attest", "verify", report).stdout
        self.assertIn("ALLOWED: m#1 may be released to this card", text)
        self.assertRegex(text, r"executables +affirming \(2\)")
        self.assertIn("eat-card", appliance.qpcseal("inspect", report).stdout)

    def test_denial_names_claim_observed_expected_and_line(self):
        appliance = self.appliance(policy_edit=lambda text: text.replace("min_dbgstat = ", "min_dbgstat = 4 # was ")
                                   .replace('lifecycle = ["secured"]', 'lifecycle = ["rma"]'))
        report = appliance.attest("m")
        shown = appliance.json("attest", "verify", report, expect=5)
        findings = {finding["id"]: finding for finding in shown["findings"]}
        self.assertEqual(set(findings), {"POL-DBGSTAT", "POL-LIFECYCLE"})
        lines = appliance.policy.read_text().splitlines()
        for id_, key in (("POL-DBGSTAT", "min_dbgstat"), ("POL-LIFECYCLE", "lifecycle")):
            finding = findings[id_]
            self.assertTrue(all(finding[part] for part in ("claim", "observed", "expected")), finding)
            file, line = re.fullmatch(r"(.*policy\.toml):(\d+)", finding["rule"]).groups()
            self.assertTrue(lines[int(line) - 1].startswith(key), finding)
        self.assertEqual(shown["trust_vector"]["configuration"], {"value": 96, "tier": "contraindicated"})
        self.assertEqual(shown["trust_vector"]["hardware"], AFFIRMING)
        text = appliance.qpcseal("attest", "verify", report, expect=5).stdout
        self.assertIn("DENIED by policy, 2 reasons:", text)
        denied = self.release(appliance, report, expect=5).stderr
        for id_ in findings:
            self.assertIn(id_, text)
            self.assertIn(id_, denied)
        self.assertRegex(denied, r"policy\.toml:\d+")

    def test_report_that_does_not_verify(self):
        appliance = self.appliance()
        report = appliance.attest("m")
        data = bytearray(report.read_bytes())
        data[-1] ^= 1
        report.write_bytes(data)
        shown = appliance.json("attest", "verify", report, expect=5)
        self.assertEqual([finding["id"] for finding in shown["findings"]], ["ATT-SIGNATURE"])
        self.assertFalse(shown["verified"])
        self.assertNotIn("card", shown)
        self.assertEqual({claim["value"] for claim in shown["trust_vector"].values()}, {99})
        self.assertIn("the report does not verify", appliance.qpcseal("attest", "verify", report, expect=5).stdout)

    def test_record_in_the_log(self):
        appliance = self.appliance()
        self.release(appliance, appliance.attest("m"))
        data = self.results(appliance, "release")[-1]["data"]
        self.assertEqual(data["trust_vector"], {"instance-identity": 2, "configuration": 2, "executables": 2,
                                                "hardware": 2})
        self.assertTrue(data["svn_floors"])
        self.assertTrue(all(floor["scheme"] == "eat-card" and floor["svn"] > 0 for floor in data["svn_floors"]))
        appliance.qpcseal("audit", "verify")

    def test_releases_to_one_card_are_counted(self):
        appliance = self.appliance(policy_edit=lambda text: re.sub(r"max_releases_per_card = \d+",
                                                                   "max_releases_per_card = 1", text))
        self.release(appliance, appliance.attest("m", name="first.dat"))
        second = appliance.attest("m", name="second.dat")
        shown = appliance.json("attest", "verify", second, expect=5)
        self.assertEqual([finding["id"] for finding in shown["findings"]], ["POL-CARD-RELEASES"])
        self.assertEqual(shown["trust_vector"]["instance-identity"], AFFIRMING)  # nothing against the card
        self.assertIn("POL-CARD-RELEASES", self.release(appliance, second, expect=5).stderr)
        self.release(appliance, appliance.attest("m", device=1, name="other.dat"))

    def test_no_card_and_no_challenge_twice_in_one_release(self):
        appliance = self.appliance()
        first, again = appliance.attest("m", name="first.dat"), appliance.attest("m", name="again.dat")
        other = appliance.root / "other.dat"  # another card, the same challenge
        run(ATTEST, "--ip", "127.0.0.1", "--port", appliance.port, "--device", 1, "-i",
            appliance.root / "first.dat.request", "-o", other, env=appliance.env)
        for reports, says in (((first, first), "POL-CARD-TWICE"), ((first, again), "POL-CARD-TWICE"),
                              ((first, other), "POL-CHALLENGE-TWICE")):
            refused = appliance.qpcseal("wrap-mek", "--mek", "m", "--pub-keys", *reports, "--output-dir",
                                        appliance.root / "none", expect=5)
            self.assertIn(says, refused.stderr)
        self.assertFalse((appliance.root / "none").exists())
        self.assertEqual(self.results(appliance, "release"), [])  # and nothing was used up
        appliance.qpcseal("wrap-mek", "--mek", "m", "--pub-keys", again, "--output-dir", appliance.root / "one")
        self.assertIn("POL-CHALLENGE-USED", appliance.qpcseal("wrap-mek", "--mek", "m", "--pub-keys", again,
                                                              "--output-dir", appliance.root / "two", expect=5).stderr)

    def test_a_loosened_policy_does_not_bring_old_firmware_back(self):
        """What a release demanded of a model's security versions stays in the log, whatever a later policy asks."""
        appliance = self.appliance()
        self.release(appliance, appliance.attest("m", name="new.dat"))
        loose = appliance.root / "loose.toml"
        loose.write_text(re.sub(r"min_svn = \d+", "min_svn = 0",
                                appliance.policy.read_text().replace("serial = 1\n", "serial = 2\n")))
        appliance.qpcseal("policy", "install", loose)
        config = appliance.cards / "cards" / "1" / "config.json"
        card = json.loads(config.read_text())
        component = next(each for each in card["measurements"] if each["name"] == "firmware")
        component["svn"] -= 1
        config.write_text(json.dumps(card))
        old = appliance.attest("m", device=1, name="old.dat")
        shown = appliance.json("attest", "verify", old, expect=5)
        self.assertEqual([finding["id"] for finding in shown["findings"]], ["POL-SVN-FLOOR"])
        self.assertEqual(shown["findings"][0]["rule"], "the log")
        self.assertEqual(shown["trust_vector"]["executables"], {"value": 32, "tier": "warning"})
        self.assertIn("POL-SVN-FLOOR", self.release(appliance, old, expect=5).stderr)
        self.release(appliance, appliance.attest("m", name="still.dat"))
        appliance.qpcseal("audit", "verify")

    def test_policy_without_the_new_rule_is_refused(self):
        appliance = Appliance(init=False, policy_edit=lambda text: re.sub(r"max_releases_per_card = \d+\n", "", text))
        self.addCleanup(appliance.close)
        self.assertIn("max_releases_per_card", appliance.init(expect=4).stderr)


NITRO_CLASS = """[[device]]
name = "enclaves"
scheme = "aws-nitro"
roots = ["641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b"]
oemid = "none"
hwmodel = "none"
hwversion = "none"
oemboot = "none"
lifecycle = "none"
min_dbgstat = 2
session_keys = ["p384"]
challenge_lifetime = "1h"
ueids = "any"
revoked_ueids = []
max_releases_per_card = 10
crl = "none"
submods = "none"
[[device.measurement]]
name = "pcr0"
digests = ["f4d48b81a460c9916d1e685119074bf24660afd3e34fae9fca0a0d28d9d5599936332687e6f66fc890ac8cf150142d8b"]
min_svn = 0

[[mek]]
"""


@unittest.skipUnless(os.environ.get("QPCSEAL_VECTORS"), "QPCSEAL_VECTORS is not set")
class Nitro(unittest.TestCase):
    def test_published_document_is_shown_and_is_long_expired(self):
        vectors = pathlib.Path(os.environ["QPCSEAL_VECTORS"]) / "nitro"
        appliance = Appliance(init=False, policy_edit=lambda text: text.replace("[[mek]]\n", NITRO_CLASS, 1)
                              .replace('devices = ["simulated"]', 'devices = ["simulated", "enclaves"]'))
        self.addCleanup(appliance.close)
        shutil.copy(vectors / "nitro.pem", appliance.trust / "nitro.pem")
        appliance.init()
        document = appliance.root / "document"
        shutil.copy(vectors / "valid-attestation-doc-bytes", document)
        shown = appliance.json("inspect", document)
        self.assertEqual(shown["scheme"], "aws-nitro")
        self.assertEqual(bytes.fromhex(shown["ueid"]), b"i-020b6af9246d90e92")
        self.assertIsNone(shown["session_key"])
        verdict = appliance.json("attest", "verify", document, expect=5)
        self.assertEqual([finding["id"] for finding in verdict["findings"]], ["ATT-CHAIN-TIME"])
        self.assertEqual(verdict["scheme"], "aws-nitro")


if __name__ == "__main__":
    unittest.main()
