"""docs/POLICY.md against policy/: every key that the parser reads, every operation and every finding, in its section."""

import os
import pathlib
import re
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/POLICY.md"
FUNCTION = re.compile(r"^(?:[\w:<>*&, ]+) (\w+)\([^;{]*\) \{$(.*?)^\}", re.MULTILINE | re.DOTALL)
READ = re.compile(r'\b(reader|inner)(?:\.\w+\(|,\s*)"([a-z_]+)"')
TABLE = re.compile(r'\.tables?\("([a-z]+)"')
ROW = re.compile(r"^\| `([a-z_-]+)` \|", re.MULTILINE)
# Where the keys that a function reads through `reader` or `inner` are documented.
SECTIONS = {
    ("read_policy", "reader"): "## Top level",
    ("read_appliance", "reader"): "## Top level",
    ("read_device", "reader"): "## `[[device]]`",
    ("read_hardware", "reader"): "## `[[device]]`",
    ("read_ueids", "reader"): "## `[[device]]`",
    ("read_submods", "reader"): "## `[[device]]`",
    ("read_submods", "inner"): "### `[[device.submod]]`",
    ("read_measurement", "reader"): "### `[[device.measurement]]`",
    ("read_mek", "reader"): "## `[[mek]]`",
    ("check_segments", "reader"): "## `[[mek]]`",
    ("read_elf_rules", "reader"): "## `[[mek]]`",
}


def source(name):
    return (ROOT / "policy" / name).read_text(encoding="utf-8")


def section(heading):
    """Its text, without the sections below it."""
    lines = PAGE.read_text(encoding="utf-8").split("\n" + heading + "\n")
    return re.split(r"^#", lines[1], flags=re.MULTILINE)[0]


def keys_in_code():
    """section -> the keys that the parser reads there."""
    text, out = source("parse.cpp") + source("parse_mek.cpp"), {}
    tables = set(TABLE.findall(text))
    for name, body in FUNCTION.findall(text):
        for receiver, key in READ.findall(body):
            if key not in tables:
                out.setdefault(SECTIONS[name, receiver], set()).add(key)
    return out, tables


class Policy(unittest.TestCase):
    def test_each_key_of_the_parser_has_a_row_and_each_row_a_key(self):
        code, _ = keys_in_code()
        self.assertGreater(sum(len(keys) for keys in code.values()), 25)
        for heading in sorted(set(SECTIONS.values())):
            self.assertEqual(sorted(code[heading]), sorted(ROW.findall(section(heading))), heading)

    def test_each_table_of_the_parser_has_a_section(self):
        _, tables = keys_in_code()
        headings = re.findall(r"^##+ `\[+(?:\w+\.)?(\w+)\]+`$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
        self.assertEqual(sorted(tables), sorted(headings))

    def test_each_operation_has_a_row_and_each_row_an_operation(self):
        names = re.findall(r'"([a-z-]+)"', source("policy.cpp").split("> operations() {")[1].split("return")[0])
        self.assertGreater(len(names), 15)
        self.assertEqual(sorted(names), sorted(ROW.findall(section("## `[approvals]`"))))

    def test_each_finding_of_the_evaluation_is_named_and_each_that_is_named_exists(self):
        code = {"POL-APPLIANCE"}  # found where a policy comes into force
        for name in ("evaluate.cpp", "card_rules.cpp", "collateral_rules.cpp"):
            code |= set(re.findall(r'"(POL-[A-Z-]+)"', source(name)))
        self.assertEqual(sorted(code), sorted(set(re.findall(r"`(POL-[A-Z-]+)`", PAGE.read_text(encoding="utf-8")))))

    def test_the_example_is_well_formed(self):
        program = pathlib.Path(os.environ.get("QPCSEAL_BUILD", ROOT / "build/dev")) / "bin/qpcseal"
        example = PAGE.read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0]
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(example)
            file.flush()
            done = subprocess.run([program, "policy", "check", file.name], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("is well formed", done.stdout)


if __name__ == "__main__":
    unittest.main()
