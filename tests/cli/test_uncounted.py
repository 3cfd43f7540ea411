"""What left is never said not to have left, and nobody takes back by a smaller number of people, a copy or an older
answer what was decided."""

import base64
import collections
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


class WrappedKeys(Case):
    """A write that fails behind the entry `wrapped`, and is no kill, costs no challenge."""

    def calls(self, report):
        """The calls between the checkpoint that covers `wrapped` and the next change in the home."""
        trace = self.root / "trace"
        subprocess.run(["strace", "-f", "-qq", "-y", "-o", trace, "-e", "trace=rename,fsync,write", QPCSEAL, "wrap-mek",
                        "--mek", "m", "--pub-keys", report, "--output-dir", self.root / "tried"], env=self.site.env,
                       check=True, capture_output=True)
        counts, checkpoints, calls = collections.Counter(), 0, []
        for line in trace.read_text(errors="replace").splitlines():
            call = line.split()[1].split("(")[0]
            counts[call] += 1
            checkpoints += call == "rename" and line.split('"')[3].endswith("/log/checkpoint")
            if checkpoints == 2 and call != "rename" and ("/home/log>" in line or "/tokens/" in line):
                calls.append((call, counts[call]))
        return calls

    def test_the_same_command_goes_on(self):
        saved, home = self.root / "saved", self.root / "home"
        report = self.site.attest("m")
        shutil.copytree(home, saved, symlinks=True)
        calls = self.calls(report)
        self.assertGreater(len(calls), 2, calls)
        for call, when in [*calls[:1], *calls[-3:]]:
            with self.subTest(call=call, when=when):
                shutil.rmtree(home)
                shutil.copytree(saved, home, symlinks=True)
                out = self.root / f"out-{call}{when}"
                command = ("wrap-mek", "--mek", "m", "--pub-keys", report, "--output-dir", out)
                done = failing(self.site.env, call, "error=ENOSPC", when, *command)
                if done.returncode != 0:
                    self.assertEqual(self.results("release"), [], done.stderr)
                    self.q(*command)
                self.assertEqual(self.results("release"), ["ok"])
                self.assertTrue((out / "MEK.encrypt").exists())


class Releases(Case):
    def make(self):
        return Appliance(cards=2, policy_edit=one_release)

    def cut_short(self, name, at=3):
        """A release that is killed at its third fdatasync (at that of the results) or at an earlier one."""
        report = self.site.attest("m", name=name)
        self.assertNotEqual(killed(self.site.env, "fdatasync", at, "wrap-mek", "--mek", "m", "--pub-keys", report,
                                   "--output-dir", self.root / f"out-{name}"), 0)
        self.assertEqual((self.root / "home" / "wrapped").exists(), at == 3)
        return report

    def wrap(self, report, expect, env=None):
        return self.q("wrap-mek", "--mek", "m", "--pub-keys", report, "--output-dir", self.root / "out", expect=expect,
                      env=env or self.site.env)

    def phases(self):
        return [entry["phase"] for entry in self.site.json("audit", "show", "--kind", "release")["entries"]]

    def test_no_copy_lies_in_the_home_before_the_log_counts_it(self):
        """Killed at any call that changes a file: the home has a wrapped key only behind its entry."""
        report = self.site.attest("m", name="one")
        command = ["wrap-mek", "--mek", "m", "--pub-keys", report, "--output-dir", self.root / "out"]
        calls, shutil_home = ("fdatasync", "fsync", "rename", "renameat2", "linkat"), self.root / "before"
        shutil.copytree(self.root / "home", shutil_home)
        seen = set()
        for call in calls:
            for when in range(1, 40):
                if killed(self.site.env, call, when, *command) == 0:
                    break
                file = self.root / "home" / "wrapped"
                has_copy = file.exists() and file.read_text().strip("{}\n\0 ") != ""
                entries = (self.root / "home" / "log" / "entries.jsonl").read_text()
                if has_copy:
                    self.assertIn('"phase":"wrapped"', entries, f"{call} {when}")
                seen.add(has_copy)
                shutil.rmtree(self.root / "home")
                shutil.copytree(shutil_home, self.root / "home")
                shutil.rmtree(self.root / "out", ignore_errors=True)
        self.assertEqual(seen, {False, True})

    def test_a_key_that_may_have_left_is_not_denied(self):
        report = self.cut_short("one")
        self.wrap(report, 5, env=shifted(self.site.env, 2 * HOUR))
        self.assertEqual(self.results("release"), ["unknown"])
        self.assertEqual(self.releases(), 1)
        ueid = self.site.json("attest", "verify", report, expect=5)["card"]["ueid"]
        self.assertIn(ueid, self.q("plan", "compromise", "m").stdout)

    def test_nor_is_it_forgotten_when_another_card_asks(self):
        self.cut_short("one")
        later = shifted(self.site.env, 2 * HOUR)
        self.q("attest", "request", "--mek", "m", "-o", self.root / "request", env=later)
        self.site.device("attest", "--dir", self.site.cards, "-d", 1, "-i", self.root / "request", "-o",
                         self.root / "two")
        self.assertIn("POL-RELEASES", self.wrap(self.root / "two", 5, env=later).stderr)
        self.assertEqual(self.releases(), 1)

    def test_a_copy_that_is_taken_away_costs_the_answer(self):
        """Whoever has the account copies the wrapped key and deletes it: it is counted, and no second one is made."""
        report = self.cut_short("one")
        (self.root / "home" / "wrapped").unlink()
        self.assertIn("POL-CHALLENGE-USED", self.wrap(report, 5).stderr)
        self.assertEqual((self.results("release"), self.releases()), (["unknown"], 1))
        self.assertEqual(self.phases().count("wrapped"), 1)

    def test_a_copy_that_was_changed_is_none(self):
        report, file = self.cut_short("one"), self.root / "home" / "wrapped"
        kept, home = json.loads(file.read_text()), self.root / "home"
        shutil.copytree(home, self.root / "kept")
        ((name, wrap),) = kept.items()
        encrypt = bytearray(base64.b64decode(wrap["encrypt"]))
        encrypt[8] ^= 1  # in the MEK's id
        for change in ({"encrypt": base64.b64encode(encrypt).decode()}, {"suite": 1 if wrap["suite"] != 1 else 2},
                       {"pub": base64.b64encode(bytes(65)).decode()}, {"nonce": base64.b64encode(bytes(32)).decode()}):
            with self.subTest(change=change):
                file.write_text(json.dumps({name: wrap | change}, sort_keys=True, separators=(",", ":")))
                self.assertIn("POL-CHALLENGE-USED", self.wrap(report, 5).stderr)
                self.assertEqual(self.results("release"), ["unknown"])
                shutil.rmtree(home)
                shutil.copytree(self.root / "kept", home)
        self.wrap(report, 0)

    def test_copies_that_cannot_be_read_stop_no_other_release(self):
        first = self.cut_short("first")
        (self.root / "home" / "wrapped").write_bytes(bytes(100))
        self.assertIn("POL-CHALLENGE-USED", self.wrap(first, 5).stderr)
        self.assertEqual(self.results("release"), ["unknown"])
        self.q("mek", "generate", "n")
        (self.root / "home" / "wrapped").write_bytes(b"")
        self.q("wrap-mek", "--mek", "n", "--pub-keys", self.site.attest("n", name="other"), "--output-dir", self.root / "n")
        self.assertFalse((self.root / "home" / "wrapped").exists())

    def test_one_that_is_over_does_not_count_against_the_next_card(self):
        """Killed at its intent, and its challenge has expired: sealing for the next card closes it first."""
        self.cut_short("over", at=2)
        late = shifted(self.site.env, 2 * HOUR)
        request, report, model = (self.root / name for name in ("request", "report", "model.qpc"))
        self.q("attest", "request", "--mek", "m", "-o", request, env=late)
        self.site.device("attest", "--dir", self.site.cards, "-d", 1, "-i", request, "-o", report)
        self.site.sample()
        self.q("encrypt-model", "--qpc", model, "--mek", "m", "--pub-keys", report, "--output-dir", self.root / "sealed",
               env=late)
        self.assertEqual(self.results("release"), ["failed", "ok"])

    def test_one_that_is_denied_gives_its_place_to_nobody(self):
        """Its key may have left when the run was cut short, and its challenge has expired since."""
        first = self.cut_short("first")
        self.assertEqual(self.releases(), 1)
        late = shifted(self.site.env, 2 * HOUR)
        request, second = self.root / "request", self.root / "second"
        self.q("attest", "request", "--mek", "m", "-o", request, env=late)
        self.site.device("attest", "--dir", self.site.cards, "-d", 1, "-i", request, "-o", second)
        said = json.loads(self.q("wrap-mek", "--mek", "m", "--pub-keys", first, second, "--output-dir", self.root / "fleet",
                                 "--skip-denied", "--json", expect=5, env=late).stdout)
        self.assertEqual((said["released"], len(said["denied"])), ([], 2))
        self.assertEqual((self.results("release"), self.releases()), (["unknown", "denied"], 1))

    def test_a_copy_that_no_entry_names_is_not_used(self):
        """A file in the home decides nothing: a key is wrapped for the report, and that one is in the log."""
        report = self.cut_short("one", at=2)
        planted = {"suite": 2, "encrypt": base64.b64encode(b"QMEK\1\2" + bytes(40)).decode(),
                   "nonce": base64.b64encode(bytes(32)).decode(), "pub": base64.b64encode(bytes(65)).decode()}
        (self.root / "home" / "wrapped").write_text(json.dumps(
            {hashlib.sha256(report.read_bytes()).hexdigest(): planted}, sort_keys=True, separators=(",", ":")))
        self.wrap(report, 0)
        self.assertEqual((self.results("release"), self.releases()), (["ok"], 1))
        made = next((self.root / "out").rglob("MEK.encrypt")).read_bytes()
        self.assertNotEqual(made, base64.b64decode(planted["encrypt"]))

    def test_another_suite_makes_no_second_key(self):
        """The policy changes no key that is wrapped: a run that goes on takes it as it is, or not at all."""
        report = self.cut_short("one")
        for serial, suites in ((2, "suites = [2]"), (3, "suites = [4]")):  # the card's key serves the first, not the second
            with self.subTest(suites):
                following = self.root / "next.toml"
                text = self.site.policy.read_text().replace("serial = 1\n", f"serial = {serial}\n")
                following.write_text(re.sub(r"(?m)^suites = .*$", suites, text))
                self.q("policy", "install", following)
                self.wrap(report, 5)
                self.assertEqual((self.results("release")[:2], self.releases()), (["unknown", "denied"], 1))
                self.assertEqual(self.phases().count("wrapped"), 1)

    def test_before_its_entry_nothing_has_left(self):
        """Killed at the entry: no file has the key, and the same answer serves while it is fresh."""
        report = self.cut_short("one", at=2)
        self.assertEqual(self.phases(), ["intent"])
        self.assertEqual(self.releases(), 1)
        self.wrap(report, 0)
        self.assertEqual((self.results("release"), self.releases()), (["ok"], 1))

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
        self.assertIn("a copy of this home is in use too", said)
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
