"""Revocation lists that cover a part, or that are weakly signed, do not come in; the twin of a report gets nothing."""

import datetime
import hashlib
import unittest

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from appliance import Appliance, GuardedAppliance

ORDER = int("ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16)


def crl(number, *extensions, digest=hashes.SHA256(), key=ec.generate_private_key(ec.SECP256R1())):
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (x509.CertificateRevocationListBuilder().last_update(now).next_update(now + datetime.timedelta(days=30))
               .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Lists")]))
               .add_extension(x509.CRLNumber(number), critical=False))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(key, digest).public_bytes(serialization.Encoding.DER)


def part(**what):
    off = dict(full_name=None, relative_name=None, only_contains_user_certs=False, only_contains_ca_certs=False,
               only_some_reasons=None, indirect_crl=False, only_contains_attribute_certs=False)
    return x509.IssuingDistributionPoint(**dict(off, **what))


REFUSED = [("a delta", "ATT-CRL-SCOPE", crl(11, x509.DeltaCRLIndicator(10))),
           ("indirect", "ATT-CRL-SCOPE", crl(11, part(indirect_crl=True))),
           ("some reasons", "ATT-CRL-SCOPE", crl(11, part(only_some_reasons=frozenset([x509.ReasonFlags.key_compromise])))),
           ("a distribution point", "ATT-CRL-SCOPE",
            crl(11, part(full_name=[x509.UniformResourceIdentifier("http://lists.example/1")]))),
           ("SHA-224", "ATT-CRL-DIGEST", crl(11, digest=hashes.SHA224()))]


class Names(unittest.TestCase):
    def test_a_name_that_no_backup_could_hold_does_not_come_in(self):
        appliance = Appliance(cards=1, init=False)
        self.addCleanup(appliance.close)
        (root,) = appliance.trust.iterdir()
        for name in ("W\u00fcrzel.pem", ".root.pem", "r" * 97 + ".pem", "ro\not.pem"):
            moved = root.rename(appliance.trust / name)
            self.assertIn("a backup of the home could not hold", appliance.init(expect=2).stderr)
            moved.rename(root)
        root.rename(appliance.trust / ("r" * 96 + ".pem"))
        appliance.init()
        appliance.qpcseal("home", "backup", "-o", appliance.root / "backup")
        appliance.qpcseal("home", "verify", appliance.root / "backup")


class Lists(unittest.TestCase):
    def setUp(self):
        self.appliance = Appliance(cards=1, init=False)
        self.addCleanup(self.appliance.close)
        self.file = self.appliance.trust / "lists.crl"

    def test_init_takes_complete_lists_alone(self):
        for title, finding, der in REFUSED:
            with self.subTest(title):
                self.file.write_bytes(der)
                said = self.appliance.init(expect=4).stderr
                self.assertIn("lists.crl: CRL of /CN=Lists", said)
                self.assertIn(finding, said)
                self.assertFalse((self.appliance.root / "home" / "log").exists())
        self.file.write_bytes(crl(10))
        other = self.appliance.trust / "other.crl"
        other.write_bytes(crl(10))
        self.assertIn("two revocation lists of /CN=Lists have the number 0x0a", self.appliance.init(expect=4).stderr)
        other.write_bytes(crl(11))
        self.appliance.init()

    def test_a_bundle_is_made_of_complete_lists_alone(self):
        bundle = self.appliance.root / "bundle"
        make = ("trust", "bundle", "--serial", 1, "--trust", self.appliance.trust, "-o", bundle)
        for title, finding, der in REFUSED:
            with self.subTest(title):
                self.file.write_bytes(der)
                self.assertIn(finding, self.appliance.qpcseal(*make, expect=4).stderr)
                self.assertFalse(bundle.exists())
        self.file.write_bytes(crl(10))
        self.appliance.qpcseal(*make)


class Twin(unittest.TestCase):
    """(r, n - s) is a signature too: the same evidence with another digest."""

    def twin(self, report):
        data = report.read_bytes()
        s = int.from_bytes(data[-48:], "big")
        other = report.with_name(report.name + ".twin")
        other.write_bytes(data[:-48] + (ORDER - s).to_bytes(48, "big"))
        return other

    def wrap(self, appliance, report, *more, expect=0):
        out = appliance.root / ("out-" + hashlib.sha256(report.read_bytes()).hexdigest()[:8])
        return appliance.qpcseal("wrap-mek", "--mek", "m", "--pub-keys", report, "--output-dir", out, *more, expect=expect)

    def test_gets_no_second_release(self):
        appliance = Appliance(cards=1)
        self.addCleanup(appliance.close)
        appliance.qpcseal("mek", "generate", "m")
        report = appliance.attest("m")
        twin = self.twin(report)
        self.assertTrue(appliance.json("attest", "verify", twin)["allowed"], "it is evidence as well")
        self.wrap(appliance, report)
        self.assertIn("POL-CHALLENGE-USED", self.wrap(appliance, twin, expect=5).stderr)

    def test_an_approval_holds_for_the_report_it_names(self):
        appliance = GuardedAppliance(guarded=("release",), cards=1)
        self.addCleanup(appliance.close)
        appliance.qpcseal("mek", "generate", "m")
        report = appliance.attest("m")
        approved = appliance.approved("release", "--mek", "m#1", "--report", report)
        self.wrap(appliance, self.twin(report), *approved, expect=7)
        self.wrap(appliance, report, *approved)


if __name__ == "__main__":
    unittest.main()
