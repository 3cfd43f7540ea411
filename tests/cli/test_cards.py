"""Tokens as people hold them: a PIN pad, one try left, a key that asks for the PIN at each signature."""

import hashlib
import os
import pathlib
import shutil
import tempfile
import unittest

import tokens
from appliance import Appliance, BUILD, DEVICE, QPCSEAL, run

CARD = BUILD / "tests" / "card" / "libcard.so"


class Card(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="qpcseal-test-"))
        self.addCleanup(shutil.rmtree, self.root, True)
        (self.root / "tokens").mkdir()
        conf = self.root / "softhsm2.conf"
        conf.write_text(f"directories.tokendir = {self.root / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n")
        self.pin = self.root / "pin"
        self.write_pin(tokens.PIN)
        self.log = self.root / "logins"
        self.env = {"PATH": os.environ["PATH"], "SOFTHSM2_CONF": str(conf), "QPCSEAL_HOME": str(self.root / "home"),
                    "HOME": str(self.root), "CARD_PIN": tokens.PIN, "CARD_LOG": str(self.log)}
        run("softhsm2-util", "--init-token", "--free", "--label", "anna", "--so-pin", "so-pin-1234", "--pin", tokens.PIN,
            env=self.env)
        # Where the log of logins may be written.
        self.module = ("--module", CARD, "--module-files", self.root)

    def write_pin(self, text):
        self.pin.touch(mode=0o600)
        self.pin.write_text(text + "\n")

    def run_on(self, ways, *command, expect=0):
        self.log.unlink(missing_ok=True)
        return run(*command, env=dict(self.env, CARD=ways), expect=expect)

    def logins(self):
        return self.log.read_text().splitlines() if self.log.exists() else []


class Officers(Card):
    def setUp(self):
        super().setUp()
        run("pkcs11-tool", "--module", tokens.SOFTHSM, "--token-label", "anna", "--login", "--pin", tokens.PIN,
            "--keypairgen", "--key-type", "EC:prime256v1", "--label", "sign", "--id", "01", env=self.env)
        run(DEVICE, "provision", "--dir", self.root / "cards", "--cards", 1, "--roots-out", self.root / "root.pem")
        self.policy = self.root / "policy.toml"
        self.policy.write_text(run(DEVICE, "describe", "--dir", self.root / "cards", "--device", 0, "--policy").stdout)
        self.digest = hashlib.sha256(self.policy.read_bytes()).hexdigest()
        self.signers = self.root / "signers"
        public = run("ssh-keygen", "-D", tokens.SOFTHSM, env=self.env).stdout.split()[:2]
        self.signers.write_text("anna " + " ".join(public) + "\n")

    def sign(self, ways, *options, expect=0, pin=None):
        return self.run_on(ways, QPCSEAL, "policy", "sign", self.policy, *self.module, "--token", "anna", "--pin-source",
                           pin or f"file:{self.pin}", "--yes-digest", self.digest, "--force", *options, expect=expect)

    def verify(self):
        run("bash", "-c", f"ssh-keygen -Y verify -f {self.signers} -I anna -n policy@qpcseal -s {self.policy}.sig <{self.policy}")

    def make(self, kind, label):
        run("pkcs11-tool", "--module", tokens.SOFTHSM, "--token-label", "anna", "--login", "--pin", tokens.PIN,
            "--keypairgen", "--key-type", kind, "--label", label, "--id", "02", env=self.env)

    def test_an_rsa_key_beside_the_ecdsa_key(self):
        self.make("rsa:2048", "other")
        self.sign("")
        said = self.sign("", "--key", "other", expect=6).stderr
        self.assertIn("no ECDSA key labelled 'other'", said)
        self.assertIn("its ECDSA keys are 'sign'", said)

    def test_a_token_with_an_rsa_key_alone(self):
        run("pkcs11-tool", "--module", tokens.SOFTHSM, "--token-label", "anna", "--login", "--pin", tokens.PIN,
            "--delete-object", "--type", "privkey", "--label", "sign", env=self.env)
        self.assertIn("hint: make one: P-256 or P-384", self.sign("", expect=6).stderr)
        self.make("rsa:2048", "other")
        self.assertIn("hint: RSA keys sign nothing here: make an ECDSA key", self.sign("", expect=6).stderr)

    def test_an_ed25519_key_beside_the_ecdsa_key(self):
        """libp11 cannot read a token that holds one."""
        self.make("EC:edwards25519", "other")
        self.sign("")
        self.verify()
        self.sign("", "--key", "other")
        said = run("ssh-keygen", "-Y", "check-novalidate", "-n", "policy@qpcseal", "-s", f"{self.policy}.sig",
                   stdin=self.policy.read_text()).stdout
        self.assertIn("with ED25519 key", said)
        self.assertIn("not in the token", self.sign("", "--key", "third", expect=6).stderr)

    def test_a_key_that_always_authenticates_gets_the_pin_of_the_login(self):
        self.sign("always")
        self.assertEqual(["user given", "key given"], self.logins())
        self.verify()

    def test_a_pin_pad_asks_itself(self):
        self.assertIn("on its own pad", self.sign("pad", pin="pinpad").stderr)
        self.assertEqual(["user typed"], self.logins())
        self.verify()
        self.sign("pad always", pin="pinpad")
        self.assertEqual(["user typed", "key typed"], self.logins())
        self.verify()

    def test_a_token_without_a_pad_is_refused_one(self):
        self.assertIn("no PIN pad", self.sign("", pin="pinpad", expect=6).stderr)
        self.assertEqual([], self.logins())

    def test_the_last_try_must_be_asked_for(self):
        said = self.sign("final", expect=6).stderr
        self.assertIn("one more wrong one", said)
        self.assertIn("--last-try", said)
        self.assertEqual([], self.logins())
        self.sign("final", "--last-try")
        self.assertEqual(["user given"], self.logins())


class Appliances(Card):
    def setUp(self):
        super().setUp()
        self.site = Appliance(init=False)
        self.addCleanup(self.site.close)
        self.env = {**self.site.env, **{name: self.env[name] for name in ("SOFTHSM2_CONF", "CARD_PIN", "CARD_LOG")}}

    def init(self, ways, *options, expect=0, token=None):
        token = token or (*self.module, "--token", "anna")
        return self.run_on(ways, QPCSEAL, "init", *token, "--insecure-demo", "--appliance-id", "test", "--policy",
                           self.site.policy, "--trust", self.site.trust, *options, expect=expect)

    def test_an_appliance_whose_token_has_a_pin_pad(self):
        self.init("pad", "--pin-source", "pinpad")
        self.run_on("pad", QPCSEAL, "mek", "generate", "resnet50")
        self.assertEqual(["user typed"], self.logins())
        self.assertIn("resnet50", self.run_on("pad", QPCSEAL, "mek", "list").stdout)
        self.assertIn("no PIN pad", self.run_on("", QPCSEAL, "mek", "generate", "other", expect=6).stderr)
        self.assertIn("takes its new PIN there", self.run_on("pad", QPCSEAL, "pin", "change", expect=2).stderr)

    def test_the_last_try_must_be_asked_for(self):
        self.init("", "--pin-source", f"file:{self.pin}")
        self.assertIn("--last-try", self.run_on("final", QPCSEAL, "mek", "generate", "resnet50", expect=6).stderr)
        self.assertEqual([], self.logins())
        self.run_on("final", QPCSEAL, "mek", "generate", "resnet50", "--last-try")
        self.assertIn("--last-try", self.run_on("final", QPCSEAL, "doctor", expect=6).stderr)

    def test_an_embedded_token_has_no_pin_pad(self):
        self.assertIn("no PIN pad", self.init("", "--pin-source", "pinpad", token=("--embedded",), expect=2).stderr)


if __name__ == "__main__":
    unittest.main()
