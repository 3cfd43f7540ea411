"""What left is never said not to have left, and nobody takes back by a smaller number of people, a copy or an older
answer what was decided."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
import time
import unittest

from appliance import QPCSEAL, Appliance, GuardedAppliance, run, shifted, softhsm_env
from second import Second, killed
from test_cut_short import failing
from tokens import PIN, SOFTHSM, Token

HOUR = 3600


def one_release(text):
    """A policy that lets a key go once, and challenges live for an hour."""
    text = re.sub(r"(?m)^max_releases = .*$", "max_releases = 1", text)
    return re.sub(r'(?m)^challenge_lifetime = .*$', 'challenge_lifetime = "1h"', text)


class Case(unittest.TestCase):
    def make(self):
        return Appliance(cards=2)

    def setUp(self):
        self.site = self.make()
        self.addCleanup(self.site.close)
        self.q, self.root = self.site.qpcseal, self.site.root
        self.q("mek", "generate", "m")

    def results(self, kind):
        return [entry["outcome"] for entry in self.site.json("audit", "show", "--kind", kind)["entries"]
                if entry["phase"] == "result"]

    def releases(self):
        return {mek["label"]: mek["releases"] for mek in self.site.json("mek", "list")}["m#1"]


class Backups(Case):
    def test_a_medium_that_fails_may_have_kept_it(self):
        """The log has the backup's digest before a byte of it is on the medium."""
        key, stick = self.root / "key", self.root / "stick"
        self.q("recovery-key", "new", "-o", key)
        stick.mkdir()
        trace = self.root / "trace"
        command = [QPCSEAL, "mek", "backup", "m", "--to", key, "-o"]
        subprocess.run(["strace", "-f", "-qq", "-y", "-o", trace, "-e", "trace=fsync,pwrite64", *command, stick / "a"],
                       env=self.site.env, check=True, capture_output=True)
        for call in ("fsync", "pwrite64"):
            lines = [line for line in trace.read_text().splitlines() if f" {call}(" in line]
            for when in [i + 1 for i, line in enumerate(lines) if "/stick" in line]:
                name = f"{call}{when}"
                done = failing(self.site.env, call, "error=EIO", when, *command[1:], stick / name)
                self.assertEqual(done.returncode, 3, done.stderr)
                self.assertEqual(self.results("mek-backup")[-1], "unknown", name)
        self.assertGreater(len(self.results("mek-backup")), 2)
        self.q("audit", "verify")


class Releases(Case):
    def make(self):
        return Appliance(cards=2, policy_edit=one_release)

    def cut_short(self, name):
        """A release whose key is wrapped, and whose entry that says so is not in the log."""
        report = self.site.attest("m", name=name)
        self.assertNotEqual(killed(self.site.env, "fdatasync", 2, "wrap-mek", "--mek", "m", "--pub-keys", report,
                                   "--output-dir", self.root / f"out-{name}"), 0)
        self.assertTrue((self.root / "home" / "wrapped").exists())
        return report

    def wrap(self, report, expect, env=None):
        return self.q("wrap-mek", "--mek", "m", "--pub-keys", report, "--output-dir", self.root / "out", expect=expect,
                      env=env or self.site.env)

    def test_a_key_that_waits_in_the_home_is_not_denied(self):
        report = self.cut_short("one")
        self.wrap(report, 5, env=shifted(self.site.env, 2 * HOUR))
        self.assertEqual(self.results("release"), ["unknown"])
        self.assertEqual(self.releases(), 1)
        ueid = self.site.json("attest", "verify", report, expect=5)["card"]["ueid"]
        self.assertIn(ueid, self.q("plan", "compromise", "m").stdout)

    def test_nor_is_it_called_a_failure_by_another_release(self):
        self.cut_short("one")
        later = shifted(self.site.env, 2 * HOUR)
        self.q("attest", "request", "--mek", "m", "-o", self.root / "request", env=later)
        self.site.device("attest", "--dir", self.site.cards, "-d", 1, "-i", self.root / "request", "-o",
                         self.root / "two")
        self.assertIn("POL-RELEASES", self.wrap(self.root / "two", 5, env=later).stderr)
        self.assertEqual(self.results("release"), ["unknown", "denied"])
        self.assertEqual(self.releases(), 1)

    def test_what_waits_in_the_home_is_of_this_key_and_answer(self):
        report, file = self.cut_short("one"), self.root / "home" / "wrapped"
        kept = file.read_text()
        waiting = json.loads(kept)
        ((name, wrap),) = waiting.items()
        encrypt = bytearray(base64.b64decode(wrap["encrypt"]))
        encrypt[8] ^= 1  # in the MEK's id
        for change in ({"encrypt": base64.b64encode(encrypt).decode()},
                       {"nonce": base64.b64encode(bytes(32)).decode()}):
            file.write_text(json.dumps({name: wrap | change}, sort_keys=True, separators=(",", ":")))
            self.assertIn("is another key's", self.wrap(report, 5).stderr)
        file.write_text(kept)
        self.wrap(report, 0)

    def test_it_goes_on_in_time(self):
        self.wrap(self.cut_short("one"), 0)
        self.assertEqual((self.results("release"), self.releases()), (["ok"], 1))


class Shared(Token):
    """SoftHSM with a folder of its own: not the home's, so that a copy of the home has the same token."""

    module = SOFTHSM

    def __init__(self, root):
        super().__init__(root)
        self.env = softhsm_env(self.root / "tokens", self.root)
        (self.root / "tokens").mkdir()
        run("softhsm2-util", "--init-token", "--free", "--label", self.label, "--so-pin", "so-pin-1234", "--pin", PIN,
            env=self.env)


class SharedAppliance(Appliance):
    def init(self, *options, **more):
        self.env.update(self.token.env)
        return super().init(*options, **more)


class Copies(Case):
    """Two copies of a home, and one token."""

    def make(self):
        return SharedAppliance(cards=2, policy_edit=one_release, token=Shared)

    def test_the_token_knows_one_log(self):
        reports = [self.site.attest("m", device=card, name=f"card{card}") for card in (0, 1)]
        copy = self.root / "copy"
        shutil.copytree(self.root / "home", copy)
        command = [QPCSEAL, "wrap-mek", "--mek", "m", "--pub-keys", reports[1], "--output-dir", self.root / "second"]
        late = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e",
                "inject=fdatasync:delay_enter=8000000:when=1"]  # its log is open, and nothing is in it yet
        with subprocess.Popen([*late, *map(str, command)], env=dict(self.site.env, QPCSEAL_HOME=str(copy)), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as second:
            time.sleep(3)
            self.q("wrap-mek", "--mek", "m", "--pub-keys", reports[0], "--output-dir", self.root / "first")
            said = second.communicate()[1]
        self.assertEqual(second.returncode, 8, said)
        self.assertIn("a copy of this home goes on beside it", said)
        self.assertFalse((self.root / "second" / "MEK.encrypt").exists())
        self.q("mek", "list")


class Plans(Case):
    def test_an_answer_of_an_earlier_boot_shows_no_reset(self):
        self.q("mek", "generate", "n")
        old = self.site.attest("n", name="old")
        self.site.device("reset", "--dir", self.site.cards, "--device", 0)
        new = self.site.attest("m", name="new")
        for mek, report in (("m", new), ("n", old)):
            self.q("wrap-mek", "--mek", mek, "--pub-keys", report, "--output-dir", self.root / f"out-{mek}")
        self.assertFalse(self.card()["reset_since"])
        self.assertIn("soc_reset", self.q("plan", "compromise", "m").stdout)
        self.site.device("reset", "--dir", self.site.cards, "--device", 0)
        later = self.site.attest("n", name="later")
        self.q("wrap-mek", "--mek", "n", "--pub-keys", later, "--output-dir", self.root / "out-later")
        self.assertTrue(self.card()["reset_since"])

    def card(self):
        (card,) = self.site.json("plan", "compromise", "m")["cards"]
        return card


class Revocations(unittest.TestCase):
    """To take one back is a decision like any other; to add one is not."""

    def setUp(self):
        self.site = GuardedAppliance(guarded=("mek-generate",))
        self.addCleanup(self.site.close)

    def load(self, serial, *revoked, by, expect=0):
        file = self.site.root / f"bundle{serial}"
        more = [word for ueid in revoked for word in ("--revoke", ueid)]
        self.site.qpcseal("trust", "bundle", "--serial", serial, "--trust", self.site.trust, "-o", file, "--force", *more)
        return self.site.qpcseal("trust", "import", file, "--approval",
                                 *(self.site.officers[i].sign(file, "collateral") for i in by), expect=expect)

    def test_one_officer_adds_and_two_take_back(self):
        one, two = "01" * 17, "02" * 17
        self.load(1, one, by=[0])
        self.load(2, one, two, by=[0])
        said = self.load(3, two, by=[0], expect=7).stderr
        self.assertIn("must be signed by 2 officers", said)
        self.load(3, two, by=[0, 1])
        self.load(4, two, by=[0])


class Drills(Case):
    def test_one_in_a_false_time_does_not_hold(self):
        key, backup = self.root / "key", self.root / "backup"
        token = Second(self.site, "B")
        token.qpcseal("recovery-key", "new", "-o", key)
        self.q("mek", "backup", "m", "--to", key, "-o", backup)
        ahead = shifted(token.env, 6 * 24 * HOUR)
        self.site.qpcseal("mek", "drill", backup, "-o", self.root / "certificate", env=ahead)
        self.assertTrue(json.loads(token.qpcseal("mek", "drills", "--json").stdout)[0]["holds"])
        token.qpcseal("clock", "correct", "--yes")
        drill = json.loads(token.qpcseal("mek", "drills", "--json", expect=5).stdout)[0]
        self.assertFalse(drill["holds"])
        token.qpcseal("mek", "drill", backup, "-o", self.root / "certificate2")
        token.qpcseal("mek", "drills")


class OpenHomes(Case):
    def test_what_others_may_write_decides_nothing_without_a_token_either(self):
        report = self.site.attest("m")
        self.q("wrap-mek", "--mek", "m", "--pub-keys", report, "--output-dir", self.root / "out")
        self.q("encrypt-model", "--qpc", self.site.sample(), "--mek", "m", "--output-dir", self.root / "sealed")
        bind = ["replace-mek", "--encrypted-qpc", self.root / "sealed", "--wrapped-meks", self.root / "out",
                "--output-dir", self.root / "bound"]
        (self.root / "home").chmod(0o777)
        self.assertIn("others could change", self.q(*bind, expect=5).stderr)
        (self.root / "home").chmod(0o700)
        self.q(*bind)

    def test_both_halves_of_a_wrapped_key_are_the_logs(self):
        report, out = self.site.attest("m"), self.root / "out"
        self.q("wrap-mek", "--mek", "m", "--pub-keys", report, "--output-dir", out)
        self.q("encrypt-model", "--qpc", self.site.sample(), "--mek", "m", "--output-dir", self.root / "sealed")
        config, old = out / "config.json", (out / "MEK.pub").read_bytes()
        new = old[:-1] + bytes([old[-1] ^ 1])
        (out / "MEK.pub").write_bytes(new)
        config.write_text(config.read_text().replace(hashlib.sha256(old).hexdigest(), hashlib.sha256(new).hexdigest()))
        said = self.q("replace-mek", "--encrypted-qpc", self.root / "sealed", "--wrapped-meks", out, "--output-dir",
                      self.root / "bound", expect=5).stderr
        self.assertIn("no release in this appliance's log made this wrapped MEK", said)


if __name__ == "__main__":
    unittest.main()
