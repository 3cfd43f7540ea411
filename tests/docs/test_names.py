"""File names in comments and documents: each source file that one names, and each target of a link, exists."""

import pathlib
import re
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAME = re.compile(r"(?<![\w/.*-])((?:[\w.-]+/)*\w+\.(?:h|cpp|py|md))\b(?!\.\w)")
LINK = re.compile(r"\]\(([^)#:]*)(?:#([^)]*))?\)")
COMMENTS = {".h": "//", ".cpp": "//", ".py": "#"}
# A placeholder, and the vendor's programs.
OTHERS = {"NAME.cpp", "mek_gen.py", "QAicRemoteAttestationClient.py"}


def sources():
    """In a clone what git tracks or might; in an unpacked archive of the sources all but what was built."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True,
                                capture_output=True, text=True).stdout.split("\n")
    else:
        listed = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*")]
    return {name for name in listed if name and not name.startswith("build/") and (ROOT / name).is_file()}


def prose(name):
    """(line number, text) of each line of a document, and of each comment of a source."""
    mark = COMMENTS.get(pathlib.PurePath(name).suffix)
    for number, line in enumerate((ROOT / name).read_text(encoding="utf-8").split("\n"), 1):
        if mark is None:
            yield number, line
        elif mark in line:
            yield number, line[line.index(mark) + len(mark):]


def anchors(path):
    """The headings of a document, as links name them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


class Names(unittest.TestCase):
    def setUp(self):
        self.files = sources()

    def exists(self, name):
        return any(file == name or file.endswith("/" + name) for file in self.files)

    def test_each_file_that_is_named_exists(self):
        seen, missing = 0, []
        for file in sorted(self.files):
            if not file.endswith((".h", ".cpp", ".py", ".md")):
                continue
            for number, text in prose(file):
                for name in NAME.findall(LINK.sub("", text)):
                    seen += 1
                    if pathlib.PurePath(name).name not in OTHERS and not self.exists(name):
                        missing.append(f"{file}:{number}: {name}")
        self.assertGreater(seen, 300)
        self.assertEqual(missing, [])

    def test_each_link_of_a_document_has_a_target(self):
        links = 0
        for file in sorted(name for name in self.files if name.endswith(".md")):
            for number, text in prose(file):
                for target, anchor in LINK.findall(text):
                    links += 1
                    path = (ROOT / file).parent / target if target else ROOT / file
                    self.assertTrue(path.exists(), f"{file}:{number}: {target}")
                    if anchor:
                        self.assertIn(anchor, anchors(path), f"{file}:{number}")
        self.assertGreater(links, 50)


if __name__ == "__main__":
    unittest.main()
