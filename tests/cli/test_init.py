"""An init that fails or is killed: nothing is left in the token, or a command undoes it."""

import shutil
import subprocess
import unittest

import tokens
from appliance import Appliance, Failed, GuardedAppliance, QPCSEAL

FAILED = "0x30"  # CKR_DEVICE_ERROR
CALLS = ("C_GenerateKeyPair", "C_CreateObject")  # what makes the keys, and the log's anchor


class CutShort(unittest.TestCase):
    def setUp(self):
        self.site = Appliance(cards=1, init=False, token=tokens.Forwarded)
        self.addCleanup(self.site.close)
        self.home = self.site.root / "home"
        self.officer = self.site.sole_officer()
        self.listed = self.site.root / "sole-officer" / "officers"
        self.listed.write_text(self.officer.line())
        self.signature = self.officer.sign(self.site.policy, "policy")

    def command(self, *options):
        return [QPCSEAL, "init", *map(str, self.site.token.init_options()), "--officers", str(self.listed),
                "--policy-signature", str(self.signature), "--appliance-id", "test", "--policy", str(self.site.policy),
                "--trust", str(self.site.trust), *options]

    def init(self, *faults, options=()):
        """Its exit code and what it said."""
        self.site.token.faults(*faults)
        done = subprocess.run(self.command(*options), env=self.site.env, capture_output=True, text=True, check=False)
        self.site.token.restart_if_gone()
        self.site.token.faults()
        return done

    def objects(self):
        """In the token, without its own."""
        found = (self.site.token.root / "tokens").rglob("*.object")
        return [path.name for path in found if path.name != "token.object"]

    def forget_the_appliance(self):
        shutil.rmtree(self.home)
        for path in (self.site.token.root / "tokens").rglob("*.object"):
            if path.name != "token.object":
                path.unlink()

    def each_point(self, *faults):
        """(call, number, what init said), at the last calls that make an object, those of the trials and the keys."""
        self.site.token.trace()
        self.assertEqual(0, self.init().returncode)
        made = [name for name, _ in self.site.token.trace()]
        self.forget_the_appliance()
        for call in CALLS:
            last = made.count(call)
            self.assertGreater(last, 3)
            for number in range(last - 3, last + 1):
                yield call, number, self.init(*(fault.format(call=call, number=number, next=number + 1) for fault in faults))

    def test_an_init_that_fails_takes_out_what_it_put_into_the_token(self):
        failed = 0
        for call, number, done in self.each_point("{call} {number} return " + FAILED, "{call} {next} return " + FAILED):
            if done.returncode == 0:  # a trial is made twice
                self.forget_the_appliance()
                continue
            failed += 1
            self.assertEqual(6, done.returncode, done.stderr)
            self.assertFalse(self.home.exists(), (call, number))
            self.assertEqual([], self.objects(), (call, number))
        self.assertGreaterEqual(failed, 3)  # two keys and the anchor

    def test_an_init_that_was_killed_is_undone(self):
        for call, number, done in self.each_point("{call} {number} kill-after"):
            self.assertEqual(-9, done.returncode, done.stderr)
            again = self.init()
            self.assertEqual(3, again.returncode, (call, number))
            self.assertIn("--undo", again.stderr)
            self.assertIn("--resume", again.stderr)
            self.site.qpcseal("init", "--undo")
            self.assertFalse(self.home.exists(), (call, number))
            probes = self.objects()  # of trials, which the start of the next appliance removes
            self.assertLessEqual(len(probes), 2, (call, number))

    def killed_behind_its_keys(self):
        self.site.token.trace()
        self.assertEqual(0, self.init().returncode)
        pairs = [name for name, _ in self.site.token.trace()].count("C_GenerateKeyPair")
        self.forget_the_appliance()
        done = self.init(f"C_GenerateKeyPair {pairs} kill-after")
        self.assertEqual(-9, done.returncode, done.stderr)
        self.assertEqual(4, len(self.objects()))

    def test_an_init_that_was_killed_is_begun_again(self):
        self.killed_behind_its_keys()
        self.assertEqual(0, self.init(options=("--resume",)).returncode)
        self.assertEqual("test", self.site.json("audit", "show")["entries"][0]["data"]["appliance_id"])
        self.assertFalse((self.home / "init").exists())
        self.assertEqual(2, self.init(options=("--resume",)).returncode)

    def test_undo_leaves_other_keys_alone(self):
        """Another appliance began on the token meanwhile: its keys have another CKA_ID."""
        self.killed_behind_its_keys()
        unfinished = self.site.root / "unfinished"
        self.home.rename(unfinished)
        self.forget_objects()
        self.assertEqual(0, self.init().returncode)
        before = sorted(self.objects())
        self.site.env["QPCSEAL_HOME"] = str(unfinished)
        self.site.qpcseal("init", "--undo")
        self.assertEqual(before, sorted(self.objects()))
        self.site.env["QPCSEAL_HOME"] = str(self.home)
        self.site.qpcseal("audit", "verify")

    def forget_objects(self):
        for path in (self.site.token.root / "tokens").rglob("*.object"):
            if path.name != "token.object":
                path.unlink()

    def test_keys_that_cannot_be_taken_out_are_told_and_undone_later(self):
        self.site.token.trace()
        self.assertEqual(0, self.init().returncode)
        last = [name for name, _ in self.site.token.trace()].count("C_CreateObject")
        self.forget_the_appliance()
        done = self.init(f"C_CreateObject {last} vanish")
        self.assertNotEqual(0, done.returncode)
        self.assertIn("still in the token", done.stderr)
        self.assertIn("init --undo", done.stderr)
        self.assertNotEqual([], self.objects())
        self.site.qpcseal("init", "--undo")
        self.assertEqual([], self.objects())
        self.assertFalse(self.home.exists())

    def test_a_whole_appliance_is_not_undone(self):
        self.assertEqual(0, self.init().returncode)
        self.site.qpcseal("init", "--undo", expect=2)
        marker = self.home / "init"  # a kill between the last two files
        marker.write_text('{"version":"qpcseal init 1","made_home":true,"site":null,"module_sha256":"",'
                          '"module_arguments":"","key_id":""}\n')
        said = self.site.qpcseal("init", "--undo", expect=2).stderr
        self.assertIn("whole appliance", said)
        self.assertFalse(marker.exists())
        self.site.qpcseal("audit", "verify")

    def test_what_no_init_made_is_left_alone(self):
        self.home.mkdir(mode=0o700)
        (self.home / "policy.toml").write_text("mine")
        self.site.qpcseal("init", "--undo", expect=2)
        self.assertEqual("mine", (self.home / "policy.toml").read_text())


class Embedded(unittest.TestCase):
    def test_an_embedded_token_goes_with_the_home(self):
        site = Appliance(cards=1, init=False)
        self.addCleanup(site.close)
        trace = ("strace", "-f", "-o", "/dev/null", "-e", "trace=renameat2,rename,linkat", "-e",
                 "inject=rename,renameat2,linkat:signal=KILL:when=8")
        done = subprocess.run([*trace, QPCSEAL, "init", "--embedded", "--insecure-demo", "--appliance-id", "test",
                               "--policy", str(site.policy), "--trust", str(site.trust)], env=site.env,
                              capture_output=True, text=True, check=False)
        self.assertNotEqual(0, done.returncode)
        self.assertTrue((site.root / "home").exists())
        with self.assertRaises(Failed):
            site.init()
        site.init("--resume")
        site.qpcseal("mek", "list")


class WithoutATerminal(unittest.TestCase):
    """A service manager has none: the new token's PIN comes from the PIN file, or once from a descriptor."""

    def site(self):
        site = GuardedAppliance(cards=1, init_now=False)
        self.addCleanup(site.close)
        self.pin = site.root / "pin"
        self.pin.touch(mode=0o600)
        self.pin.write_text("24681357\n")
        self.command = [QPCSEAL, "init", "--embedded", "--appliance-id", "test", "--policy", site.policy, "--trust", site.trust,
                        "--officers", site.officers_file, "--policy-signature",
                        *(officer.sign(site.policy, "policy") for officer in site.officers[:2])]
        return site

    def run_detached(self, site, *more, pass_fds=()):
        done = subprocess.run(list(map(str, [*self.command, *more])), env=site.env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, start_new_session=True, pass_fds=pass_fds, check=False)
        return done.returncode, done.stderr

    def test_the_pin_file(self):
        site = self.site()
        self.assertEqual(self.run_detached(site, "--pin-source", f"file:{self.pin}"), (0, ""))
        site.accept_genesis()
        site.qpcseal("mek", "list")

    def test_a_descriptor(self):
        site = self.site()
        with open(self.pin, "rb") as pin:
            self.assertEqual(self.run_detached(site, "--pin-fd", pin.fileno(), pass_fds=(pin.fileno(),)), (0, ""))
        with open(self.pin, "rb") as pin:
            site.qpcseal("mek", "list", "--pin-fd", pin.fileno(), pass_fds=(pin.fileno(),))

    def test_neither(self):
        code, said = self.run_detached(self.site())
        self.assertEqual(code, 6)
        self.assertIn("no terminal to ask for the PIN", said)


class Doctor(unittest.TestCase):
    def test_a_trial_that_fails_is_a_fault_and_the_others_are_made(self):
        site = Appliance(cards=1, token=tokens.Forwarded)
        self.addCleanup(site.close)
        for fault, row in (("C_GenerateKey * return 0x30", "wrapping"), ("C_GenerateKeyPair * return 0x30", "signing")):
            site.token.faults(fault)
            done = subprocess.run([QPCSEAL, "doctor"], env=site.env, capture_output=True, text=True, check=False)
            self.assertEqual(6, done.returncode, done.stderr)
            for name in ("AES-GCM", "signing", "wrap suites", "key attributes", "log anchor", "this process"):
                self.assertIn(name, done.stdout)
            self.assertIn("FAULT", done.stdout)

    def test_a_module_that_does_not_start_is_said_with_what_it_may_lack(self):
        site = Appliance(cards=1, token=tokens.Forwarded)
        self.addCleanup(site.close)
        site.token.faults("C_Initialize * return 0x5")
        said = site.qpcseal("mek", "generate", "m", expect=6).stderr
        self.assertIn("CKR_GENERAL_ERROR", said)
        self.assertRegex(said.replace("\n", " "), "hint: does its daemon run, .*--module-files, .*--accept module-network")

    def test_a_token_that_was_initialized_anew_cannot_serve(self):
        site = Appliance(cards=1, token=tokens.Forwarded)
        self.addCleanup(site.close)
        for path in (site.token.root / "tokens").rglob("*.object"):
            if path.name != "token.object":
                path.unlink()
        done = subprocess.run([QPCSEAL, "doctor"], env=site.env, capture_output=True, text=True, check=False)
        self.assertEqual(6, done.returncode)
        self.assertIn("the log's key is not in the token", done.stdout)
        self.assertIn("cannot serve", done.stdout)


if __name__ == "__main__":
    unittest.main()
