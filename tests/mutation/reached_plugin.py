"""A plugin of pytest: which mutants each test reaches. The programs are those of a folder that one worker has for itself."""

import json
import os
import pathlib

import pytest

STATE = pathlib.Path(os.environ["QPCSEAL_BUILD"]) / "mutant"
OUT = os.environ.get("QPCSEAL_MUTANTS_OUT")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item, nextitem):  # pylint: disable=unused-argument
    """A class's setUpClass counts for its first test alone: the others are run with it anyway."""
    file = STATE / "reached"
    file.unlink(missing_ok=True)
    file.touch()
    file.chmod(0o666)
    yield
    reached = [number for number, byte in enumerate(file.read_bytes()) if byte]
    with open(OUT, "a", encoding="utf-8") as out:
        out.write(json.dumps({"test": item.nodeid, "reached": reached}) + "\n")
