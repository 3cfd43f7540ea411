"""Binding in place, killed or refused at every system call that changes a file; and pages torn by a power failure.

The card answered both challenges, so that it loads the old binding and the new one: after each point the container must
load, and its slots must be the old ones or the new ones. Then the same command must complete the work. On the temporary
folder's file system, where that cannot share blocks this is the journal; and on XFS, where it is a clone and a rename.
"""

import collections
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "cli"))
import reflink  # noqa: E402
import points  # noqa: E402
from appliance import Appliance, QPCSEAL  # noqa: E402

CALLS = ("write", "pwrite64", "fsync", "fdatasync", "rename", "renameat2", "link", "unlink", "ftruncate", "ioctl", "fchmod",
         "fchown", "openat")
PAGE = 4096


class InPlace(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.appliance = appliance = Appliance(cards=2)
        appliance.qpcseal("mek", "generate", "m")
        cls.models = {"0": cls.bound("one", (0,)), "0,1": cls.bound("two", (0, 1), "--partitions", 2)}
        cls.wrapped = {"0": cls.wrap("w1", (0,)), "0,1": cls.wrap("w2", (0, 1))}

    @classmethod
    def tearDownClass(cls):
        cls.appliance.close()

    @classmethod
    def reports(cls, name, cards):
        return [cls.appliance.attest("m", card, name=f"{name}-{card}.dat") for card in cards]

    @classmethod
    def bound(cls, name, cards, *more):
        model, out = cls.appliance.root / (name + ".qpc"), cls.appliance.root / name
        cls.appliance.device("sample", "--out", model, "--size", 20000, *more)
        cls.appliance.qpcseal("encrypt-model", "--qpc", model, "--mek", "m", "--output-dir", out, "--pub-keys",
                              *cls.reports(name, cards))
        return out / "programqpc.bin"

    @classmethod
    def wrap(cls, name, cards):
        out = cls.appliance.root / name
        cls.appliance.qpcseal("wrap-mek", "--mek", "m", "--output-dir", out, "--pub-keys", *cls.reports(name, cards))
        return out

    def place(self, cards):
        """A fresh folder with the container, bound to the old sessions."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()
        return pathlib.Path(shutil.copy(self.models[cards], self.work / "model.qpc"))

    def bind(self, container, cards, inject=None):
        trace = self.appliance.root / "trace"
        strace = ["strace", "-f", "-qq", "-o", str(trace), "-e", "trace=" + ",".join(CALLS)]
        strace += ["-e", "inject=" + inject] if inject else []
        done = subprocess.run([*strace, QPCSEAL, "replace-mek", "--encrypted-qpc", container, "--wrapped-meks",
                               self.wrapped[cards], "--in-place"], env=self.appliance.env, capture_output=True, text=True,
                              timeout=60, check=False)
        return done, trace.read_text(errors="replace")

    def pages(self, cards):
        """The pages that binding changes, with their contents before and after."""
        container = self.place(cards)
        before = container.read_bytes()
        done, trace = self.bind(container, cards)
        self.assertEqual(done.returncode, 0, done.stderr)
        after = container.read_bytes()
        places = sorted({i // PAGE * PAGE for i in range(len(before)) if before[i] != after[i]})
        return {at: (before[at:at + PAGE], after[at:at + PAGE]) for at in places}, trace

    def check(self, container, cards, pages, where):
        data = container.read_bytes()
        for at, states in pages.items():
            self.assertIn(data[at:at + PAGE], states, f"{where}: a page that is neither the old nor the new one")
        self.appliance.load(container, device=cards)

    def sweep(self, cards):
        pages, trace = self.pages(cards)
        self.assertEqual(len(pages), len(cards.split(",")))
        counts = collections.Counter(re.findall(r"^\d+\s+(\w+)\(", trace, re.MULTILINE))
        calls = [(call, when) for call, count in sorted(counts.items()) for when in range(1, count + 1)]
        swept = collections.Counter()
        for (call, when), fault in points.spread(calls):
            where = f"{call} {when}/{counts[call]} {fault}, cards {cards}"
            with self.subTest(where):
                container = self.place(cards)
                done, _ = self.bind(container, cards, f"{call}:{fault}:when={when}")
                swept[fault, done.returncode] += 1
                self.check(container, cards, pages, where)
                done, _ = self.bind(container, cards)
                self.assertEqual(done.returncode, 0, f"{where}, again: {done.stderr}")
                data = container.read_bytes()
                for at, (_, new) in pages.items():
                    self.assertEqual(data[at:at + PAGE], new, where)
                self.assertFalse((self.work / ".model.qpc.rebind").exists(), where)
        print(f"\n{self.work}, cards {cards}: {sum(swept.values())} points {dict(swept)}", flush=True)

    def test_here(self):
        self.work = self.appliance.root / "work"
        for cards in self.models:
            self.sweep(cards)

    def test_on_a_file_system_with_reflinks(self):
        with reflink.mounted() as mount:
            if mount is None:
                self.skipTest("no file system with reflinks")
            self.work = mount / "work"
            for cards in self.models:
                self.sweep(cards)

    def test_a_page_torn_by_a_power_failure(self):
        """A model of one part: of several the whole file is replaced."""
        self.work, cards = self.appliance.root / "work", "0"
        pages, _ = self.pages(cards)
        container = self.place(cards)
        self.bind(container, cards, "fdatasync:signal=KILL:when=1")
        self.assertTrue((self.work / ".model.qpc.rebind").exists(), "the journal is on disk before the page")
        with open(container, "r+b") as file:
            for at, (old, new) in pages.items():
                file.seek(at)
                file.write(new[:512] + old[512:])
        self.appliance.load(container, device=cards, expect=5)
        done, _ = self.bind(container, cards)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.appliance.load(container, device=cards)


if __name__ == "__main__":
    unittest.main()
