"""Acts that end in the middle: officers need not sign again, the PIN is never lost, a shredding is finished, and the
exit code says what the log says."""

import hashlib
import os
import pathlib
import re
import subprocess
import unittest

from appliance import Appliance, GuardedAppliance, QPCSEAL
from second import killed


def failing(env, call, how, when, *arguments, **more):
    """Runs qpcseal with one call failing."""
    return subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call, "-e",
                           f"inject={call}:{how}:when={when}", QPCSEAL, *map(str, arguments)], env=env, check=False,
                          capture_output=True, text=True, **more)


class Approvals(unittest.TestCase):
    """A fault of this machine does not use up what officers signed."""

    @classmethod
    def setUpClass(cls):
        cls.site = GuardedAppliance(guarded=("mek-generate", "mek-destroy", "mek-rotate"), cards=1)

    @classmethod
    def tearDownClass(cls):
        cls.site.close()

    def results(self, kind, name):
        entries = self.site.json("audit", "show", "--kind", kind)["entries"]
        begun = {entry["seq"] for entry in entries if entry["data"].get("label") == f"{name}#1"}
        return [entry["outcome"] for entry in entries if entry.get("intent") in begun]

    def test_a_killed_act_goes_on_under_the_same_request(self):
        signed = self.site.approved("mek-generate", "--param", "name=k", name="request-k")
        self.assertNotEqual(killed(self.site.env, "fdatasync", 2, "mek", "generate", "k", *signed), 0)
        self.site.qpcseal("mek", "generate", "k", *signed)
        self.assertEqual(self.results("mek-generate", "k"), ["failed", "ok"])  # of the intents with this label
        self.assertEqual(self.used(signed[1]), 2, "both intents carry it")
        self.site.qpcseal("audit", "verify")

    def used(self, request):
        nonce = re.search(r"^nonce: ([0-9a-f]{64})$", pathlib.Path(request).read_text(), re.MULTILINE)[1]
        return sum(entry["data"].get("approval", {}).get("nonce") == nonce
                   for entry in self.site.json("audit", "show", "--kind", "mek-generate")["entries"])

    def test_a_disk_that_is_full_costs_no_signatures(self):
        self.site.qpcseal("mek", "generate", "d", *self.site.approved("mek-generate", "--param", "name=d"))
        signed = self.site.approved("mek-destroy", "--mek", "d", name="request-d")
        done = failing(self.site.env, "fdatasync", "error=ENOSPC", 1, "mek", "destroy", "d", *signed)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.site.qpcseal("mek", "destroy", "d", *signed)
        self.assertIn("used before", self.try_again("e"))

    def try_again(self, name):
        """A request that served: the same act once more, as far as there is one."""
        self.site.qpcseal("mek", "generate", name, *self.site.approved("mek-generate", "--param", f"name={name}"))
        once = self.site.approved("mek-rotate", "--mek", name, name="request-once")
        self.site.qpcseal("mek", "rotate", name, *once)
        self.site.qpcseal("mek", "destroy", f"{name}#2", *self.site.approved("mek-destroy", "--mek", f"{name}#2"))
        return self.site.qpcseal("mek", "rotate", name, *once, expect=7).stderr  # of #1 again

    def test_it_is_for_the_same_act_alone(self):
        signed = self.site.approved("mek-generate", "--param", "name=one", name="request-one")
        self.assertNotEqual(killed(self.site.env, "fdatasync", 2, "mek", "generate", "one", *signed), 0)
        said = self.site.qpcseal("mek", "generate", "two", *signed, expect=7).stderr
        self.assertIn('"one" in the request', said)
        self.site.qpcseal("mek", "generate", "one", *signed)

    def test_a_rejection_ends_it(self):
        request = self.site.request("mek-generate", "--param", "name=r", name="rejected")
        signed = ["--request", request, "--approval", *(self.site.officers[i].sign(request) for i in (0, 1))]
        self.assertNotEqual(killed(self.site.env, "fdatasync", 2, "mek", "generate", "r", *signed), 0)
        refusal = request.with_name("refusal")
        refusal.write_text(f"qpcseal rejection 1\nrequest sha256: {hashlib.sha256(request.read_bytes()).hexdigest()}\n")
        rejection = self.site.officers[2].sign(refusal)
        self.site.qpcseal("mek", "generate", "r", *signed, rejection, expect=7)
        self.assertIn("rejected: log entry", self.site.qpcseal("mek", "generate", "r", *signed, expect=7).stderr)


class Ends(unittest.TestCase):
    """Exit code 9: the act is done and logged, and a step behind it failed."""

    @classmethod
    def setUpClass(cls):
        cls.site = Appliance(cards=1)

    @classmethod
    def tearDownClass(cls):
        cls.site.close()

    def states(self):
        return {mek["label"]: mek["state"] for mek in self.site.json("mek", "list")}

    def challenges(self):
        return len(self.site.json("audit", "show", "--kind", "challenge")["entries"])

    def test_a_request_that_cannot_be_written(self):
        """The challenge is in the log: its file, or those of many cards, come behind it."""
        self.site.qpcseal("mek", "generate", "asked")
        for name, options in (("one", ("-o", self.site.root / "one")),
                              ("many", ("--host", "a", "--device", "0-1", "-o", self.site.root / "many/"))):
            before, codes = self.challenges(), set()
            for call, when in (*(("fsync", i) for i in range(12, 18)), *(("rename", i) for i in range(1, 4))):
                done = failing(self.site.env, call, "error=EIO", when, "attest", "request", "--mek", "asked", "--force",
                               *options)
                self.site.qpcseal("mek", "list")  # settles what the fault left: the counts stay as they are
                made = self.challenges() - before
                before += made
                codes.add(done.returncode)
                self.assertEqual(done.returncode in (0, 9), made > 0, f"{name} {when}: {done.stderr}")
                if "made and logged" in done.stderr:
                    self.assertIn("makes another", done.stderr)
                    codes.add("behind it")
            self.assertIn("behind it", codes, name)

    def test_a_report_that_nobody_can_read(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            for command, code in ((("mek", "generate", "full"), 9), (("mek", "suspend", "full"), 9),
                                  (("mek", "list"), 3)):
                done = subprocess.run([QPCSEAL, *command], env=self.site.env, stdout=full, stderr=subprocess.PIPE,
                                      text=True, check=False)
                self.assertEqual(done.returncode, code, command)
                self.assertEqual("done and logged; standard output" in done.stderr, code == 9, done.stderr)
        self.assertEqual(self.states()["full#1"], "suspended")

    def test_a_public_file_that_cannot_be_written(self):
        """The recovery key is in the log: its file can be written again."""
        out = self.site.root / "recovery.key"
        done = failing(self.site.env, "linkat", "error=EIO", 1, "recovery-key", "new", "-o", out)  # its name
        self.assertEqual(done.returncode, 9, done.stderr)
        self.assertIn("the recovery key is made and logged", done.stderr)
        self.assertIn("recovery-key show", done.stderr)
        self.assertFalse(out.exists())
        self.site.qpcseal("recovery-key", "show", "-o", out)


class Pin(unittest.TestCase):
    """At every moment one of two files has the token's PIN, and the next start finds it."""

    @classmethod
    def setUpClass(cls):
        cls.site = Appliance(cards=1)
        cls.file = cls.site.root / "home" / "pin"
        cls.next = cls.file.with_name("pin.qpcseal-next")

    @classmethod
    def tearDownClass(cls):
        cls.site.close()

    def change(self, pin, call=None, how=None, when=None):
        reader, writer = os.pipe()
        os.write(writer, pin.encode() + b"\n")
        os.close(writer)
        command = ["pin", "change", "--new-pin-fd", str(reader)]
        try:
            if call:
                return failing(self.site.env, call, how, when, *command, pass_fds=(reader,))
            return subprocess.run([QPCSEAL, *command], env=self.site.env, pass_fds=(reader,), capture_output=True,
                                  text=True, check=False)
        finally:
            os.close(reader)

    def outcome(self):
        return [entry for entry in self.site.json("audit", "show", "--kind", "pin-change")["entries"]
                if entry["phase"] == "result"][-1]["outcome"]

    def test_kills_and_faults(self):
        number, outcomes = 0, set()
        for call in ("fdatasync", "rename", "fsync"):
            for how in ("signal=KILL", "error=EIO"):
                for when in range(1, 60):
                    number += 1
                    new = f"new-pin-{number:04d}"
                    done = self.change(new, call, how, when)
                    self.site.qpcseal("mek", "list")  # which settles it
                    self.assertFalse(self.next.exists(), f"{call} {how} {when}")
                    has_new = self.file.read_text().strip() == new
                    if done.returncode in (0, 9):
                        self.assertTrue(has_new, f"{call} {how} {when}")
                        outcomes.add((self.outcome(), has_new))
                    if done.returncode == 0:
                        break
        self.assertIn(("ok", True), outcomes)
        self.site.qpcseal("audit", "verify")

    def test_the_new_pin_is_named_where_the_token_may_have_it(self):
        self.assertEqual(self.change("first-pin-1").returncode, 0)
        done = self.change("next-pin-22", "rename", "error=EIO", self.renames())
        self.assertEqual(done.returncode, 9, done.stderr)
        self.assertIn(str(self.next), done.stderr)
        self.assertEqual(self.next.read_text(), "next-pin-22")
        self.site.qpcseal("doctor")  # looks, and settles nothing
        self.assertTrue(self.next.exists())
        self.site.qpcseal("mek", "list")
        self.assertEqual((self.next.exists(), self.file.read_text()), (False, "next-pin-22"))

    def renames(self):
        """How many renames a change makes: the last gives the PIN file its name."""
        trace = self.site.root / "trace"
        reader, writer = os.pipe()
        os.write(writer, b"traced-pin-3\n")
        os.close(writer)
        subprocess.run(["strace", "-f", "-qq", "-o", trace, "-e", "trace=rename", QPCSEAL, "pin", "change",
                        "--new-pin-fd", str(reader)], env=self.site.env, pass_fds=(reader,), check=True,
                       capture_output=True)
        os.close(reader)
        return sum(" rename(" in line for line in trace.read_text().splitlines())

    def test_a_pin_that_the_token_has_not_is_removed(self):
        self.next.write_text("never-was-it")
        self.next.chmod(0o600)
        self.site.qpcseal("mek", "list")
        self.assertFalse(self.next.exists())

    def test_neither_is_the_tokens(self):
        right = self.file.read_text()
        try:
            self.file.write_text("wrong-pin-1")
            self.next.write_text("wrong-pin-2")
            self.next.chmod(0o600)
            said = self.site.qpcseal("mek", "list", expect=6).stderr
            self.assertIn(str(self.next), said)
            self.assertTrue(self.next.exists())
        finally:
            self.file.write_text(right)
            self.site.qpcseal("mek", "list")


if __name__ == "__main__":
    unittest.main()
