"""docs/CHECKS.md against the sources: every finding's id is there, with code that makes it and a test that asserts it."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
ID = re.compile(r"\b(?:ATT|POL|EXP|IMG)-[A-Z0-9]+(?:-[A-Z0-9]+)*")
# A character is matched too, so that the quote in '"' opens no string.
LITERAL = re.compile(r"""'(?:[^'\\\n]|\\[^\n]+?)'|"((?:[^"\\]|\\.)*)\"""")
ROW = re.compile(r"^\| `([A-Z0-9-]+)` \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
FILE = re.compile(r"`([^`]+)`")


def strings_of(path):
    """The string literals of a C++ file; comments with quotes in them do no harm here."""
    return [text for text in LITERAL.findall(path.read_text(encoding="utf-8")) if text]


def sources():
    for folder in ("attest", "policy", "device", "appliance"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".cpp", ".h"):
                yield path


def ids_in_code():
    """id -> the files that have it in a string. A string "ATT-CHAIN*" is a pattern, not an id."""
    out = {}
    for path in sources():
        for text in strings_of(path):
            for match in ID.finditer(text):
                if text[match.end():match.end() + 1] in ("*", "-"):
                    continue
                out.setdefault(match.group(), set()).add(path.relative_to(ROOT).as_posix())
    return out


def rows():
    text = (ROOT / "docs/CHECKS.md").read_text(encoding="utf-8")
    return {match[0]: match[1:] for match in ROW.findall(text)}


class Checks(unittest.TestCase):
    def test_every_id_has_a_row_and_every_row_an_id(self):
        code, documented = set(ids_in_code()), set(rows())
        self.assertGreater(len(code), 60)
        self.assertEqual(sorted(code - documented), [], "in the code, but not in docs/CHECKS.md")
        self.assertEqual(sorted(documented - code), [], "in docs/CHECKS.md, but not in the code")

    def test_no_id_is_put_together_from_parts(self):
        """An id that is made at run time from pieces could not be found by searching for it."""
        for path in sources():
            for text in strings_of(path):
                self.assertNotRegex(text, r"\b(?:ATT|POL|EXP|IMG)-(?:[A-Z0-9-]*-)?$", path)

    def test_each_row_names_the_code_that_makes_it(self):
        code = ids_in_code()
        for id_, (_, where, _) in rows().items():
            files = FILE.findall(where)
            self.assertTrue(files, id_)
            for file in files:
                self.assertIn(file, code[id_], f"{id_} does not occur in {file}")

    def test_each_row_names_tests_that_assert_it(self):
        for id_, (_, _, where) in rows().items():
            files = FILE.findall(where)
            self.assertTrue(files, f"{id_} has no test")
            for file in files:
                path = ROOT / file
                self.assertTrue(file.startswith("tests/") and path.is_file(), f"{id_}: no such test: {file}")
                found = {m.group() for text in strings_of(path) for m in ID.finditer(text)}
                self.assertIn(id_, found, f"{id_} is not asserted in {file}")


if __name__ == "__main__":
    unittest.main()
