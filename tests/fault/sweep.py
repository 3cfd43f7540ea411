"""Faults and kills at every system call with which a command changes files, log and token alike.

For each point: the command runs with that one call failing (EIO, ENOSPC) or the process killed at it. Then, however
it ended, the log must verify and begin with all that its checkpoint covered, the next run must recover without
adopting a line that no checkpoint covers, every key in the token must be in the log, every key that the log calls ok
must be in the token, nothing half made may stay in the token, and what the command said it had done must be there.
QPCSEAL_SWEEP_SAMPLE=N takes every Nth point alone. The points on SoftHSM's own files are among them: the guard puts these
back.
"""

import collections
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "cli"))
from appliance import Appliance, QPCSEAL  # noqa: E402

CALLS = ("openat", "mkdir", "write", "pwrite64", "fsync", "fdatasync", "rename", "renameat", "renameat2", "link",
         "linkat", "unlink", "rmdir", "ftruncate", "fchmod")
FAULTS = ("error=EIO", "error=ENOSPC", "signal=KILL")
SAMPLE = int(os.environ.get("QPCSEAL_SWEEP_SAMPLE", "1"))
OPEN = {"release", "shred"}  # which the same command finishes
DONE = (0, 9)  # 9: done and logged, and a step behind the log entry failed


class Sweep(unittest.TestCase):
    inherited = ()  # descriptors
    restored = False  # the key was destroyed before: it may be in the log as both

    @classmethod
    def setUpClass(cls):
        cls.appliance = Appliance(cards=2)
        cls.appliance.qpcseal("mek", "generate", "first")
        cls.root, cls.home = cls.appliance.root, cls.appliance.root / "home"
        cls.out = cls.root / "out"
        cls.report = cls.appliance.attest("first")
        cls.used = cls.appliance.attest("first", device=1, name="used.dat")
        cls.appliance.qpcseal("wrap-mek", "--mek", "first", "--pub-keys", cls.used, "--output-dir", cls.root / "earlier")
        cls.pristine = cls.root / "pristine"
        shutil.copytree(cls.home, cls.pristine)
        cls.vkey = cls.appliance.qpcseal("trust", "show", "--log-key").stdout.strip()
        cls.before = len(cls.lines())

    @classmethod
    def tearDownClass(cls):
        cls.appliance.close()

    @classmethod
    def lines(cls):
        return (cls.home / "log" / "entries.jsonl").read_bytes().splitlines(keepends=True)

    def reset(self):
        for folder in (self.home, self.out):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.pristine, self.home)

    def qpcseal(self, *command):
        return subprocess.run([QPCSEAL, *map(str, command)], env=self.appliance.env, capture_output=True, text=True,
                              timeout=120, check=False)

    def traced(self, command, inject=None):
        trace = self.root / "trace"
        strace = ["strace", "-f", "-qq", "-y", "-o", str(trace), "-e", "trace=" + ",".join(CALLS)]
        if inject:
            strace += ["-e", "inject=" + inject]
        done = subprocess.run([*strace, QPCSEAL, *map(str, command)], env=self.appliance.env, capture_output=True,
                              text=True, timeout=120, check=False, pass_fds=self.inherited)
        return done, trace.read_text(errors="replace")

    def changes(self, call, line):
        """Whether a traced call changes a file of ours, or tells the user: others only read, or are the loader's."""
        if call == "openat":
            return str(self.root) in line and any(flag in line for flag in ("O_RDWR", "O_WRONLY", "O_CREAT"))
        return str(self.root) in line or re.search(r"\bwrite\([12]<", line) is not None

    def points(self, command, code):
        """Each call by name and number, of those that change something in an undisturbed run."""
        self.reset()
        self.keys_at_first = len(json.loads(self.qpcseal("mek", "list", "--json").stdout))
        self.reset()
        done, trace = self.traced(command)
        self.assertEqual(done.returncode, code, done.stderr)
        counts, points, threads = collections.Counter(), [], set()
        for line in trace.splitlines():
            found = re.match(r"(\d+)\s+(\w+)\(", line)
            if not found:
                continue
            thread, call = found.groups()
            counts[call] += 1
            if self.changes(call, line):
                threads.add(thread)
                points.append((call, counts[call]))
        self.assertEqual(len(threads), 1, "strace counts the calls of each thread by itself")
        return points

    def verify(self, where):
        said = self.qpcseal("audit", "verify", "--log", self.home / "log", "--key", self.vkey)
        self.assertEqual(said.returncode, 0, f"{where}: {said.stderr}")

    def left(self, where):
        """The lines that the checkpoint covers, and the bytes behind them: nobody was told of these."""
        self.verify(where)
        size = int((self.home / "log" / "checkpoint").read_text().splitlines()[1])
        lines = self.lines()
        self.assertGreaterEqual(size, self.before, f"{where}: acknowledged entries are gone")
        return lines[:size], b"".join(lines[size:])

    def check_recovered(self, where, covered, tail):
        self.verify(where + ", after recovery")
        lines = self.lines()
        self.assertEqual(lines[:len(covered)], covered, f"{where}: entries that were signed are gone")
        for line in tail.splitlines(keepends=True):
            self.assertNotIn(line, lines, f"{where}: a line that no checkpoint covered was adopted")
        new = [json.loads(line) for line in lines[len(covered):]]
        digests = [entry["data"]["sha256"] for entry in new if entry["kind"] == "recovery"]
        self.assertEqual(digests, [hashlib.sha256(tail).hexdigest()] if tail else digests, where)
        entries = [json.loads(line) for line in lines]
        still_open = {e["seq"] for e in entries if e["phase"] == "intent"} - {e.get("intent") for e in entries}
        self.assertLessEqual({entries[seq]["kind"] for seq in still_open}, OPEN, f"{where}: an intent left open")
        return entries

    def hit_token_file(self, trace):
        """Whether the faulted call, or the last one before a kill, was on a file of SoftHSM's."""
        calls = [line for line in trace.splitlines() if str(self.root) in line]
        hit = [line for line in calls if "INJECTED" in line] or calls[-1:]
        return bool(hit) and str(self.home / "tokens") in hit[-1]

    def check_keys(self, where, listed, entries):
        """After a recovery: the keys in the token are those that the log says were made, and not destroyed."""
        outcomes = {kind: set() for kind in ("mek-generate", "mek-rotate", "mek-restore", "mek-import", "mek-destroy")}
        for entry in entries:
            if entry["kind"] in outcomes and entry.get("outcome") == "ok":
                outcomes[entry["kind"]].add(entry["data"]["mek_id"])
        gone = outcomes.pop("mek-destroy")
        logged = set().union(*outcomes.values())
        if self.restored:
            gone -= outcomes["mek-restore"]
        named = {mek["id"]: mek["state"] for mek in json.loads(listed)}
        self.assertEqual(set(named), logged - gone, f"{where}: keys in the token and in the log")
        self.assertNotIn("missing", named.values(), where)

    def check_nothing_half_made(self, where, listed):
        """A file of the token for each key in it, and an anchor more or less than in the pristine home."""
        def objects(home):
            return len(list((home / "tokens").rglob("*.object")))

        keys = sum(mek["state"] != "missing" for mek in json.loads(listed)) - self.keys_at_first
        self.assertLessEqual(objects(self.home), objects(self.pristine) + keys + 1, f"{where}: half-made objects")

    def point(self, command, inject, where):
        """Runs one point and the next run. The faulted run, and what the log says."""
        self.reset()
        done, trace = self.traced(command, inject)
        self.on_token_file = self.hit_token_file(trace)
        covered, tail = self.left(where)
        listed = self.qpcseal("mek", "list", "--json")
        self.assertEqual(listed.returncode, 0, f"{where}: the next run does not recover: {listed.stderr}")
        self.check_nothing_half_made(where, listed.stdout)
        entries = self.check_recovered(where, covered, tail)
        self.check_keys(where, listed.stdout, entries)
        return done, entries

    def sweep(self, command, check, code=0):
        swept, codes, begun = collections.Counter(), collections.Counter(), time.monotonic()
        for number, (call, when) in enumerate(self.points(command, code)):
            for fault in FAULTS[number // SAMPLE % len(FAULTS):][:1] if SAMPLE > 1 else FAULTS:
                if number % SAMPLE:
                    continue
                where = f"{call} {when} {fault}"
                with self.subTest(where):
                    swept[fault] += 1
                    done, entries = self.point(command, f"{call}:{fault}:when={when}", where)
                    codes[done.returncode] += 1
                    check(done, entries, where)
        self.assertGreater(min(swept.values()), 10 // SAMPLE)
        print(f"\n{self.id().rsplit('.', 1)[1]}: {sum(swept.values())} points {dict(swept)}, exit codes "
              f"{dict(sorted(codes.items()))}, {time.monotonic() - begun:.0f} s", flush=True)

    def test_mek_generate(self):
        def check(done, entries, where):
            made = [e["outcome"] for e in entries[self.before:] if e["kind"] == "mek-generate" and "outcome" in e]
            self.assertIn(made, ([["ok"]] if done.returncode in DONE else [[], ["failed"]]), where)

        self.sweep(("mek", "generate", "second"), check)

    def test_mek_rotate(self):
        def check(done, entries, where):
            made = [e["outcome"] for e in entries[self.before:] if e["kind"] == "mek-rotate" and "outcome" in e]
            self.assertIn(made, ([["ok"]] if done.returncode in DONE else [[], ["failed"]]), where)

        self.sweep(("mek", "rotate", "first"), check)

    def test_mek_destroy(self):
        def check(done, entries, where):
            ended = [e["outcome"] for e in entries[self.before:] if e["kind"] == "mek-destroy" and "outcome" in e]
            # Twice, where SoftHSM could not remove the key's file and had it again.
            self.assertIn(ended, [["ok"], ["ok", "ok"]] + ([[], ["failed"]] if done.returncode not in DONE else []), where)

        self.sweep(("mek", "destroy", "first"), check)

    def outcomes(self, entries, kind):
        return [e["outcome"] for e in entries[self.before:] if e["kind"] == kind and "outcome" in e]

    def with_recovery_key(self):
        """Keeps a home whose token has a recovery key, and a backup of the first key to it."""
        key, backup = self.root / "recovery.key", self.root / "first.backup"
        if not key.exists():
            self.appliance.qpcseal("recovery-key", "new", "-o", key)
            self.appliance.qpcseal("mek", "backup", "first", "--to", key, "-o", backup)
            shutil.rmtree(self.pristine)
            shutil.copytree(self.home, self.pristine)
            type(self).before = len(self.lines())
        return key, backup

    def test_mek_backup(self):
        self.reset()
        key, _ = self.with_recovery_key()
        out = self.root / "second.backup"

        def check(done, entries, where):
            outcomes, files = self.outcomes(entries, "mek-backup"), list(self.root.glob("second.backup"))
            self.assertIn(outcomes, [["ok"]] if done.returncode in DONE else [[], ["failed"], ["unknown"]], where)
            if files:
                digest = hashlib.sha256(out.read_bytes()).hexdigest()
                self.assertIn(digest, json.dumps(entries[self.before:]), f"{where}: a backup that the log does not tell of")
                self.assertIn(outcomes, (["ok"], ["unknown"]), where)
            out.unlink(missing_ok=True)

        self.sweep(("mek", "backup", "first", "--to", key, "-o", out), check)

    def test_mek_restore(self):
        """Of a key that was destroyed here."""
        self.reset()
        _, backup = self.with_recovery_key()
        kept, before = self.root / "kept", self.before
        shutil.copytree(self.pristine, kept)
        try:
            self.appliance.qpcseal("mek", "destroy", "first")
            shutil.rmtree(self.pristine)
            shutil.copytree(self.home, self.pristine)
            type(self).before = len(self.lines())
            self.restored = True

            def check(done, entries, where):
                outcomes = self.outcomes(entries, "mek-restore")
                self.assertIn(outcomes, [["ok"]] if done.returncode in DONE else [[], ["failed"]], where)

            self.sweep(("mek", "restore", backup), check)
        finally:
            self.restored = False
            shutil.rmtree(self.pristine)
            shutil.move(kept, self.pristine)
            type(self).before = before

    def test_mek_import_and_shred(self):
        file, value = self.root / "MEK.dat", bytes(range(16))
        command = ("mek", "import", file, "--name", "old", "--shred")
        original = self.reset

        def reset():
            original()
            file.write_bytes(value)

        def check(done, entries, where):
            outcomes = self.outcomes(entries, "mek-import")
            if done.returncode in DONE:
                self.assertEqual(outcomes, ["ok"], where)
                self.assertFalse(file.exists(), where)
            if file.exists() and file.read_bytes() != value:
                self.assertEqual(outcomes, ["ok"], f"{where}: shredded, and the key is not in the token")
            # Whatever was left: the same command ends with the key in the token, no file, and a log that says so.
            again = self.qpcseal(*command)
            shreds = [e for e in map(json.loads, self.lines()) if e["kind"] == "shred" and e.get("outcome") == "ok"]
            if not shreds or again.returncode == 0:
                self.assertEqual(again.returncode, 0, f"{where}, again: {again.stderr}")
                self.assertFalse(file.exists(), where)
            self.verify(where)

        self.reset = reset
        self.sweep(command, check)

    def test_pin_change(self):
        pin, following = self.home / "pin", self.home / "pin.qpcseal-next"
        new = self.root / "new-pin"
        new.write_text("another-pin\n")
        with open(new, "rb") as descriptor:
            def check(done, entries, where):
                descriptor.seek(0)
                self.assertFalse(following.exists(), f"{where}: not settled")
                changed = pin.read_text().strip() == "another-pin"
                outcomes = self.outcomes(entries, "pin-change")
                self.assertIn(outcomes, [["ok"]] if changed else [[], ["failed"]], where)
                self.assertTrue(changed or done.returncode not in DONE, where)

            original = self.reset

            def reset():
                original()
                descriptor.seek(0)

            self.reset = reset
            self.inherited = (descriptor.fileno(),)
            self.sweep(("pin", "change", "--new-pin-fd", str(descriptor.fileno())), check)

    def test_rotate_key(self):
        def objects(home):
            return len(list((home / "tokens").rglob("*.object")))

        def check(done, _entries, where):
            if not self.on_token_file:
                self.assertEqual(objects(self.home), objects(self.pristine), f"{where}: a key too many, or too few")
            said = json.loads(self.appliance.qpcseal("audit", "verify", "--key", self.vkey, "--json").stdout)
            if done.returncode == 0:
                self.assertEqual(said["key_rotations"], 1, where)
            self.appliance.qpcseal("audit", "rotate-key")

        self.sweep(("audit", "rotate-key"), check)

    def test_policy_install(self):
        text = (self.root / "policy.toml").read_text()
        following = self.root / "next.toml"
        following.write_text(text.replace("serial = 1\n", "serial = 2\n"))
        old, new = (hashlib.sha256(t.encode()).hexdigest() for t in (text, following.read_text()))

        def check(done, entries, where):
            now = self.appliance.json("policy", "show")["sha256"]
            self.assertIn(now, (new,) if done.returncode in DONE else (old, new), where)
            said = [(e["phase"], e.get("outcome")) for e in entries if e["kind"] == "policy"]
            self.assertIn(said, ([], [("intent", None), ("result", "ok" if now == new else "failed")]), where)
            self.assertTrue(said or now == old, f"{where}: a policy that no entry brought in")

        self.sweep(("policy", "install", following), check)

    def test_attest_request(self):
        request = self.out / "request"
        original = self.reset

        def reset():
            original()
            self.out.mkdir()

        def check(done, entries, where):
            self.assertTrue(request.exists() or done.returncode != 0, where)
            if request.exists():
                nonce = json.loads(self.appliance.qpcseal("inspect", request, "--json").stdout)["nonce"]
                self.assertIn(nonce, [e["data"].get("nonce") for e in entries], f"{where}: a request without entry")

        self.reset = reset
        self.sweep(("attest", "request", "--mek", "first", "-o", request), check)

    def release(self, report):
        return "wrap-mek", "--mek", "first", "--pub-keys", report, "--output-dir", self.out

    def test_release(self):
        digest = hashlib.sha256(self.report.read_bytes()).hexdigest()

        def check(done, entries, where):
            phases = [e for e in entries[self.before:] if e["kind"] == "release"]
            outcomes = [e["outcome"] for e in phases if e["phase"] == "result"]
            wrapped = self.out / "MEK.encrypt"
            if self.out.exists() and any(self.out.glob("[!.]*")):
                self.assertEqual(phases[0]["data"]["report_sha256"], digest, f"{where}: an output without its intent")
            if wrapped.exists():
                self.assertEqual(phases[-1]["data"]["wrapped_sha256"], hashlib.sha256(wrapped.read_bytes()).hexdigest(),
                                 f"{where}: a wrapped key that the log does not tell of")
            if done.returncode == 0:
                self.assertEqual(outcomes, ["ok"], where)
                self.assertEqual(sorted(path.name for path in self.out.iterdir()),
                                 ["MEK.encrypt", "MEK.nonce", "MEK.pub", "config.json"], where)
            # What has no result may be finished by the same report; what has one is not done again.
            shutil.rmtree(self.out, ignore_errors=True)
            again = self.qpcseal(*self.release(self.report))
            self.assertEqual(again.returncode, 5 if outcomes else 0, f"{where}, again: {again.stderr}")
            self.assertEqual(wrapped.exists(), not outcomes, where)

        self.sweep(self.release(self.report), check)

    def test_denied_release(self):
        def check(done, entries, where):
            denied = [e for e in entries[self.before:] if e["kind"] == "release" and e.get("outcome") == "denied"]
            self.assertFalse(self.out.exists() and any(self.out.iterdir()), f"{where}: an output of a denied release")
            self.assertNotEqual(done.returncode, 0, where)
            if done.returncode == 5:
                self.assertEqual([f["id"] for e in denied for f in e["data"]["findings"]], ["POL-CHALLENGE-USED"],
                                 where)
            again = self.qpcseal(*self.release(self.used))
            self.assertEqual(again.returncode, 5, f"{where}, again: {again.stderr}")

        self.sweep(self.release(self.used), check, code=5)


if __name__ == "__main__":
    unittest.main()
