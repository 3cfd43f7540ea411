"""The power fails at each moment of a command, and what the embedded token or the appliance did not sync is lost.

The states are made by power_model.py from a trace. In each of them the next command must run, the log must be whole, each
key that it calls ok must seal, and no key may be gone whose file was shredded. Where the command had ended, what it said
must be there. QPCSEAL_SWEEP_SAMPLE=N takes N states of each command, and the last.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "cli"))
import points  # noqa: E402
from appliance import QPCSEAL  # noqa: E402
from power_model import CALLS, Disk, read_tree, states, write_tree  # noqa: E402
from token_points import TokenPoints  # noqa: E402


class PowerFailure(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.points = TokenPoints()
        cls.points.run(("mek", "list"))
        cls.root, cls.stage = cls.points.root, cls.points.root / "stage"

    @classmethod
    def tearDownClass(cls):
        cls.points.close()

    def words(self, command, base, pin):
        """`@` stands for the folder of the home, `{fd}` for a descriptor with the PIN."""
        if pin:
            reader, writer = os.pipe()
            os.write(writer, pin)
            os.close(writer)
            self.addCleanup(os.close, reader)
            command = [str(reader) if word == "{fd}" else word for word in command]
            return [word.replace("@", str(base)) for word in map(str, command)], (reader,)
        return [word.replace("@", str(base)) for word in map(str, command)], ()

    def trace(self, command, prepare, pin):
        """The lines of an undisturbed run, and the disk before it: the home and the file of a key to come."""
        self.points.reset()
        shutil.rmtree(self.stage, ignore_errors=True)
        self.stage.mkdir(mode=0o700)
        (self.stage / "out").mkdir()
        if prepare:
            prepare()
        shutil.copytree(self.points.home, self.stage / "home")
        shutil.copy(self.points.value, self.stage / "MEK.dat")
        disk, out = Disk(self.stage), self.root / "trace"
        env = dict(self.points.appliance.env, QPCSEAL_HOME=str(self.stage / "home"))
        words, inherited = self.words(command, self.stage, pin)
        done = subprocess.run(["strace", "-f", "-qq", "-y", "-xx", "-s", "1048576", "-o", str(out), "-e",
                               "trace=" + ",".join(CALLS), QPCSEAL, *words], env=env, capture_output=True, text=True,
                              timeout=60, check=False, pass_fds=inherited)
        self.assertEqual(done.returncode, 0, done.stderr)
        return out.read_text(errors="replace").splitlines(), disk, done

    def put(self, tree):
        """Of the state's files, those of the home and beside it."""
        for path in (self.points.home, self.root / "out", self.root / ".home.restoring"):
            shutil.rmtree(path, ignore_errors=True)
        self.points.value.unlink(missing_ok=True)
        for name, below in tree.items():
            write_tree(below, self.root / name)

    def entries(self):
        return [json.loads(line) for line in (self.points.home / "log" / "entries.jsonl").read_text().splitlines()]

    def sweep(self, *command, kind=None, prepare=None, pin=b"", check=None, problems=None):
        """`check`: what else must hold of a state, asked when the next command has run. `problems`: instead of what a home
        is asked for first."""
        begun = time.monotonic()
        lines, disk, done = self.trace(command, prepare, pin)
        every = states(lines, disk)
        self.assertEqual(disk.as_it_is(), read_tree(self.stage), "the model is not what the command left")
        self.assertGreater(len(every), 2)
        chosen = [state for state, _ in points.spread(every, ("",)) if not state.last] + [s for s in every if s.last]
        for state in chosen:
            with self.subTest(state.where):
                self.put(state.tree)
                self.assertIsNone((problems or self.points.problems)(done if state.last else None))
                if state.last and kind:
                    self.assertIn((kind, "ok"), [(entry["kind"], entry.get("outcome", "ok")) for entry in self.entries()])
                if check:
                    check(state.last)
        print(f"\n{' '.join(map(str, command))}: {len(chosen)} of {len(every)} states, {time.monotonic() - begun:.0f} s", flush=True)

    def test_mek_list(self):
        self.sweep("mek", "list")

    def test_mek_generate(self):
        self.sweep("mek", "generate", "second", kind="mek-generate")

    def test_mek_rotate(self):
        self.sweep("mek", "rotate", "first", kind="mek-rotate")

    def test_mek_import(self):
        self.sweep("mek", "import", "@/MEK.dat", "--name", "imp", "--shred", kind="shred")

    def test_mek_destroy(self):
        self.sweep("mek", "destroy", "gone", kind="mek-destroy")

    def test_rotate_key(self):
        self.sweep("audit", "rotate-key", kind="rotate-key")

    def test_pin_change(self):
        def check(last):
            home, changed = self.points.home, "ok" in [e.get("outcome") for e in self.entries() if e["kind"] == "pin-change"]
            self.assertEqual((home / "pin").read_text().strip() == "another-pin", changed)
            self.assertFalse((home / "pin.qpcseal-next").exists(), "not settled")

        self.sweep("pin", "change", "--new-pin-fd", "{fd}", kind="pin-change", pin=b"another-pin\n", check=check)

    def test_policy_install(self):
        text = self.points.appliance.policy.read_text()
        following = self.root / "next.toml"
        following.write_text(text.replace("serial = 1\n", "serial = 2\n"))

        def check(last):
            installed = "policy" in [e["kind"] for e in self.entries() if e.get("outcome") == "ok"]
            now = json.loads(self.points.run(("policy", "show", "--json")).stdout)["serial"]
            self.assertEqual(now, 2 if installed else 1)

        self.sweep("policy", "install", following, kind="policy", check=check)

    def lost_behind_their_entry(self):
        """Releases whose entry `wrapped` was durable and whose key was not: each counts, and ends as unknown."""
        entries = [e for e in self.entries() if e["kind"] == "release"]
        wrapped = {e["intent"] for e in entries if e["phase"] == "wrapped"}
        return sum(e["phase"] == "result" and e["outcome"] == "unknown" and e["intent"] in wrapped for e in entries)

    def test_wrap_mek(self):
        report = self.root / "report.dat"

        def prepare():
            self.points.appliance.attest("first", name=report.name)

        def check(last):
            outputs = [path for path in (self.root / "out").rglob("*") if path.name == "MEK.encrypt"]
            counted = max(mek["releases"] for mek in json.loads(self.points.run(("mek", "list", "--json")).stdout))
            self.assertEqual(counted if last or outputs else 1, 1, "a wrapped key that is not counted")
            self.assertTrue(outputs and outputs[0].stat().st_size > 0 or not last, "said to be done, and not there")
            ended = [e["outcome"] for e in self.entries() if e["kind"] == "release" and e["phase"] == "result"]
            again = self.points.run(("wrap-mek", "--mek", "first", "--pub-keys", report, "--output-dir", self.root / "out" / "w"))
            if "ok" not in ended and not outputs and not self.lost_behind_their_entry():
                self.assertEqual(again.returncode, 0, again.stderr)

        self.sweep("wrap-mek", "--mek", "first", "--pub-keys", report, "--output-dir", "@/out/w", kind="release",
                   prepare=prepare, check=check)

    def test_wrap_fleet(self):
        reports = [self.root / "one.dat", self.root / "two.dat"]
        command = ("wrap-mek", "--mek", "first", "--skip-denied", "--pub-keys", *reports, "--output-dir")

        def prepare():
            for card, report in enumerate(reports):
                self.points.appliance.attest("first", card, name=report.name)

        def outputs():
            return len([path for path in (self.root / "out").rglob("MEK.encrypt") if path.stat().st_size > 0])

        def check(last):
            counted = max(mek["releases"] for mek in json.loads(self.points.run(("mek", "list", "--json")).stdout))
            self.assertLessEqual(outputs(), counted, "a wrapped key that is not counted")
            again = self.points.run((*command, self.root / "out" / "w"))
            lost = self.lost_behind_their_entry()
            self.assertEqual(again.returncode, 5 if lost else 0, again.stderr)
            self.assertEqual(outputs(), 2 - lost, "a card without its key")

        self.sweep(*command, "@/out/w", kind="release", prepare=prepare, check=check)

    def test_home_restore(self):
        """The home of a backup's moment comes back over one whose log is shorter."""
        backup, older = self.root / "home.tar", self.root / "older"
        restore = ("home", "restore", backup, "--force")

        def prepare():
            shutil.rmtree(older, ignore_errors=True)
            shutil.copytree(self.points.home / "log", older)
            self.points.appliance.qpcseal("mek", "generate", "second")
            self.points.appliance.qpcseal("home", "backup", "-o", backup, "--force")
            shutil.rmtree(self.points.home / "log")
            shutil.copytree(older, self.points.home / "log")

        def problems(said):
            """The old home, whose token knows more, or the new one; the same command again brings the new one."""
            old = len((older / "entries.jsonl").read_text().splitlines())
            listed = self.points.run(("mek", "list"))
            is_old = len(self.entries()) == old
            if listed.returncode != (8 if is_old else 0) or is_old and said:
                return f"{'old' if is_old else 'new'} home: exit {listed.returncode}, {listed.stderr}"
            again = self.points.run(restore)
            if again.returncode != 0:
                return f"again: {again.stderr}"
            left = [path for path in (*self.root.glob(".home*"), *self.points.home.glob(".rest*"))]
            return f"left over: {left}" if left else self.points.problems(None)

        self.sweep(*restore, prepare=prepare, problems=problems)


if __name__ == "__main__":
    unittest.main()
