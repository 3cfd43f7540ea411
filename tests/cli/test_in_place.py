"""replace-mek on a file system that shares blocks, and on one that does not."""

import fcntl
import shutil
import unittest

import reflink
from test_rewrap import Case


class Reflink(Case):
    def test_copies_share_their_bytes_and_in_place_is_one_rename(self):
        with reflink.mounted() as mount:
            if mount is None:
                self.skipTest("no file system with reflinks")
            sealed = mount / "model.qpc"
            shutil.copy(self.seal(), sealed)
            wrapped = self.wrap([self.attest()])
            out = mount / "out"
            self.replace(sealed, [wrapped], "--output-dir", out)
            self.appliance.load(out / "model.qpc")
            if shutil.which("filefrag"):
                shared, own = reflink.shared_extents(out / "model.qpc")
                self.assertGreaterEqual(shared, 1)
                self.assertLessEqual(own, 1, "the page of MEK slots alone is not shared")
            sealed.chmod(0o640)
            before = sealed.stat()
            self.replace(sealed, [wrapped], "--in-place")
            after = sealed.stat()
            self.assertNotEqual(before.st_ino, after.st_ino)
            self.assertEqual((before.st_mode, before.st_uid), (after.st_mode, after.st_uid))
            self.assertEqual(sealed.read_bytes(), (out / "model.qpc").read_bytes())
            other = mount / "second-name"
            other.hardlink_to(sealed)
            inode = sealed.stat().st_ino
            self.replace(sealed, [self.wrap([self.attest()], name="again")], "--in-place")
            self.assertEqual(sealed.stat().st_ino, inode, "a file with two names keeps both")
            self.appliance.load(other)


class Journal(Case):
    def test_another_process_at_it(self):
        sealed = self.seal()
        wrapped = self.wrap([self.attest()])
        with open(sealed, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            said = self.replace(sealed, [wrapped], "--in-place", expect=3)
        self.assertIn("another process", said.stderr)
        self.replace(sealed, [wrapped], "--in-place")

    def folder_of(self, *names):
        folder = self.folder("models")
        folder.mkdir()
        for name in names:
            shutil.move(self.seal(name=name + ".d"), folder / name)
        return folder

    def test_one_of_several_fails(self):
        """Those before it are bound anew, whole; it and those behind it are as they were; then all are."""
        folder = self.folder_of("a.qpc", "b.qpc", "c.qpc")
        wrapped = self.wrap([self.attest()])
        self.replace(folder, [wrapped], "--in-place")
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        self.reset(0)
        again = self.wrap([self.attest()], name="again")
        with open(folder / "b.qpc", "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            said = self.replace(folder, [again], "--in-place", expect=3)
        self.assertIn("b.qpc", said.stderr)
        self.assertIn("1 of 3 containers", said.stderr)
        self.assertEqual({path.name for path in folder.iterdir() if path.read_bytes() != before[path.name]}, {"a.qpc"})
        self.appliance.load(folder / "a.qpc")
        self.replace(folder, [again], "--in-place")
        for name in before:
            self.appliance.load(folder / name)

    def test_one_of_several_fails_while_a_key_is_released(self):
        """The key has left with the first container: the release stays open and counts, and the same command goes on."""
        folder = self.folder_of("a.qpc", "b.qpc")
        report = self.attest()
        bind = ("encrypt-with-session-keys", "--input-dir", folder, "--mek", "resnet50", "--pub-keys")
        with open(folder / "b.qpc", "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            said = self.appliance.qpcseal(*bind, report, expect=3)
        self.assertIn("1 of 2 containers", said.stderr)
        self.appliance.load(folder / "a.qpc")
        entry = self.appliance.json("audit", "show", "--kind", "release")["entries"][-1]
        self.assertEqual(entry["phase"], "wrapped")
        bound = (folder / "a.qpc").read_bytes()
        self.assertIn("bound", self.appliance.qpcseal(*bind, self.attest(), expect=2).stderr)
        self.appliance.qpcseal(*bind, report)
        self.assertEqual((folder / "a.qpc").read_bytes(), bound, "the very key that was wrapped before")
        self.appliance.load(folder / "b.qpc")
        entry = self.appliance.json("audit", "show", "--kind", "release")["entries"][-1]
        self.assertEqual((entry["outcome"], len(entry["data"]["act"]["containers"])), ("ok", 2))

    def test_a_journal_that_is_not_its_own(self):
        sealed = self.seal()
        before = sealed.read_bytes()
        wrapped = self.wrap([self.attest()])
        (sealed.parent / ".programqpc.bin.rebind").write_bytes(b"QPCBIND\1" + bytes(100))
        said = self.replace(sealed, [wrapped], "--in-place", expect=4)
        self.assertIn(".rebind", said.stderr)
        self.assertEqual(sealed.read_bytes(), before)


if __name__ == "__main__":
    unittest.main()
