"""The power fails at each moment of a command, and what the embedded token or the appliance did not sync is lost.

The states are made by power_model.py from a trace. In each of them the next command must run, the log must be whole, each
key that it calls ok must seal, and no key may be gone whose file was shredded. Where the command had ended, what it said
must be there.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "cli"))
from appliance import QPCSEAL  # noqa: E402
from power_model import CALLS, DROPPED, EMPTIED, Disk, read_tree, write_tree  # noqa: E402
from token_points import TokenPoints  # noqa: E402


class PowerFailure(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.points = TokenPoints()
        cls.points.run(("mek", "list"))
        cls.stage = cls.points.root / "stage"

    @classmethod
    def tearDownClass(cls):
        cls.points.close()

    def trace(self, command):
        """The lines of an undisturbed run, and the disk before it: the home and the file of a key to come."""
        self.points.reset()
        shutil.rmtree(self.stage, ignore_errors=True)
        self.stage.mkdir(mode=0o700)
        shutil.copytree(self.points.home, self.stage / "home")
        shutil.copy(self.points.value, self.stage / "MEK.dat")
        disk, out = Disk(self.stage), self.points.root / "trace"
        env = dict(self.points.appliance.env, QPCSEAL_HOME=str(self.stage / "home"))
        done = subprocess.run(["strace", "-f", "-qq", "-y", "-xx", "-s", "1048576", "-o", str(out), "-e",
                               "trace=" + ",".join(CALLS), QPCSEAL, *map(str, command)], env=env, capture_output=True, text=True,
                              timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return out.read_text(errors="replace").splitlines(), disk, done

    def put(self, tree):
        home, value = self.points.home, self.points.value
        shutil.rmtree(home, ignore_errors=True)
        value.unlink(missing_ok=True)
        write_tree(tree["home"], home)
        if "MEK.dat" in tree:
            write_tree(tree["MEK.dat"], value)

    def entries(self):
        return [json.loads(line) for line in (self.points.home / "log" / "entries.jsonl").read_text().splitlines()]

    def sweep(self, *command, kind=None):
        begun, states, seen = time.monotonic(), 0, set()
        lines, disk, done = self.trace(command)
        for number, line in enumerate(lines):
            last = number == len(lines) - 1
            if not disk.replay(line) and not last:
                continue
            for how in (DROPPED, EMPTIED):
                tree = disk.after_failure(how)
                if repr(tree) in seen and not last:
                    continue
                seen.add(repr(tree))
                states += 1
                with self.subTest(f"{how} after line {number} of {len(lines)}: {line[:60]}"):
                    self.put(tree)
                    self.assertIsNone(self.points.problems(done if last else None))
                    if last and kind:
                        self.assertIn((kind, "ok"), [(entry["kind"], entry.get("outcome")) for entry in self.entries()])
        self.assertEqual(disk.as_it_is(), read_tree(self.stage), "the model is not what the command left")
        self.assertGreater(states, 2)
        print(f"\n{' '.join(map(str, command))}: {states} states, {time.monotonic() - begun:.0f} s", flush=True)

    def test_mek_list(self):
        self.sweep("mek", "list")

    def test_mek_generate(self):
        self.sweep("mek", "generate", "second", kind="mek-generate")

    def test_mek_rotate(self):
        self.sweep("mek", "rotate", "first", kind="mek-rotate")

    def test_mek_import(self):
        self.sweep("mek", "import", self.stage / "MEK.dat", "--name", "imp", "--shred", kind="shred")

    def test_mek_destroy(self):
        self.sweep("mek", "destroy", "gone", kind="mek-destroy")

    def test_rotate_key(self):
        self.sweep("audit", "rotate-key", kind="rotate-key")


if __name__ == "__main__":
    unittest.main()
