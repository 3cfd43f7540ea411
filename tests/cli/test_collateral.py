"""Signed collateral bundles: what they bring, and when they are refused."""

import base64
import datetime
import hashlib
import json
import re
import unittest

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from appliance import BUILD, GuardedAppliance


def authority(name="Lists"):
    """A certificate authority that is nobody's root but can number revocation lists."""
    return ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def crl(issuer, number):
    key, name = issuer
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (x509.CertificateRevocationListBuilder().issuer_name(name).last_update(now)
               .next_update(now + datetime.timedelta(days=30)).add_extension(x509.CRLNumber(number), critical=False))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def root(issuer):
    """The authority's certificate, as its own root."""
    key, name = issuer
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
               .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=3000))
               .add_extension(x509.BasicConstraints(True, None), critical=True)
               .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), critical=True))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


class PinnedLists(GuardedAppliance):
    """Its policy pins one more root, which signs lists; one officer may bring in a bundle, two must agree to other acts."""

    def __init__(self):
        self.issuer = authority()
        self.pinned = root(self.issuer)
        super().__init__(guarded=("mek-generate",), cards=1, init_now=False)
        (self.trust / "lists.der").write_bytes(self.pinned)

    def with_thresholds(self, text):
        return re.sub(r'(?m)^roots = \[', f'roots = ["{hashlib.sha256(self.pinned).hexdigest()}", ',
                      super().with_thresholds(text))


class Base(unittest.TestCase):
    def bundle(self, serial, *more, name="bundle", **how):
        file = self.appliance.root / name
        self.appliance.qpcseal("trust", "bundle", "--serial", serial, "--trust", self.appliance.trust, "-o", file,
                               "--force", *more, **how)
        return file

    def load(self, file, *officers, expect=0, sig_namespace="collateral"):
        signatures = [officer.sign(file, sig_namespace) for officer in officers]
        return self.appliance.qpcseal("trust", "import", file, *(["--approval", *signatures] if signatures else []),
                                      expect=expect)


class Numbers(Base):
    """Of revocation lists, and of bundles."""

    def setUp(self):
        self.appliance = PinnedLists()
        self.addCleanup(self.appliance.close)
        self.file = self.appliance.trust / "lists.crl"

    def init(self):
        self.appliance.init()
        self.one, *self.others = self.appliance.officers

    def bring(self, serial, expect=0, everybody=False):
        return self.load(self.bundle(serial), self.one, *(self.others if everybody else ()), expect=expect)

    def numbers(self):
        entries = self.appliance.json("audit", "show", "--kind", "trust")["entries"]
        return [int(crl["number"] or "0", 16) for crl in entries[-2]["data"]["crls"]]

    def test_of_a_pinned_roots_lists_only_rise(self):
        self.init()
        for serial, number, expect in ((1, 0x90, 0), (2, 0x90, 0), (3, 0x1000, 0), (4, 0xff, 5)):
            self.file.write_bytes(crl(self.appliance.issuer, number))
            result = self.bring(serial, expect, everybody=True)
        self.assertIn("ATT-CRL-ROLLBACK", result.stderr)
        self.assertIn("0xff", result.stderr)
        self.assertEqual(self.appliance.json("trust", "show")["bundle"]["serial"], 3)
        refused = self.appliance.json("audit", "show", "--kind", "trust")["entries"][-1]
        self.assertEqual((refused["outcome"], refused["data"]["findings"][0]["id"]), ("denied", "ATT-CRL-ROLLBACK"))
        self.file.unlink()
        self.bring(5, everybody=True)
        self.file.write_bytes(crl(self.appliance.issuer, 0xfff))
        self.bring(6, expect=5, everybody=True)
        self.file.write_bytes(crl(self.appliance.issuer, 0x1001))
        self.bring(7)
        self.assertEqual(self.numbers(), [0x1001])

    def test_of_the_trust_folder_count_too(self):
        self.file.write_bytes(crl(self.appliance.issuer, 0x20))
        self.init()
        self.file.write_bytes(crl(self.appliance.issuer, 0x1f))
        self.assertIn("ATT-CRL-ROLLBACK", self.bring(1, expect=5, everybody=True).stderr)
        self.file.write_bytes(crl(self.appliance.issuer, 0x20))
        self.bring(2)

    def test_of_lists_that_nobody_proves_count_while_in_force(self):
        self.init()
        issuer = authority("An intermediate")
        for serial, number in ((1, 1 << 158), (2, (1 << 158) + 1)):
            self.file.write_bytes(crl(issuer, number))
            self.bring(serial)
            self.assertEqual(self.numbers(), [])
        self.file.write_bytes(crl(issuer, 7))
        self.bring(3, expect=7)
        self.bring(3, everybody=True)
        self.file.unlink()
        self.bring(4, expect=7)
        self.bring(4, everybody=True)

    def test_of_a_list_that_another_root_signed(self):
        """One that bears a pinned root's name, and comes in the same bundle: few officers bring it in no more than the list."""
        self.init()
        forger = (authority()[0], self.appliance.issuer[1])
        self.file.write_bytes(crl(forger, 1 << 158))
        (self.appliance.trust / "forger.der").write_bytes(root(forger))
        self.bring(1, expect=7)
        self.bring(1, everybody=True)
        self.assertEqual(self.numbers(), [])
        (self.appliance.trust / "forger.der").unlink()
        self.file.write_bytes(crl(self.appliance.issuer, 3))
        self.bring(2, expect=7)
        self.bring(2, everybody=True)
        self.assertEqual(self.numbers(), [3])

    def test_of_a_root_that_is_left_out(self):
        """Without it a list in its name is nobody's: that takes everybody."""
        self.init()
        (self.appliance.trust / "lists.der").unlink()
        self.bring(1, expect=7)
        self.bring(1, everybody=True)

    def test_of_bundles_and_policies_leave_room_for_those_to_come(self):
        self.init()
        self.assertIn("must be 4294967296 at most", self.bring(2**64 - 1, expect=5).stderr)
        self.bring(2**32)
        self.bring(2**33 + 1, expect=5)
        self.bring(2**33)
        policy = self.appliance.root / "next.toml"
        for serial, expect in ((2**32 + 2, 5), (2**32 + 1, 0)):
            policy.write_text(re.sub(r"(?m)^serial = .*$", f"serial = {serial}", self.appliance.policy.read_text()))
            signed = [officer.sign(policy, "policy") for officer in self.appliance.officers]
            self.appliance.qpcseal("policy", "install", policy, "--approval", *signed, expect=expect)

    def test_of_a_first_policy_too(self):
        text = self.appliance.policy.read_text()
        self.appliance.policy.write_text(re.sub(r"(?m)^serial = .*$", f"serial = {2**32 + 1}", text))
        self.assertIn("at most", self.appliance.init(expect=5).stderr)


class Collateral(Base):
    def setUp(self):
        self.appliance = GuardedAppliance(guarded=("trust-import", "policy-change"))
        self.addCleanup(self.appliance.close)
        self.anna, self.bela, self.carl = self.appliance.officers

    def test_a_revoked_card_that_nobody_knows_is_named(self):
        self.appliance.qpcseal("mek", "generate", "m")
        report = self.appliance.attest("m")
        card = self.appliance.json("attest", "verify", report)["card"]["ueid"]
        self.appliance.qpcseal("wrap-mek", "--mek", "m", "--pub-keys", report, "--output-dir", self.appliance.root / "out")
        wrong = card[:-1] + ("0" if card[-1] != "0" else "1")
        out = ["trust", "bundle", "--serial", 1, "--trust", self.appliance.trust, "-o", self.appliance.root / "b", "--force"]
        said = self.appliance.qpcseal(*out, "--revoke", wrong).stdout
        self.assertIn(f"WARNING: this appliance's log has released nothing to card {wrong}; did you mean '{card}'?", said)
        self.assertNotIn("WARNING", self.appliance.qpcseal(*out, "--revoke", card).stdout)
        self.assertEqual(self.appliance.json(*out, "--revoke", wrong)["unknown_cards"], [wrong])

    def edited(self, file, **members):
        data = json.loads(file.read_text())
        data.update(members)
        file.write_text(json.dumps(data, sort_keys=True, separators=(",", ":")) + "\n")
        return file

    def policy(self, serial, *edits):
        file = self.appliance.root / "next.toml"
        text = self.appliance.policy.read_text()
        for old, new in (("serial = 1\n", f"serial = {serial}\n"), *edits):
            self.assertIn(old, text)
            text = text.replace(old, new)
        file.write_text(text)
        signatures = [officer.sign(file, "policy") for officer in (self.anna, self.bela)]
        self.appliance.qpcseal("policy", "install", file, "--approval", *signatures)

    def findings(self, name, expect=5):
        report = self.appliance.attest("m", name=name)
        said = self.appliance.json("attest", "verify", report, expect=expect)
        return [finding["id"] for finding in said["findings"]]

    def test_quorum_serial_and_form(self):
        file = self.bundle(3)
        self.assertIn("what counts is 1", self.load(file, self.anna, expect=7).stderr)
        self.assertIn("POL-SIGNATURE-BAD", self.load(file, self.anna, self.bela, expect=7, sig_namespace="policy").stderr)
        self.load(file, self.anna, self.bela)
        self.assertEqual(self.appliance.json("trust", "show")["bundle"]["serial"], 3)
        for serial in (3, 2):
            again = self.bundle(serial, name="again")
            self.assertIn("above 3", self.load(again, self.anna, self.bela, expect=5).stderr)
        spaced = self.bundle(4, name="spaced")
        spaced.write_text(spaced.read_text().replace(",", ", ", 1))
        self.assertIn("canonical", self.load(spaced, self.anna, self.bela, expect=4).stderr)
        more = self.edited(self.bundle(4, name="more"), extra=1)
        self.load(more, self.anna, self.bela, expect=4)
        bad = self.edited(self.bundle(4, name="bad"), roots=["AAAA"])
        self.load(bad, self.anna, self.bela, expect=4)

    def test_stale_or_early_is_not_imported(self):
        for window in (("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"), ("2099-01-01T00:00:00Z",
                                                                       "2099-02-01T00:00:00Z")):
            file = self.edited(self.bundle(1), not_before=window[0], not_after=window[1])
            self.assertIn("fresh from", self.load(file, self.anna, self.bela, expect=5).stderr)

    def test_policy_diff_replays_as_of_then(self):
        """A bundle that revokes, and a budget that is used up, are later than the verdict."""
        self.appliance.qpcseal("mek", "generate", "m")
        report = self.appliance.attest("m")
        ueid = self.appliance.json("attest", "verify", report)["card"]["ueid"]
        self.policy(2, (next(line for line in self.appliance.policy.read_text().splitlines()
                             if line.startswith("max_releases_per_card")), "max_releases_per_card = 1"))
        self.appliance.qpcseal("encrypt-model", "--qpc", self.appliance.sample(), "--mek", "m", "--output-dir",
                               self.appliance.root / "out", "--pub-keys", report)
        self.load(self.bundle(1, "--revoke", ueid), self.anna, self.bela)
        in_force = self.appliance.root / "home" / "policy.toml"
        strict = self.appliance.root / "strict.toml"
        strict.write_text(in_force.read_text().replace("min_dbgstat = ", "min_dbgstat = 4 # was "))
        said = self.appliance.json("policy", "diff", in_force, strict)
        verdict = said["verdicts"][0]
        self.assertEqual((said["verdicts_changed"], verdict["before"], verdict["after"]), (1, True, False))
        self.assertEqual([finding["id"] for finding in verdict["findings_after"]], ["POL-DBGSTAT"])
        # One that did not verify then is judged by what is in force now, but held against the roots of then.
        data = bytearray(report.read_bytes())
        data[-1] ^= 1
        broken = self.appliance.root / "broken"
        broken.write_bytes(data)
        self.appliance.qpcseal("wrap-mek", "--mek", "m", "--pub-keys", broken, "--output-dir",
                               self.appliance.root / "none", expect=5)
        said = self.appliance.json("policy", "diff", in_force, strict)
        by_report = {each["ueid"]: [finding["id"] for finding in each["findings_before"]] for each in said["verdicts"]}
        self.assertEqual(by_report, {ueid: [], "": ["ATT-SIGNATURE"]})

    def test_stale_in_force_denies(self):
        self.appliance.qpcseal("mek", "generate", "m")
        self.load(self.bundle(1, "--days", 1), self.anna, self.bela)
        report = self.appliance.attest("m", name="report")
        self.assertTrue(self.appliance.json("attest", "verify", report)["allowed"])
        late = dict(self.appliance.env, LD_PRELOAD=str(BUILD / "tests" / "clock" / "libshift-clock.so"),
                    SHIFT_CLOCK=str(24 * 3600 + 5))
        said = self.appliance.qpcseal("attest", "verify", report, "--json", expect=5, env=late)
        self.assertIn("POL-COLLATERAL-STALE", [finding["id"] for finding in json.loads(said.stdout)["findings"]])

    def test_file_changed_in_place(self):
        self.load(self.bundle(1), self.anna, self.bela)
        file = self.appliance.root / "home" / "collateral.json"
        file.write_text(file.read_text().replace("2026", "2027"))
        self.assertIn("not the collateral bundle in the log", self.appliance.qpcseal("mek", "list", expect=5).stderr)

    def refused_everywhere(self, report, says, expect):
        """By what judges and by what holds keys; nothing is released."""
        out, sample = self.appliance.root / "refused", self.appliance.root / "model.qpc"
        if not sample.exists():
            self.appliance.sample()
        for command in (("attest", "verify", report), ("trust", "show"), ("mek", "list"),
                        ("encrypt-model", "--qpc", sample, "--mek", "m", "--output-dir", out, "--pub-keys", report)):
            with self.subTest(command=command[0], says=says):
                self.assertIn(says, self.appliance.qpcseal(*command, expect=expect).stderr)
        self.assertFalse(out.exists())

    def comes_back(self, place, report):
        """What the log names and somebody took away is put back from its copy, and counts as before."""
        said = self.appliance.qpcseal("mek", "list").stderr
        self.assertIn(f"{place}", said)
        self.assertIn("it is put back as the log names it", said)
        self.assertTrue(self.appliance.json("attest", "verify", report)["allowed"])

    def test_trust_changed_by_hand(self):
        """With and without a bundle: a list that somebody lays into the folder counts nowhere, so it is refused."""
        self.appliance.qpcseal("mek", "generate", "m")
        home = self.appliance.root / "home"
        folder, bundle = home / "trust", home / "collateral.json"
        for serial in (0, 1):
            if serial:
                self.load(self.bundle(serial), self.anna, self.bela)
            report = self.appliance.attest("m", name=f"report{serial}")
            self.assertTrue(self.appliance.json("attest", "verify", report)["allowed"])
            (folder / "by-hand.crl").write_bytes(crl(authority(), 1))
            self.refused_everywhere(report, "the trust folder is not the one in the log", 5)
            (folder / "by-hand.crl").unlink()
            (folder / "root.pem").unlink()
            self.comes_back(folder, report)
            root, = folder.glob("*")
            certificate = root.read_bytes()
            root.write_bytes(b"")
            self.refused_everywhere(report, "root.pem", 4)  # there, so it is not put back
            root.write_bytes(certificate)
            if serial:
                bundle.unlink()
                self.comes_back(bundle, report)
            else:
                bundle.write_bytes(self.bundle(1).read_bytes())
                self.refused_everywhere(report, "the log has no collateral bundle", 5)
                bundle.unlink()
            self.assertTrue(self.appliance.json("attest", "verify", report)["allowed"])

    def test_a_forged_list_raises_no_number(self):
        """In a root's name without its signature: its number would keep the root's own lists out for good."""
        (root,) = [x509.load_pem_x509_certificate(path.read_bytes()) for path in self.appliance.trust.glob("*.pem")]
        number = 1 << 158
        (self.appliance.trust / "lists.crl").write_bytes(crl((authority()[0], root.subject), number))
        refused = self.appliance.qpcseal("trust", "bundle", "--serial", 1, "--trust", self.appliance.trust, "-o",
                                         self.appliance.root / "forged", expect=4)
        self.assertIn("that this root did not sign", refused.stderr)
        (self.appliance.trust / "lists.crl").write_bytes(crl(authority(), 1))
        bundle = self.bundle(1)
        said = json.loads(bundle.read_text())
        forged = base64.b64encode(crl((authority()[0], root.subject), number)).decode()
        bundle.write_text(json.dumps(dict(said, crls=[forged]), sort_keys=True, separators=(",", ":")) + "\n")
        refused = self.load(bundle, self.anna, self.bela, self.carl, expect=4)
        self.assertIn("that this root did not sign", refused.stderr)
        self.assertIn("ATT-CRL", refused.stderr)

    def test_required_and_revoked(self):
        self.appliance.qpcseal("mek", "generate", "m")
        self.assertEqual(self.findings("first", expect=0), [])
        self.policy(2, ('collateral = "none"', 'collateral = "required"'))
        self.assertEqual(self.findings("second"), ["POL-COLLATERAL"])
        self.load(self.bundle(1), self.anna, self.bela)
        self.assertEqual(self.findings("third", expect=0), [])
        report = self.appliance.attest("m", name="fourth")
        ueid = self.appliance.json("attest", "verify", report)["card"]["ueid"]
        self.load(self.bundle(2, "--revoke", ueid), self.anna, self.bela)
        self.assertEqual(self.findings("fifth"), ["POL-COLLATERAL-REVOKED"])
        refused = self.appliance.qpcseal("encrypt-model", "--qpc", self.appliance.sample(), "--mek", "m",
                                         "--output-dir", self.appliance.root / "out", "--pub-keys", report, expect=5)
        self.assertIn("POL-COLLATERAL-REVOKED", refused.stderr)

    def test_reference_measurements(self):
        self.appliance.qpcseal("mek", "generate", "m")
        lines = [line for line in self.appliance.policy.read_text().splitlines() if line.startswith("digests = ")]
        digest = lines[0].split('"')[1]
        self.policy(2, (lines[0] + "\n", 'references = ["boot 1.0"]\n'))
        self.assertEqual(self.findings("first"), ["POL-MEASUREMENT-DIGEST"])
        self.load(self.bundle(1, "--reference", f"boot 1.0={digest}"), self.anna, self.bela)
        self.assertEqual(self.findings("second", expect=0), [])
        self.load(self.bundle(2, "--reference", f"boot 1.0={'00' * 32}"), self.anna, self.bela)
        self.assertEqual(self.findings("third"), ["POL-MEASUREMENT-DIGEST"])


if __name__ == "__main__":
    unittest.main()
