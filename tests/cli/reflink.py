"""A file system that shares blocks between files: XFS in an image, mounted over a loop device. Needs root."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import time


def unmount(mount, seconds=20):
    """Waits for what was killed with a file open there."""
    end = time.monotonic() + seconds
    while subprocess.run(["umount", str(mount)], check=False).returncode != 0:
        if time.monotonic() > end:
            raise TimeoutError(f"{mount} stays busy")
        time.sleep(0.2)


@contextlib.contextmanager
def mounted(size="400M"):
    """The mount point's path; None, with the reason printed, where it cannot be had."""
    work = pathlib.Path(tempfile.mkdtemp(prefix="qpcseal-xfs-"))
    mount = work / "mount"
    mount.mkdir()
    done = None
    try:
        if os.geteuid() == 0 and shutil.which("mkfs.xfs"):
            subprocess.run(["truncate", "-s", size, str(work / "image")], check=True)
            subprocess.run(["mkfs.xfs", "-q", "-m", "reflink=1", str(work / "image")], check=True)
            done = subprocess.run(["mount", "-o", "loop", str(work / "image"), str(mount)], capture_output=True,
                                  text=True, check=False)
        if done is None or done.returncode != 0:
            print("no XFS to try reflinks on:", done.stderr.strip() if done else "needs root and mkfs.xfs", flush=True)
            yield None
        else:
            yield mount
    finally:
        if done is not None and done.returncode == 0:
            unmount(mount)
        shutil.rmtree(work)


def shared_extents(path):
    """How many extents of a file are shared with another, and how many are not."""
    said = subprocess.run(["filefrag", "-v", str(path)], capture_output=True, text=True, check=True).stdout
    rows = [line for line in said.splitlines() if line.strip()[:1].isdigit() and ":" in line]
    shared = sum("shared" in row for row in rows)
    return shared, len(rows) - shared
