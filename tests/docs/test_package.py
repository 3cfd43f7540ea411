# SPDX-License-Identifier: Apache-2.0
"""The list of the packages' files has each document, so that a document that was added is not found missing by a build alone."""

import pathlib
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLACE = "./usr/share/doc/qpcseal/"


class Package(unittest.TestCase):
    def test_the_list_has_each_document(self):
        listed = [line.split(" ")[3] for line in (ROOT / "tests" / "package" / "files.txt").read_text(encoding="utf-8").splitlines()]
        packed = sorted(name.removeprefix(PLACE).split(" ")[0].removesuffix(".gz") for name in listed if name.startswith(PLACE + "docs/"))
        there = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*") if path.is_file())
        self.assertGreater(len(there), 20)
        self.assertEqual(packed, there)


if __name__ == "__main__":
    unittest.main()
