"""An exposure that is killed or fails at any point: a key that a card can load is counted, called exposed, and named.

At every call of `encrypt-model --format vendor --pub-keys` that changes a file, in this program or in the sandbox's, the
process is killed or the call fails. Then, from all files that are there:
 - where a card can load what lies anywhere, `mek list` counts an exposure and a release, and `plan compromise` names the card;
 - the log verifies, by `audit verify` and by a verifier that was written from FORMAT.md alone;
 - an output under its name is whole and in the log; else there is none, and nothing is left over once a command ran again;
 - the same command with the same report exposes the key a second time only where the log says that it was not exposed before.
"""

import collections
import json
import shutil
import subprocess
import unittest

import points
import audit_log
from appliance import QPCSEAL
from vendor_support import VendorAppliance

TABLE = points.Table("Exposures cut short")


class Exposures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = VendorAppliance()
        cls.site.qpcseal("mek", "generate", "stock-a")
        cls.model = cls.site.root / "model.qpc"
        cls.model.write_bytes(b"a compiled model" * 1000)
        cls.report = cls.site.report("stock-a")
        cls.out = cls.site.root / "out" / "sealed"
        cls.command = ("encrypt-model", "--format", "vendor", "--mek", "stock-a", "--qpc", cls.model, "--output-dir", cls.out,
                       "--pub-keys", cls.report)
        cls.vkey = json.loads((cls.site.root / "home/log/entries.jsonl").read_text().splitlines()[0])["data"]["log_key"]
        shutil.copytree(cls.site.root / "home", cls.site.root / "pristine")
        cls.tracer = points.Tracer(cls.site.root, cls.site.env)

    @classmethod
    def tearDownClass(cls):
        cls.reset(cls)
        cls.site.close()

    def reset(self):
        points.copy_over(self.site.root / "pristine", self.site.root / "home")
        shutil.rmtree(self.site.root / "out", ignore_errors=True)
        (self.site.root / "out").mkdir()

    def run_command(self, *arguments):
        return subprocess.run([QPCSEAL, *map(str, arguments)], env=self.site.env, capture_output=True, text=True, check=False)

    def loads(self):
        """Whether the card opens what lies anywhere below the output's parent."""
        return any(self.site.opened(path.parent) is not None for path in (self.site.root / "out").rglob("programqpc.bin"))

    def look(self, where):
        said = self.run_command("audit", "verify", "--log", self.site.root / "home" / "log", "--key", self.vkey)
        self.assertEqual(said.returncode, 0, f"{where}: {said.stderr}")
        entries = audit_log.verify(self.site.root / "home" / "log", self.vkey)
        # The entry of the MEK comes right before those of the cards, and the key after both.
        exposed = sum(e["kind"] == "release" and e["phase"] == "wrapped" for e in entries)
        if self.loads():
            self.assertGreaterEqual(exposed, 1, f"{where}: a card can load, and no exposure is in the log")
            plan = json.loads(self.run_command("plan", "compromise", "stock-a", "--json").stdout)
            self.assertEqual([card["ueid"] for card in plan["cards"]], [self.site.ueid()], where)
            self.assertGreaterEqual(plan["exposures"], 1, where)
        return exposed

    def point(self, point, notes):
        self.reset()
        where = str(point)
        done, trace = self.tracer.run(self.command, point.inject)
        on_token = self.tracer.struck(trace, self.site.root / "home" / "tokens")
        exposed = self.look(where)
        if self.out.exists():
            self.assertIsNotNone(self.site.opened(self.out), f"{where}: an output that is not whole")
        listed = self.run_command("mek", "list", "--json")
        if listed.returncode == 6 and on_token and not points.GUARDED:
            notes["token lost by its own file's fault"] += 1
            return done.returncode
        self.assertEqual(listed.returncode, 0, f"{where}: {listed.stderr}")
        key = json.loads(listed.stdout)[0]
        self.assertGreaterEqual(key["exposures"], self.look(where + ", the next run"), where)
        self.assertGreaterEqual(key["releases"], min(1, exposed), where)
        if done.returncode == 0:
            self.assertTrue(self.out.exists(), where)
        again = self.run_command(*self.command)
        after = self.look(where + ", again")
        self.assertEqual(after, 1, f"{where}: {exposed}, and again {again.stderr}")
        self.assertEqual(again.returncode == 0, exposed == 0, f"{where}: {again.stderr}")
        notes["exposed" if exposed else "nothing exposed, done by the same command"] += 1
        self.assertEqual(points.left_over(self.site.root / "out", self.site.root / "home"), [], where)
        return done.returncode

    def test_encrypt_model(self):
        self.reset()
        done, trace = self.tracer.run(self.command)
        self.assertEqual(done.returncode, 0, done.stderr)
        faults, codes, notes = collections.Counter(), collections.Counter(), collections.Counter()
        for (call, when), fault in points.spread(self.tracer.points(trace)):
            point = points.Point(call, when, fault)
            with self.subTest(str(point)):
                faults[fault] += 1
                codes[self.point(point, notes)] += 1
        TABLE.add("expose", faults, codes, notes)


def tearDownModule():
    TABLE.show()


if __name__ == "__main__":
    unittest.main()
