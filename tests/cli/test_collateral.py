"""Signed collateral bundles: what they bring, and when they are refused."""

import datetime
import json
import unittest

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from appliance import BUILD, GuardedAppliance


def authority():
    """A certificate authority that is nobody's root but can number revocation lists."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Lists")])
    return key, name


def crl(issuer, number):
    key, name = issuer
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (x509.CertificateRevocationListBuilder().issuer_name(name).last_update(now)
               .next_update(now + datetime.timedelta(days=30)).add_extension(x509.CRLNumber(number), critical=False))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


class Collateral(unittest.TestCase):
    def setUp(self):
        self.appliance = GuardedAppliance(guarded=("trust-import", "policy-change"))
        self.addCleanup(self.appliance.close)
        self.anna, self.bela, self.carl = self.appliance.officers

    def bundle(self, serial, *more, name="bundle", **how):
        file = self.appliance.root / name
        self.appliance.qpcseal("trust", "bundle", "--serial", serial, "--trust", self.appliance.trust, "-o", file,
                               "--force", *more, **how)
        return file

    def load(self, file, *officers, expect=0, name_space="collateral"):
        signatures = [officer.sign(file, name_space) for officer in officers]
        return self.appliance.qpcseal("trust", "import", file, *(["--approval", *signatures] if signatures else []),
                                      expect=expect)

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
        self.assertIn("POL-SIGNATURE-BAD", self.load(file, self.anna, self.bela, expect=7, name_space="policy").stderr)
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

    def test_crl_numbers_only_rise(self):
        issuer = authority()
        list_file = self.appliance.trust / "lists.crl"
        for serial, number, expect in ((1, 0x90, 0), (2, 0x90, 0), (3, 0x1000, 0), (4, 0xff, 5)):
            list_file.write_bytes(crl(issuer, number))
            result = self.load(self.bundle(serial), self.anna, self.bela, expect=expect)
        self.assertIn("ATT-CRL-ROLLBACK", result.stderr)
        self.assertIn("0xff", result.stderr)
        self.assertEqual(self.appliance.json("trust", "show")["bundle"]["serial"], 3)
        refused = self.appliance.json("audit", "show", "--kind", "trust")["entries"][-1]
        self.assertEqual((refused["outcome"], refused["data"]["findings"][0]["id"]), ("denied", "ATT-CRL-ROLLBACK"))
        list_file.write_bytes(crl(issuer, 0x1001))
        self.load(self.bundle(5), self.anna, self.bela)

    def test_no_list_older_than_the_trust_folders(self):
        issuer = authority()
        self.appliance = GuardedAppliance(guarded=("trust-import",), init_now=False)
        self.addCleanup(self.appliance.close)
        list_file = self.appliance.trust / "lists.crl"
        list_file.write_bytes(crl(issuer, 0x20))
        self.appliance.init()
        self.anna, self.bela, _ = self.appliance.officers
        list_file.write_bytes(crl(issuer, 0x1f))
        self.assertIn("ATT-CRL-ROLLBACK", self.load(self.bundle(1), self.anna, self.bela, expect=5).stderr)
        list_file.write_bytes(crl(issuer, 0x20))
        self.load(self.bundle(2), self.anna, self.bela)

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
