"""instrument.py ROOT TABLE FOLDER...: puts switches into a copy of the tree (switches.py), and writes the table of mutants."""

import json
import pathlib
import sys

import switches

root, table = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
header = pathlib.Path(__file__).parent / switches.HEADER
(root / "lib" / "base" / header.name).write_text(header.read_text(encoding="utf-8"), encoding="utf-8")
mutants = switches.instrument(root, sys.argv[3:])
table.write_text(json.dumps(mutants, indent=0))
print(f"{len(mutants)} mutants")
