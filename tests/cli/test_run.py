"""Many commands with one PIN: `run` from a file, `shell` at a prompt, and the pipeline script of the documents."""

import json
import os
import pathlib
import pty
import re
import shlex
import signal
import subprocess
import time
import unittest

import tokens
from appliance import ATTEST, QPCSEAL, Appliance, GuardedAppliance, run

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "pipeline.sh"


class Base(unittest.TestCase):
    def make(self, **more):
        appliance = Appliance(**more)
        self.addCleanup(appliance.close)
        return appliance

    def from_terminal(self, appliance):
        """The PIN is no longer in a file that site.toml names; returns a file to be given as a descriptor."""
        site = appliance.root / "home" / "site.toml"
        pin, named = appliance.root / "the-pin", re.search('(?m)^pin_source = "file:(.*)"$', site.read_text())[1]
        (site.parent / named).rename(pin)  # an absolute name stays one
        site.write_text("".join('pin_source = "tty"\n' if line.startswith("pin_source") else line
                                for line in site.read_text().splitlines(keepends=True)))
        return pin


class Run(Base):
    def setUp(self):
        self.appliance = self.make(cards=1)
        self.file = self.appliance.root / "commands.jsonl"

    def write(self, *lines):
        self.file.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))

    def run_file(self, *more, expect=0, **kinds):
        done = run(QPCSEAL, "run", self.file, *more, env=self.appliance.env, expect=expect, **kinds)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_a_line_in_a_line_out(self):
        self.write({"command": ["mek", "generate", "a"], "id": "first"}, "", {"command": ["mek", "list", "--json"]})
        first, second = self.run_file()
        self.assertEqual((first["line"], first["id"], first["exit_code"]), (1, "first", 0))
        self.assertEqual((second["line"], second["exit_code"]), (3, 0))
        self.assertEqual(second["result"], self.appliance.json("mek", "list"))
        self.assertIn('"a#1"', json.dumps(second["result"]))

    def test_stops_at_the_first_error_or_goes_on(self):
        lines = ({"command": ["mek", "generate", "b"]}, {"command": ["mek", "generate", "b"]},
                 {"command": ["mek", "generate", "c"]})
        self.write(*lines)
        said = self.run_file(expect=2)
        self.assertEqual([line["exit_code"] for line in said], [0, 2])
        self.assertIn("message", said[1]["error"])
        self.write(lines[1], lines[2])
        self.assertEqual([line["exit_code"] for line in self.run_file("--keep-going", expect=2)], [2, 0])

    def test_nothing_is_done_where_a_line_is_wrong(self):
        good = {"command": ["mek", "generate", "d"]}
        for bad, words in (("{", "commands.jsonl:2"), ({"words": []}, "no 'command'"), ({"command": [1]}, "is no text"),
                           ({"command": ["mek"]}, "no command"), ({"command": ["run", "x"]}, "no command"),
                           ({"command": ["shell"]}, "no command"), ({"command": ["nonsense"]}, "no command"),
                           ({"command": ["mek", "list"], "more": 1}, "'more'"),
                           ({"command": ["mek", "list", "--pin-fd", "5"]}, "belongs to 'run'")):
            self.write(good, bad)
            said = run(QPCSEAL, "run", self.file, env=self.appliance.env, expect=4)
            self.assertIn(words, said.stderr)
            self.assertEqual(said.stdout, "")
        self.assertNotIn("d#1", self.appliance.qpcseal("mek", "list").stdout)

    def test_a_journal_skips_what_is_done(self):
        journal = self.appliance.root / "journal"
        self.write({"command": ["mek", "generate", "e"]}, {"command": ["mek", "generate", "e"]})
        self.run_file("--journal", journal, expect=2)
        noted = journal.read_text()
        self.assertEqual(len(noted.splitlines()), 1)
        journal.write_text(noted + "2 half")  # a kill while it was written
        said = self.run_file("--journal", journal, expect=2)
        self.assertEqual((said[0]["skipped"], said[1]["exit_code"]), ("done in an earlier run", 2))
        self.assertEqual(journal.read_text(), noted)
        # A line is known by its text: one that is added before it runs, and it stays done.
        self.write({"command": ["mek", "generate", "f"]}, {"command": ["mek", "generate", "e"]})
        said = self.run_file("--journal", journal)
        self.assertEqual((said[0]["exit_code"], said[1]["skipped"]), (0, "done in an earlier run"))
        journal.write_text("nonsense\n")
        self.assertIn("no journal", run(QPCSEAL, "run", self.file, "--journal", journal, env=self.appliance.env,
                                        expect=4).stderr)

    def test_standard_input(self):
        done = run(QPCSEAL, "run", "-", env=self.appliance.env, stdin='{"command":["mek","generate","g"]}\r\n')
        self.assertEqual(json.loads(done.stdout)["exit_code"], 0)


class OnePin(Base):
    def test_one_descriptor_for_all_lines(self):
        appliance = self.make(cards=1)
        pin = self.from_terminal(appliance)
        file = appliance.root / "commands.jsonl"
        file.write_text("".join(json.dumps({"command": command}) + "\n" for command in (
            ["mek", "generate", "a"], ["status"], ["mek", "generate", "b"])))
        with pin.open("rb") as descriptor:
            done = run(QPCSEAL, "run", file, "--pin-fd", descriptor.fileno(), env=appliance.env,
                       pass_fds=(descriptor.fileno(),))
        self.assertEqual([json.loads(line)["exit_code"] for line in done.stdout.splitlines()], [0, 0, 0])

    def test_a_wrong_pin_is_tried_once(self):
        appliance = self.make(cards=1, token=tokens.Forwarded)
        site = appliance.root / "home" / "site.toml"
        site.write_text("".join('pin_source = "tty"\n' if line.startswith("pin_source") else line
                                for line in site.read_text().splitlines(keepends=True)))
        wrong = appliance.root / "wrong"
        wrong.write_text("not-the-pin\n")
        file = appliance.root / "commands.jsonl"
        file.write_text('{"command":["mek","generate","a"]}\n' * 3)
        appliance.token.trace()
        with wrong.open("rb") as descriptor:
            done = run(QPCSEAL, "run", file, "--keep-going", "--pin-fd", descriptor.fileno(), env=appliance.env, expect=6,
                       pass_fds=(descriptor.fileno(),))
        self.assertEqual(len(done.stdout.splitlines()), 1)
        self.assertEqual([name for name, _ in appliance.token.trace()].count("C_Login"), 1)


class Tmux:
    """A program at a terminal that lays its lines out anew when it is resized."""

    def __init__(self, appliance, command):
        self.socket = appliance.root / "tmux"
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", shlex.join(map(str, command)),
                  env=appliance.env)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tmux("kill-server")

    def tmux(self, *words, env=None):
        return run("tmux", "-S", self.socket, *words, env=env).stdout

    def type(self, text):
        self.tmux("send-keys", "-l", text)

    def key(self, name):
        self.tmux("send-keys", name)

    def resize(self, columns):
        self.tmux("resize-window", "-x", columns)

    def wait_for(self, last):
        """Until these are the last rows that are not empty."""
        deadline = time.monotonic() + 20
        while not (screen := "\n" + self.tmux("capture-pane", "-p").rstrip()).endswith("\n" + last.rstrip()):
            if time.monotonic() > deadline:
                raise AssertionError(f"not at the end of the screen: {last!r}\n{screen}")
            time.sleep(0.05)


def rows(text, columns):
    return "\n".join(text[at:at + columns].rstrip() for at in range(0, len(text), columns))


class Shell(Base):
    def talk(self, appliance, *lines, options=(), wait=None):
        """What is on the screen of a shell that gets these lines, one a prompt; its exit code."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(QPCSEAL, [QPCSEAL, "shell", *map(str, options)], appliance.env)
        screen, left = b"", list(lines)
        try:
            while True:
                if left and screen.rsplit(b"\n", 1)[-1].endswith((b"qpcseal> ", b": ")):
                    os.write(terminal, left.pop(0).encode() + b"\n")
                    screen += b"\n"
                screen += os.read(terminal, 4096)
        except OSError:
            pass
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), screen.decode()

    def test_asks_for_the_pin_once(self):
        appliance = self.make(cards=1)
        pin = self.from_terminal(appliance).read_text().strip()
        code, screen = self.talk(appliance, "mek generate one", pin, "mek generate 'two'", "mek nonsense", "mek list", "exit")
        self.assertEqual(code, 0, screen)
        self.assertNotIn(pin, screen)
        self.assertEqual(screen.count("PIN"), 1, screen)
        for words in ("one#1", "two#1", "exit code 2"):
            self.assertIn(words, screen)

    def test_ends_when_nobody_types(self):
        appliance = self.make(cards=1)
        began = time.monotonic()
        code, screen = self.talk(appliance, options=("--idle", 1))
        self.assertLess(time.monotonic() - began, 30)
        self.assertEqual(code, 0)
        self.assertIn("no command for 1 seconds", screen)

    def test_tab_completes(self):
        """Commands, options, names of MEKs and files; and what was completed is done."""
        appliance = self.make(cards=1)
        appliance.qpcseal("mek", "generate", "resnet50")
        appliance.qpcseal("mek", "generate", "llama")
        model = appliance.sample("a model.qpc")
        out = appliance.root / "sealed"
        code, screen = self.talk(appliance, "mek li\t", "mek show lla\t", f"encrypt-mo\t--qp\t {appliance.root}/a\t --me\tresn\t "
                                 f"--output-d\t {out}", "exit")
        self.assertEqual(code, 0, screen)
        self.assertIn("llama#1", screen)
        self.assertTrue((out / "programqpc.bin").exists(), screen)
        self.assertTrue(model.exists())

    def test_tab_lists_what_is_possible(self):
        appliance = self.make(cards=1)
        code, screen = self.talk(appliance, "mek re\t\t\x15exit")
        self.assertEqual(code, 0, screen)
        self.assertRegex(screen, r"\n\s*restore +resume\r?\n")

    def test_candidates_stand_in_columns(self):
        appliance = self.make(cards=1)
        code, screen = self.talk(appliance, "mek \t\t\x15exit")
        self.assertEqual(code, 0, screen)
        listed = [line.rstrip() for line in screen.splitlines() if "  " in line.strip() and "qpcseal>" not in line]
        self.assertGreater(len(listed), 1, screen)
        self.assertFalse([line for line in listed if line.startswith(" ")], screen)

    def test_ctrl_c_drops_the_line_and_nothing_else(self):
        appliance = self.make(cards=1)
        pin = self.from_terminal(appliance).read_text().strip()
        code, screen = self.talk(appliance, "mek list", pin, "mek generate größe\x03mek generate two", "mek list", "exit")
        self.assertEqual(code, 0, screen)
        self.assertIn("two#1", screen)
        self.assertEqual(screen.count("PIN for"), 1, screen)  # it was not forgotten

    def test_ctrl_c_at_the_first_pin_keeps_the_shell(self):
        """Else the PIN is typed next, and goes to another shell in clear."""
        appliance = self.make(cards=1)
        pin = self.from_terminal(appliance).read_text().strip()
        code, screen = self.talk(appliance, "mek generate one", "\x03", "qpcseal mek generate two", pin, "exit now")
        self.assertEqual(code, 0, screen)
        self.assertIn("interrupted: no PIN was given", screen)
        self.assertEqual(screen.count("PIN for"), 2, screen)
        self.assertNotIn("one#1", screen)
        self.assertIn("two#1", screen)

    def test_the_arrow_brings_a_line_back_and_no_file_keeps_it(self):
        appliance = self.make(cards=1)
        before = {path for path in appliance.root.rglob("*")}
        code, screen = self.talk(appliance, "version", "\x1b[A", "exit")
        self.assertEqual(code, 0, screen)
        self.assertEqual(screen.count("qpcseal 0."), 2, screen)
        self.assertEqual({path for path in appliance.root.rglob("*")} - before, set())

    def test_a_line_is_drawn_anew_at_each_resize(self):
        """Longer than a row, at three widths; then with the cursor at its begin, and the line is what was typed."""
        appliance = self.make(cards=1)
        typed = "mek generate one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
        with Tmux(appliance, [QPCSEAL, "shell"]) as terminal:
            terminal.wait_for("qpcseal> ")
            terminal.type(typed)
            for columns in (60, 100, 45, 70):
                terminal.resize(columns)
                terminal.wait_for(rows("qpcseal> " + typed, columns))
            terminal.key("Home")
            for columns in (50, 90):
                terminal.resize(columns)
                terminal.wait_for(rows("qpcseal> " + typed, columns))
            terminal.type("help ")
            terminal.wait_for(rows("qpcseal> help " + typed, 90))

    def test_quotes_and_the_end_of_the_input(self):
        appliance = self.make(cards=1)
        done = run(QPCSEAL, "shell", env=appliance.env, stdin="mek generate \"unfinished\nmek generate three\n")
        self.assertIn("the quote \" does not end", done.stderr)
        self.assertIn("three#1", done.stdout)


class Pipeline(Base):
    """20 models to 4 cards by docs/pipeline.sh."""

    def prepare(self, appliance):
        appliance.serve()
        self.models, self.work = appliance.root / "models", appliance.root / "work"
        self.models.mkdir()
        for number in range(20):
            appliance.device("sample", "--out", self.models / f"model-{number:02}.qpc")
        self.env = dict(appliance.env, PATH=f"{pathlib.Path(QPCSEAL).parent}:{appliance.env.get('PATH', os.environ['PATH'])}")
        self.assertEqual(pathlib.Path(ATTEST).parent, pathlib.Path(QPCSEAL).parent)
        pin = self.from_terminal(appliance)
        self.command = [str(word) for word in (SCRIPT, self.models, "m", "127.0.0.1", "0-3", appliance.port, self.work, pin)]

    def go(self, expect=0):
        done = subprocess.run(self.command, env=self.env, capture_output=True, text=True, check=False)
        results = self.work / "results.jsonl"
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr + results.read_text()[-2000:])
        return json.loads(results.read_text().splitlines()[-1])

    def kill_when(self, reached):
        """Whether it was killed before its end."""
        process = subprocess.Popen(self.command, env=self.env, start_new_session=True, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        while process.poll() is None and not reached():
            time.sleep(0.005)
        killed = process.poll() is None
        if killed:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return killed

    def sealed(self):
        return len(list((self.work / "sealed").glob("*.qpc"))) if (self.work / "sealed").exists() else 0

    def check(self, appliance):
        places = [path.parent for path in (self.work / "bound").rglob("seal.set")]
        self.assertEqual(len(places), 4)
        for card, place in enumerate(sorted(places)):
            self.assertEqual(sorted(path.name for path in place.glob("*.qpc")),
                             [f"model-{number:02}.qpc" for number in range(20)])
            appliance.device("load", "--dir", appliance.cards, "-d", card, place)
        releases = [entry for entry in appliance.json("audit", "show", "--kind", "release")["entries"] if entry["phase"] == "result"]
        self.assertEqual([entry["outcome"] for entry in releases], ["ok"] * 4)

    def test_twenty_models_to_four_cards_killed_and_resumed(self):
        appliance = self.make(cards=4)
        appliance.qpcseal("mek", "generate", "m")
        self.prepare(appliance)
        killed = [self.kill_when(reached) for reached in (
            lambda: (self.work / "wrapped").exists(), lambda: self.sealed() >= 3, lambda: self.sealed() >= 12,
            lambda: (self.work / "bound").exists())]
        self.assertGreater(sum(killed), 1)
        self.go()
        self.check(appliance)
        self.assertEqual(len((self.work / "2.journal").read_text().splitlines()), 3)

    def test_officers_agree_once_to_all_models_and_a_kill_does_not_use_it_up(self):
        appliance = GuardedAppliance(cards=4)
        self.addCleanup(appliance.close)
        appliance.qpcseal("mek", "generate", "m", *appliance.approved("mek-generate", "--param", "name=m"))
        self.prepare(appliance)
        said = self.go(expect=7)
        self.assertIn("release", said["error"]["message"])
        script = SCRIPT.read_text()
        for name, words in (("seal", ("--mek", "m", "--qpc", self.models)), ("release", ("--mek", "m", "--report", self.work / "requests"))):
            options = " ".join(map(str, appliance.approved(name, *words, name=f"{name}.req")))
            script = re.sub(f"(?m)^{name}_approval=.*$", f"{name}_approval='{options}'", script)
        own = appliance.root / "pipeline.sh"
        own.write_text(script)
        own.chmod(0o755)
        self.command[0] = str(own)
        killed = [self.kill_when(reached) for reached in (lambda: self.sealed() >= 2, lambda: self.sealed() >= 9)]
        self.assertGreater(sum(killed), 0)
        self.go()
        self.check(appliance)

    def test_a_model_that_changed_and_one_that_was_added(self):
        appliance = self.make(cards=4)
        appliance.qpcseal("mek", "generate", "m")
        self.prepare(appliance)
        self.go()
        appliance.device("sample", "--out", self.models / "model-00a.qpc")
        self.go()
        for place in (self.work / "bound").rglob("seal.set"):
            self.assertTrue((place.parent / "model-00a.qpc").exists())
        time.sleep(1.1)  # a file's time and the manifest's count seconds
        (self.models / "model-05.qpc").unlink()
        appliance.device("sample", "--out", self.models / "model-05.qpc", "--size", 300000)
        said = self.go(expect=2)
        self.assertIn("model-05.qpc was not made from this input", said["error"]["message"])


if __name__ == "__main__":
    unittest.main()
