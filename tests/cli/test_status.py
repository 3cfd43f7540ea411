"""The morning look: `doctor`, and `status`, which asks no token. They say yes where the next command works, else why not."""

import fcntl
import os
import pathlib
import re
import shutil
import subprocess
import time
import unittest

import tokens
from appliance import Appliance, GuardedAppliance, QPCSEAL, run, shifted, today
from test_revocation import crl

DAY = 86400


def until(days):
    """An edit of the policy: it ends so many days from now, and an hour less, so that no second decides how many are said."""
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + days * DAY - 3600))
    return lambda text: re.sub("(?m)^expires = .*$", f'expires = "{end}"', text)


class Morning(unittest.TestCase):
    def make(self, days=None, **more):
        appliance = Appliance(cards=1, **more, **({} if days is None else {"policy_edit": until(days)}))
        self.addCleanup(appliance.close)
        return appliance

    def looks(self, appliance, command, expect=0, env=None):
        """The checks of doctor or status, by id; the exit code and what stands beside them say the same."""
        said = run(QPCSEAL, command, env=env or appliance.env, expect=expect).stdout
        self.assertIn("stops the next command" if expect == 0 else "the next command would be refused", said)
        return {line.split("  ")[0].strip(): line for line in said.splitlines() if re.search("  (fine|warning|FAULT)  ", line)}

    def test_all_is_well(self):
        appliance = self.make(days=200)
        appliance.qpcseal("mek", "generate", "m")
        checks = self.looks(appliance, "doctor")
        for name in ("permissions", "log", "module", "pin", "clock", "policy", "trust", "drills", "open acts", "disk",
                     "log key", "seal key", "log anchor"):
            self.assertIn("  fine  ", checks[name])
        said = appliance.json("doctor")
        self.assertTrue(said["healthy"])
        self.assertEqual(said["plan_token"], {"manufacturer": "SoftHSM project", "model": "SoftHSM v2", "signing": "ed25519",
                                              "suites": said["plan_token"]["suites"], "lacking": [], "anchor": True})
        self.assertIn(2, said["plan_token"]["suites"])
        self.assertEqual({check["health"] for check in said["checks"]} - {"warning"}, {"fine"})
        self.assertTrue(appliance.json("status")["healthy"])
        appliance.qpcseal("mek", "list")

    def test_status_needs_neither_lock_nor_pin(self):
        appliance = self.make()
        before = {path: path.stat().st_mtime_ns for path in (appliance.root / "home").rglob("*")}
        with open(appliance.root / "home" / "lock", "a", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.looks(appliance, "status")
        after = {path: path.stat().st_mtime_ns for path in (appliance.root / "home").rglob("*")}
        self.assertEqual(before, after)
        self.assertIn("no appliance at", run(QPCSEAL, "status", expect=3, env=dict(
            appliance.env, QPCSEAL_HOME=str(appliance.root / "nothing"))).stderr)

    def test_the_pin_is_looked_at_as_the_next_command_will(self):
        appliance = self.make()
        site, pin = (appliance.root / "home" / name for name in ("site.toml", "pin"))
        text, content = site.read_text(), pin.read_bytes()
        for name, break_it, words in (("mode", lambda: pin.chmod(0o644), "readable by nobody else"),
                                      ("empty", lambda: pin.write_bytes(b"\n"), "the PIN is empty"),
                                      ("wide", lambda: pin.write_bytes(content.decode().encode("utf-16")), "UTF-16"),
                                      ("gone", pin.unlink, "No such file"),
                                      ("source", lambda: self.set_pin_source(site, "paper"), "none of")):
            with self.subTest(name):
                break_it()
                done = subprocess.run([QPCSEAL, "mek", "list"], env=appliance.env, capture_output=True, check=False)
                self.assertNotEqual(done.returncode, 0)
                said = self.looks(appliance, "status", expect=done.returncode)["pin"]
                self.assertIn(words, said)
                site.write_text(text)
                pin.unlink(missing_ok=True)
                pin.touch(mode=0o600)
                pin.write_bytes(content)
        for source, words in (("pinpad", "typed on the token's own pad"), ("tty", "asked for at the terminal")):
            self.set_pin_source(site, source)
            self.assertIn(words, self.looks(appliance, "status")["pin"])

    def test_a_pin_file_outside_of_the_home(self):
        appliance = GuardedAppliance(cards=1)
        self.addCleanup(appliance.close)
        self.assertIn("  fine  ", self.looks(appliance, "status")["pin"])
        if os.geteuid() != 0:
            self.skipTest("only root gives files away")
        os.chown(appliance.root / "pin", 65534, -1)
        self.assertIn("belongs to user 65534", self.looks(appliance, "status", expect=6)["pin"])
        self.assertIn("belongs to user 65534", appliance.qpcseal("mek", "list", expect=6).stderr)

    def set_pin_source(self, site, source):
        site.write_text(re.sub("(?m)^pin_source = .*$", f'pin_source = "{source}"', site.read_text()))

    def test_the_end_of_the_policy(self):
        far = self.make(days=20)
        self.assertRegex(self.looks(far, "status")["policy"], "warning +the policy expires in 19 days, at 2")
        self.assertNotIn("the policy expires", far.qpcseal("mek", "list").stderr)
        near = self.make(days=5)
        self.assertRegex(self.looks(near, "doctor")["policy"], "warning +the policy expires in 4 days")
        self.assertIn("warning: the policy expires in 4 days", near.qpcseal("mek", "list").stderr)
        over = shifted(near.env, 6 * DAY)
        for command in ("status", "doctor"):
            self.assertRegex(self.looks(near, command, expect=5, env=over)["policy"], "FAULT +the policy expired at ")
        run(QPCSEAL, "mek", "generate", "m", env=over, expect=5)

    def test_the_end_of_the_revocation_lists(self):
        """Where the policy asks for them nothing is released any more; else it is said."""
        for asked, end, code in (("none", "warning", 0), ("required", "FAULT", 5)):
            with self.subTest(asked):
                appliance = Appliance(cards=1, init=False, policy_edit=lambda text: text.replace('crl = "none"', f'crl = "{asked}"'))
                self.addCleanup(appliance.close)
                (appliance.trust / "lists.crl").write_bytes(crl(1))  # for 30 days
                appliance.init()
                self.assertRegex(self.looks(appliance, "status")["trust"], "fine|ends in")
                appliance.qpcseal("mek", "generate", "m", "--clock", today(29 * DAY), env=shifted(appliance.env, 29 * DAY))
                over = shifted(appliance.env, 31 * DAY)
                self.assertRegex(self.looks(appliance, "status", expect=code, env=over)["trust"], f"{end} +a revocation list ended at ")

    def test_clocks_that_are_not_believed(self):
        appliance = self.make()
        appliance.qpcseal("mek", "generate", "m")
        for seconds, words in ((-DAY, "last entry is of"), (30 * DAY, "days after the log's last entry")):
            env = shifted(appliance.env, seconds)
            self.assertIn(words, self.looks(appliance, "status", expect=5, env=env)["clock"])
            self.assertIn(words, self.looks(appliance, "doctor", expect=5, env=env)["clock"])
            run(QPCSEAL, "mek", "generate", "n", env=env, expect=5)

    def test_a_log_that_is_damaged_or_rolled_back(self):
        appliance = self.make()
        log = appliance.root / "home" / "log"
        shutil.copytree(log, appliance.root / "before")
        appliance.qpcseal("mek", "generate", "m")
        appliance.qpcseal("mek", "generate", "n")
        shutil.copytree(log, appliance.root / "after")
        shutil.rmtree(log)
        shutil.copytree(appliance.root / "before", log)
        self.assertIn("the audit log was rolled back", self.looks(appliance, "doctor", expect=8)["log anchor"])
        self.assertIn("fine", self.looks(appliance, "status")["log"])  # nothing but the token knows
        appliance.qpcseal("mek", "list", expect=8)
        shutil.rmtree(log)
        shutil.copytree(appliance.root / "after", log)
        entries = log / "entries.jsonl"
        entries.write_bytes(entries.read_bytes().replace(b'"label":"m#1"', b'"label":"k#1"'))
        self.assertIn("FAULT", self.looks(appliance, "status", expect=8)["log"])
        appliance.qpcseal("doctor", expect=8)

    def test_a_token_without_this_appliances_keys(self):
        appliance = self.make(token=tokens.Forwarded)
        token = appliance.token
        self.looks(appliance, "doctor")
        said = run("softhsm2-util", "--show-slots", env=token.env).stdout
        slot = re.search(r"Slot (\d+)\n(?:.*\n)*?.*Initialized: +yes", said).group(1)
        token.close()
        run("softhsm2-util", "--init-token", "--slot", slot, "--label", token.label, "--so-pin", "so-pin-1234", "--pin",
            tokens.PIN, env=token.env)
        token.start()
        checks = self.looks(appliance, "doctor", expect=6)
        self.assertIn("FAULT", checks["log key"])
        self.assertIn("FAULT", checks["seal key"])
        self.looks(appliance, "status")
        appliance.qpcseal("mek", "list", expect=6)
        # Another token in its place: it is named.
        token.close()
        run("softhsm2-util", "--init-token", "--slot", slot, "--label", "another", "--so-pin", "so-pin-1234", "--pin",
            tokens.PIN, env=token.env)
        token.start()
        self.assertIn("'another'", appliance.qpcseal("doctor", expect=6).stderr)

    def test_another_module_and_a_lost_policy(self):
        appliance = self.make()
        other = appliance.root / "libsofthsm2.so"
        other.write_bytes(pathlib.Path(tokens.SOFTHSM).read_bytes() + b"x")
        site = appliance.root / "home" / "site.toml"
        text = site.read_text()
        site.write_text(re.sub("(?m)^module = .*$", f'module = "{other}"', text))
        self.assertIn("is not the pinned module", self.looks(appliance, "status", expect=6)["module"])
        site.write_text(text)
        policy = appliance.root / "home" / "policy.toml"
        policy.write_text(policy.read_text() + "\n")
        self.assertIn("not the policy in the log", self.looks(appliance, "status", expect=5)["policy"])

    def test_officers_have_not_signed(self):
        appliance = GuardedAppliance(genesis=False)
        self.addCleanup(appliance.close)
        self.assertIn("have not signed the genesis", self.looks(appliance, "status", expect=7)["genesis"])
        appliance.accept_genesis()
        self.assertIn("fine", self.looks(appliance, "status")["genesis"])

    def test_what_a_killed_run_left(self):
        appliance = self.make()
        (appliance.root / "home" / ".policy.toml.tmp-qpcseal-0123456789ab").touch()
        self.assertRegex(self.looks(appliance, "status")["temporary files"], "warning +1 temporary files")
        appliance.qpcseal("mek", "list")
        self.assertIn("fine", self.looks(appliance, "status")["temporary files"])

    def test_metrics(self):
        appliance = self.make(days=20)
        appliance.qpcseal("mek", "generate", "m")
        file = appliance.root / "qpcseal.prom"
        file.write_text("old")
        appliance.qpcseal("status", "--prometheus", "-o", file)
        self.assertEqual(file.stat().st_mode & 0o777, 0o644)
        text = file.read_text()
        def but_the_disk(lines):
            return re.sub(r"(?m)^(qpcseal_disk_free_bytes) \d+$", r"\1", lines)
        self.assertEqual(but_the_disk(text), but_the_disk(appliance.qpcseal("status", "--prometheus").stdout))
        metrics = {}
        for line in text.splitlines():
            if line.startswith("# "):
                self.assertRegex(line, r"^# (HELP|TYPE) qpcseal_[a-z_]+ .+$")
                continue
            name, value = re.fullmatch(r'(qpcseal_[a-z_]+(?:\{[a-z]+="[^"\\]*"\})?) (-?\d+)', line).groups()
            self.assertNotIn(name, metrics)
            metrics[name] = int(value)
        self.assertEqual((metrics["qpcseal_healthy"], metrics['qpcseal_check{check="policy"}'],
                          metrics['qpcseal_check{check="log"}'], metrics['qpcseal_meks{state="ok"}']), (1, 1, 0, 1))
        self.assertAlmostEqual(metrics["qpcseal_policy_expiry_timestamp_seconds"], time.time() + 20 * DAY - 3600, delta=300)
        env = shifted(appliance.env, 21 * DAY)
        sick = run(QPCSEAL, "status", "--prometheus", env=env).stdout
        self.assertIn("qpcseal_healthy 0\n", sick)
        self.assertIn('qpcseal_check{check="policy"} 2\n', sick)


if __name__ == "__main__":
    unittest.main()
