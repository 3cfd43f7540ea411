"""docs/THREAT-MODEL.md: every attack and every limit has an id, each id once, and whoever names one names one that is there."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/THREAT-MODEL.md"
BODY = r"[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)*"
NAMED = re.compile(r"(?<![A-Za-z0-9-])[TN]-" + BODY + r"(?![A-Za-z0-9-])")


def section(name):
    return PAGE.read_text(encoding="utf-8").split(f"\n## {name}\n")[1].split("\n## ")[0]


def attacks():
    """The cells of each row of the table of attacks, without its head."""
    rows = [line for line in section("Attacks, and what meets them").splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[2:]]


def limits():
    return [line[2:] for line in section("Not defended").splitlines() if line.startswith("- ")]


def ids():
    return [row[0] for row in attacks()] + [line.split(":")[0] for line in limits()]


class Threats(unittest.TestCase):
    def test_every_row_has_an_id_an_attack_and_what_meets_it(self):
        self.assertGreater(len(attacks()), 40)
        for row in attacks():
            self.assertEqual(len(row), 3, row)
            self.assertRegex(row[0], f"^T-{BODY}$")
            self.assertTrue(row[1] and row[2], row)
        for line in limits():
            self.assertRegex(line, f"^N-{BODY}: ")

    def test_no_id_stands_twice(self):
        self.assertEqual(sorted(ids()), sorted(set(ids())))

    def test_an_id_that_is_named_elsewhere_is_there(self):
        known = set(ids())
        for folder in ("docs", "appliance", "attest", "policy", "lib", "pkcs11", "courier", "device"):
            for path in sorted((ROOT / folder).rglob("*")):
                if path.suffix in (".md", ".h", ".cpp"):
                    found = set(NAMED.findall(path.read_text(encoding="utf-8")))
                    self.assertLessEqual(found, known, path)


if __name__ == "__main__":
    unittest.main()
