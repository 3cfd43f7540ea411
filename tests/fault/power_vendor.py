"""The power fails at each moment of a command with `--format vendor`, and what it or the vendor's tool did not sync is lost.

The states are made by power_model.py from a trace of the command, of its launcher, of bubblewrap and of the tool's stand-in. In
each of them:
 - the log verifies, by `audit verify` and by a verifier that was written from FORMAT.md alone, and the next command runs;
 - the output is there whole, and what the log says of it, or it is not there at all; a folder that is bound in place is as it was
   before or as it is afterwards;
 - where a card can load what lies anywhere, below any name, the exposure and the card's release are counted, and the plan after a
   compromise names the card;
 - the same command once more does what it says, where the log says that the key had not left, and nothing where it had; and
   nothing temporary is left over.
QPCSEAL_SWEEP_SAMPLE=N takes N states of each command, and the last; QPCSEAL_SWEEP_PART=I/N a part of all.
"""

import hashlib
import json
import pathlib
import re
import shutil
import subprocess
import time
import unittest

import points
import audit_log
from appliance import QPCSEAL
from power_model import CALLS, Disk, read_tree, states, write_tree
from vendor_support import VendorAppliance

INSIDE = "/qpcseal/out"  # the tool's folder, as it sees it


class Processes(Disk):
    """The same for a command that starts a program in a sandbox, which has its folder at another path, `inside`. What that
    program's files are on the disk is the folder `out` of the first temporary one that the command makes."""

    def __init__(self, root, lines, inside):
        super().__init__(root)
        self.inside, self.outside, self.tables, self.leaders = pathlib.Path(inside), None, {}, {}
        self.first = lines[0].split()[0]
        for line in lines:
            found = re.match(r"(\d+)\s+clone3?\(.*CLONE_FILES.*= (\d+)", line)
            if found:  # a thread
                self.leaders[found[2]] = found[1]

    def replay(self, line):
        if re.match(r"\d+\s+(clone3?|v?fork)\(", line):
            return False
        process = line.split()[0]
        while process in self.leaders:
            process = self.leaders[process]
        self.open, self.names = self.tables.setdefault(process, ({}, {}))
        self.sandboxed = process != self.first
        return super().replay(line)

    def path(self, name, base=None):
        out = super().path(name, base)
        return self.outside / out.relative_to(self.inside) if self.sandboxed and out.is_relative_to(self.inside) else out

    def do_mkdir(self, result, words, strings, bases):
        path = self.path(strings[0], bases and bases[0])
        if self.outside is None and path.name == "out" and ".tmp-qpcseal-" in path.parent.name:
            self.outside = path
        return super().do_mkdir(result, words, strings, bases)


def joined(lines):
    """A trace's lines, those that another process came into made whole again, where their calls end."""
    begun = {}
    for line in lines:
        process, text = line.split(maxsplit=1)
        if text.endswith("<unfinished ...>"):
            begun[process] = text.removesuffix("<unfinished ...>").rstrip()
            continue
        found = re.match(r"<\.\.\. \w+ resumed>(.*)", text)
        yield f"{process} {begun.pop(process)}{found[1]}" if found else line


def digests(tree):
    """SHA-256 of all files, in hex, sorted."""
    if isinstance(tree, bytes):
        return [hashlib.sha256(tree).hexdigest()]
    return sorted(digest for below in tree.values() for digest in digests(below))


class VendorPower(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = site = VendorAppliance()
        cls.root, cls.stage, cls.home, cls.out = site.root, site.root / "stage", site.root / "home", site.root / "out"
        site.qpcseal("mek", "generate", "stock-a")
        cls.model = cls.root / "model.qpc"
        cls.model.write_bytes(b"a compiled model" * 100)
        site.qpcseal("encrypt-model", "--format", "vendor", "--mek", "stock-a", "--qpc", cls.model, "--output-dir",
                     cls.root / "sealed")
        site.qpcseal("wrap-mek", "--format", "vendor", "--mek", "stock-a", "--pub-keys", site.report("stock-a", name="wrap.dat"),
                     "--output-dir", cls.root / "wrapped")
        cls.report = site.report("stock-a")
        cls.vkey = site.qpcseal("trust", "show", "--log-key").stdout.strip()
        shutil.copytree(cls.home, cls.root / "pristine")
        cls.length = len(site.entries())
        cls.left_before = cls.count(site.entries(), "release", "wrapped")

    @classmethod
    def tearDownClass(cls):
        points.copy_over(cls.root / "pristine", cls.home)
        cls.site.close()

    def run_it(self, *command):
        return subprocess.run([QPCSEAL, *map(str, command)], env=self.site.env, capture_output=True, text=True, timeout=120,
                              check=False)

    @staticmethod
    def count(entries, kind, phase):
        return sum(one["kind"] == kind and one["phase"] == phase for one in entries)

    # --- states

    def put(self, tree):
        for path in (self.home, self.out):
            shutil.rmtree(path, ignore_errors=True)
        for name, below in tree.items():
            write_tree(below, self.root / name)

    def words(self, command, base):
        """`@` stands for the folder of home and output."""
        return [QPCSEAL, *(str(word).replace("@", str(base)) for word in (command[0], "--format", "vendor", *command[1:]))]

    def trace(self, command):
        """The lines of an undisturbed run, and the disk before it."""
        shutil.rmtree(self.stage, ignore_errors=True)
        self.stage.mkdir(mode=0o700)
        shutil.copytree(self.root / "pristine", self.stage / "home")
        shutil.copytree(self.root / "sealed", self.stage / "out" / "sealed")
        file = self.root / "trace"
        disk_before = Disk(self.stage).as_it_is()
        done = subprocess.run(["strace", "--seccomp-bpf", "-f", "-qq", "-y", "-xx", "-s", "1048576", "-o", str(file), "-e",
                               "trace=clone,clone3,fork,vfork," + ",".join(CALLS), *self.words(command, self.stage)],
                              env=dict(self.site.env, QPCSEAL_HOME=str(self.stage / "home")), capture_output=True, text=True,
                              timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        after = read_tree(self.stage)
        lines = list(joined(file.read_text(errors="replace").splitlines()))
        shutil.rmtree(self.stage)
        write_tree(disk_before, self.stage)
        return lines, Processes(self.stage, lines, INSIDE), after

    # --- what must hold

    def entries(self, where):
        said = self.run_it("audit", "verify")
        self.assertEqual(said.returncode, 0, f"{where}: {said.stderr}")
        return audit_log.verify(self.home / "log", self.vkey)

    def check_counted(self, where, entries):
        """Whether the key has left since the command began: the entry of the MEK comes right before that of the card, and the
        key after both. Whatever a card can load is counted."""
        left = self.count(entries, "release", "wrapped") - self.left_before
        self.assertIn(left, (0, 1), where)
        listed, = json.loads(self.run_it("mek", "list", "--json").stdout)
        self.assertEqual(listed["exposures"], self.count(entries, "mek-expose", "wrapped"), where)
        self.assertGreaterEqual(listed["releases"], self.left_before + left, where)
        folders = [path.parent for path in self.out.rglob("MEK.encrypt") if path.stat().st_size]
        self.assertGreaterEqual(left, bool(folders), f"{where}: a wrapped key in {folders} that is not counted")
        if left:
            plan = json.loads(self.run_it("plan", "compromise", "stock-a", "--json").stdout)
            self.assertEqual([card["ueid"] for card in plan["cards"]], [self.site.ueid()], where)
        return left

    def check_output(self, state, output, before, entries):
        """Absent, or as before, or whole and as the log has it. Whether it is there as the command made it."""
        there = read_tree(output) if output.exists() else None
        results = [one for one in entries[self.length:] if one["kind"] == "mek-expose" and one["phase"] == "result"]
        if there == before:
            self.assertFalse(state.last, "said to be done, and not there")
            return False
        self.assertIsNotNone(there, f"{state.where}: what was there is gone")
        self.assertEqual([one["outcome"] for one in results], ["ok"], f"{state.where}: an output that the log does not have")
        self.assertEqual(digests(there), sorted(one["sha256"] for one in results[-1]["data"]["outputs"]), state.where)
        return True

    def check_again(self, state, command, output, left, made):
        again = self.once_more(command)
        if left or made:
            self.assertIn(again.returncode, (3, 5), f"{state.where}: {again.stderr}")
            self.assertRegex(again.stderr, "exists|POL-CHALLENGE-USED")
        else:
            self.assertEqual(again.returncode, 0, f"{state.where}: {again.stderr}")
            self.assertTrue(output.exists())
        entries = self.entries(state.where)
        self.assertEqual(self.count(entries, "release", "wrapped") - self.left_before, 1, state.where)
        for kind in ("mek-expose", "release"):
            intents = {one["seq"] for one in entries if one["kind"] == kind and one["phase"] == "intent"}
            ended = {one["intent"] for one in entries if one["kind"] == kind and one["phase"] == "result"}
            self.assertEqual(intents, ended, f"{state.where}: an intent left open")
        self.assertEqual(points.left_over(self.out, self.home), [], state.where)

    def once_more(self, command):
        return subprocess.run(self.words(command, self.root), env=self.site.env, capture_output=True, text=True, timeout=120,
                              check=False)

    def sweep(self, *command, output, check):
        begun = time.monotonic()
        lines, disk, after = self.trace(command)
        before = disk.as_it_is()["out"].get(output)
        every = states(lines, disk)
        self.assertEqual(disk.as_it_is(), after, "the model is not what the command left")
        chosen = [state for state, _ in points.spread(every, ("",)) if not state.last] + [s for s in every if s.last]
        for state in chosen:
            with self.subTest(state.where):
                self.put(state.tree)
                check(state, command, self.out / output, before)
        print(f"\n{' '.join(map(str, command[:1]))}: {len(chosen)} of {len(every)} states, {time.monotonic() - begun:.0f} s",
              flush=True)

    def exposes(self, state, command, output, before):
        if output.exists() and read_tree(output) != before and command[0] != "wrap-mek":
            self.assertEqual(self.site.opened(output), self.model.read_bytes(), f"{state.where}: an output that is not whole")
        listed = self.run_it("mek", "list")
        self.assertEqual(listed.returncode, 0, f"{state.where}: {listed.stderr}")
        entries = self.entries(state.where)
        left = self.check_counted(state.where, entries)
        made = self.check_output(state, output, before, entries)
        self.check_again(state, command, output, left, made)

    def test_encrypt_model(self):
        self.sweep("encrypt-model", "--mek", "stock-a", "--qpc", self.model, "--output-dir", "@/out/new", "--pub-keys",
                   self.report, output="new", check=self.exposes)

    def test_encrypt_with_session_keys(self):
        self.sweep("encrypt-with-session-keys", "--mek", "stock-a", "--input-dir", "@/out/sealed", "--pub-keys", self.report,
                   output="sealed", check=self.exposes)

    def test_wrap_mek(self):
        self.sweep("wrap-mek", "--mek", "stock-a", "--output-dir", "@/out/new", "--pub-keys", self.report, output="new",
                   check=self.exposes)

    def test_replace_mek(self):
        """No key, and nothing in the log: an output that a card loads, or none."""
        entries = (self.root / "pristine" / "log" / "entries.jsonl").read_bytes()

        def check(state, command, output, _):
            self.assertEqual((self.home / "log" / "entries.jsonl").read_bytes(), entries, state.where)
            self.assertTrue(output.exists() or not state.last, "said to be done, and not there")
            if output.exists():
                self.assertEqual(self.site.opened(output), self.model.read_bytes(), state.where)
            again = self.once_more(command)
            self.assertIn("exists" if again.returncode else "", again.stderr)
            self.assertEqual(self.site.opened(output), self.model.read_bytes(), f"{state.where}: {again.stderr}")
            self.assertEqual(points.left_over(self.out, self.home), [], state.where)

        self.sweep("replace-mek", "--encrypted-qpc", self.root / "sealed" / "programqpc.bin", "--wrapped-meks",
                   self.root / "wrapped", "--output-dir", "@/out/new", output="new", check=check)


if __name__ == "__main__":
    unittest.main()
