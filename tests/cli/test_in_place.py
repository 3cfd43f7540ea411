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
