"""Power failures on real file systems: a home on ext4 or XFS over a loop device, whose backing file is cloned at random
moments while commands run. Each clone is mounted, so that its journal is replayed, and looked at.

A clone is what had reached the device: what lay in the page cache alone is lost. It is taken by FICLONE on an outer XFS, in
one moment. Then, on the copy: every entry of which the user was told is in the log, as it was; the log is whole, by both
verifiers; the next run recovers; every key that the log calls ok seals; nothing is left over; and where the command had
ended, what it said is there.

Needs root, mkfs.xfs and mkfs.ext4. QPCSEAL_SWEEP_SAMPLE=N takes N clones of each command on each file system, else 12.
"""

import contextlib
import json
import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

import acts
import points
import reflink
from appliance import QPCSEAL, Appliance

CLONES = points.SAMPLE or 12
VALUE = bytes(range(16))
WAYS = {  # file system -> (command that makes it, options to mount it, more of them for a clone, MiB)
    "ext4": (("mkfs.ext4", "-q", "-F"), "noatime", "", 96),
    "ext4, data=writeback": (("mkfs.ext4", "-q", "-F"), "data=writeback,noatime", "", 96),
    "xfs": (("mkfs.xfs", "-q", "-f"), "noatime", ",nouuid", 320),
}


def mount(image, folder, options):
    subprocess.run(["mount", "-o", "loop," + options, str(image), str(folder)], check=True)


def with_pin(command, pin):
    """The command, and the descriptor that it inherits."""
    if not pin:
        return command, ()
    reader, writer = os.pipe()
    os.write(writer, pin)
    os.close(writer)
    return tuple(str(reader) if word == "{fd}" else word for word in command), (reader,)


class LoopDevices(acts.Acts):
    on_token_file = was_missing = False

    @classmethod
    def setUpClass(cls):
        cls.stack = contextlib.ExitStack()
        cls.outer = cls.stack.enter_context(reflink.mounted("1500M"))
        if cls.outer is None or shutil.which("mkfs.ext4") is None:
            cls.stack.close()
            raise unittest.SkipTest("needs root, mkfs.xfs and mkfs.ext4")
        cls.seed = int(os.environ.get("QPCSEAL_SWEEP_SEED", time.time_ns() % 1_000_000))
        cls.random = random.Random(cls.seed)

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def make_site(self, live):
        """An appliance below a mounted folder."""
        before, tempfile.tempdir = tempfile.tempdir, str(live)
        try:
            self.appliance = Appliance(cards=1)
        finally:
            tempfile.tempdir = before
        self.root = self.live_root = self.appliance.root
        self.live_env = self.appliance.env
        self.recovery = self.root / "recovery.key"
        self.appliance.qpcseal("mek", "generate", "first")
        self.appliance.qpcseal("recovery-key", "new", "-o", self.recovery)
        self.vkey = self.appliance.qpcseal("trust", "show", "--log-key").stdout.strip()
        model = self.appliance.sample(size=20000)
        self.model = pathlib.Path(shutil.copy(model, self.outer / "model.qpc"))

    def look_at(self, root):
        self.root, self.home = root, root / "home"
        self.env = dict(self.live_env, QPCSEAL_HOME=str(self.home))

    # --- commands: (name, kind, words, pin, what is there afterwards)

    def commands(self, number):
        value, backup, pin = self.root / f"{number}.dat", self.root / f"{number}.backup", f"pin-number-{number}"
        wrapped = self.root / f"{number}-wrapped"

        def has(path):
            return lambda root: (root / path.relative_to(self.live_root)).stat().st_size > 0

        yield "mek generate", "mek-generate", ("mek", "generate", f"k{number}"), b"", None
        yield "mek rotate", "mek-rotate", ("mek", "rotate", f"k{number}"), b"", None
        yield "mek suspend", "mek-suspend", ("mek", "suspend", f"k{number}#1"), b"", None
        yield "mek backup", "mek-backup", ("mek", "backup", "first", "--to", self.recovery, "-o", backup), b"", has(backup)
        value.write_bytes(VALUE[:15] + bytes([number % 256]))
        os.sync()
        yield ("mek import --shred", "shred", ("mek", "import", value, "--name", f"i{number}", "--shred"), b"",
               lambda root: not (root / value.name).exists())
        yield "mek destroy", "mek-destroy", ("mek", "destroy", f"i{number}"), b"", None
        yield ("pin change", "pin-change", ("pin", "change", "--new-pin-fd", "{fd}"), pin.encode() + b"\n",
               lambda root: (root / "home" / "pin").read_text().strip() == pin)
        report = self.appliance.attest("first", name=f"{number}-report")
        os.sync()
        yield ("wrap-mek", "release", ("wrap-mek", "--mek", "first", "--pub-keys", report, "--output-dir", wrapped), b"",
               lambda root: any((root / wrapped.name).rglob("MEK.encrypt")))
        yield "audit rotate-key", "rotate-key", ("audit", "rotate-key"), b"", None
        yield "mek destroy", "mek-destroy", ("mek", "destroy", f"k{number}#1"), b"", None

    # --- one run, and its clones

    def run_and_clone(self, words, pin, moments):
        """What the command said, how long it took, and for each moment whether it had ended before the clone began."""
        ended, clones = threading.Event(), []
        command, inherited = with_pin(words, pin)
        begun = time.monotonic()
        process = subprocess.Popen([QPCSEAL, *map(str, command)], env=self.live_env, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, pass_fds=inherited)
        took = []

        def wait():
            process.said = process.communicate()
            took.append(time.monotonic() - begun)
            ended.set()

        waiter = threading.Thread(target=wait)
        waiter.start()
        for number, moment in enumerate(sorted(moments)):
            time.sleep(max(0, begun + moment - time.monotonic()))
            over, image = ended.is_set(), self.outer / f"clone-{number}"
            subprocess.run(["cp", "--reflink=always", str(self.image), str(image)], check=True)
            clones.append((image, moment, over))
        waiter.join()
        for descriptor in inherited:
            os.close(descriptor)
        self.assertEqual(process.returncode, 0, process.said[1])
        return clones, took[0]

    def check_acknowledged(self, where, there, kind):
        """The command had ended: all that it logged is in the copy, and what it made."""
        lines = self.lines()
        self.assertEqual(lines[:len(self.told)], self.told, f"{where}: entries of which the user was told are gone")
        self.assertIn((kind, "ok"), [(e["kind"], e.get("outcome", "ok")) for e in map(json.loads, lines)], where)
        if there:
            self.assertTrue(there(self.root), f"{where}: what the command made is gone")

    def check_every_key(self, where):
        for mek in json.loads(self.run_it("mek", "list", "--json").stdout):
            if mek["state"] != "ok" or mek["origin"] != "generated":
                continue
            out = self.root / "sealed"
            said = self.run_it("encrypt-model", "--qpc", self.model, "--mek", mek["label"], "--output-dir", out)
            shutil.rmtree(out, ignore_errors=True)
            self.assertTrue(said.returncode == 0 or "took its place" in said.stderr, f"{where}: {mek['label']}: {said.stderr}")

    def check_copy(self, where, over, kind, there):
        covered, tail = self.left(where)
        self.assertEqual(covered[:self.before], self.acknowledged, f"{where}: acknowledged entries are not as they were")
        if over:
            self.check_acknowledged(where, there, kind)
        listed = self.run_it("mek", "list", "--json")
        self.assertEqual(listed.returncode, 0, f"{where}: the next run does not recover: {listed.stderr}")
        self.check_keys(where, listed.stdout, self.check_recovered(where, covered, tail))
        self.check_every_key(where)
        self.entries(where + ", at the end")
        self.assertEqual(points.left_over(self.home), [], where)

    def act_on(self, name, kind, words, pin, there):
        self.look_at(self.live_root)
        self.acknowledged = self.lines()
        self.before = len(self.acknowledged)
        moments = [self.random.uniform(0, 1.1 * self.took.get(name, 0.5)) for _ in range(min(CLONES, 6))]
        clones, self.took[name] = self.run_and_clone(words, pin, moments)
        self.told = self.lines()
        for image, moment, over in clones:
            where = f"{self.way}, seed {self.seed}: {name} at {moment:.3f} s of {self.took[name]:.3f}{', over' if over else ''}"
            self.counts[name] = self.counts.get(name, 0) + 1
            self.over += over
            with self.subTest(where):
                mount(image, self.copies, self.options + self.more)
                try:
                    self.look_at(self.copies / self.live_root.name)
                    self.check_copy(where, over, kind, there)
                finally:
                    reflink.unmount(self.copies)
            image.unlink()

    def sweep_way(self, way):
        make, self.options, self.more, size = WAYS[way]
        self.way, self.took, self.counts, self.over = way, {}, {}, 0
        self.image, live, self.copies = (self.outer / name for name in ("image", "live", "copies"))
        for folder in (live, self.copies):
            folder.mkdir(exist_ok=True)
        subprocess.run(["truncate", "-s", f"{size}M", str(self.image)], check=True)
        subprocess.run([*make, str(self.image)], check=True)
        mount(self.image, live, self.options)
        begun, number = time.monotonic(), 0
        try:
            self.make_site(live)
            while not self.counts or min(self.counts.values()) < CLONES:
                self.look_at(self.live_root)
                for command in self.commands(number):
                    self.act_on(*command)
                    self.look_at(self.live_root)
                number += 1
            self.appliance.close()
        finally:
            reflink.unmount(live)
            self.image.unlink()
        print(f"\n{way}, seed {self.seed}: {sum(self.counts.values())} clones, {self.over} after the command's end, "
              f"{time.monotonic() - begun:.0f} s: {self.counts}", flush=True)

    def test_ext4(self):
        self.sweep_way("ext4")

    def test_ext4_writeback(self):
        self.sweep_way("ext4, data=writeback")

    def test_xfs(self):
        self.sweep_way("xfs")


if __name__ == "__main__":
    unittest.main()
