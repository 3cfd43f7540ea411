"""Faults and kills at every system call with which `home backup` and `home restore` change files.

A restore replaces a home whose log is two entries shorter than the backup's. For each point the command runs with that
one call failing (EIO, ENOSPC) or the process killed at it. Then the home is the old one or the restored one, whole, as
`audit verify` and the token say; the next start leaves nothing behind; and the same command, given again, brings the
restored one. Restores that move the state inside the home (no hard links: a fault makes it so) may leave a home without
a log after a kill: the same command, or the next start, makes it whole.
"""

import collections
import json
import pathlib
import re
import shutil
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "cli"))
import points  # noqa: E402
from appliance import Appliance, QPCSEAL  # noqa: E402

CALLS = ("openat", "mkdir", "write", "pwrite64", "fsync", "fdatasync", "rename", "renameat", "renameat2", "link",
         "linkat", "unlink", "unlinkat", "rmdir", "ftruncate", "fchmod", "chmod")
INSIDE = "linkat:error=EPERM"


class HomeFaults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.appliance = Appliance(cards=1)
        cls.root, cls.home = cls.appliance.root, cls.appliance.root / "home"
        cls.appliance.qpcseal("mek", "generate", "first")
        cls.old = cls.size()
        shutil.copytree(cls.home / "log", cls.root / "older")
        anchor = cls.root / "anchored"
        cls.appliance.qpcseal("mek", "generate", "second")
        cls.new = cls.size()
        cls.backup = cls.root / "home.tar"
        cls.appliance.qpcseal("home", "backup", "-o", cls.backup)
        shutil.copytree(cls.home, anchor)  # the token knows both keys, the old log one of them
        shutil.rmtree(anchor / "log")
        shutil.copytree(cls.root / "older", anchor / "log")
        cls.pristine = anchor

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.home, ignore_errors=True)
        cls.appliance.close()

    @classmethod
    def size(cls):
        return int((cls.home / "log" / "checkpoint").read_text().splitlines()[1])

    def reset(self):
        for path in self.root.glob(".home*"):
            shutil.rmtree(path)
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(self.pristine, self.home)

    def qpcseal(self, *command):
        return subprocess.run([QPCSEAL, *map(str, command)], env=self.appliance.env, capture_output=True, text=True,
                              timeout=120, check=False)

    def traced(self, command, *injects):
        trace = self.root / "trace"
        faults = [part for inject in injects for part in ("-e", "inject=" + inject)]
        done = subprocess.run(["strace", "-f", "-qq", "-y", "-o", str(trace), "-e", "trace=" + ",".join(CALLS), *faults,
                               QPCSEAL, *map(str, command)], env=self.appliance.env, capture_output=True, text=True,
                              timeout=120, check=False)
        return done, trace.read_text(errors="replace")

    def points(self, command, *always):
        """Each call by name and number, of those that change a file in an undisturbed run."""
        self.reset()
        done, trace = self.traced(command, *always)
        self.assertEqual(done.returncode, 0, done.stderr)
        counts, out = collections.Counter(), []
        for line in trace.splitlines():
            found = re.match(r"\d+\s+(\w+)\(", line)
            if not found:
                continue
            call = found.group(1)
            counts[call] += 1
            reads = call == "openat" and not any(flag in line for flag in ("O_RDWR", "O_WRONLY", "O_CREAT"))
            if str(self.root) in line and not reads and not any(call in each for each in always):
                out.append((call, counts[call]))
        return out

    def whole(self, where, sizes):
        said = self.qpcseal("audit", "verify", "--json")
        self.assertEqual(said.returncode, 0, f"{where}: {said.stderr}")
        self.assertIn(json.loads(said.stdout)["size"], sizes, where)
        self.assertEqual([path.name for path in self.home.glob("tokens/**/token.object")], ["token.object"], where)
        for name in ("site.toml", "pin", "policy.toml", "trust"):
            self.assertTrue((self.home / name).exists(), f"{where}: {name} is gone")

    def tidy(self, where):
        """After the next start: one home, one token, one PIN file, whatever was set aside."""
        listed = self.qpcseal("mek", "list")
        self.assertIn("first#1", listed.stdout, f"{where}: {listed.stderr}")
        left = [path.name for path in (*self.root.glob(".home*"), *self.home.glob(".rest*"))]
        self.assertEqual(left, [], where)
        self.assertEqual(len(list(self.root.rglob("home/**/tokens/*/token.object"))), 1, where)
        self.assertEqual([path.parent for path in self.root.rglob("home/**/pin")], [self.home], where)

    def sweep(self, command, check, *always):
        calls, codes, begun = self.points(command, *always), collections.Counter(), time.monotonic()
        chosen = points.spread(calls)
        self.assertGreater(len(calls), 10)
        for (call, when), fault in chosen:
            where = f"{call} {when} {fault}"
            with self.subTest(where):
                self.reset()
                done, _ = self.traced(command, *always, f"{call}:{fault}:when={when}")
                codes[done.returncode] += 1
                check(done.returncode, where)
        print(f"\n{self.id().rsplit('.', 1)[1]}: {len(chosen)} of {len(points.FAULTS) * len(calls)} points, exit codes "
              f"{dict(sorted(codes.items()))}, {time.monotonic() - begun:.0f} s", flush=True)

    def restore(self):
        return "home", "restore", self.backup, "--force"

    def again(self, where):
        again = self.qpcseal(*self.restore())
        self.assertEqual(again.returncode, 0, f"{where}, again: {again.stderr}")
        self.whole(where + ", again", (self.new,))
        self.tidy(where + ", again")

    def test_restore(self):
        def check(code, where):
            self.whole(where, (self.new,) if code == 0 else (self.old, self.new))
            self.again(where)

        self.sweep(self.restore(), check)

    def test_restore_then_another_command(self):
        def check(code, where):
            self.whole(where, (self.new,) if code == 0 else (self.old, self.new))
            new = self.size() == self.new
            said = self.qpcseal("mek", "list")  # the old log has a token that knows more: it says so, and settles
            self.assertEqual(said.returncode, 0 if new else 8, f"{where}: {said.stderr}")
            self.assertEqual(list(self.root.glob(".home*")), [], where)
            self.again(where)

        self.sweep(self.restore(), check)

    def test_restore_inside_the_home(self):
        def check(code, where):
            if code >= 0:
                self.whole(where, (self.new,) if code == 0 else (self.old, self.new))
            self.again(where)

        self.sweep(self.restore(), check, INSIDE)

    def test_backup(self):
        out = self.root / "made.tar"

        def check(code, where):
            self.whole(where, (self.old,))
            if out.exists():
                self.assertEqual(self.qpcseal("home", "verify", out).returncode, 0, where)
            self.assertTrue(out.exists() or code != 0, where)
            out.unlink(missing_ok=True)

        self.sweep(("home", "backup", "-o", out, "--force"), check)


if __name__ == "__main__":
    unittest.main()
