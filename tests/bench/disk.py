#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sealing on a disk, cold cache, beside `cp` and `sync`: pairs of runs, median of their figures.

  QPCSEAL_BUILD=$PWD/build/bench /usr/bin/python3 tests/bench/disk.py --dir FOLDER [--size MIB] [--rounds N]

FOLDER is on the file system that is measured. Before each run the model leaves the page cache (posix_fadvise); both
contenders have what they wrote on the disk when they end (encrypt-model syncs its output, `cp` is followed by `sync FILE`).
Time is by the clock; user and system time are those of the processes and, of `cp`, of `sync`.
"""

import argparse
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import tempfile
import time

BUILD = pathlib.Path(os.environ["QPCSEAL_BUILD"])
QPCSEAL, DEVICE = (str(BUILD / "bin" / name) for name in ("qpcseal", "qpcseal-device"))


def leave_cache(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def cost(*commands, env):
    """Seconds by the clock, of user and of system time."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    for command in commands:
        subprocess.run([str(word) for word in command], env=env, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime


def make_site(root, mebibytes):
    env = dict(os.environ, QPCSEAL_HOME=str(root / "home"))

    def run(*command, **more):
        return subprocess.run([str(word) for word in command], env=env, check=True, capture_output=True, text=True, **more)
    run(DEVICE, "sample", "--out", root / "model.qpc", "--size", (mebibytes << 20) // 5 * 4)
    run(DEVICE, "provision", "--dir", root / "cards", "--cards", 1, "--roots-out", root / "root.pem")
    (root / "policy.toml").write_text(run(DEVICE, "describe", "--dir", root / "cards", "--device", 0, "--policy").stdout)
    (root / "trust").mkdir()
    shutil.copy(root / "root.pem", root / "trust" / "root.pem")
    run(QPCSEAL, "init", "--embedded", "--insecure-demo", "--appliance-id", "bench", "--policy", root / "policy.toml",
        "--trust", root / "trust")
    run(QPCSEAL, "mek", "generate", "bench")
    return env


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--dir", required=True)
    options.add_argument("--size", type=int, default=1024, metavar="MIB")
    options.add_argument("--rounds", type=int, default=5)
    wanted = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="qpcseal-bench-", dir=wanted.dir) as name:
        root = pathlib.Path(name)
        env = make_site(root, wanted.size)
        model, out = root / "model.qpc", root / "out"
        contenders = {
            "encrypt-model": [[QPCSEAL, "encrypt-model", "--qpc", model, "--mek", "bench", "--output-dir", out]],
            "cp and sync": [["cp", model, out], ["sync", out]],
        }
        costs = {contender: [] for contender in contenders}
        for number in range(wanted.rounds + 1):
            for contender, commands in contenders.items():
                leave_cache(model)
                found = cost(*commands, env=env)
                if number > 0:
                    costs[contender].append(found)
                if out.is_dir():
                    shutil.rmtree(out)
                else:
                    out.unlink()
        print(f"{model.stat().st_size} bytes, {wanted.rounds} pairs after one that does not count, load average "
              f"{os.getloadavg()[0]:.1f}")
        for contender, found in costs.items():
            wall, user, system = (sorted(column) for column in zip(*found))
            print(f"{contender:15} {statistics.median(wall):6.2f} s ({wall[0]:.2f} to {wall[-1]:.2f}), user "
                  f"{statistics.median(user):.2f} s, system {statistics.median(system):.2f} s")
        ratios = sorted(b[0] / a[0] for a, b in zip(*costs.values()))
        print(f"cp and sync takes {statistics.median(ratios):.2f} times as long ({ratios[0]:.2f} to {ratios[-1]:.2f})")


if __name__ == "__main__":
    main()
