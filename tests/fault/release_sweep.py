"""A release that is killed or fails at any point: what cards can load is never more than what is counted and named.

At every call of a command that changes a file, and at every call to the token, the process is killed or the call fails.
The policy lets the key out once to a card, and once, or three or four times, in all. Then, from all files that are there:
 - no more cards can load than the policy allows; each of them is counted by `mek list` and named by `plan compromise`,
   before the appliance has looked at anything again and after it;
 - the same command, given again, goes on with what was wrapped: no challenge ever has two wrapped keys;
 - another card gets the key only where the first one cannot have it;
 - the log verifies, by `audit verify` and by a verifier that was written from FORMAT.md alone, which counts the same;
 - nothing is left over.
Where SoftHSM's own files are not guarded a fault in one may cost the token: such points are counted apart.
"""

import collections
import hashlib
import json
import unittest

import points
import audit_log
import holders
import tokens
from release_world import World, scenarios

TOKEN_FAULTS = ("kill", "kill-after", "return 0x30", "return-after 0x30")
DONE = (0, 5, 9)  # 5: of a fleet, one that is denied
TABLE = points.Table("Releases cut short: files, then calls to the token")


class Releases(unittest.TestCase):
    """With the embedded token: faults at files."""

    token = None

    @classmethod
    def setUpClass(cls):
        cls.world = World(cls.token)
        cls.ids = cls.world.ids() if cls.token is None else None
        cls.tracer = points.Tracer(cls.world.root, cls.world.env)
        cls.scenarios = scenarios(cls.world)

    @classmethod
    def tearDownClass(cls):
        cls.world.reset()
        cls.world.appliance.close()

    def reset(self):
        self.world.reset()

    # --- what must hold whenever it is looked at

    def entries(self, where):
        """Of a log that both verifiers take."""
        return self.once("entries", lambda: self.verified(where))

    def verified(self, where):
        said = self.world.run("audit", "verify", "--log", self.world.root / "home" / "log", "--key", self.world.vkey)
        self.assertEqual(said.returncode, 0, f"{where}: {said.stderr}")
        try:
            return audit_log.verify(self.world.root / "home" / "log", self.world.vkey)
        except ValueError as error:
            self.fail(f"{where}: {error}")

    def once(self, what, look):
        """What `look` finds in the log and the kept reports, of one point: as long as no byte of them changes, it is what it
        was."""
        state = points.digest(self.world.root / "home" / "log", self.world.root / "home" / "reports")
        if self.looked.get(what, (None,))[0] != state:
            self.looked[what] = (state, look())
        return self.looked[what][1]

    def named(self, where):
        """The cards that the plan after a compromise names."""
        return self.once("named", lambda: self.planned(where))

    def planned(self, where):
        said = self.world.run("plan", "compromise", self.scenario.key, "--json")
        self.assertEqual(said.returncode, 0, f"{where}: {said.stderr}")
        return {card["ueid"] for card in json.loads(said.stdout)["cards"]}

    def check_named(self, where):
        """From the files alone, without a run that may write."""
        found = self.holders.look(*self.world.folders).ueids()
        self.assertEqual(self.holders.wrapped_twice(), [], f"{where}: a challenge with two wrapped keys")
        self.assertLessEqual(len(found), self.scenario.limit, f"{where}: more cards than the policy allows")
        self.assertLessEqual(found, self.named(where), f"{where}: a card can load that the plan does not name")
        counted = [ueid for mek, ueid, _ in audit_log.releases(self.entries(where)) if mek == self.ids[self.scenario.key]]
        self.assertLessEqual(found, set(counted), f"{where}: a card can load that the log does not count")
        return found, len(counted)

    def check_counted(self, where):
        """The same, and what `mek list` says; False where the token is lost."""
        listed = self.world.run("mek", "list", "--json")
        if listed.returncode == 6 and self.on_token_file and not points.GUARDED:
            return False
        self.assertEqual(listed.returncode, 0, f"{where}: {listed.stderr}")
        found, counted = self.check_named(where)
        key = next(one for one in json.loads(listed.stdout) if one["id"] == self.ids[self.scenario.key])
        self.assertEqual(key["releases"], counted, f"{where}: RELEASES")
        self.assertLessEqual(len(found), key["releases"], where)
        self.assertTrue(key["state"] == "ok" or not points.GUARDED and self.on_token_file, f"{where}: {key['state']}")
        return key["state"] == "ok"

    def results(self, where):
        """Outcomes of the releases of this scenario's key, open ones as None."""
        entries = [e for e in self.entries(where) if e["kind"] == "release"]
        done = {e["intent"]: e["outcome"] for e in entries if e["phase"] == "result"}
        return [done.get(e["seq"]) for e in entries if e["phase"] == "intent"]

    def wrapped(self, where):
        """Whether the log says that a key was wrapped, of the same releases."""
        entries = [e for e in self.entries(where) if e["kind"] == "release"]
        wrapped = {e["intent"] for e in entries if e["phase"] == "wrapped"}
        return [e["seq"] in wrapped for e in entries if e["phase"] == "intent"]

    # --- one point

    def again(self, where, notes, killed):
        """The same command, until it changes nothing more."""
        before, again = self.results(where), self.world.run(*self.scenario.command)
        self.check_counted(where + ", again")
        if again.returncode == 3 and self.scenario.rest and (None in before or not before):
            again = self.world.run(*self.scenario.rest)
            self.check_counted(where + ", the rest")
        after = self.results(where)
        if again.returncode not in self.good:
            self.assertTrue(before, f"{where}: nothing was begun, and the same command does not work: {again.stderr}")
            for was, now, wrapped in zip(before, after, self.wrapped(where)):
                # Killed between the entry and the file, the wrapped key is lost: that release is counted, and ends.
                ends = killed and was is None and wrapped and now == "unknown"
                self.assertTrue(ends or was == now == "ok", f"{where}: {was}, and the same command does not go on: {again.stderr}")
                notes["counted, and lost before its file"] += ends
        self.assertNotIn(None, after, f"{where}: a release is left open by the second run: {again.stderr}")
        notes["went on" if again.returncode in self.good else "was done"] += 1
        self.assertLessEqual(len(after) - after.count("denied") - after.count("failed"), self.scenario.limit,
                             f"{where}: more releases than the policy allows")
        third = self.world.run(*self.scenario.command)
        self.assertNotIn(third.returncode, (1, 6, 8), f"{where}, a third time: {third.stderr}")

    def another_card(self, where):
        """Asks for the key for a card that is not among the scenario's: the limit is reached."""
        if self.scenario.other:
            said = self.world.run("wrap-mek", "--mek", self.scenario.key, "--pub-keys", self.scenario.other, "--output-dir",
                                  self.world.root / "another")
            self.assertEqual(said.returncode, 5, f"{where}: another card: {said.stdout}{said.stderr}")
            self.assertIn("POL-", said.stderr, where)

    def strike(self, point):
        done, trace = self.tracer.run(self.scenario.command, point.inject)
        self.on_token_file = self.tracer.struck(trace, self.world.root / "home" / "tokens")
        self.assertEqual(done.returncode == -9, "KILL" in point.fault, f"{point}: {done.stderr}")
        return done

    def point(self, point, notes):
        self.reset()
        self.looked = {}
        self.holders = self.world.new_holders()
        where = f"{self.name}: {point}"
        done = self.strike(point)
        self.check_named(where)
        if not self.check_counted(where + ", the next run"):
            notes["token lost by its own file's fault"] += 1
            return done.returncode
        self.again(where, notes, done.returncode == -9)
        self.another_card(where)
        self.check_counted(where + ", at the end")
        named = self.world.new_holders().look(*self.world.folders).ueids()
        notes["counted, and its output lost"] += len(self.holders.ueids()) - len(named)
        self.assertEqual(points.left_over(*self.world.folders), [], where)
        self.assertFalse((self.world.root / "home" / "wrapped").exists(), f"{where}: wrapped keys stay in the home")
        return done.returncode

    def every_point(self):
        done, trace = self.tracer.run(self.scenario.command)
        self.assertIn(done.returncode, DONE, done.stderr)
        self.good = (0, done.returncode)
        return [points.Point(call, when, fault) for (call, when), fault in points.spread(self.tracer.points(trace))]

    def sweep(self, name):
        self.name, self.scenario = name, self.scenarios[name]
        self.reset()
        faults, codes, notes = collections.Counter(), collections.Counter(), collections.Counter()
        for point in self.every_point():
            with self.subTest(f"{name}: {point}"):
                faults[point.fault] += 1
                codes[self.point(point, notes)] += 1
        TABLE.add(name + (" (token)" if self.token else ""), faults, codes, notes)

    def test_bind_in_place(self):
        self.sweep("bind in place")

    def test_bind_elsewhere(self):
        self.sweep("bind elsewhere")

    def test_seal_and_bind(self):
        self.sweep("seal and bind")

    def test_wrap(self):
        self.sweep("wrap for 4")

    def test_fleet(self):
        self.sweep("wrap for 3 of 4")


class ReleasesByToken(Releases):
    """With a token in a process of its own: faults at calls to it. SoftHSM's own files are whole."""

    token = tokens.Forwarded
    on_token_file = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.reset(cls)
        cls.ids = cls.world.ids()

    def reset(self, *rules):
        token = self.world.appliance.token
        token.close()
        self.world.reset()
        points.copy_over(self.world.root / "pristine-tokens", self.world.root / "token" / "tokens")
        token.faults(*rules)
        token.trace()
        token.start()

    def strike(self, point):
        self.reset(f"{point.call} {point.when} {point.fault}")
        done = self.world.run(*self.scenario.command)
        self.world.appliance.token.faults()
        self.assertEqual(done.returncode == -9, "kill" in point.fault, f"{point}: {done.stderr}")
        return done

    def every_point(self):
        done = self.world.run(*self.scenario.command)
        self.assertIn(done.returncode, DONE, done.stderr)
        self.good = (0, done.returncode)
        counts, calls = collections.Counter(), []
        for call, _ in self.world.appliance.token.trace():
            counts[call] += 1
            calls.append((call, counts[call]))
        return [points.Point(call, when, fault) for (call, when), fault in points.spread(calls, TOKEN_FAULTS)]


class Backups(unittest.TestCase):
    """A backup leaves the token as a release does: none is anywhere that the plan after a compromise does not count, and
    none has its name that is not in the log."""

    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.tracer = points.Tracer(cls.world.root, cls.world.env)
        cls.out = cls.world.root / "out"
        cls.command = ("mek", "backup", "one", "--to", cls.world.recovery, "-o", cls.out / "one.backup")

    @classmethod
    def tearDownClass(cls):
        cls.world.reset()
        cls.world.appliance.close()

    entries, verified, once = Releases.entries, Releases.verified, Releases.once

    def reset(self):
        self.world.reset()
        self.out.mkdir()

    def look(self, where):
        """The wrapped keys that ever stood in the output's folder are no more than the plan and the log have."""
        for path in self.out.iterdir():
            data = path.read_bytes()
            if (at := data.find(holders.wrapping.WRAPPED_MAGIC)) >= 0:
                self.wraps.add(data[at:at + holders.WRAPPED])
        entries = [e for e in self.entries(where) if e["kind"] == "mek-backup"]
        recorded = {e["data"]["wrapped_sha256"] for e in entries if e["phase"] == "wrapped"}
        planned = json.loads(self.world.run("plan", "compromise", "one", "--json").stdout)["backups"]
        self.assertLessEqual(len(self.wraps), planned, f"{where}: a backup that the plan does not count")
        self.assertLessEqual(len(self.wraps), len(recorded), f"{where}: a backup that the log does not have")
        for path in self.out.glob("*.backup"):
            self.assertIn(hashlib.sha256(path.read_bytes()).hexdigest(), recorded, f"{where}: a backup under its name")
        return entries

    def point(self, point, notes):
        self.reset()
        self.looked = {}
        self.wraps, where = set(), f"backup: {point}"
        done, trace = self.tracer.run(self.command, point.inject)
        on_token_file = self.tracer.struck(trace, self.world.root / "home" / "tokens")
        self.look(where)
        listed = self.world.run("mek", "list", "--json")
        if (listed.returncode == 6 or '"missing"' in listed.stdout) and on_token_file and not points.GUARDED:
            notes["token lost by its own file's fault"] += 1
            return done.returncode
        self.assertEqual(listed.returncode, 0, f"{where}: {listed.stderr}")
        entries = self.look(where + ", the next run")
        results = {e["intent"]: e["outcome"] for e in entries if e["phase"] == "result"}
        self.assertEqual(len(results), sum(e["phase"] == "intent" for e in entries), f"{where}: an open intent")
        there = (self.out / "one.backup").exists()
        if done.returncode in (0, 9):
            self.assertEqual((there, list(results.values())), (True, ["ok"]), where)
        notes[f"file {'there' if there else 'not there'}, {' '.join(results.values()) or 'no intent'}"] += 1
        said = self.world.run(*self.command, "--force")
        self.assertEqual(said.returncode, 0, f"{where}, again: {said.stderr}")
        self.look(where + ", again")
        self.assertEqual(points.left_over(*self.world.folders), [], where)
        return done.returncode

    def test_backup(self):
        self.reset()
        done, trace = self.tracer.run(self.command)
        self.assertEqual(done.returncode, 0, done.stderr)
        faults, codes, notes = collections.Counter(), collections.Counter(), collections.Counter()
        for (call, when), fault in points.spread(self.tracer.points(trace)):
            point = points.Point(call, when, fault)
            with self.subTest(str(point)):
                faults[fault] += 1
                codes[self.point(point, notes)] += 1
        TABLE.add("back up", faults, codes, notes)


def tearDownModule():
    TABLE.show()


if __name__ == "__main__":
    unittest.main()
