"""From a QPC file to a card that loads it, and what each kind of bad input gets."""

import contextlib
import os
import pathlib
import re
import unittest

from appliance import Appliance, ATTEST, QPCSEAL, run
from tokens import SOFTHSM


class MainJob(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.appliance = Appliance()
        cls.appliance.qpcseal("mek", "generate", "resnet50")
        cls.model = cls.appliance.sample()

    @classmethod
    def tearDownClass(cls):
        cls.appliance.close()

    def folder(self, name):
        return self.appliance.root / f"{self.id().rsplit('.', 1)[1]}-{name}"

    def seal(self, *more, expect=0):
        out = self.folder("sealed")
        result = self.appliance.qpcseal("encrypt-model", "--qpc", self.model, "--mek", "resnet50", "--output-dir",
                                        out, *more, expect=expect)
        return out, result

    def refused(self, result, *words):
        self.assertTrue(result.stderr.startswith("qpcseal: error: "), result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)

    def test_seal_attest_bind_load(self):
        sealed, _ = self.seal()
        report = self.appliance.attest("resnet50", name="bind.dat")
        self.appliance.qpcseal("encrypt-with-session-keys", "--input-dir", sealed, "--mek", "resnet50",
                               "--pub-keys", report)
        out = self.folder("plain.qpc")
        self.appliance.load(sealed / "programqpc.bin", out=out)
        self.appliance.device("compare", self.model, out)

    def test_single_command(self):
        report = self.appliance.attest("resnet50", name="single.dat")
        sealed, _ = self.seal("--pub-keys", report)
        self.appliance.load(sealed / "programqpc.bin")
        refused = self.appliance.load(sealed / "programqpc.bin", device=1, expect=5, out=self.folder("stolen"))
        self.assertIn("qpcseal-device: error: ", refused.stderr)
        self.assertFalse(self.folder("stolen").exists())

    def test_unbound_container_does_not_load(self):
        sealed, _ = self.seal()
        self.appliance.load(sealed / "programqpc.bin", expect=5)

    def test_envelope_mode_is_denied_unless_the_policy_allows_it(self):
        sealed, result = self.seal("--mode", "envelope", expect=5)
        self.refused(result, "POL-")
        self.assertFalse((sealed / "programqpc.bin").exists())

    def test_second_use_of_a_report(self):
        report = self.appliance.attest("resnet50", name="twice.dat")
        self.seal("--pub-keys", report)
        again = self.folder("again")
        result = self.appliance.qpcseal("encrypt-model", "--qpc", self.model, "--mek", "resnet50", "--output-dir",
                                        again, "--pub-keys", report, expect=5)
        self.refused(result, "POL-CHALLENGE-USED")
        self.assertFalse((again / "programqpc.bin").exists())

    def test_verify_consumes_nothing(self):
        report = self.appliance.attest("resnet50", name="verify.dat")
        for _ in range(2):
            self.assertTrue(self.appliance.json("attest", "verify", report)["allowed"])
        self.seal("--pub-keys", report)

    def test_flipped_report(self):
        report = self.appliance.attest("resnet50", name="flip.dat")
        good = report.read_bytes()
        for place in range(0, len(good), max(1, len(good) // 12)):
            bad = bytearray(good)
            bad[place] ^= 4
            report.write_bytes(bad)
            self.appliance.qpcseal("attest", "verify", report, expect=5)

    def test_wrong_mek(self):
        self.appliance.qpcseal("mek", "generate", "other")
        report = self.appliance.attest("other", name="wrongmek.dat")
        _, result = self.seal("--pub-keys", report, expect=5)
        self.refused(result, "MEK")

    def test_bare_public_key(self):
        key = self.folder("session.pem")
        run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
        public = self.folder("session.pub")
        run("openssl", "pkey", "-in", key, "-pubout", "-out", public)
        _, result = self.seal("--pub-keys", public, expect=4)
        self.refused(result, "report")

    def test_mek_file(self):
        old = self.folder("MEK.dat")
        old.write_bytes(os.urandom(16))
        result = self.appliance.qpcseal("encrypt-model", "--qpc", self.model, "--mek", old, "--output-dir",
                                        self.folder("x"), expect=4)
        self.refused(result, "mek import")

    def test_unknown_mek(self):
        result = self.appliance.qpcseal("encrypt-model", "--qpc", self.model, "--mek", "nosuch", "--output-dir",
                                        self.folder("x"), expect=6)
        self.refused(result, "nosuch")

    def test_existing_output(self):
        self.seal()
        _, result = self.seal(expect=3)
        self.refused(result, "exists", "--force")
        self.seal("--force")

    def test_symlinked_input(self):
        link = self.folder("link.qpc")
        link.symlink_to(self.model)
        result = self.appliance.qpcseal("encrypt-model", "--qpc", link, "--mek", "resnet50", "--output-dir",
                                        self.folder("x"), expect=3)
        self.refused(result, "symbolic link")

    def test_truncated_model(self):
        short = self.folder("short.qpc")
        short.write_bytes(self.model.read_bytes()[:-1])
        result = self.appliance.qpcseal("encrypt-model", "--qpc", short, "--mek", "resnet50", "--output-dir",
                                        self.folder("x"), expect=4)
        self.refused(result, "size")

    def test_sealing_a_sealed_container(self):
        sealed, _ = self.seal()
        result = self.appliance.qpcseal("encrypt-model", "--qpc", sealed / "programqpc.bin", "--mek", "resnet50",
                                        "--output-dir", self.folder("x"), expect=4)
        self.refused(result, "seal.manifest")

    @contextlib.contextmanager
    def small_disk(self):
        if os.geteuid() != 0:
            self.skipTest("mounting a small file system needs root")
        mount = self.folder("small")
        mount.mkdir()
        run("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", mount)
        try:
            yield mount
        finally:
            run("umount", mount)

    def test_full_disk(self):
        with self.small_disk() as disk:
            result = self.appliance.qpcseal("encrypt-model", "--qpc", self.model, "--mek", "resnet50",
                                            "--output-dir", disk / "out", expect=3)
            self.refused(result, "No space left")
            self.assertEqual(list((disk / "out").glob("*")), [])

    def test_full_disk_costs_no_challenge(self):
        sealed, _ = self.seal()
        report = self.appliance.attest("resnet50", device=1, name="full.dat", request=())
        with self.small_disk() as disk:
            for arguments in (("encrypt-model", "--qpc", self.model, "--mek", "resnet50"),
                              ("encrypt-with-session-keys", "--input-dir", sealed, "--mek", "resnet50")):
                result = self.appliance.qpcseal(*arguments, "--output-dir", disk / "out", "--pub-keys", report,
                                                expect=3)
                self.refused(result, "No space left", "programqpc.bin")
        self.appliance.qpcseal("encrypt-with-session-keys", "--input-dir", sealed, "--mek", "resnet50",
                               "--output-dir", self.folder("bound"), "--pub-keys", report)

    def test_vendor_challenge(self):
        if self.appliance.server is None:
            self.appliance.serve()
        for text in ("anycontent", ""):
            challenge = self.folder("request.dat")
            challenge.write_text(text)
            result = run(ATTEST, "--ip", "127.0.0.1", "--port", self.appliance.port, "-d", 0, "-i", challenge, "-o",
                         self.folder("r.dat"), env=self.appliance.env, expect=4)
            self.assertIn("nonce", result.stderr)
            self.assertFalse(self.folder("r.dat").exists())
        literal = run(ATTEST, "--ip", "127.0.0.1", "--port", self.appliance.port, "-d", 0, "-i", "anycontent", "-o",
                      self.folder("r.dat"), env=self.appliance.env, expect=3)
        self.assertIn("nonce", literal.stderr)

    def test_reset_card_refuses_the_old_binding(self):
        report = self.appliance.attest("resnet50", device=1, name="reset.dat", request=())
        sealed, _ = self.seal("--pub-keys", report)
        self.appliance.load(sealed / "programqpc.bin", device=1)
        self.appliance.device("reset", "--dir", self.appliance.cards, "--device", 1)
        self.appliance.load(sealed / "programqpc.bin", device=1, expect=5)


class Pins(unittest.TestCase):
    def test_a_module_that_is_not_the_pinned_one_never_runs(self):
        appliance = Appliance()
        self.addCleanup(appliance.close)
        trace = appliance.root / "trace"

        def runs_it(command, expect=0):
            said = run("strace", "-f", "-qq", "-o", trace, "-e", "trace=openat,mmap", QPCSEAL, *command,
                       env=appliance.env, expect=expect)
            after = trace.read_text().partition("libsofthsm2.so")[2]
            self.assertTrue(after, "it is read to be hashed")
            return "PROT_EXEC" in after, said.stderr

        commands = (("doctor",), ("mek", "list"))
        for command in commands:
            self.assertTrue(runs_it(command)[0], command)
        other = appliance.root / "libsofthsm2.so"
        other.write_bytes(pathlib.Path(SOFTHSM).read_bytes() + b"x")
        site = appliance.root / "home" / "site.toml"
        site.write_text(re.sub('^module = .*$', f'module = "{other}"', site.read_text(), flags=re.M))
        for command in commands:
            runs, said = runs_it(command, expect=6)
            self.assertFalse(runs, command)
            self.assertIn("not the pinned", said)
            self.assertIn(f"qpcseal site change --module {other}", said)

    def test_wrong_pin_once(self):
        appliance = Appliance()
        self.addCleanup(appliance.close)
        pin = appliance.root / "home" / "pin"
        good = pin.read_text()
        pin.write_text("not-the-pin")
        result = appliance.qpcseal("mek", "generate", "a", expect=6)
        self.assertIn("CKR_PIN_INCORRECT", result.stderr)
        pin.write_text(good)
        pin.chmod(0o644)
        result = appliance.qpcseal("mek", "generate", "a", expect=6)
        self.assertIn("readable by nobody else", result.stderr)
        pin.chmod(0o600)
        appliance.qpcseal("mek", "generate", "a")


class Denials(unittest.TestCase):
    """One appliance each: what the policy or the trust folder says about a real card."""

    def verify(self, expect=5, **how):
        appliance = Appliance(**how)
        self.addCleanup(appliance.close)
        appliance.qpcseal("mek", "generate", "m")
        report = appliance.attest("m", device=how.pop("device", 0))
        result = appliance.json("attest", "verify", report, expect=expect)
        model = appliance.sample()
        out = appliance.root / "sealed"
        appliance.qpcseal("encrypt-model", "--qpc", model, "--mek", "m", "--output-dir", out, "--pub-keys", report,
                          expect=expect)
        self.assertEqual((out / "programqpc.bin").exists(), expect == 0)
        return [finding["id"] for finding in result["findings"]]

    def test_debug_card(self):
        ids = self.verify(provision=("--debug",),
                          policy_edit=lambda text: text.replace("min_dbgstat = 0", "min_dbgstat = 3"))
        self.assertIn("POL-DBGSTAT", ids)

    def test_other_measurement(self):
        def edit(text):
            lines = text.split("\n")
            place = next(i for i, line in enumerate(lines) if line.startswith("digests = ["))
            lines[place] = 'digests = ["' + "00" * 32 + '"]'
            return "\n".join(lines)
        self.assertIn("POL-MEASUREMENT", " ".join(self.verify(policy_edit=edit)))


if __name__ == "__main__":
    unittest.main()
