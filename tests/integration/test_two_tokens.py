"""The whole flow on two independent tokens with each kind of session key; prints which suite ran where."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "cli"))
import tokens  # noqa: E402
from appliance import Appliance, Failed  # noqa: E402


def suites(*numbers):
    def edit(text):
        return text.replace("suites = [1, 2, 3]", f"suites = {list(numbers)}")
    return edit


class Flow(unittest.TestCase):
    def flow(self, key, expected, token=None, edit=None):
        appliance = Appliance(cards=1, provision=("--key", key), token=token, policy_edit=edit)
        self.addCleanup(appliance.close)
        appliance.qpcseal("mek", "generate", "resnet50")
        self.assertEqual(appliance.qpcseal("mek", "show", "resnet50").returncode, 0)
        model = appliance.sample()
        sealed = appliance.root / "sealed"
        appliance.qpcseal("encrypt-model", "--qpc", model, "--mek", "resnet50", "--output-dir", sealed)
        bound = appliance.json("encrypt-with-session-keys", "--input-dir", sealed, "--mek", "resnet50", "--pub-keys",
                               appliance.attest("resnet50"))
        single = appliance.json("encrypt-model", "--qpc", model, "--mek", "resnet50", "--output-dir",
                                appliance.root / "single", "--pub-keys", appliance.attest("resnet50", name="second"))
        for result in (bound, single):
            self.assertEqual([grant["suite"] for grant in result["released"]], [expected])
        for number, container in enumerate((sealed, appliance.root / "single")):
            plain = appliance.root / f"plain{number}"
            appliance.load(container / "programqpc.bin", out=plain)
            appliance.device("compare", model, plain)
        appliance.qpcseal("audit", "verify")
        said = appliance.json("doctor")
        print(f"\n{pathlib.Path(said['module']).name}: {key} session key, suite {expected}", flush=True)
        return appliance

    def nss(self, *arguments, **more):
        if not tokens.Nss.installed():
            self.skipTest("NSS softoken is not installed (libnss3, libnss3-tools)")
        return self.flow(*arguments, token=tokens.Nss, **more)

    def test_softhsm_p256(self):
        self.flow("p256", "ecdh-ecbkdf-aeskw")

    def test_softhsm_rsa(self):
        self.flow("rsa", "rsa-oaep-sha1", edit=suites(4))

    def test_softhsm_in_another_process(self):
        self.flow("p256", "ecdh-ecbkdf-aeskw", token=tokens.Forwarded)

    def test_nss_p256(self):
        self.nss("p256", "ecdh-x963-aeskw")

    def test_nss_p384(self):
        self.nss("p384", "ecdh-x963-aeskw")

    def test_nss_rsa(self):
        self.nss("rsa", "rsa-oaep-sha256")

    def test_nss_suite_2(self):
        self.nss("p256", "ecdh-ecbkdf-aeskw", edit=suites(2))

    def test_what_no_suite_serves_is_denied(self):
        """P-384 wants suite 1, which SoftHSM cannot do; suite 4 must be named by the policy."""
        for key in ("p384", "rsa"):
            appliance = Appliance(cards=1, provision=("--key", key))
            self.addCleanup(appliance.close)
            appliance.qpcseal("mek", "generate", "m")
            request = appliance.root / "request"
            refused = appliance.qpcseal("attest", "request", "--mek", "m", "-o", request, expect=5)
            self.assertIn("no wrap suite in common", refused.stderr)
            self.assertFalse(request.exists())


class WithoutAccept(unittest.TestCase):
    def test_what_a_token_lacks_is_accepted_by_name_only(self):
        if not tokens.Nss.installed():
            self.skipTest("NSS softoken is not installed (libnss3, libnss3-tools)")

        class Strict(tokens.Nss):
            accept = ()
        with self.assertRaises(Failed) as refused:
            Appliance(cards=1, token=Strict)
        said = str(refused.exception)
        self.assertIn("exit 6", said)
        for name in tokens.Nss.accept:
            self.assertIn(f"'{name}'", said)


if __name__ == "__main__":
    unittest.main()
