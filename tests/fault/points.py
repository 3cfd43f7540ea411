"""The points of a command at which a fault can strike: calls that change a file, as a trace of an undisturbed run has them.

QPCSEAL_SWEEP_SAMPLE=N in the environment takes N points of each scenario, spread evenly over its run, with the faults in
turn. QPCSEAL_SWEEP_PART=I/N takes every Nth pair of point and fault from the Ith on, I from 0: N processes, each with its
own part, share a whole sweep. Without either every fault strikes at every point.
"""

import collections
import dataclasses
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path[:0] = [str(pathlib.Path(__file__).parent.parent / name) for name in ("cli", "format")]
import kill_at  # noqa: E402
from appliance import QPCSEAL  # noqa: E402

CALLS = ("openat", "mkdir", "write", "pwrite64", "fsync", "fdatasync", "fallocate", "rename", "renameat", "renameat2", "link",
         "linkat", "unlink", "unlinkat", "rmdir", "ftruncate", "fchmod", "chmod", "ioctl")
FAULTS = ("signal=KILL", "error=EIO", "error=ENOSPC")
SAMPLE = int(os.environ.get("QPCSEAL_SWEEP_SAMPLE", "0"))
PART, PARTS = (int(number) for number in os.environ.get("QPCSEAL_SWEEP_PART", "0/1").split("/"))
if os.access("/dev/shm", os.W_OK) and "TMPDIR" not in os.environ:
    tempfile.tempdir = "/dev/shm"  # the same calls, and nobody waits for a disk
FORMAT = pathlib.Path(__file__).parents[2] / "docs" / "FORMAT.md"
GUARDED = "token-restored" in FORMAT.read_text(encoding="utf-8")  # the product guards the embedded token's files
BY_DESCRIPTOR = re.compile(r'"/proc/self/fd/\d+/')
TEMPORARY = re.compile(r"\.tmp-qpcseal|\.rebind$|\.qpcseal-next$|^\..*\.new$")


@dataclasses.dataclass(frozen=True)
class Point:
    call: str
    when: int  # the how manyth call of that name
    fault: str

    def __str__(self):
        return f"{self.call} {self.when} {self.fault}"

    @property
    def inject(self):
        return f"{self.call}:{self.fault}:when={self.when}"


def spread(items, faults=FAULTS, sample=SAMPLE):
    """(item, fault): all of them, a part, or a sample."""
    if not sample or sample >= len(items) * len(faults):
        return [(item, fault) for item in items for fault in faults][PART::PARTS]
    return [(items[(2 * i + 1) * len(items) // (2 * sample)], faults[i % len(faults)]) for i in range(sample)]


class Tracer:
    """Runs commands under strace, which stops at the calls of interest alone; strace sends no kill then, so that is
    kill_at's. What lies in `root` is the product's and its token's."""

    def __init__(self, root, env):
        self.root, self.env, self.file = pathlib.Path(root), env, pathlib.Path(root) / "trace"

    def run(self, command, inject=None, inherited=(), stdin=None):
        """The command's result, and its trace."""
        if inject and "signal=KILL" in inject and kill_at.HERE:
            call, _, when = inject.split(":")
            return kill_at.run([str(QPCSEAL), *map(str, command)], self.env, call, int(when.removeprefix("when=")), inherited,
                               stdin)
        strace = ["strace", "-f", "-qq", "-y", "-o", str(self.file), "-e", "trace=" + ",".join(CALLS)]
        if "signal" not in (inject or ""):
            strace.insert(1, "--seccomp-bpf")
        if inject:
            strace += ["-e", "inject=" + inject]
        done = subprocess.run([*strace, QPCSEAL, *map(str, command)], env=self.env, capture_output=True, text=True,
                              timeout=120, check=False, pass_fds=inherited, input=stdin)
        return done, self.file.read_text(errors="replace")

    def changes(self, call, line):
        """Whether a traced call changes a file of ours, or tells the user: others only read, or are the loader's."""
        if call == "ioctl":
            return "FICLONE" in line
        if call == "openat":
            return str(self.root) in line and any(flag in line for flag in ("O_RDWR", "O_WRONLY", "O_CREAT"))
        return str(self.root) in line or re.search(r"\bwrite\([12]<", line) is not None

    def points(self, trace):
        """(call, number) of each call that changes something. strace counts each thread's calls by itself, and so a fault
        strikes every thread that comes so far."""
        counts, points = collections.Counter(), {}
        for line in trace.splitlines():
            found = re.match(r"(\d+)\s+(\w+)\(", line)
            if not found:
                continue
            thread, call = found.groups()
            counts[thread, call] += 1
            if self.changes(call, line):
                points[call, counts[thread, call]] = True
        return list(points)

    def struck(self, trace, folder):
        """Whether the call that failed, or the last one before a kill, was on a file in `folder`, the embedded token's:
        SoftHSM opens its files by way of a descriptor."""
        calls = [line for line in trace.splitlines() if str(self.root) in line or BY_DESCRIPTOR.search(line)]
        hit = [line for line in calls if "INJECTED" in line] or calls[-1:]
        return bool(hit) and (str(folder) in hit[-1] or BY_DESCRIPTOR.search(hit[-1]) is not None)


def copy_over(source, target):
    """Replaces a folder by a copy of another."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


def digest(*folders):
    """Of all names and bytes below."""
    hashed = hashlib.sha256()
    for folder in folders:
        for path in sorted(pathlib.Path(folder).rglob("*")):
            data = path.read_bytes() if path.is_file() else b""
            hashed.update(f"{path}\0{len(data)}\0".encode() + data)
    return hashed.digest()


def left_over(*folders):
    """Temporary files and folders of the product's anywhere below."""
    return sorted(str(path) for folder in folders for path in pathlib.Path(folder).rglob("*") if TEMPORARY.search(path.name))


class Table:
    """Counts what came of the points, a line a scenario."""

    def __init__(self, title):
        self.title, self.rows, self.begun = title, [], time.monotonic()

    def add(self, name, faults, codes, notes):
        """`faults` and `codes` are counters; `notes` a counter of what else is worth a number."""
        now = time.monotonic()
        said = " ".join(f"{fault.split('=')[-1]} {count}" for fault, count in sorted(faults.items()))
        ended = " ".join(f"{code}:{count}" for code, count in sorted(codes.items()))
        self.rows.append((name, str(sum(faults.values())), said, ended,
                          ", ".join(f"{note} {count}" for note, count in sorted(notes.items()) if count),
                          f"{now - self.begun:.0f} s"))
        self.begun = now

    def show(self):
        rows = [("scenario", "points", "faults", "exit codes", "outcomes", "time"), *self.rows]
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        print(f"\n{self.title}")
        for row in rows:
            print("  ".join([cell.ljust(width) for cell, width in zip(row, widths)] + [row[5]]))
        print(f"{sum(int(row[1]) for row in self.rows)} points", flush=True)
        self.rows.clear()
