"""What a ceremony may do is what its officers signed: files, keys and appliance are held against the plan where they
are used, whatever lies there between two prompts."""

import hashlib
import json
import pathlib
import shutil
import subprocess
import time
import unittest

import tokens
from appliance import Appliance, Officer
from ceremony_support import PLANS, Site, Terminal, answer, script


def digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def another(path):
    """A recovery key's file that is as good as `path`, made a moment earlier or later: other bytes."""
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    return bytes(data)


class Bound(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = Site(tokens=False, cards=1)
        cls.key = cls.site.root / "recovery.key"
        cls.site.qpcseal("recovery-key", "new", "-o", cls.key, *cls.site.approved("recovery-key"))
        cls.make("kept")

    @classmethod
    def tearDownClass(cls):
        cls.site.close()

    @classmethod
    def make(cls, name):
        cls.site.qpcseal("mek", "generate", name, *cls.site.approved("mek-generate", "--param", f"name={name}"))

    @classmethod
    def backup(cls, name, file):
        cls.site.qpcseal("mek", "backup", name, "--to", cls.key, "-o", file, *cls.site.approved(
            "mek-backup", "--mek", name, "--digest", f"recovery_key_sha256={cls.key}"))

    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1].replace("test_", "")[:40]
        self.folder = self.site.root / self.name
        self.folder.mkdir()
        self.out = self.folder / "record"
        self.options = []

    def tearDown(self):
        """No test leaves a ceremony that keeps the next one out."""
        ceremonies = self.entries("ceremony")
        if ceremonies and ceremonies[-1]["phase"] == "intent":
            self.resume("--abandon", "--why", "end of the test")

    def entries(self, kind):
        return self.site.json("audit", "show", "--kind", kind)["entries"]

    def acts(self, kind):
        """Of this test's ceremony."""
        mine = [e for e in self.entries("ceremony") if e["phase"] == "intent"][-1]["data"]["ceremony"]
        return [e for e in self.entries(kind) if e["data"].get("approval", {}).get("ceremony") == mine]

    def begin(self, sample, stop, edit=lambda text: text, **edits):
        """Runs a plan until a prompt for which `stop` says True."""
        self.plan = self.site.plan(sample, self.folder, ceremony=self.name, **edits)
        self.plan.write_text(edit(self.plan.read_text()))
        self.options = ["--dir", self.folder, "-o", self.out, *self.site.rehearse(self.plan, self.folder)]
        return Terminal(self.site.env, "ceremony", "run", self.plan, *self.options, *self.site.sign_plan(self.plan),
                        respond=stop)

    def resume(self, *more, expect=0):
        return self.site.qpcseal("ceremony", "resume", self.plan, *self.options, *more, "--force", expect=expect,
                                 stdin="go\ndone\nW.W.\n\n" * 50)

    def record(self):
        return json.loads((self.out / "record.json").read_text())

    def swapped(self, file, other, sample, kind, **edits):
        """`file` is another one while a prompt waits, then after a stop: nothing is done either time; with the right
        one back the ceremony goes on."""
        right = file.read_bytes()

        def respond(prompt):
            if "'go'" in prompt:
                file.write_bytes(other)
            return answer(prompt)

        terminal = self.begin(sample, respond, **edits)
        self.assertEqual(terminal.code, 5, terminal.text)
        self.assertIn("not what the officers signed", terminal.text)
        self.assertEqual(self.acts(kind), [])
        said = self.resume(expect=5).stderr
        self.assertIn(f"{file.name} has SHA-256 {hashlib.sha256(other).hexdigest()}, the plan says", said)
        self.assertEqual(self.acts(kind), [])
        file.write_bytes(right)
        self.resume()
        step = next(step for step in self.record()["steps"] if step["act"] == kind)
        self.assertEqual([a["outcome"] for a in step["attempts"]], ["failed", "ok"])
        self.assertEqual(len(self.acts(kind)), 1)

    def test_another_recovery_key(self):
        key = self.folder / "recovery.key"
        shutil.copy(self.key, key)
        self.swapped(key, another(key), "backup", "mek-backup", mek="kept", recovery_key_sha256=digest(key))

    def test_another_backup(self):
        self.make("drilled")
        file, other = self.folder / "resnet50.backup", self.folder / "other"
        for each in (file, other):
            self.backup("drilled", each)
        self.swapped(file, other.read_bytes(), "recovery-drill", "mek-drill", mek="drilled", backup_sha256=digest(file))

    def test_another_backup_restored(self):
        self.make("restored")
        file, other = self.folder / "resnet50.backup", self.folder / "other"
        for each in (other, file):  # the last one has the final count
            self.backup("restored", each)
        self.site.qpcseal("mek", "destroy", "restored", *self.site.approved("mek-destroy", "--mek", "restored"))
        self.swapped(file, other.read_bytes(), "recovery-drill", "mek-restore", mek="restored",
                     backup_sha256=digest(file),
                     edit=lambda text: text.replace('"mek-drill"', '"mek-restore"')
                     .replace('days = 180\noutput = "drill.receipt"\n', ""))
        self.assertEqual(self.acts("mek-restore")[0]["data"]["backup_sha256"], digest(file))

    def test_another_transferee(self):
        self.make("inherited")
        key = self.folder / "transferee.key"
        shutil.copy(self.key, key)
        transferee = f'mek = "inherited"\ntransferee = "transferee.key"\ntransferee_sha256 = "{digest(key)}"\n'
        self.swapped(key, another(key), "decommissioning", "mek-destroy", mek="inherited",
                     edit=lambda text: text.replace('mek = "inherited"\n', transferee))

    def test_an_output_that_is_not_the_step_s(self):
        """What lies there after a stop is held against what the act wrote."""
        shutil.copy(self.key, self.folder)
        asked = []

        def stop(prompt):
            asked.extend(["initials"] if "initials" in prompt else [])
            return None if len(asked) == 3 else answer(prompt)

        self.assertEqual(self.begin("backup", stop, mek="kept", recovery_key_sha256=digest(self.key)).code, 2)
        file = self.folder / "resnet50.backup"
        right = file.read_bytes()
        for wrong in (b"not a backup at all", None):
            file.unlink()
            if wrong:
                file.write_bytes(wrong)
            self.assertIn("not what the step wrote", self.resume(expect=5).stderr)
        self.backup("kept", file)  # a good one of the same key, to the same token
        self.assertIn("not what the step wrote", self.resume(expect=5).stderr)
        file.write_bytes(right)
        self.resume()
        step = next(step for step in self.record()["steps"] if step["id"] == "backup")
        self.assertEqual(step["attempts"][-1]["outputs"], [{"file": file.name, "sha256": digest(file)}])
        self.assertEqual(step["attempts"][-1]["acts"][0]["result"]["backup_sha256"], digest(file))

    def test_an_old_checkpoint(self):
        """Of this log, and from before the step: it is not the step's."""
        old = (self.site.root / "home" / "log" / "checkpoint").read_bytes()
        file = self.folder / "log.checkpoint"

        asked = []

        def respond(prompt):
            asked.extend(["go"] if "'go'" in prompt else [])
            return None if len(asked) == 2 else answer(prompt)

        self.assertEqual(self.begin("first-key", respond, mek=self.name).code, 2)
        file.write_bytes(old)
        self.assertIn("log.checkpoint", self.resume(expect=3).stderr)
        self.assertEqual(file.read_bytes(), old)
        file.unlink()
        self.resume()
        size = int(file.read_text().splitlines()[1])
        self.assertGreater(size, self.acts("mek-generate")[0]["seq"])

    def made(self):
        return any(mek["label"] == self.name + "#1" for mek in self.site.json("mek", "list"))

    def test_valid_until(self):
        """No act is done under a plan that has expired, not after a stop either."""
        for left in (6, 30, 120):  # a slow machine gets more time to begin
            until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + left))
            self.plan = self.site.plan("first-key", self.folder, ceremony=self.name, mek=self.name, valid_until=until)
            self.plan.write_text(self.plan.read_text().replace("rehearsed = true", "rehearsed = false"))
            self.options = ["--dir", self.folder, "-o", self.out]
            terminal = Terminal(self.site.env, "ceremony", "run", self.plan, *self.options,
                                *self.site.sign_plan(self.plan), respond=lambda p: None if "'go'" in p else answer(p))
            if terminal.code == 2:
                break
        self.assertEqual(terminal.code, 2, terminal.text)
        time.sleep(left + 1)
        self.assertIn("the plan was valid until " + until, self.resume(expect=7).stderr)
        self.assertFalse(self.made())
        self.resume("--abandon", "--why", "expired")

    def test_lost_plan_and_rehearsal(self):
        """The home keeps what the ceremony began with."""
        terminal = self.begin("first-key", lambda p: None if "'go'" in p else answer(p), mek=self.name)
        self.assertEqual(terminal.code, 2, terminal.text)
        text = self.plan.read_bytes()
        self.plan.unlink()
        where = ["--dir", self.folder, "-o", self.out]
        self.site.qpcseal("ceremony", "resume", hashlib.sha256(text).hexdigest(), *where,
                          stdin="go\nW.W.\n\n" * 50)
        self.assertEqual(self.record()["comparison"], [])
        made = (self.out / "record.json").read_bytes()
        for given in ((), (hashlib.sha256(text).hexdigest(),)):
            again = self.folder / f"again-{len(given)}"
            self.site.qpcseal("ceremony", "report", *given, "-o", again)
            self.assertEqual((again / "record.json").read_bytes(), made)
        self.site.qpcseal("ceremony", "report", "0" * 64, "-o", self.folder / "none", expect=3)
        # What the record shows is what ssh-keygen accepts.
        record = json.loads(made)
        for officer, signature in zip(record["approvers"], record["signatures"], strict=True):
            file = self.folder / "signature"
            file.write_text(signature)
            said = subprocess.run(["ssh-keygen", "-Y", "verify", "-f", self.site.officers_file, "-I", officer["name"],
                                   "-n", "plan@qpcseal", "-s", file], input=text, capture_output=True, check=False)
            self.assertEqual(said.returncode, 0, said.stderr)

    def test_lost_plan_of_what_is_abandoned(self):
        self.begin("first-key", lambda p: None if "'go'" in p else answer(p), mek=self.name)
        self.plan.unlink()
        self.site.qpcseal("ceremony", "resume", "-o", self.out, "--abandon", "--why", "the plan is lost")
        self.assertEqual(self.entries("ceremony")[-1]["outcome"], "failed")

    def test_rehearsals_that_are_none(self):
        """All of it is read before the first step."""
        self.plan = self.site.plan("first-key", self.folder, ceremony=self.name, mek=self.name)
        good = json.loads(self.site.rehearse(self.plan, self.folder)[1].read_text())
        signatures = self.site.sign_plan(self.plan)
        file = self.folder / "forged.json"

        def without(*path):
            out = json.loads(json.dumps(good))
            at = out
            for part in path[:-1]:
                at = at[part]
            del at[path[-1]]
            return out

        before = len(self.site.json("audit", "show")["entries"])
        for forged in ({}, [], 3, {**good, "plan": 3}, {**good, "format": 7}, {**good, "steps": []},
                       {**good, "steps": 3}, {**good, "environment": {}}, without("steps", 0),
                       without("environment", "os"), without("environment", "token", "firmware"),
                       without("steps", 1, "attempts"), without("steps", 1, "attempts", 0, "acts"),
                       without("steps", 1, "attempts", 0, "acts", 0, "kind"), without("stand_ins")):
            file.write_text(json.dumps(forged))
            said = self.site.qpcseal("ceremony", "run", self.plan, "--dir", self.folder, "-o", self.out, "--rehearsal",
                                     file, *signatures, expect=4, stdin=script())
            self.assertNotIn("json.exception", said.stderr, forged)
        self.assertEqual(len(self.site.json("audit", "show")["entries"]), before)

    def test_generations(self):
        """A plan names one generation, and is rehearsed with all up to it; a bare name of several is refused."""
        self.make(self.name)
        first = next(mek["id"] for mek in self.site.json("mek", "list") if mek["label"] == self.name + "#1")
        self.site.qpcseal("mek", "rotate", self.name, *self.site.approved(
            "mek-rotate", "--param", f"mek={self.name}#1", "--param", f"mek_id={first}"))
        bare = self.folder / "bare"
        plan = self.site.plan("decommissioning", bare, ceremony="bare", mek=self.name)
        words = f"'{self.name}' has several generations: name one, such as {self.name}#2"
        said = self.site.qpcseal("ceremony", "lint", plan, "--dir", bare, expect=5)
        self.assertIn(words, said.stdout)
        said = self.site.qpcseal("ceremony", "run", plan, "--dir", bare, "-o", self.out,
                                 *self.site.rehearse(plan, bare), *self.site.sign_plan(plan), expect=5,
                                 stdin=script())
        self.assertIn(words, said.stderr)
        self.assertEqual(self.begin("decommissioning", answer, mek=self.name + "#2").code, 0)
        left = [mek["label"] for mek in self.site.json("mek", "list") if mek["label"].startswith(self.name)]
        self.assertEqual(left, [self.name + "#1"])
        stage = json.loads((self.folder / "decommissioning-rehearsal" / "record.json").read_text())
        self.assertIn(f"MEK '{self.name}#1, {self.name}#2'", stage["stand_ins"])

    def test_rehearsal_on_a_real_appliance(self):
        """A rehearsal asks nobody: no appliance of value does it."""
        plan = self.site.plan("first-key", self.folder, ceremony=self.name, mek=self.name)
        before = self.site.json("audit", "show")["entries"]
        said = self.site.qpcseal("ceremony", "rehearse", plan, "--dir", self.folder, "-o", self.folder / "on",
                                 "--on-this-appliance", expect=5)
        self.assertIn("none to throw away", said.stderr)
        self.assertEqual(self.site.json("audit", "show")["entries"], before)
        fresh = Site(tokens=False, cards=1, genesis=False)  # its officers have not signed its genesis either
        try:
            fresh.qpcseal("ceremony", "rehearse", plan, "--dir", self.folder, "-o", self.folder / "on",
                          "--on-this-appliance", expect=5)
        finally:
            fresh.close()
        demo = Appliance(cards=1)
        try:
            demo.qpcseal("ceremony", "rehearse", plan, "--dir", self.folder, "-o", self.folder / "demo",
                         "--on-this-appliance")
            self.assertEqual([mek["label"] for mek in demo.json("mek", "list")], [self.name + "#1"])
        finally:
            demo.close()

    def test_rejected(self):
        """One officer's rejection ends a plan, for good."""
        plan = self.plan = self.site.plan("first-key", self.folder, ceremony=self.name, mek=self.name)
        options = ["--dir", self.folder, "-o", self.out, *self.site.rehearse(plan, self.folder)]
        rejection = self.folder / "rejection"
        rejection.write_text(f"qpcseal rejection 1\nrequest sha256: {digest(plan)}\n")
        carl = self.site.officers[2]
        signed = self.site.sign_plan(plan)
        elsewhere = self.site.qpcseal("ceremony", "run", plan, *options, *signed[:2], "--signature",
                                      carl.sign(rejection, "approval"), expect=7, stdin=script())
        self.assertNotIn("rejected", elsewhere.stderr)
        said = self.site.qpcseal("ceremony", "run", plan, *options, *signed, "--signature",
                                 carl.sign(rejection, "plan"), expect=7, stdin=script())
        self.assertIn("the plan was rejected by carl", said.stderr)
        entry = self.entries("rejection")[-1]["data"]
        self.assertEqual((entry["operation"], entry["request_sha256"], entry["rejecters"][0]["name"]),
                         ("ceremony", digest(plan), "carl"))
        said = self.site.qpcseal("ceremony", "run", plan, *options, *signed, expect=7, stdin=script())
        self.assertIn("this plan was rejected", said.stderr)
        lint = self.site.qpcseal("ceremony", "lint", plan, "--dir", self.folder, expect=5)
        self.assertIn("the plan was rejected", lint.stdout)
        self.assertFalse(self.made())

    def test_lint_says_all(self):
        plan = self.site.plan("first-key", self.folder, aud="0" * 32, valid_until="2026-01-01T00:00:00Z", threshold=9,
                              mek="kept")
        said = self.site.qpcseal("ceremony", "lint", plan, "--dir", self.folder, expect=5).stdout
        for words in ("the plan is for appliance", "the plan was valid until 2026-01-01T", "wants 9 officers and names 4",
                      "this appliance has 4 who may sign plans", "there is, or was, a MEK 'kept' already"):
            self.assertIn("WRONG: ", said)
            self.assertIn(words, said)
        plan = self.site.plan("decommissioning", self.folder, mek="nothing#2")
        said = self.site.qpcseal("ceremony", "lint", plan, "--dir", self.folder, expect=5).stdout
        self.assertIn("there is no MEK 'nothing'", said)
        plan = self.site.plan("first-key", self.folder, mek="bad name/../x")
        said = self.site.qpcseal("ceremony", "lint", plan, "--dir", self.folder, expect=4).stderr
        self.assertIn("bad name", said)

    def test_texts_of_one_line(self):
        plan = self.site.plan("first-key", self.folder, mek=self.name)
        text = plan.read_text()
        for old, new in (("First key", "First key\\nSHA-256   00"), ("Carl Cohen", "Carl\\nstep 9"),
                         ("one line 'mek", "x\\n  type 'go'"), ("I make", "I\\u001b[2J make")):
            plan.write_text(text.replace(old, new))
            self.assertNotEqual(plan.read_text(), text)
            said = self.site.qpcseal("ceremony", "lint", plan, "--dir", self.folder, expect=4).stderr
            self.assertIn("has control characters", said)


class AnotherKindOfToken(unittest.TestCase):
    def test_rehearsal_in_a_token_to_throw_away(self):
        """A demonstration on a token that is not the embedded one: its keys are the rehearsal's."""
        site = Appliance(cards=1)
        token = tokens.Forwarded(site.root / "spare")
        try:
            env = dict(site.env, QPCSEAL_HOME=str(site.root / "spare-home"))
            site.qpcseal("init", *token.init_options(), "--insecure-demo", "--appliance-id", "spare", "--policy",
                         site.policy, "--trust", site.trust, env=env)
            folder = site.root / "work"
            folder.mkdir()
            plan = folder / "plan.toml"
            shutil.copy(PLANS[0] / "first-key.toml", plan)
            plan.write_text(plan.read_text().replace("2026-12-31", "2099-12-31"))
            site.qpcseal("ceremony", "rehearse", plan, "--dir", folder, "-o", folder / "rehearsal",
                         "--on-this-appliance", env=env)
            record = json.loads((folder / "rehearsal" / "record.json").read_text())
            self.assertEqual(record["environment"]["token"]["label"], token.label)
            listed = json.loads(site.qpcseal("mek", "list", "--json", env=env).stdout)
            self.assertEqual([mek["label"] for mek in listed], ["resnet50#1"])
            self.assertEqual(site.json("mek", "list"), [])
        finally:
            token.close()
            site.close()


class Transferee(unittest.TestCase):
    def test_an_heir_by_ceremony(self):
        """A restored key goes on in its source's place, by the receipt that the plan names."""
        source, site = Site(tokens=False, cards=1), Site(tokens=False, cards=1)
        try:
            folder = site.root / "work"
            folder.mkdir()
            key, backup, end = site.root / "recovery.key", folder / "resnet50.backup", folder / "end.receipt"
            site.qpcseal("recovery-key", "new", "-o", key, *site.approved("recovery-key"))
            source.qpcseal("mek", "generate", "resnet50", *source.approved("mek-generate", "--param", "name=resnet50"))
            source.qpcseal("mek", "backup", "resnet50", "--to", key, "-o", backup, *source.approved(
                "mek-backup", "--mek", "resnet50", "--digest", f"recovery_key_sha256={key}"))
            source.qpcseal("mek", "destroy", "resnet50", "--transfer-to", key, *source.approved(
                "mek-destroy", "--mek", "resnet50", "--digest", f"transferee_recovery_key_sha256={key}"))
            entry = [e for e in source.json("audit", "show", "--kind", "mek-destroy")["entries"]
                     if e["phase"] == "result"][-1]["seq"]
            source.qpcseal("audit", "receipt", entry, "-o", end)
            plan = site.plan("recovery-drill", folder, backup_sha256=digest(backup))
            text = plan.read_text().replace('"mek-drill"', '"mek-restore"')
            plan.write_text(text.replace('days = 180\noutput = "drill.receipt"\n',
                                         f'retirement = "end.receipt"\nretirement_sha256 = "{digest(end)}"\n'))
            out = folder / "record"
            rehearsal = site.rehearse(plan, folder)
            self.assertIn("receipt 'end.receipt' of the end of a MEK 'resnet50#1'",
                          json.loads(rehearsal[1].read_text())["stand_ins"])
            right = end.read_bytes()
            end.write_bytes(right + b"\n")
            signatures = site.sign_plan(plan)
            said = site.qpcseal("ceremony", "run", plan, "--dir", folder, "-o", out, *rehearsal, *signatures, expect=5,
                                stdin=script())
            self.assertIn("end.receipt has SHA-256", said.stderr)
            end.write_bytes(right)
            site.qpcseal("ceremony", "run", plan, "--dir", folder, "-o", out, *rehearsal, *signatures, stdin=script())
            self.assertEqual([(m["label"], m["origin"]) for m in site.json("mek", "list")], [("resnet50#1", "transferee")])
        finally:
            source.close()
            site.close()


class Signers(unittest.TestCase):
    """Those who signed must count still when it goes on."""

    def test_signatures_that_no_longer_count(self):
        site = Site(tokens=False, cards=1)
        try:
            folder = site.root / "work"
            plan = site.plan("first-key", folder, mek="later")
            options = [plan, "--dir", folder, "-o", folder / "record", *site.rehearse(plan, folder)]
            Terminal(site.env, "ceremony", "run", *options, *site.sign_plan(plan),
                     respond=lambda p: None if "'go'" in p else answer(p))
            lines = [officer.line() for officer in site.officers]
            dora = site.officers[3]
            for changed, why in ((dora.line().replace("plan@qpcseal,", ""), "NAMESPACE"),
                                 (dora.line(',valid-after="20990101Z"'), "EARLY"),
                                 (dora.line(',valid-before="20260101Z"'), "LATE"),
                                 (dora.line().replace("dora names", "doris names"), ""), ("", "UNKNOWN")):
                file = site.root / "officers.next"
                file.write_text("".join([*lines[:3], changed]))
                site.change_officers(file)
                said = site.qpcseal("ceremony", "resume", *options, expect=7, stdin=script())
                self.assertIn("1 count still, and no longer dora" + (f" (POL-SIGNATURE-{why})" if why else ""),
                              said.stderr)
                self.assertEqual(site.json("mek", "list"), [])
            file.write_text("".join(lines))
            site.change_officers(file)
            site.qpcseal("ceremony", "resume", *options, stdin="go\nW.W.\n\n" * 50)
        finally:
            site.close()


class TokenError(unittest.TestCase):
    """A step whose call the token refuses is closed, and done by the next attempt."""

    def test_failed_and_resumed(self):
        site = Appliance(cards=1, token=tokens.Forwarded)
        try:
            folder = site.root / "work"
            folder.mkdir()
            aud = site.json("audit", "show", "--kind", "genesis")["entries"][0]["data"]["aud"]
            sample = (PLANS[0] / "first-key.toml").read_text()
            plan = folder / "plan.toml"
            plan.write_text(sample.replace('"plant-1"', '"test"').replace("0" * 32, aud)
                            .replace("2026-12-31", "2099-12-31").replace("threshold = 2", "threshold = 1")
                            .replace('officer = "anna"\n', "").replace('officer = "bela"\n', "")
                            .replace('officer = "carl"\n', ""))
            site.qpcseal("ceremony", "rehearse", plan, "--dir", folder, "-o", folder / "rehearsal")
            options = [plan, "--dir", folder, "-o", folder / "record", "--rehearsal",
                       folder / "rehearsal" / "record.json"]
            officer = Officer.__new__(Officer)
            officer.name, officer.key = "officer", site.root / "sole-officer" / "officer"
            Terminal(site.env, "ceremony", "run", *options, "--signature", officer.sign(plan, "plan"),
                     respond=lambda p: None if "'go'" in p else answer(p))
            for rule in ("C_GenerateKey 1 return 0x30", "C_GenerateKey 1 return-after 0x30",
                         "C_GenerateKey 1 vanish-after"):
                site.token.close()
                site.token.faults(rule)
                site.token.start()
                said = site.qpcseal("ceremony", "resume", *options, expect=6, stdin="go\nW.W.\n\n" * 50)
                self.assertRegex(said.stderr, r"C_\w+")
            site.token.close()
            site.token.faults()
            site.token.start()
            site.qpcseal("ceremony", "resume", *options, stdin="go\nW.W.\n\n" * 50)
            self.assertEqual([mek["label"] for mek in site.json("mek", "list")], ["resnet50#1"])
            record = json.loads((folder / "record" / "record.json").read_text())
            outcomes = [attempt["outcome"] for attempt in record["steps"][1]["attempts"]]
            self.assertEqual(outcomes, ["failed"] * (len(outcomes) - 1) + ["ok"])
            self.assertGreaterEqual(len(outcomes), 4)
            site.qpcseal("audit", "verify")
        finally:
            site.close()


if __name__ == "__main__":
    unittest.main()
