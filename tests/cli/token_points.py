"""Kills and faults at the calls with which a command changes the embedded token's files and their copies.

After each point, whatever happened: the next command works, `audit verify` finds the log whole, each key that the log
says is there seals a model, none that it says is destroyed is in the token or among the copies, and no temporary file is
left.
"""

import collections
import json
import re
import shutil
import subprocess

from appliance import Appliance, QPCSEAL

VALUE, GENERATION = b"0123456789abcdef", 8  # bytes
CALLS = ("openat", "mkdir", "write", "pwrite64", "fsync", "fdatasync", "rename", "renameat2", "linkat", "unlink",
         "unlinkat", "ftruncate", "fchmod")


class TokenPoints:
    def __init__(self):
        self.appliance = Appliance(cards=2)
        self.appliance.qpcseal("mek", "generate", "first")
        self.appliance.qpcseal("mek", "generate", "gone")
        self.model = self.appliance.sample(size=5000)
        self.root, self.home = self.appliance.root, self.appliance.root / "home"
        self.value = self.root / "MEK.dat"
        self.counts = collections.Counter()
        self.pristine = self.root / "pristine"
        shutil.copytree(self.home, self.pristine)

    def close(self):
        self.appliance.close()

    def reset(self):
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(self.pristine, self.home)
        self.value.write_bytes(VALUE)

    def has_value(self):
        return self.value.exists() and self.value.read_bytes() == VALUE

    def damaged(self):
        """Files of the token that have a copy and are missing or empty, while no key was about to be destroyed."""
        copies = self.home / "tokens.guard"
        names = [path.relative_to(copies) for path in copies.glob("*/*.object")]
        if (copies / "destroying").exists():
            names = [name for name in names if name.name == "token.object"]
        sizes = {name: (self.home / "tokens" / name).stat().st_size if (self.home / "tokens" / name).exists() else 0
                 for name in names}
        return {str(name) for name, size in sizes.items() if size <= GENERATION}

    def put_back(self):
        """The files that the log says were put back."""
        lines = (self.home / "log" / "entries.jsonl").read_text().splitlines()
        return {file["name"] for entry in map(json.loads, lines) if entry["kind"] == "token-restored"
                for file in entry["data"]["files"]}

    def run(self, command):
        return subprocess.run([QPCSEAL, *map(str, command)], env=self.appliance.env, capture_output=True, text=True,
                              timeout=60, check=False)

    def traced(self, command, inject=None):
        trace = self.root / "trace"
        strace = ["strace", "-f", "-qq", "-y", "-o", str(trace), "-e", "trace=" + ",".join(CALLS)]
        strace += ["-e", "inject=" + inject] if inject else []
        done = subprocess.run([*strace, QPCSEAL, *map(str, command)], env=self.appliance.env, capture_output=True,
                              text=True, timeout=60, check=False)
        return done, trace.read_text(errors="replace")

    def points(self, command):
        """(call, number) of each call that changes a file of the token's or a copy, in an undisturbed run."""
        self.reset()
        done, trace = self.traced(command)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        counts, points = collections.Counter(), []
        for line in trace.splitlines():
            found = re.match(r"\d+\s+(\w+)\(", line)
            if not found:
                continue
            call = found.group(1)
            counts[call] += 1
            reads = call == "openat" and not re.search("O_RDWR|O_WRONLY|O_CREAT", line)
            if str(self.home / "tokens") in line and not reads:
                points.append((call, counts[call]))
        return points

    def problems(self, said):
        """What is wrong after a point; `said` is what the disturbed run said."""
        listed = self.run(("mek", "list", "--json"))
        if listed.returncode != 0:
            return "the next command fails: " + listed.stderr
        verified = self.run(("audit", "verify"))
        if verified.returncode != 0:
            return "the log: " + verified.stderr
        states = {}
        for line in (self.home / "log" / "entries.jsonl").read_text().splitlines():
            entry = json.loads(line)
            if entry.get("outcome") == "ok" and entry["kind"] in ("mek-generate", "mek-rotate", "mek-import"):
                states.setdefault(entry["data"]["mek_id"], "ok")
            if entry.get("outcome") == "ok" and entry["kind"] == "mek-destroy":
                states[entry["data"]["mek_id"]] = "destroyed"
        there = {mek["id"]: mek["label"] for mek in json.loads(listed.stdout) if mek["state"] != "missing"}
        suspended = {mek["label"] for mek in json.loads(listed.stdout) if mek["state"] == "suspended"}
        wanted = {mek for mek, state in states.items() if state == "ok"}
        if set(there) != wanted:
            return f"keys in the token {sorted(there)}, in the log {sorted(wanted)}"
        for label in there.values():
            if label.startswith("first#1") and len(there) > 2:
                continue  # replaced
            if label in suspended:
                continue
            out = self.root / "sealed"
            shutil.rmtree(out, ignore_errors=True)
            sealed = self.run(("encrypt-model", "--qpc", self.model, "--mek", label, "--output-dir", out))
            if sealed.returncode != 0 and "took its place" not in sealed.stderr:
                return f"{label} does not seal: {sealed.stderr}"
        left = [path for path in self.home.rglob("*.tmp-qpcseal-*")]
        if left:
            return f"left over: {left}"
        if said and said.returncode == 0 and "--shred" in said.args and self.value.exists():
            return "shredded, and the file is there"
        if not self.has_value() and "imp#1" not in there.values():
            return "the imported key's file is gone, and the key is nowhere"
        return None

    def point(self, command, call, when, fault):
        """None, or what is wrong."""
        self.reset()
        done, _ = self.traced(command, f"{call}:{fault}:when={when}")
        self.counts[fault, done.returncode] += 1
        damaged = self.damaged()
        wrong = self.problems(done)
        if not wrong and damaged - self.put_back():
            wrong = f"put back, and the log does not say so: {damaged - self.put_back()}"
        return wrong and f"{' '.join(map(str, command))}, {call} {when} {fault} (exit {done.returncode}): {wrong}"
