"""A kill or a fault at every call with which a command changes the embedded token's files or their copies."""

import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "cli"))
import points  # noqa: E402
from token_points import TokenPoints  # noqa: E402


class TokenFiles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.points = TokenPoints()

    @classmethod
    def tearDownClass(cls):
        cls.points.close()

    def sweep(self, *command):
        begun, self.points.counts = time.monotonic(), type(self.points.counts)()
        for (call, when), fault in points.spread(self.points.points(command)):
            with self.subTest(f"{call} {when} {fault}"):
                self.assertIsNone(self.points.point(command, call, when, fault))
        print(f"\n{' '.join(map(str, command))}: {sum(self.points.counts.values())} points, by fault and exit code "
              f"{dict(sorted(self.points.counts.items()))}, {time.monotonic() - begun:.0f} s", flush=True)

    def test_mek_list(self):
        self.sweep("mek", "list")

    def test_mek_generate(self):
        self.sweep("mek", "generate", "second")

    def test_mek_rotate(self):
        self.sweep("mek", "rotate", "first")

    def test_mek_destroy(self):
        self.sweep("mek", "destroy", "gone")

    def test_mek_import(self):
        self.sweep("mek", "import", self.points.value, "--name", "imp", "--shred")

    def test_mek_suspend(self):
        self.sweep("mek", "suspend", "first")

    def test_rotate_key(self):
        self.sweep("audit", "rotate-key")

    def test_attest_request(self):
        self.sweep("attest", "request", "--mek", "first", "-o", self.points.root / "request", "--force")


if __name__ == "__main__":
    unittest.main()
