"""instrument.py ROOT TABLE FOLDER...: puts switches into a copy of the tree (switches.py), and writes the table of mutants."""

import json
import pathlib
import sys

import switches

root, table = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
(root / "lib" / "base" / "mutant.h").write_text((pathlib.Path(__file__).parent / "mutant.h").read_text())
mutants = switches.instrument(root, sys.argv[3:])
table.write_text(json.dumps(mutants, indent=0))
print(f"{len(mutants)} mutants")
