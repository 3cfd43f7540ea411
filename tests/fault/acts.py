"""What must hold after a command that was killed or failed at any call that changes a file, whatever the command.

The log verifies, by `audit verify` and by a verifier that shares no code with it, and begins with all that its checkpoint
covered. A next run recovers, is killed while it does, and the one after recovers for good: it adopts no line that no
checkpoint covered, leaves no intent open (but those that the same command finishes), and no temporary file. Every key in
the token is in the log; every key that the log calls ok is in the token, and one of them seals a model. What the command
said it had done is done, and what it said had failed is not. Then the command is given again.

SoftHSM rewrites its files in place. A fault at one of these may cost a key or the token, as far as the product does not
guard its files (FORMAT.md tells of `token-restored` where it does): then such points are counted apart.
"""

import collections
import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import unittest

import points
import audit_log
from points import GUARDED
from appliance import QPCSEAL, Appliance

OPEN = {"release", "shred", "ceremony", "ceremony-step"}  # which the same command finishes
DONE = (0, 9)  # 9: done and logged, and a step behind the log entry failed
RECOVERY_KILLS = [(call, when) for when in (1, 2, 3) for call in ("fdatasync", "rename", "write", "unlink", "openat")]
KEYS_COME = {"mek-generate", "mek-rotate", "mek-restore", "mek-import"}
TABLE = points.Table("Commands cut short, and killed again while the next one recovers")


@dataclasses.dataclass
class Act:
    """One scenario. Commands are tuples, made when they are needed, for they name files of the test."""

    name: str
    command: tuple
    kind: str = ""                  # of the entries that tell of it; empty: it logs nothing
    code: int = 0                   # of an undisturbed run
    prepare: object = None          # brings the home into the state from which every point begins
    fresh: object = None            # puts the files beside the home as they have to be, before every run
    check: object = None            # (done, outcomes, where): what else must hold
    again: object = None            # the command that goes on, or what makes it, where it is another one
    settles: bool = False           # the next start may find the act done that was said to have failed
    stdin: str = None
    pin: bytes = b""                # for a descriptor, which stands for "{fd}" in the command
    unusable_before: bool = False   # every other command is refused until it is done


class Acts(unittest.TestCase):
    """Begin with one home for all scenarios of a class; each makes its own state of it."""

    @classmethod
    def make(cls):
        appliance = Appliance(cards=1)
        appliance.qpcseal("mek", "generate", "first")
        return appliance

    @classmethod
    def setUpClass(cls):
        cls.appliance = cls.make()
        cls.root, cls.home, cls.env = cls.appliance.root, cls.appliance.root / "home", cls.appliance.env
        cls.out, cls.begin = cls.root / "out", cls.root / "begin"
        cls.tracer = points.Tracer(cls.root, cls.env)
        cls.model = cls.appliance.sample(size=20000)
        if (cls.home / "log").exists():
            cls.vkey = cls.appliance.qpcseal("trust", "show", "--log-key").stdout.strip()
        shutil.copytree(cls.home, cls.root / "pristine")

    @classmethod
    def tearDownClass(cls):
        points.copy_over(cls.root / "pristine", cls.home)
        cls.appliance.close()

    def run_it(self, *command, **more):
        return subprocess.run([QPCSEAL, *map(str, command)], env=self.env, capture_output=True, text=True, timeout=120,
                              check=False, **more)

    # --- states

    def start(self):
        """The home from which every point of the act begins."""
        points.copy_over(self.root / "pristine", self.home)
        if self.act.prepare:
            self.act.prepare()
        points.copy_over(self.home, self.begin)
        self.before = len(self.entries("at first"))
        self.objects = self.count_objects()
        self.was_missing, self.keys_at_first = False, 1
        if not self.act.unusable_before:
            listed = self.run_it("mek", "list", "--json").stdout
            self.was_missing, self.keys_at_first = '"missing"' in listed, self.keys_of(listed)

    def reset(self):
        points.copy_over(self.begin, self.home)
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir()
        self.going_on = False
        if self.act.fresh:
            self.act.fresh()

    @contextlib.contextmanager
    def call(self, command):
        """The words of a command, and the descriptors that it inherits."""
        if not self.act.pin:
            yield command, ()
            return
        reader, writer = os.pipe()
        os.write(writer, self.act.pin)
        os.close(writer)
        try:
            yield tuple(str(reader) if word == "{fd}" else word for word in command), (reader,)
        finally:
            os.close(reader)

    def traced(self, inject=None):
        with self.call(self.act.command) as (command, inherited):
            return self.tracer.run(command, inject, inherited, self.act.stdin)

    # --- what is looked at

    def entries(self, where):
        """Of a log that both verifiers take."""
        said = self.run_it("audit", "verify", "--log", self.home / "log", "--key", self.vkey)
        self.assertEqual(said.returncode, 0, f"{where}: {said.stderr}")
        try:
            return audit_log.verify(self.home / "log", self.vkey)
        except ValueError as error:
            self.fail(f"{where}: {error}")

    def lines(self):
        return (self.home / "log" / "entries.jsonl").read_bytes().splitlines(keepends=True)

    def left(self, where):
        """The lines that the checkpoint covers, and the bytes behind them: nobody was told of these."""
        size = len(self.entries(where))
        self.assertGreaterEqual(size, self.before, f"{where}: acknowledged entries are gone")
        lines = self.lines()
        return lines[:size], b"".join(lines[size:])

    def check_recovered(self, where, covered, tail):
        entries, lines = self.entries(where), self.lines()
        self.assertEqual(lines[:len(covered)], covered, f"{where}: entries that were signed are gone")
        for line in tail.splitlines(keepends=True):
            self.assertNotIn(line, lines, f"{where}: a line that no checkpoint covered was adopted")
        if tail:
            digests = [e["data"]["sha256"] for e in entries[len(covered):] if e["kind"] == "recovery"]
            self.assertIn(hashlib.sha256(tail).hexdigest(), digests, f"{where}: lines that were put aside without a word")
        still_open = {e["seq"] for e in entries if e["phase"] == "intent"} - {e.get("intent") for e in entries}
        self.assertLessEqual({entries[seq]["kind"] for seq in still_open}, OPEN, f"{where}: an intent left open")
        return entries

    def outcomes(self, entries):
        """Of the act: a result each, or "ok" for an event."""
        new = [e for e in entries[self.before:] if e["kind"] == self.act.kind]
        return [e.get("outcome", "ok") for e in new if e["phase"] in ("result", "event")]

    @staticmethod
    def keys_of(listed):
        return sum(mek["state"] != "missing" for mek in json.loads(listed))

    def count_objects(self):
        return len(list((self.home / "tokens").rglob("*.object")))

    def check_keys(self, where, listed, entries):
        """The keys in the token are those that the log says came, and were not destroyed last."""
        there = {}
        for entry in entries:
            if entry.get("outcome") == "ok" and entry["kind"] in KEYS_COME | {"mek-destroy"}:
                there[entry["data"]["mek_id"]] = entry["kind"] != "mek-destroy"
        named = {mek["id"]: mek["state"] for mek in json.loads(listed)}
        self.assertEqual(set(named), {key for key, here in there.items() if here}, f"{where}: keys in the token and in the log")
        missing = [key for key, state in named.items() if state == "missing"]
        self.assertTrue(not missing or self.was_missing or not GUARDED and self.on_token_file, f"{where}: {missing} are lost")
        return not missing or self.was_missing

    def check_objects(self, where, listed, outcomes, commands=1):
        """A file of the token for each key in it, two for a pair, and an anchor more or less for each command that was cut
        short; more only where such a file was hit and is not guarded."""
        pair = 2 if self.act.kind == "recovery-key" and "ok" in outcomes else 0
        more = self.count_objects() - self.objects - (self.keys_of(listed) - self.keys_at_first) - pair
        self.assertTrue(more <= commands or self.on_token_file and not GUARDED,
                        f"{where}: {more} half-made objects in the token, {outcomes}")
        return more <= 1

    def check_use(self, where):
        """A key that is ok seals a model."""
        usable = [mek for mek in json.loads(self.run_it("mek", "list", "--json").stdout)
                  if mek["state"] == "ok" and mek["origin"] == "generated"]
        newest = {mek["label"].split("#")[0]: mek for mek in usable}  # in the order of their making
        for mek in list(newest.values())[:1]:
            out = self.root / "sealed"
            said = self.run_it("encrypt-model", "--qpc", self.model, "--mek", mek["label"], "--output-dir", out)
            shutil.rmtree(out, ignore_errors=True)
            self.assertEqual(said.returncode, 0, f"{where}: {mek['label']} is ok and seals nothing: {said.stderr}")

    def check_outcome(self, done, outcomes, where):
        """The exit code and the log say the same."""
        if not self.act.kind:
            return
        if done.returncode in DONE and self.act.code == 0:
            self.assertIn("ok", outcomes, f"{where}: said to be done; {done.stderr}")
        elif done.returncode > 0 and not self.act.settles:
            self.assertNotIn("ok", outcomes, f"{where}: exit {done.returncode}, but {outcomes}: {done.stdout}{done.stderr}")
        twice = self.act.kind == "mek-destroy" or self.act.unusable_before
        self.assertLessEqual(outcomes.count("ok"), 2 if twice else 1, where)

    # --- one point

    def recover(self, where, number):
        """The next run, which is killed; and the next, whose listing this is. None where the token is lost."""
        call, when = RECOVERY_KILLS[number % len(RECOVERY_KILLS)]
        done, trace = self.tracer.run(("mek", "list"), f"{call}:signal=KILL:when={when}")
        self.recovery_killed = done.returncode == -9
        self.second_kills += self.recovery_killed
        if self.recovery_killed and self.tracer.struck(trace, self.home / "tokens"):
            self.on_token_file = True
        listed = self.run_it("mek", "list", "--json")
        if listed.returncode == 8 and self.act.unusable_before:
            self.again()
            listed = self.run_it("mek", "list", "--json")
        if listed.returncode in (6, 8) and self.on_token_file and not GUARDED:
            return None
        self.assertEqual(listed.returncode, 0, f"{where}: the next run does not recover: {listed.stderr}")
        return listed.stdout

    def again(self):
        self.going_on = True
        if self.act.fresh:
            self.act.fresh()
        command = self.act.again() if callable(self.act.again) else self.act.again or self.act.command
        with self.call(command) as (words, inherited):
            return self.run_it(*words, pass_fds=inherited, input=self.act.stdin)

    def point(self, point, number, notes):
        self.reset()
        where = f"{self.act.name}: {point}"
        done, trace = self.traced(point.inject)
        self.assertEqual(done.returncode == -9, "KILL" in point.fault, f"{where}: {done.stderr}")
        self.on_token_file = self.tracer.struck(trace, self.home / "tokens")
        covered, tail = self.left(where)
        listed = self.recover(where, number)
        if listed is None:
            notes["token lost by its own file's fault"] += 1
            return done.returncode
        entries = self.check_recovered(where, covered, tail)
        if not self.check_keys(where, listed, entries):
            notes["key lost by its token's file's fault"] += 1
            return done.returncode
        outcomes = self.outcomes(entries)
        as_many = self.check_objects(where, listed, outcomes, commands=1 + self.recovery_killed)
        notes["half-made object stays"] += not as_many
        self.check_outcome(done, outcomes, where)
        if self.act.check:
            self.act.check(done, outcomes, where)
        notes["ok" if "ok" in outcomes else outcomes[-1] if outcomes else "nothing"] += 1
        said = self.again()
        if "ok" not in outcomes:
            self.assertIn(said.returncode, (self.act.code,), f"{where}, again: {said.stderr}")
        else:
            self.assertNotIn(said.returncode, (1, 8), f"{where}, again: {said.stderr}")
        self.check_use(where)
        entries = self.entries(where + ", at the end")
        if not as_many:  # an act that was not cut short leaves nothing of those before it
            self.check_objects(where + ", at the end", self.run_it("mek", "list", "--json").stdout, self.outcomes(entries))
        self.assertEqual(points.left_over(self.home, self.out), [], where)
        return done.returncode

    def sweep(self, act):
        self.act, self.second_kills = act, 0
        self.start()
        self.reset()
        done, trace = self.traced()
        self.assertEqual(done.returncode, act.code, done.stderr)
        faults, codes, notes = collections.Counter(), collections.Counter(), collections.Counter()
        for number, ((call, when), fault) in enumerate(points.spread(self.tracer.points(trace))):
            point = points.Point(call, when, fault)
            with self.subTest(f"{act.name}: {point}"):
                faults[fault] += 1
                codes[self.point(point, number, notes)] += 1
        notes["second kills"] = self.second_kills
        TABLE.add(act.name, faults, codes, notes)
