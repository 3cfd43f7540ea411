"""Faults and kills at every system call with which a command changes files, log and token alike.

For each point: the command runs with that one call failing (EIO, ENOSPC) or the process killed at it. Then, however
it ended, the log must verify and begin with all that was acknowledged before, the next run must recover, every key
in the token must be in the log, and what the command said it had done must be there. SoftHSM rewrites its files in
place: a fault on one of these may cost the token itself, and the next run may then refuse with exit code 6; such
points are counted apart.
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
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "cli"))
from appliance import Appliance, QPCSEAL  # noqa: E402

CALLS = ("write", "pwrite64", "fsync", "fdatasync", "rename", "renameat", "renameat2", "link", "linkat", "unlink",
         "ftruncate")
FAULTS = ("error=EIO", "error=ENOSPC", "signal=KILL")


class Sweep(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.appliance = Appliance(cards=1)
        cls.appliance.qpcseal("mek", "generate", "first")
        cls.home = cls.appliance.root / "home"
        cls.pristine = cls.appliance.root / "pristine"
        shutil.copytree(cls.home, cls.pristine)
        cls.before = (cls.home / "log" / "entries.jsonl").read_bytes()
        cls.vkey = cls.appliance.qpcseal("trust", "show", "--log-key").stdout.strip()

    @classmethod
    def tearDownClass(cls):
        cls.appliance.close()

    def reset(self):
        shutil.rmtree(self.home)
        shutil.copytree(self.pristine, self.home)

    def traced(self, command, inject=None):
        trace = self.appliance.root / "trace"
        strace = ["strace", "-f", "-qq", "-y", "-o", str(trace), "-e", "trace=" + ",".join(CALLS)]
        if inject:
            strace += ["-e", "inject=" + inject]
        done = subprocess.run([*strace, QPCSEAL, *map(str, command)], env=self.appliance.env, capture_output=True,
                              text=True, timeout=120, check=False)
        return done, trace.read_text(errors="replace")

    def points(self, command):
        """How often an undisturbed run makes each call."""
        self.reset()
        done, trace = self.traced(command)
        self.assertEqual(done.returncode, 0, done.stderr)
        return collections.Counter(re.findall(r"^\d+\s+(\w+)\(", trace, re.MULTILINE))

    def check_log(self, where):
        said = subprocess.run([QPCSEAL, "audit", "verify", "--key", self.vkey], env=self.appliance.env,
                              capture_output=True, text=True, check=False)
        self.assertEqual(said.returncode, 0, f"{where}: {said.stderr}")
        self.assertTrue((self.home / "log" / "entries.jsonl").read_bytes().startswith(self.before),
                        f"{where}: acknowledged entries are gone")

    def hit_token_file(self, trace):
        """Whether the faulted call, or the last one before a kill, was on a file of SoftHSM's."""
        calls = [line for line in trace.splitlines() if "(" in line and "/dev/" not in line]
        hit = [line for line in calls if "INJECTED" in line] or calls[-1:]
        return bool(hit) and str(self.home / "tokens") in hit[-1]

    def check_keys(self, where, may_lose_token):
        listed = subprocess.run([QPCSEAL, "mek", "list", "--json"], env=self.appliance.env, capture_output=True,
                                text=True, check=False)
        if may_lose_token and listed.returncode == 6:
            self.assertIn("token", listed.stderr)
            return None
        self.assertEqual(listed.returncode, 0, f"{where}: the next run does not recover: {listed.stderr}")
        entries = self.appliance.json("audit", "show")["entries"]
        logged = {e["data"]["mek_id"] for e in entries if e["kind"] == "mek-generate" and e["phase"] == "intent"}
        there = set(re.findall(r"\b[0-9a-f]{32}\b", listed.stdout))
        self.assertLessEqual(there, logged, f"{where}: a key that no entry tells of")
        for e in entries:
            if e["kind"] == "mek-generate" and e["phase"] == "result" and e["outcome"] == "ok":
                self.assertIn(e["data"]["mek_id"], there, f"{where}: the log tells of a key that is not there")
        return entries

    def sweep(self, command, check):
        swept = collections.Counter()
        codes = collections.Counter()
        lost = 0
        for call, count in sorted(self.points(command).items()):
            for fault in FAULTS:
                for when in range(1, count + 1):
                    self.reset()
                    where = f"{call} {when}/{count} {fault}"
                    done, trace = self.traced(command, f"{call}:{fault}:when={when}")
                    swept[fault] += 1
                    codes[done.returncode] += 1
                    self.check_log(where)
                    entries = self.check_keys(where, self.hit_token_file(trace))
                    if entries is None:
                        lost += 1
                        continue
                    self.check_log(where + ", after recovery")
                    check(done, entries, where)
        self.assertGreater(min(swept.values()), 10)
        print(f"\n{' '.join(map(str, command[:2]))}: {sum(swept.values())} points {dict(swept)}, exit codes "
              f"{dict(sorted(codes.items()))}, token lost by its own file's fault {lost}", flush=True)

    def test_mek_generate(self):
        def check(done, entries, where):
            if done.returncode == 0:
                self.assertIn(("mek-generate", "ok"), [(e["kind"], e.get("outcome")) for e in entries[3:]], where)

        self.sweep(("mek", "generate", "second"), check)

    def test_rotate_key(self):
        def check(done, _entries, where):
            said = json.loads(self.appliance.qpcseal("audit", "verify", "--key", self.vkey, "--json").stdout)
            if done.returncode == 0:
                self.assertEqual(said["key_rotations"], 1, where)
            self.appliance.qpcseal("audit", "rotate-key")

        self.sweep(("audit", "rotate-key"), check)

    def test_policy_install(self):
        text = (self.appliance.root / "policy.toml").read_text()
        following = self.appliance.root / "next.toml"
        following.write_text(text.replace("serial = 1\n", "serial = 2\n"))
        old, new = (hashlib.sha256(t.encode()).hexdigest() for t in (text, following.read_text()))

        def check(done, entries, where):
            now = self.appliance.json("policy", "show")["sha256"]
            self.assertIn(now, (new,) if done.returncode == 0 else (old, new), where)
            phases = [e["phase"] for e in entries if e["kind"] == "policy"]
            self.assertIn(phases, ([], ["intent", "result"]), where)

        self.sweep(("policy", "install", following), check)

    def test_attest_request(self):
        request = self.appliance.root / "request"

        def check(_done, entries, where):
            if request.exists():
                nonce = json.loads(self.appliance.qpcseal("inspect", request, "--json").stdout)["nonce"]
                self.assertIn(nonce, [e["data"].get("nonce") for e in entries], f"{where}: a request without entry")
                os.unlink(request)

        original = self.reset

        def reset():
            request.unlink(missing_ok=True)
            original()

        self.reset = reset
        self.sweep(("attest", "request", "--mek", "first", "-o", request), check)


if __name__ == "__main__":
    unittest.main()
