"""Which token of a module is meant: the list of them, and choosing one by label, serial or slot."""

import json
import os
import pathlib
import shutil
import tempfile
import unittest

import tokens
from appliance import Appliance, QPCSEAL, run


class TwoTokens(unittest.TestCase):
    """A module of SoftHSM with two tokens of one label, and one that is blank."""

    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="qpcseal-test-"))
        self.addCleanup(shutil.rmtree, self.root, True)
        (self.root / "tokens").mkdir()
        conf = self.root / "softhsm2.conf"
        conf.write_text(f"directories.tokendir = {self.root / 'tokens'}\nobjectstore.backend = file\n"
                        "log.level = ERROR\n")
        self.pin = self.root / "pin"
        self.pin.touch(mode=0o600)
        self.pin.write_text(tokens.PIN + "\n")
        self.env = {"PATH": os.environ["PATH"], "SOFTHSM2_CONF": str(conf), "QPCSEAL_HOME": str(self.root / "home")}
        for _ in range(2):
            run("softhsm2-util", "--init-token", "--free", "--label", "plant", "--so-pin", "so-pin-1234", "--pin",
                tokens.PIN, env=self.env)

    def qpcseal(self, *arguments, expect=0):
        return run(QPCSEAL, *arguments, env=self.env, expect=expect)

    def listed(self):
        return json.loads(self.qpcseal("doctor", "--list", "--module", tokens.SOFTHSM, "--json").stdout)


class Choices(TwoTokens):
    def doctor(self, *choice, expect=0):
        return self.qpcseal("doctor", "--module", tokens.SOFTHSM, *choice, "--pin-fd", 0, expect=expect)

    def test_the_list_has_slots_labels_serials_and_flags_and_asks_no_pin(self):
        found = self.listed()
        self.assertEqual(["plant", "plant", ""], [token["label"] for token in found])
        self.assertEqual(3, len({token["slot"] for token in found}))
        self.assertEqual(2, len({token["serial"] for token in found[:2]}))
        self.assertIn("not initialized", found[2]["flags"])
        self.assertEqual([], found[0]["flags"])
        text = self.qpcseal("doctor", "--list", "--module", tokens.SOFTHSM).stdout
        self.assertIn(str(found[1]["slot"]), text)
        self.assertIn("SoftHSM", text)

    def test_one_label_twice_is_refused_and_names_both(self):
        said = self.doctor("--token", "plant", expect=6).stderr
        self.assertIn("more than one", said)
        for token in self.listed()[:2]:
            self.assertIn(token["serial"], said)
            self.assertIn(f"slot {token['slot']}", said)
        self.assertIn("doctor --list", said)

    def choose(self, *choice):
        with open(self.pin, "rb") as pin:
            done = run(QPCSEAL, "doctor", "--module", tokens.SOFTHSM, *choice, "--pin-fd", pin.fileno(), "--json",
                       env=self.env, pass_fds=(pin.fileno(),))
        return json.loads(done.stdout)["token_serial"]

    def test_serial_and_slot_choose_one(self):
        for token in self.listed()[:2]:
            self.assertEqual(token["serial"], self.choose("--serial", token["serial"]))
            self.assertEqual(token["serial"], self.choose("--slot", token["slot"]))
            self.assertEqual(token["serial"], self.choose("--token", "plant", "--slot", token["slot"]))

    def test_what_fits_no_token_is_refused(self):
        first, second = self.listed()[:2]
        for choice in (("--slot", second["slot"], "--serial", first["serial"]), ("--serial", "none"),
                       ("--token", "other")):
            self.assertIn("is not there", self.doctor(*choice, expect=6).stderr)

    def test_choices_without_a_module_and_a_list_with_a_choice_are_usage_errors(self):
        for words in (("--slot", 1), ("--serial", "x"), ("--list", "--module", tokens.SOFTHSM, "--token", "plant")):
            self.qpcseal("doctor", *words, expect=2)
        self.assertIn("--list", self.doctor(expect=2).stderr)


class Homes(TwoTokens):
    """An appliance on one of the two, begun by its serial."""

    def test_an_appliance_stays_on_the_token_that_it_began_on(self):
        second = self.listed()[1]
        site = Appliance(init=False)
        self.addCleanup(site.close)
        site.env["SOFTHSM2_CONF"] = self.env["SOFTHSM2_CONF"]
        base = ("--module", tokens.SOFTHSM, "--pin-source", f"file:{self.pin}", "--insecure-demo", "--appliance-id",
                "test", "--policy", site.policy, "--trust", site.trust)
        site.qpcseal("init", *base, "--token", "plant", expect=6)
        site.qpcseal("init", *base, "--serial", second["serial"])
        site.qpcseal("mek", "generate", "model")
        found = site.json("doctor")
        self.assertEqual((second["serial"], "plant"), (found["token_serial"], found["token"]))
        other = dict(site.env, QPCSEAL_HOME=str(site.root / "other"))
        said = site.qpcseal("init", *base, "--serial", second["serial"], env=other, expect=6).stderr
        self.assertIn("the token already holds keys of an appliance", said)
        self.assertFalse((site.root / "other" / "log").exists())
        site.qpcseal("mek", "show", "model")


if __name__ == "__main__":
    unittest.main()
