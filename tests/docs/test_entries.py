"""FORMAT.md section 6.1 against the sources: every kind of entry, in exactly the phases that the replay accepts."""

import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "cli"))
from entry_format import ROWS  # noqa: E402

KIND = re.compile(r'^const Kind k\w+\{"([a-z-]+)"((?:, \w+)*)\};', re.MULTILINE)
PHASES = ("event", "intent", "result", "wrapped")


def phases_in_code():
    out = set()
    for path in (ROOT / "appliance" / "audit").glob("state_*.cpp"):
        for name, functions in KIND.findall(path.read_text(encoding="utf-8")):
            given = [word.strip() for word in functions.split(",")[1:]]
            out |= {(name, phase) for phase, function in zip(PHASES, given) if function != "nullptr"}
    return out


class Entries(unittest.TestCase):
    def test_the_table_has_each_kind_and_phase_of_the_replay(self):
        code, documented = phases_in_code(), {(kind, phase) for kind, phase, _ in ROWS}
        self.assertGreater(len(code), 40)
        self.assertEqual(sorted(code - documented), [], "in the code, but not in FORMAT.md")
        self.assertEqual(sorted(documented - code), [], "in FORMAT.md, but not in the code")


if __name__ == "__main__":
    unittest.main()
