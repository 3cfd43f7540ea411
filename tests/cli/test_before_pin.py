"""A PIN is not asked for where the command is refused whatever the token says."""

import fcntl
import hashlib
import os
import struct
import termios
import unittest

from appliance import GuardedAppliance
from ceremony_support import Site
from second import killed
from test_audit_keys import Witness

PIN = b"12345678\n"


def with_pin(site, *command, expect=0):
    """What a command says that has the PIN in a pipe, and whether it read any of it."""
    reading, writing = os.pipe()
    try:
        os.write(writing, PIN)
        done = site.qpcseal(*command, "--pin-fd", reading, pass_fds=(reading,), expect=expect)
        left = struct.unpack("i", fcntl.ioctl(reading, termios.FIONREAD, b"\0" * 4))[0]
        return done.stdout + done.stderr, left < len(PIN)
    finally:
        os.close(reading)
        os.close(writing)


class Case(unittest.TestCase):
    def refused(self, site, *rows):
        """Each row: exit code, words of the refusal, command."""
        for code, words, *command in rows:
            with self.subTest(words=words, command=command[:3]):
                said, asked = with_pin(site, *command, expect=code)
                self.assertIn(words, said)
                self.assertFalse(asked, "the PIN was read")


class Keys(Case):
    """Acts on keys, in an appliance where officers must agree to them."""

    @classmethod
    def setUpClass(cls):
        cls.site = Site(tokens=False)
        cls.addClassCleanup(cls.site.close)
        cls.site.qpcseal("mek", "generate", "m", *cls.site.approved("mek-generate", "--param", "name=m"))
        cls.key = cls.path("recovery.key")
        cls.site.qpcseal("recovery-key", "new", "-o", cls.key, *cls.site.approved("recovery-key"))
        cls.junk = cls.path("junk")
        cls.junk.write_text("nothing that anybody knows")
        cls.taken = cls.path("taken")
        cls.taken.write_text("mine")

    @classmethod
    def path(cls, name):
        return cls.site.root / name

    def test_the_pin_is_read_where_nothing_is_refused(self):
        self.assertTrue(with_pin(self.site, "mek", "list")[1])
        agreed = self.site.approved("mek-generate", "--param", "name=good")
        self.assertIn("made good#1", with_pin(self.site, "mek", "generate", "good", *agreed)[0])

    def test_missing_approvals(self):
        out = self.path("nothing")
        self.refused(self.site, *((7, f"'{operation}' needs the approval of 2 officers, and no request", *command)
                                  for operation, command in (
                                      ("mek-generate", ("mek", "generate", "x")), ("mek-rotate", ("mek", "rotate", "m")),
                                      ("mek-resume", ("mek", "resume", "m")), ("mek-destroy", ("mek", "destroy", "m")),
                                      ("mek-backup", ("mek", "backup", "m", "--to", self.key, "-o", out)),
                                      ("recovery-key", ("recovery-key", "new", "-o", out)),
                                      ("officers-change", ("officers", "install", self.site.officers_file)))))

    def test_requests_that_do_not_serve(self):
        anna, bela = self.site.officers[:2]
        other = self.site.approved("mek-rotate", "--mek", "m", name="rotate")
        wrong = self.site.approved("mek-generate", "--param", "name=y", name="y")
        request = self.site.request("mek-generate", "--param", "name=z", name="z")
        plain = ("mek", "generate", "z", "--request", request)
        old = self.path("z.old")
        old.write_text("".join(f"{line.split(':')[0]}: 2026-01-0{1 + line.startswith('not after')}T00:00:00Z\n"
                               if line.startswith("not ") else line for line in request.read_text().splitlines(True)))
        used = self.site.approved("mek-generate", "--param", "name=once", name="once")
        self.site.qpcseal("mek", "generate", "once", *used)
        again = self.site.approved("mek-rotate", "--mek", "once", name="again")
        self.site.qpcseal("mek", "rotate", "once", *again)
        self.refused(
            self.site, (7, "the one that was given is for 'mek-rotate'", "mek", "generate", "z", *other),
            (7, "parameter 'name' is \"y\"", "mek", "generate", "z", *wrong),
            (7, "what counts is 1 (anna)", *plain, "--approval", anna.sign(request)),
            (7, "what counts is 0 (nobody)", *plain, "--approval", self.junk),
            (7, "the request expired at 2026-01-02", "mek", "generate", "z", "--request", old, "--approval",
             anna.sign(old), bela.sign(old)),
            (7, "the request was used before", "mek", "rotate", "once", *again),
            (4, "this is an SSH signature, not a request", "mek", "generate", "z", "--request", anna.sign(request)))

    def test_names_that_are_taken(self):
        agreed = self.site.approved("mek-generate", "--param", "name=n", name="n")
        value = self.path("vendor.key")
        value.write_bytes(os.urandom(16))
        self.refused(self.site, (2, "there is a MEK 'm' already", "mek", "generate", "m", *agreed),
                     (2, "there is a MEK 'm' already", "mek", "import", value, "--name", "m"),
                     (2, "there is no MEK 'nobody'", "mek", "rotate", "nobody"))

    def test_files_of_another_kind(self):
        out = self.path("nothing")
        empty = self.path("empty")
        empty.write_bytes(b"")
        self.refused(self.site, (4, "has 26 bytes: a MEK file has 16", "mek", "import", self.junk, "--name", "new"),
                     (4, "this is a recovery key", "mek", "import", self.key, "--name", "new"),
                     (4, "", "mek", "backup", "m", "--to", self.junk, "-o", out,
                      *self.site.approved("mek-backup", "--mek", "m", "--recovery-key", self.key)),
                     (4, "", "mek", "restore", self.junk), (4, "", "mek", "drill", self.junk, "-o", out),
                     (4, "", "mek", "destroy", "m", "--transfer-to", self.junk,
                      *self.site.approved("mek-destroy", "--mek", "m", name="destroy")),
                     (4, "", "officers", "install", self.junk), (4, "", "policy", "install", self.junk),
                     (4, "", "trust", "import", self.junk), (4, "", "audit", "witness", "import", self.junk),
                     (4, "is empty, and no SSH signature", "policy", "install", self.next_policy("two.toml"),
                      "--approval", empty))

    def test_outputs_that_exist(self):
        self.refused(self.site, *((3, "taken exists", *command, "-o", self.taken) for command in (
            ("recovery-key", "new"), ("recovery-key", "show"), ("mek", "backup", "m", "--to", self.key),
            ("mek", "drill", self.junk), ("attest", "request", "--mek", "m"))))
        folder = self.path("sealed")
        folder.mkdir()
        (folder / "programqpc.bin").write_text("mine")
        self.refused(self.site, (3, "programqpc.bin exists", "encrypt-model", "--qpc", self.site.sample(), "--mek", "m",
                                 "--output-dir", folder))

    def next_policy(self, name, **lines):
        text = self.site.policy.read_text().replace("serial = 1\n", "serial = 2\n")
        for key, value in lines.items():
            text = "".join(f"{key} = {value}\n" if line.startswith(f"{key} = ") else line
                           for line in text.splitlines(True))
        path = self.path(name)
        path.write_text(text)
        return path

    def test_policies_and_bundles(self):
        anna, bela = self.site.officers[:2]
        good = self.next_policy("good.toml")
        late = self.next_policy("late.toml", expires='"2026-01-01T00:00:00Z"')
        elsewhere = self.next_policy("elsewhere.toml", appliance='"other"')
        bundle = self.path("bundle")
        self.site.qpcseal("trust", "bundle", "--serial", 1, "--trust", self.site.trust, "-o", bundle)
        self.refused(
            self.site, (7, "what counts is 0", "policy", "install", good),
            (7, "what counts is 1", "policy", "install", good, "--approval", anna.sign(good, "policy")),
            (7, "what counts is 1", "policy", "install", good, "--approval", anna.sign(good, "policy"),
             bela.sign(good, "approval")),
            (5, "its serial is 1, and must be above 1", "policy", "install", self.site.policy),
            (5, "the policy expired", "policy", "install", late),
            (5, "POL-APPLIANCE", "policy", "install", elsewhere),
            (7, "what counts is 0", "trust", "import", bundle))

    def test_witnesses(self):
        note = self.path("note")
        note.write_text(Witness().cosign((self.site.root / "home" / "log" / "checkpoint").read_text()))
        self.refused(self.site, (2, "this witness is not trusted", "audit", "witness", "distrust", Witness().vkey),
                     (5, "no witness that this site trusts", "audit", "witness", "import", note))

    def test_clock(self):
        self.refused(self.site, (2, "there is nothing to correct", "clock", "correct"))

    def test_ceremonies(self):
        folder = self.path("ceremony")
        out = self.path("record")

        def run(plan, *more, to=out):
            return "ceremony", "run", plan, "--dir", folder, "-o", to, *more

        plan = self.site.plan("first-key", folder, ceremony="before-pin", mek="fresh", output="fresh.checkpoint")
        signed = self.site.sign_plan(plan)
        record = self.path("record-there")
        record.mkdir()
        (record / "record.json").write_text("{}")
        rows = [(7, "the plan wants 2 officers, 0 signed", *run(plan)),
                (7, "the plan wants 2 officers, 1 signed", *run(plan, *signed[:2])),
                (5, "the plan requires a rehearsal", *run(plan, *signed)),
                (4, "", *run(plan, *signed, "--rehearsal", self.junk)),
                (3, "record.json exists already", *run(plan, *signed, to=record)),
                (4, "", *run(self.junk, *signed)),
                (2, "no ceremony of this plan was begun", "ceremony", "resume", plan, "--dir", folder, "-o", out),
                (2, "no ceremony of this plan was begun", "ceremony", "resume", plan, "--dir", folder, "-o", out,
                 "--abandon", "--why", "it rains")]
        self.refused(self.site, *rows)
        for edits, code, words in (({"mek": "m"}, 5, "there is, or was, a MEK 'm' already"),
                                   ({"aud": "0" * 32}, 5, "the plan is for appliance"),
                                   ({"valid_until": "2026-01-01T00:00:00Z"}, 7, "the plan was valid until"),
                                   ({"output": "junk"}, 5, "output junk exists already")):
            (folder / "junk").write_text("x")
            plan = self.site.plan("first-key", folder, **{"ceremony": "before-pin", "mek": "fresh",
                                                         "output": "fresh.checkpoint", **edits})
            self.refused(self.site, (code, words, *run(plan, *self.site.sign_plan(plan))))

    def test_a_rejection_is_recorded_for_which_the_token_signs(self):
        request = self.site.request("mek-generate", "--param", "name=no", name="no")
        rejection = self.path("no.rejection")
        rejection.write_text(f"qpcseal rejection 1\nrequest sha256: {hashlib.sha256(request.read_bytes()).hexdigest()}\n")
        carl = self.site.officers[2]
        said, asked = with_pin(self.site, "mek", "generate", "no", "--request", request, "--approval",
                               carl.sign(rejection), expect=7)
        self.assertIn("was rejected by carl", said)
        self.assertTrue(asked)


class FirstDays(Case):
    """An appliance whose genesis the officers have yet to sign."""

    def test_genesis_then_acts(self):
        site = GuardedAppliance(guarded=("mek-import", "mek-suspend", "log-key-rotate", "witness-change"), genesis=False)
        self.addCleanup(site.close)
        text = site.root / "genesis"
        site.qpcseal("genesis", "show", "-o", text)
        anna, bela, carl = (officer.sign(text) for officer in site.officers)
        value = site.root / "vendor.key"
        value.write_bytes(os.urandom(16))
        importing = ("mek", "import", value, "--name", "v")
        self.refused(site, (7, "not signed by carl", "genesis", "accept", "--approval", anna, bela),
                     (4, "this is a genesis", "genesis", "accept", "--approval", anna, bela, text),
                     (7, "not signed by anna, bela, carl", "genesis", "accept", "--approval",
                      site.officers[0].sign(site.policy)),
                     (7, "the officers have not signed the genesis yet", *importing))
        site.qpcseal("genesis", "accept", "--approval", anna, bela, carl)
        agreed = site.approved("mek-import", "--param", "name=w", "--file", value, name="import")
        self.refused(site, (2, "the genesis was accepted before", "genesis", "accept", "--approval", anna, bela, carl),
                     *((7, f"'{operation}' needs the approval of 2 officers, and no request", *command)
                       for operation, command in (("mek-import", importing), ("mek-suspend", ("mek", "suspend", "v")),
                                                  ("log-key-rotate", ("audit", "rotate-key")),
                                                  ("witness-change", ("audit", "witness", "trust", Witness().vkey)))),
                     (7, "parameter 'name' is \"w\"", *importing, *agreed))
        said, asked = with_pin(site, "mek", "import", value, "--name", "w", *agreed)
        self.assertTrue(asked, said)

    def test_what_a_killed_run_left_is_settled_first(self):
        """The look is left out then: the name may be free again once the start has closed the intent."""
        site = GuardedAppliance(guarded=())
        self.addCleanup(site.close)
        killed(site.env, "fdatasync", 2, "mek", "generate", "cut")
        states = {e["phase"] for e in site.json("audit", "show", "--kind", "mek-generate")["entries"]}
        self.assertEqual(states, {"intent"})
        site.qpcseal("mek", "generate", "cut")


if __name__ == "__main__":
    unittest.main()
