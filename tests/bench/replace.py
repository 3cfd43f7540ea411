"""replace-mek against cp, and in place against the size of the file. Prints a table for docs/PERFORMANCE.md.

    QPCSEAL_BUILD=build/dev /usr/bin/python3 tests/bench/replace.py [GIB]

The model is one sealed segment and one of GIB GiB that stays clear, in a sparse file: what is measured is moving bytes,
not sealing. On the temporary folder's file system and, as root, on XFS with reflinks.
"""

import os
import pathlib
import shutil
import statistics
import struct
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "cli"))
import reflink  # noqa: E402
from appliance import Appliance  # noqa: E402

ROUNDS = 5


def plain_qpc(path, size):
    """network.elf of 64 KiB, then `size` bytes of nothing in a segment that no policy seals."""
    segments = [(b"network.elf", 65536), (b"networkdesc.bin", 64), (b"weights.bin", size)]
    names_at = 40 + 32 * len(segments)
    names = b"".join(name + b"\0" for name, _ in segments)
    at, rows, name_at = names_at + len(names), b"", names_at
    for name, length in segments:
        rows += struct.pack("<QQQQ", length, 0, name_at, at)
        name_at += len(name) + 1
        at += length
    with open(path, "wb") as file:
        file.write(struct.pack("<IBBHQQQQ", 0x00A1CD7C, 0, 1, 1, at, 0, len(segments), 40) + rows + names)
        file.write(bytes([7]) * (65536 + 64))
        file.truncate(at)


class Bench:
    def __init__(self):
        self.appliance = Appliance(cards=1)
        self.appliance.qpcseal("mek", "generate", "m")
        self.wrapped = [self.wrap(number) for number in range(2)]

    def wrap(self, number):
        out = self.appliance.root / f"wrapped-{number}"
        self.appliance.qpcseal("wrap-mek", "--mek", "m", "--pub-keys",
                               self.appliance.attest("m", name=f"r{number}.dat"), "--output-dir", out)
        return out

    def sealed(self, folder, gib):
        plain = folder / "plain.qpc"
        plain_qpc(plain, int(gib * 2**30))
        out = folder / f"sealed-{gib}"
        self.appliance.qpcseal("encrypt-model", "--qpc", plain, "--mek", "m", "--output-dir", out, timeout=3600)
        plain.unlink()
        return out / "programqpc.bin"

    def replace(self, sealed, *where):
        self.wrapped.reverse()
        self.appliance.qpcseal("replace-mek", "--encrypted-qpc", sealed, "--wrapped-meks", self.wrapped[0], *where,
                               timeout=3600)

    @staticmethod
    def timed(run, clean=lambda: None):
        took = []
        for _ in range(ROUNDS):
            clean()
            os.sync()
            start = time.monotonic()
            run()
            took.append(time.monotonic() - start)
        return took

    def measure(self, folder, what, big):
        out = folder / "out"
        clean = lambda: shutil.rmtree(out, ignore_errors=True)  # noqa: E731
        small_file, big_file = self.sealed(folder, 1 / 64), self.sealed(folder, big)

        def cp():
            out.mkdir()
            subprocess.run(["cp", "--reflink=never", big_file, out / "x"], check=True)
            subprocess.run(["sync", out / "x"], check=True)

        rows = [(f"cp and sync, {big} GiB", self.timed(cp, clean)),
                (f"replace-mek, {big} GiB", self.timed(lambda: self.replace(big_file, "--output-dir", out), clean)),
                ("replace-mek, 16 MiB", self.timed(lambda: self.replace(small_file, "--output-dir", out), clean)),
                (f"replace-mek --in-place, {big} GiB", self.timed(lambda: self.replace(big_file, "--in-place"))),
                ("replace-mek --in-place, 16 MiB", self.timed(lambda: self.replace(small_file, "--in-place")))]
        for name, took in rows:
            print(f"| {what} | {name} | {statistics.median(took):.3f} | {min(took):.3f} to {max(took):.3f} |", flush=True)
        self.appliance.load(big_file)
        clean()


def main():
    gib = float(sys.argv[1]) if len(sys.argv) > 1 else 4
    gib = int(gib) if gib == int(gib) else gib
    bench = Bench()
    try:
        print(f"| file system | what | median of {ROUNDS}, s | from to, s |\n|---|---|---|---|")
        with reflink.mounted(f"{int(gib * 3) + 2}G") as mount:
            if mount is not None:
                bench.measure(mount, "XFS, reflinks", gib)
        kind = subprocess.run(["stat", "-f", "-c", "%T", str(bench.appliance.root)], capture_output=True, text=True,
                              check=True).stdout.strip()
        bench.measure(bench.appliance.root, kind, gib)
    finally:
        bench.appliance.close()


if __name__ == "__main__":
    main()
