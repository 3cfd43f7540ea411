"""Many cards in no time: their reports, releases to all of them, and what must be true afterwards."""

import collections
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from appliance import BUILD, QPCSEAL, run

TOOL = BUILD / "tests" / "fleet" / "fleet_cards"


class FleetDesk(unittest.TestCase):
    CARDS = 0  # how many there are

    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="qpcseal-fleet-"))
        run(TOOL, "make", cls.CARDS, cls.root)
        (cls.root / "trust").mkdir()
        shutil.copy(cls.root / "root.pem", cls.root / "trust")
        cls.env = {"PATH": os.environ["PATH"], "QPCSEAL_HOME": str(cls.root / "home")}
        cls.make_home()
        cls.qpcseal("mek", "generate", "m")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.root, ignore_errors=True)

    @classmethod
    def make_home(cls):
        raise NotImplementedError

    @classmethod
    def qpcseal(cls, *arguments, expect=0):
        return run(QPCSEAL, *arguments, env=cls.env, expect=expect)

    def reports(self, name, cards):
        """A trip with a fresh report of each card."""
        trip = self.root / name
        self.qpcseal("attest", "request", "--mek", "m", "--host", "node", "--device", f"0-{cards - 1}", "-o", trip)
        run(TOOL, "answer", self.root, trip)
        return trip

    @staticmethod
    def wrap_command(trip, *more, out=None):
        return ["wrap-mek", "--mek", "m", "--pub-keys", trip, "--output-dir", out or trip / "wrapped", "--skip-denied",
                *more]

    def wrap(self, trip, *more, expect=0, out=None):
        return self.qpcseal(*self.wrap_command(trip, *more, out=out), expect=expect)

    def wrap_killed(self, trip, place, *more):
        """The same, killed at a system call: "fdatasync:when=3"."""
        call, when = place.split(":")
        killed = subprocess.run(
            ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:{when}",
             QPCSEAL, *map(str, self.wrap_command(trip, *more))], env=self.env, capture_output=True, check=False)
        self.assertNotEqual(killed.returncode, 0, f"{place} was not reached")

    def entries(self):
        log = pathlib.Path(self.env["QPCSEAL_HOME"]) / "log"
        return [json.loads(line) for line in (log / "entries.jsonl").read_text().splitlines()]

    def releases(self):
        """How many intents, and how many results "ok", each challenge has."""
        intents = {entry["seq"]: entry["data"]["nonce"] for entry in self.entries()
                   if entry["kind"] == "release" and entry["phase"] == "intent"}
        done = collections.Counter(intents[entry["intent"]] for entry in self.entries()
                                   if entry["kind"] == "release" and entry["phase"] == "result"
                                   and entry["outcome"] == "ok")
        return collections.Counter(intents.values()), done

    def check_outputs(self, out, count):
        config = json.loads((out / "config.json").read_text())
        self.assertEqual(len(config["wrapped"]), count)
        entries = self.entries()
        for card in config["wrapped"]:
            folder = out / card["folder"]
            wrapped = hashlib.sha256((folder / "MEK.encrypt").read_bytes()).hexdigest()
            entry = entries[card["receipt"]["entry"]]
            self.assertEqual((card["wrapped_sha256"], entry["data"]["wrapped_sha256"]), (wrapped, wrapped))
            self.assertEqual(entry["outcome"], "ok")
            self.assertEqual(json.loads((folder / "config.json").read_text())["wrapped"][0]["ueid"], card["ueid"])
