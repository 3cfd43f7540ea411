"""What a script reads and gives: codes of errors, numbers of entries, digests of outputs, standard input and output."""

import hashlib
import json
import os
import pty
import signal
import subprocess
import time
import unittest

from appliance import Appliance, ATTEST, QPCSEAL, run, shifted
from test_audit import NOWHERE
from test_rewrap import Case


class Codes(Case):
    cards = 1

    def code(self, *arguments):
        error = self.appliance.json_error(*arguments)
        return error["code"], error["exit_code"]

    def test_each_cause_has_its_word(self):
        there = self.folder("there")
        there.write_text("")
        link = self.folder("link")
        link.symlink_to(there)
        seal = ["encrypt-model", "--mek", "resnet50", "--output-dir", self.folder("out"), "--qpc"]
        for expected, arguments in ((("output-exists", 3), ["audit", "checkpoint", "-o", there]),
                                    (("output-not-a-file", 3), ["audit", "checkpoint", "--force", "-o", link]),
                                    (("not-found", 3), [*seal, self.folder("none")]),
                                    (("mek-unknown", 6), ["mek", "show", "none"]),
                                    (("name-taken", 2), ["mek", "generate", "resnet50"]),
                                    (("usage", 2), ["mek", "generate", "a b"]),
                                    (("malformed", 4), ["inspect", there])):
            with self.subTest(expected=expected):
                self.assertEqual(self.code(*arguments), expected)

    def test_a_context_keeps_the_code(self):
        self.assertEqual(self.code("attest", "request", "--mek", "resnet50", "-o", self.folder("no") / "file"),
                         ("not-found", 3))

    def test_an_interrupted_command_ends_with_130(self):
        model = self.appliance.sample("large.qpc", 300 << 20)
        self.addCleanup(model.unlink)
        out = self.folder("out")
        sealing = subprocess.Popen([QPCSEAL, "encrypt-model", "--qpc", str(model), "--mek", "resnet50", "--output-dir",
                                    str(out), "--json", "--force"], env=self.appliance.env, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
        while not list(out.glob(".*.tmp-*")) and sealing.poll() is None:
            time.sleep(0.01)
        sealing.send_signal(signal.SIGINT)
        said, _ = sealing.communicate(timeout=60)
        error = json.loads(said)["error"]
        self.assertEqual((sealing.returncode, error["code"], error["exit_code"]), (130, "interrupted", 130))


class Results(Case):
    cards = 1

    def last_entry(self):
        return self.appliance.json("audit", "show")["entries"][-1]["seq"]

    def test_an_act_names_its_entry(self):
        for command in (["mek", "generate", "a"], ["mek", "suspend", "a"], ["mek", "resume", "a"],
                        ["attest", "request", "--mek", "a", "-o", self.folder("request")],
                        ["encrypt-model", "--qpc", self.model, "--mek", "a", "--output-dir", self.folder("sealed")],
                        ["mek", "destroy", "a"]):
            said = self.appliance.json(*command)
            self.assertEqual(said["log_entry"], self.last_entry(), command)
        self.assertNotIn("log_entry", self.appliance.json("policy", "show"))

    def test_an_output_has_its_digest(self):
        for command in (["attest", "request", "--mek", "resnet50"], ["audit", "checkpoint"], ["audit", "receipt", "0"],
                        ["audit", "receipt", "0", "--force"]):
            out = self.folder("out")
            out.unlink(missing_ok=True)
            said = self.appliance.json(*command, "-o", out)
            self.assertEqual(said["sha256"], hashlib.sha256(out.read_bytes()).hexdigest(), command)


class Standard(Case):
    """The name "-"."""

    cards = 1

    def test_an_output(self):
        note = self.folder("note")
        self.appliance.qpcseal("audit", "checkpoint", "-o", note)
        done = self.appliance.qpcseal("audit", "checkpoint", "-o", "-")
        self.assertEqual(done.stdout, note.read_text())
        self.assertIn("words", done.stderr)
        done = self.appliance.qpcseal("audit", "checkpoint", "-o", "-", "--json")
        self.assertEqual(done.stdout, note.read_text())
        self.assertIn('"root"', done.stderr)
        self.assertFalse((self.appliance.root / "-").exists())

    def test_an_input(self):
        said = self.appliance.qpcseal("inspect", "-", "--json", stdin=self.policy_request()).stdout
        self.assertEqual(json.loads(said)["type"], "receipt")
        said = self.appliance.qpcseal("policy", "check", "-", stdin=self.appliance.policy.read_text())
        self.assertEqual(said.returncode, 0)
        key = self.appliance.qpcseal("trust", "show", "--log-key").stdout.strip()
        run(QPCSEAL, "audit", "check-receipt", "-", "--key", key, env=NOWHERE, stdin=self.policy_request())

    def policy_request(self):
        return self.appliance.qpcseal("audit", "receipt", "0", "-o", "-").stdout

    def test_a_pipe_of_programs(self):
        request = subprocess.run([QPCSEAL, "attest", "request", "--mek", "resnet50", "-o", "-"], env=self.appliance.env,
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
        self.appliance.serve()
        report = subprocess.run([ATTEST, "--ip", "127.0.0.1", "--port", str(self.appliance.port), "-i", "-", "-o", "-"],
                                env=self.appliance.env, input=request, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                check=True).stdout
        done = subprocess.run([QPCSEAL, "attest", "verify", "-", "--json"], env=self.appliance.env, input=report,
                              stdout=subprocess.PIPE, check=True)
        self.assertTrue(json.loads(done.stdout)["allowed"])

    def test_a_terminal_gets_no_file(self):
        leader, follower = pty.openpty()
        try:
            done = subprocess.run([QPCSEAL, "audit", "checkpoint", "-o", "-"], env=self.appliance.env, stdout=follower,
                                  stderr=subprocess.PIPE, text=True, check=False)
        finally:
            os.close(leader)
            os.close(follower)
        self.assertEqual(done.returncode, 2)
        self.assertIn("that is a terminal", done.stderr)

    def test_a_list_names_no_standard_input(self):
        listed = self.folder("list")
        listed.write_text("-\n")
        said = run(QPCSEAL, "wrap-mek", "--mek", "resnet50", "--pub-keys", f"@{listed.name}", "--output-dir",
                   self.folder("out"), env=self.appliance.env, cwd=listed.parent, stdin="x", expect=3).stderr
        self.assertIn("No such file", said)


class Reading(Case):
    """Commands that only read wait for nobody; those that act say whom they wait for."""

    cards = 1

    def setUp(self):
        self.model_file = self.appliance.sample(f"{self.id().rsplit('.', 1)[-1]}.qpc", 64 << 20)
        env = dict(self.appliance.env, LD_PRELOAD="")
        self.holder = subprocess.Popen(["flock", str(self.appliance.root / "home" / "lock"), "sleep", "60"], env=env,
                                       start_new_session=True)
        self.addCleanup(self.holder.wait)
        self.addCleanup(os.killpg, self.holder.pid, signal.SIGKILL)
        while self.appliance.json_error("mek", "generate", "x", "--lock-timeout", "0")["code"] != "lock-busy":
            time.sleep(0.05)

    def test_the_log_answers(self):
        started = time.monotonic()
        said = self.appliance.qpcseal("mek", "list").stdout
        self.assertIn("resnet50#1", said)
        self.assertIn("as the log says: another qpcseal is at work", said)
        shown = self.appliance.json("mek", "show", "resnet50")
        self.assertEqual((shown["label"], shown["logged_state"], shown["attributes"]), ("resnet50#1", "ok", None))
        self.assertEqual(self.appliance.json_error("mek", "show", "none")["code"], "mek-unknown")
        self.assertLess(time.monotonic() - started, 20)

    def test_a_missing_input_is_found_before_the_lock(self):
        for command in (["encrypt-model", "--qpc", "none", "--mek", "resnet50", "--output-dir", self.folder("out")],
                        ["mek", "restore", "none"], ["policy", "install", "none"], ["mek", "import", "none", "--name", "n"],
                        ["mek", "backup", "resnet50", "--to", "none", "-o", self.folder("out")],
                        ["mek", "generate", "y", "--request", "none"], ["trust", "import", "none"],
                        ["officers", "install", "none"], ["mek", "drill", "none", "-o", self.folder("out")]):
            with self.subTest(command=command[:2]):
                error = self.appliance.json_error(*command)
                self.assertEqual((error["code"], error["exit_code"]), ("not-found", 3), error)


class Destroying(unittest.TestCase):
    """At a terminal the name is typed again; in a script the command has it."""

    @classmethod
    def setUpClass(cls):
        cls.appliance = Appliance(cards=1)

    @classmethod
    def tearDownClass(cls):
        cls.appliance.close()

    def at_terminal(self, name, answer):
        leader, follower = pty.openpty()
        process = subprocess.Popen([QPCSEAL, "mek", "destroy", name], env=self.appliance.env, stdin=follower,
                                   stdout=follower, stderr=follower, start_new_session=True,
                                   preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0))
        os.close(follower)
        os.write(leader, answer.encode() + b"\n")
        said = b""
        while True:
            try:
                piece = os.read(leader, 4096)
            except OSError:
                break
            if not piece:
                break
            said += piece
        os.close(leader)
        return process.wait(), said.decode()

    def test_the_name_is_typed_again(self):
        for name in ("a", "b"):
            self.appliance.qpcseal("mek", "generate", name)
        code, said = self.at_terminal("a", "yes")
        self.assertEqual(code, 2, said)
        self.assertIn("not destroyed: the answer was not 'a'", said)
        self.assertEqual(self.appliance.json("mek", "show", "a")["label"], "a#1")
        code, said = self.at_terminal("a", "a")
        self.assertEqual(code, 0, said)
        self.appliance.qpcseal("mek", "destroy", "b")
        said = self.appliance.qpcseal("mek", "generate", "a", expect=2).stderr
        self.assertIn("the MEK 'a' was destroyed, and its name is not given again", said)
        self.assertIn("qpcseal audit show --mek a", said)


class Stale(Case):
    """A report that cannot serve again says when it served, and how to get another."""

    def test_a_used_report(self):
        report = self.attest()
        self.wrap([report], "first")
        entry = self.appliance.json("audit", "show", "--kind", "release")["entries"][-3]
        said = self.appliance.qpcseal("wrap-mek", "--mek", "resnet50", "--pub-keys", report, "--output-dir",
                                      self.folder("second"), expect=5).stderr
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry["time"]))
        self.assertIn(f"its challenge was used up by log entry {entry['seq']}, of {when}", said)
        self.assertIn("qpcseal attest request --mek 'resnet50#1' -o FILE", said)
        said = self.appliance.qpcseal("attest", "verify", report, expect=5).stdout
        self.assertIn(f"used up by log entry {entry['seq']}", said)
        self.assertIn("qpcseal attest request --mek", said)
        said = self.wrap([report, self.attest(1)], "third", expect=5, more=["--skip-denied"])
        self.assertIn("qpcseal attest request --mek 'resnet50#1' -o FILE", self.said.stdout)

    def test_cards_of_a_trip_that_did_not_answer(self):
        trip = self.folder("trip")
        self.appliance.qpcseal("attest", "request", "--mek", "resnet50", "--host", "rack", "--device", "0-1", "-o", trip)
        answer = ["attest", "--dir", self.appliance.cards]
        self.appliance.device(*answer, "-d", 0, "-i", trip / "rack-0.request", "-o", trip / "rack-0.report")
        said = self.wrap([trip], "first", more=["--skip-denied", "--json"])
        self.assertEqual(json.loads(self.said.stdout)["without_report"], ["rack-1.request"])
        self.wrap([trip], "first", more=["--skip-denied"])
        self.assertIn("no report is there for 1 request: rack-1.request", self.said.stdout)
        self.assertIn("nothing new was released", self.said.stdout)
        self.appliance.device(*answer, "-d", 1, "-i", trip / "rack-1.request", "-o", trip / "rack-1.report")
        self.wrap([trip], "first", more=["--skip-denied"])
        self.assertNotIn("no report is there", self.said.stdout)
        self.assertNotIn("nothing new", self.said.stdout)
        self.assertEqual(len([path for path in said.iterdir() if path.is_dir()]), 2)

    def test_reports_that_are_old_are_no_success(self):
        """The cards may have been reset since: nothing shows that they can use what lies there."""
        reports = [self.attest(0), self.attest(1)]
        command = ["wrap-mek", "--mek", "resnet50", "--pub-keys", *reports, "--skip-denied", "--output-dir",
                   self.folder("out")]
        self.appliance.qpcseal(*command)
        self.assertNotIn("OLD REPORT", self.appliance.qpcseal(*command).stdout)  # a run that was cut short goes on
        late = shifted(self.appliance.env, 3 * 86400)
        said = self.appliance.qpcseal(*command, env=late, expect=5).stdout
        self.assertEqual(said.count("OLD REPORT "), 2, said)
        self.assertIn("it was served before, log entry ", said)
        self.assertIn("its challenge expired at 20", said)
        self.assertIn("qpcseal attest request --mek 'resnet50#1' -o FILE", said)

    def test_a_card_that_answered_later_makes_its_report_old(self):
        first = self.attest(0)
        command = ["wrap-mek", "--mek", "resnet50", "--pub-keys", first, "--skip-denied", "--output-dir", self.folder("out")]
        self.appliance.qpcseal(*command)
        self.appliance.device("reset", "--dir", self.appliance.cards, "--device", 0)
        self.wrap([self.attest(0)], "second")
        said = self.appliance.qpcseal(*command, expect=5).stdout
        self.assertIn("this card answered a later request since, log entry ", said)

    def test_another_denial_has_another_hint(self):
        report = self.attest()
        broken = self.folder("broken")
        broken.write_bytes(report.read_bytes()[:-1] + bytes([report.read_bytes()[-1] ^ 1]))
        said = self.appliance.qpcseal("wrap-mek", "--mek", "resnet50", "--pub-keys", broken, "--output-dir",
                                      self.folder("out"), expect=5).stderr
        self.assertIn("'qpcseal attest verify' shows what the card says", said)


if __name__ == "__main__":
    unittest.main()
