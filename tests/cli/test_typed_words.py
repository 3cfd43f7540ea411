"""What a tired operator types: unknown words are named, with what was meant; nothing unknown reads as "none"."""

import json
import os
import stat
import subprocess
import time
import unittest

from appliance import DEVICE, GuardedAppliance, QPCSEAL, run
from ceremony_support import PLANS
from test_audit import NOWHERE
from test_rewrap import Case


class Words(unittest.TestCase):
    """Needs neither home nor token."""

    def said(self, *words, program=QPCSEAL):
        return run(program, *words, env=NOWHERE, expect=2).stderr

    def test_unknown_commands(self):
        for words, unknown, meant in (("mek lst", "lst", "list"), ("encrypt-modl --qpc m --mek k", "encrypt-modl",
                                                                   "encrypt-model"),
                                      ("audit verfy", "verfy", "verify"), ("--clock 2026-11-28 mek sohw x", "sohw",
                                                                           "show"),
                                      ("atest request", "atest", "attest")):
            with self.subTest(words=words):
                said = self.said(*words.split())
                self.assertIn(f"unknown command '{unknown}'", said)
                self.assertIn(f"did you mean '{meant}'?", said)
        said = self.said("mek", "zzzzzz")
        self.assertIn("unknown command 'zzzzzz' of 'qpcseal mek'", said)
        self.assertIn("its commands: generate, ", said)
        self.assertIn("unknown command 'lod'", self.said("lod", program=DEVICE))

    def test_a_command_that_is_missing(self):
        self.assertIn("'qpcseal mek' needs a command", self.said("mek"))
        self.assertIn("'qpcseal' needs a command", self.said())

    def test_unknown_options(self):
        said = self.said("wrap-mek", "--mek", "k", "--pubkeys", "r", "--output-dir", "out")
        self.assertIn("unknown option '--pubkeys' of 'qpcseal wrap-mek'", said)
        self.assertIn("did you mean '--pub-keys'?", said)
        said = self.said("mek", "list", "--zzzzzzzzz")
        self.assertIn("'qpcseal mek list --help' lists its options", said)

    def test_a_missing_option_is_still_named(self):
        self.assertIn("--qpc is required", self.said("encrypt-model", "--mek", "k", "--output-dir", "out"))

    def test_help_and_version_are_commands(self):
        for program in (QPCSEAL, DEVICE):
            version = run(program, "--version", env=NOWHERE).stdout
            self.assertEqual(run(program, "version", env=NOWHERE).stdout, version)
            self.assertEqual(run(program, "-V", env=NOWHERE).stdout, version)
            self.assertEqual(run(program, "help", env=NOWHERE).stdout, run(program, "--help", env=NOWHERE).stdout)
        self.assertEqual(run(QPCSEAL, "help", "mek", "list", env=NOWHERE).stdout,
                         run(QPCSEAL, "mek", "list", "--help", env=NOWHERE).stdout)
        self.assertIn("did you mean 'list'?", self.said("help", "mek", "lst"))


class Operations(unittest.TestCase):
    def test_an_unknown_operation(self):
        site = GuardedAppliance(cards=1)
        self.addCleanup(site.close)
        said = site.qpcseal("request", "new", "mek-genrate", "--param", "name=x", "-o", site.root / "out",
                            expect=2).stderr
        self.assertIn("unknown operation 'mek-genrate'", said)
        self.assertIn("did you mean 'mek-generate'?", said)
        said = site.qpcseal("request", "new", "zzzzzzzzzz", "-o", site.root / "out", expect=2).stderr
        self.assertIn("operations: seal, release, ", said)
        shown = " ".join(site.qpcseal("request", "new", "--help").stdout.split())
        self.assertIn("mek-generate, mek-rotate", shown)


class Meks(Case):
    """A MEK's name is suggested wherever one is taken."""

    cards = 1

    def test_in_every_command(self):
        out = self.folder("out")
        for words, code in ((("mek", "show", "resnt50"), 6), (("mek", "suspend", "resnet50#2"), 6),
                            (("mek", "rotate", "resnt50"), 2), (("plan", "compromise", "resnt50"), 2),
                            (("audit", "show", "--mek", "resnt50"), 2),
                            (("attest", "request", "--mek", "resnt50", "-o", out), 6),
                            (("encrypt-model", "--qpc", self.model, "--mek", "resnt50", "--output-dir", out), 6)):
            with self.subTest(words=words):
                said = self.appliance.qpcseal(*words, expect=code).stderr
                self.assertRegex(said, "hint: did you mean 'resnet50(#1)?'[?]")
        self.assertIn("'qpcseal mek list'", self.appliance.qpcseal("mek", "show", "zzzzzzzzzz", expect=6).stderr)


class PlansAndPolicies(unittest.TestCase):
    """Words of plans and policies: acts, persons, operations, classes, keys."""

    @classmethod
    def setUpClass(cls):
        cls.site = GuardedAppliance(cards=1, guarded=("mek-generate", "mek-destroy"))
        cls.addClassCleanup(cls.site.close)
        cls.plan = next(folder / "first-key.toml" for folder in PLANS if (folder / "first-key.toml").exists()).read_text()

    def said(self, text, *command, expect=4, old="", new=""):
        self.assertIn(old, text)
        file = self.site.root / "file.toml"
        file.write_text(text.replace(old, new, 1))
        done = self.site.qpcseal(*command, file, expect=expect)
        return done.stdout + done.stderr

    def test_plans(self):
        for old, new, meant in (('do = "mek-generate"', 'do = "mek-genrate"', "did you mean 'mek-generate'?"),
                                ('who = "Bela Balog"', 'who = "Bela Balogh"', "did you mean 'Bela Balog'?"),
                                ('who = "Bela Balog"', 'who = "Zacharias"', "known: Anna Adler, "),
                                ('\ntitle = ', '\ntitel = ', "'titel' stands there: is it meant to be 'title'?")):
            with self.subTest(new):
                self.assertIn(meant, self.said(self.plan, "ceremony", "lint", old=old, new=new))
        said = self.said(self.plan.replace('officer = "carl"', 'officer = "karl"'), "ceremony", "lint", expect=5)
        self.assertIn("no officer has that name; did you mean 'carl'?", said)

    def test_policies(self):
        text = self.site.policy.read_text()
        for old, new, meant in (("mek-generate = 2", "mek-genrate = 2", "did you mean 'mek-generate'?"),
                                ('devices = ["simulated"]', 'devices = ["simulatd"]', "did you mean 'simulated'?"),
                                ("\nserial = ", "\nseriel = ", "'seriel' stands there: is it meant to be 'serial'?")):
            with self.subTest(new):
                self.assertIn(meant, self.said(text, "policy", "check", old=old, new=new))

    def test_requests(self):
        self.site.qpcseal("mek", "generate", "resnet50", *self.site.approved("mek-generate", "--param", "name=resnet50"))
        said = self.site.qpcseal("request", "new", "mek-destroy", "--mek", "resnt50", "-o", self.site.root / "no",
                                 expect=2).stderr
        self.assertIn("did you mean 'resnet50'?", said)


class Filters(Case):
    cards = 1

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.appliance.qpcseal("wrap-mek", "--mek", "resnet50", "--pub-keys", cls.appliance.attest("resnet50"),
                              "--output-dir", cls.appliance.root / "wrapped")
        cls.appliance.qpcseal("mek", "generate", "idle")
        cls.releases = cls.appliance.json("audit", "show", "--kind", "release")["entries"]
        cls.card = cls.releases[0]["data"]["ueid"]

    def show(self, *filters):
        return self.appliance.json("audit", "show", *filters)["entries"]

    def refused(self, *filters):
        return self.appliance.qpcseal("audit", "show", *filters, expect=2).stderr

    def test_unknown_names(self):
        self.assertIn("did you mean 'release'?", self.refused("--kind", "releas"))
        self.assertIn("kinds: genesis, ", self.refused("--kind", "zzzzzzzzzzzz"))
        self.assertIn("did you mean 'resnet50'?", self.refused("--mek", "resnt50"))
        self.assertIn("no entry of a MEK 'other'", self.refused("--mek", "other"))
        self.assertIn("no entry of a card 'ff'", self.refused("--card", "ff"))

    def test_a_card_by_the_beginning_of_its_number(self):
        self.assertEqual(self.show("--card", self.card[:6]), self.show("--card", self.card))
        self.assertTrue(self.show("--card", self.card[:6]))

    def test_known_names_without_entries_in_common(self):
        said = self.appliance.qpcseal("audit", "show", "--mek", "idle", "--kind", "release").stdout
        self.assertIn("no entry is of all that was asked for", said)
        self.assertEqual(self.show("--mek", "idle", "--kind", "release"), [])

    def test_days(self):
        day = time.strftime("%Y-%m-%d", time.gmtime(self.releases[0]["time"]))
        everything = self.show()
        self.assertEqual(self.show("--since", day, "--until", "2999-01-01"), everything)
        self.assertEqual(self.show("--until", day, "--since", "2000-01-01T00:00:00Z"), everything)
        self.assertEqual(self.show("--since", "2999-01-01"), [])
        said = self.appliance.qpcseal("audit", "show", "--since", "yesterday", expect=4).stderr
        self.assertIn("--since: not a time like 2026-11-24T08:30:00Z", said)
        self.appliance.qpcseal("audit", "report", "--since", day, "-o", self.folder("page"))


class Names(Case):
    cards = 1

    def test_names_of_folders_are_no_names(self):
        for name in (".", ".."):
            said = self.appliance.qpcseal("mek", "generate", name, expect=2).stderr
            self.assertIn("not '.' or '..'", said)
        self.appliance.qpcseal("mek", "generate", "...")

    def test_a_long_name_of_a_file(self):
        long = self.appliance.root / ("m" * 140 + ".qpc")
        long.write_bytes(self.model.read_bytes())
        seal = ["encrypt-model", "--qpc", long, "--mek", "resnet50", "--output-dir", self.folder("out")]
        said = self.appliance.qpcseal(*seal, expect=2).stderr
        self.assertIn("the model's name has 140 bytes", said)
        self.assertIn("hint: --name NAME", said)
        self.appliance.qpcseal(*seal, "--name", "short")


class Readers(Case):
    """A reader that leaves is no failure; a disk that is full is one."""

    cards = 1
    commands = (["mek", "list"], ["audit", "show", "--json"], ["audit", "verify"], ["policy", "show"], ["--help"])

    def left(self, program, *words):
        reading, writing = os.pipe()
        os.close(reading)
        try:
            return subprocess.run([program, *map(str, words)], env=self.appliance.env, stdout=writing,
                                  stderr=subprocess.PIPE, text=True, check=False)
        finally:
            os.close(writing)

    def test_a_reader_that_leaves(self):
        for words in self.commands:
            with self.subTest(words=words):
                done = self.left(QPCSEAL, *words)
                self.assertEqual((done.returncode, "error" in done.stderr), (0, False), done.stderr)
        done = self.left(DEVICE, "list", "--dir", self.appliance.cards)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_an_error_keeps_its_code(self):
        done = self.left(QPCSEAL, "mek", "show", "none", "--json")
        self.assertEqual(done.returncode, 6)
        self.assertIn("no such MEK", done.stderr)

    def test_a_full_disk(self):
        for words in self.commands:
            with self.subTest(words=words), open("/dev/full", "wb") as full:
                done = subprocess.run([QPCSEAL, *words], env=self.appliance.env, stdout=full, stderr=subprocess.PIPE,
                                      text=True, check=False)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn("No space left on device", done.stderr)


class Modes(Case):
    """The user's umask counts for outputs; nothing is wider than 0644, nothing of the home wider than 0600."""

    cards = 1

    def test_umasks(self):
        for mask, file_mode, folder_mode in ((0o022, 0o644, 0o755), (0o027, 0o640, 0o750), (0o077, 0o600, 0o700),
                                             (0, 0o644, 0o755)):
            with self.subTest(mask=oct(mask)):
                before = os.umask(mask)
                try:
                    request, report = self.folder(f"request{mask}"), self.folder(f"report{mask}")
                    self.appliance.qpcseal("attest", "request", "--mek", "resnet50", "-o", request)
                    self.appliance.device("attest", "--dir", self.appliance.cards, "-d", 0, "-i", request, "-o", report)
                    wrapped = self.wrap([report], name=f"new{mask}/wrapped")
                    by_run, by_shell = self.folder(f"run{mask}"), self.folder(f"shell{mask}")
                    line = json.dumps({"command": ["attest", "request", "--mek", "resnet50", "-o", str(by_run)]})
                    run(QPCSEAL, "run", "-", env=self.appliance.env, stdin=line + "\n")
                    run(QPCSEAL, "shell", env=self.appliance.env, stdin=f"attest request --mek resnet50 -o {by_shell}\n")
                finally:
                    os.umask(before)
                for path in (request, report, by_run, by_shell, *wrapped.iterdir()):
                    self.assertEqual(stat.S_IMODE(path.stat().st_mode), file_mode, path)
                for path in (wrapped, wrapped.parent):
                    self.assertEqual(stat.S_IMODE(path.stat().st_mode), folder_mode, path)
        for path in (self.appliance.root / "home").rglob("*"):
            self.assertEqual(stat.S_IMODE(path.stat().st_mode) & 0o077, 0, path)


if __name__ == "__main__":
    unittest.main()
