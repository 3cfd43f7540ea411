"""An appliance with a long log, and what commands take over it."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import time

from appliance import QPCSEAL, Appliance, Failed

BATCH = 60 * 64  # challenges of one request


def memory_folder():
    """A folder for many small files."""
    return pathlib.Path(tempfile.mkdtemp(prefix="qpcseal-long-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))


def grow(appliance, entries, mek="m", name="node"):
    """Asks for challenges until the log has so many entries; returns how many it has."""
    log = appliance.root / "home" / "log"
    folder = memory_folder()
    hosts = [part for number in range(60) for part in ("--host", f"{name}-{number:02}")]
    try:
        while (size := int((log / "checkpoint").read_text().splitlines()[1])) < entries:
            appliance.qpcseal("attest", "request", "--mek", mek, *hosts, "--device", "0-63", "-o", folder / "trip",
                              timeout=600)
            shutil.rmtree(folder / "trip")
    finally:
        shutil.rmtree(folder)
    return size


def long_log(entries):
    appliance = Appliance(cards=1)
    appliance.qpcseal("mek", "generate", "m")
    grow(appliance, entries)
    return appliance


def cost(env, *arguments, expect=0):
    """Seconds by the clock, seconds of processor time and MiB resident at most, of one command.

    By GNU time: what wait4 says of a child of Python begins with the memory of Python.
    """
    with tempfile.NamedTemporaryFile("r") as note:
        begin = time.monotonic()
        done = subprocess.run(["/usr/bin/time", "--quiet", "--format=%M %U %S", f"--output={note.name}", QPCSEAL,
                               *map(str, arguments)], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              text=True, check=False)
        wall = time.monotonic() - begin
        if done.returncode != expect:
            raise Failed(f"{arguments}: exit {done.returncode}\n{done.stderr}")
        kib, user, system = note.read().split()
    return wall, float(user) + float(system), int(kib) / 1024
