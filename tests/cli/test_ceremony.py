"""Key ceremonies: rehearsed, signed, run at a terminal, stopped anywhere and gone on with."""

import base64
import collections
import hashlib
import html.parser
import json
import os
import shutil
import signal
import subprocess
import unittest

from appliance import Failed, Officer, QPCSEAL, run
from ceremony_support import MODULE, Site, Terminal, answer, script


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


class Ceremony(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = Site()

    @classmethod
    def tearDownClass(cls):
        cls.site.close()

    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1].replace("test_", "")[:50]
        self.folder = self.site.root / self.name
        self.plan = self.site.plan("first-key", self.folder, ceremony=self.name, mek=self.name,
                                   output=self.name + ".checkpoint")

    def labels(self):
        return [mek["label"] for mek in self.site.json("mek", "list")]

    def out(self):
        return self.folder / "record"

    def options(self, *signatures, rehearsal=True):
        return [self.plan, "--dir", self.folder, "-o", self.out(), *signatures,
                *(self.site.rehearse(self.plan, self.folder) if rehearsal else [])]

    def refused(self, *signatures, expect=7, rehearsal=False):
        said = self.site.qpcseal("ceremony", "run", *self.options(*signatures, rehearsal=rehearsal), expect=expect,
                                 stdin=script())
        self.assertNotIn(self.name + "#1", self.labels())
        return said.stderr

    def test_the_whole(self):
        self.site.qpcseal("ceremony", "lint", self.plan, "--dir", self.folder)
        options = self.options()  # officers sign after the rehearsal
        signatures = self.site.sign_plan(self.plan, by=(0, 1, 2, 3))  # three tokens, and a key on disk
        terminal = Terminal(self.site.env, "ceremony", "run", *options, *signatures,
                            respond=lambda p: "the lamp went out" if "deviation" in p else answer(p))
        self.assertEqual(terminal.code, 0, terminal.text)
        for words in ("Step 1 of", "who acts:", "must see:", "read aloud:", "signed by bela"):
            self.assertIn(words, terminal.text)
        self.assertNotIn("\x1b", terminal.text)
        self.assertIn(self.name + "#1", self.labels())

        record_bytes = (self.out() / "record.json").read_bytes()
        record = json.loads(record_bytes)
        entries = self.site.json("audit", "show", "--kind", "ceremony")["entries"]
        end = [e for e in entries if e["phase"] == "result"][-1]
        self.assertEqual(end["data"]["record_sha256"], hashlib.sha256(record_bytes).hexdigest())
        page_bytes = (self.out() / "record.html").read_bytes()
        self.assertEqual(end["data"]["comparison"], [])
        self.assertEqual((record["outcome"]["result"], record["interruptions"]), ("complete", []))
        self.assertIn(hashlib.sha256(record_bytes).hexdigest(), page_bytes.decode())
        self.assertEqual([a["name"] for a in record["approvers"]], ["anna", "bela", "carl", "dora"])
        self.assertEqual(record["plan"]["sha256"], hashlib.sha256(self.plan.read_bytes()).hexdigest())
        made = record["steps"][1]["attempts"][0]
        self.assertEqual((made["initials"], made["deviation"]), ("W.W.", "the lamp went out"))
        self.assertEqual(made["acts"][0]["result"]["attributes"]["CKA_SENSITIVE"], "true")
        self.assertLess(record["checkpoints"]["before"]["size"], record["checkpoints"]["after"]["size"])
        page = Page()
        page.feed(page_bytes.decode())
        self.assertIn(self.name + "#1", page.text)
        self.check_root(record, terminal.text, page.text)
        self.assertNotIn("script", [tag for tag, _ in page.tags])
        self.assertFalse([a for _, attrs in page.tags for a in attrs if a in ("src", "href")])

        # The record is made from the log: again the same.
        again = self.folder / "again"
        self.site.qpcseal("ceremony", "report", self.plan, "-o", again)
        self.assertEqual((again / "record.json").read_bytes(), record_bytes)
        self.assertEqual((again / "record.html").read_bytes(), page_bytes)
        self.check_it(again)
        by_id = self.folder / "by-id"
        self.site.qpcseal("ceremony", "report", self.name, "-o", by_id)
        self.assertEqual((by_id / "record.json").read_bytes(), record_bytes)
        said = self.site.qpcseal("ceremony", "report", self.name + "x", "-o", self.folder / "no", expect=3).stderr
        self.assertIn(f"did you mean '{self.name}'?", said)
        # And a plan serves once.
        shutil.rmtree(self.out())
        (self.folder / (self.name + ".checkpoint")).unlink()
        said = self.site.qpcseal("ceremony", "run", *options, *signatures, expect=7, stdin=script())
        self.assertIn("used before", said.stderr)

    def check_root(self, record, screen, page):
        """The words that are read aloud at the checkpoint are the root's, on the screen and in the record."""
        note = (self.folder / (self.name + ".checkpoint")).read_text().splitlines()
        root = base64.b64decode(note[2]).hex()
        output = record["steps"][-1]["attempts"][0]["outputs"][0]
        self.assertEqual((output["size"], output["root"]), (int(note[1]), root))
        self.assertIn(f"  size: {note[1]}\n  root: {root}\n  the root in words:\n", screen)
        words = screen.split("the root in words:")[-1].split()[:32]
        self.assertIn(" ".join(words), " ".join(page.split()))
        self.assertNotIn("witness,", words)

    def test_rehearsed_at_a_terminal_too(self):
        """People practise what they then do: the same prompts, and a run that takes that rehearsal."""
        out = self.folder / "asked"
        rehearsed = Terminal(self.site.env, "ceremony", "rehearse", self.plan, "--dir", self.folder, "-o", out, "--ask")
        self.assertEqual(rehearsed.code, 0, rehearsed.text)
        run = Terminal(self.site.env, "ceremony", "run", self.plan, "--dir", self.folder, "-o", self.out(),
                       "--rehearsal", out / "record.json", *self.site.sign_plan(self.plan))
        self.assertEqual(run.code, 0, run.text)
        steps = [[line for line in terminal.text.splitlines() if line.startswith("Step ")] for terminal in (rehearsed, run)]
        self.assertEqual(*steps)
        self.assertGreater(len(steps[0]), 1)

    def approve(self, officer, *more, signed):
        """An officer with a token of their own signs by `qpcseal approve`."""
        pin, out = self.folder / "pin", self.folder / "approved"
        pin.touch(mode=0o600)
        pin.write_text("123456")
        out.unlink(missing_ok=True)
        return run(QPCSEAL, "approve", self.plan, "--module", MODULE, "--token", officer.name, "--pin-source",
                   f"file:{pin}", "-o", out, "--yes-digest", hashlib.sha256(signed).hexdigest(), *more,
                   env=dict(officer.env)), out

    def test_signed_by_qpcseal(self):
        """qpcseal approve knows a plan, and signs it or its rejection in the plans' namespace."""
        options = self.options()
        text = self.plan.read_bytes()
        said, anna = self.approve(self.site.officers[0], signed=text)
        self.assertIn("plan@qpcseal", said.stdout)
        anna = anna.rename(self.folder / "anna.sig")
        _, bela = self.approve(self.site.officers[1], signed=text)
        bela = bela.rename(self.folder / "bela.sig")
        other = self.site.plan("first-key", self.folder / "other", mek="other", output="other")
        kept, self.plan = self.plan, other
        digest = hashlib.sha256(other.read_bytes()).hexdigest()
        _, no = self.approve(self.site.officers[2], "--reject",
                             signed=f"qpcseal rejection 1\nrequest sha256: {digest}\n".encode())
        said = self.site.qpcseal("ceremony", "run", other, "--dir", other.parent, "-o", other.parent / "record",
                                 *self.site.sign_plan(other), "--signature", no, expect=7, stdin=script())
        self.assertIn("the plan was rejected by carl", said.stderr)
        self.plan = kept
        self.site.qpcseal("ceremony", "run", *options, "--signature", anna, bela, stdin=script())
        self.assertIn(self.name + "#1", self.labels())

    def test_what_is_no_plan_is_not_signed(self):
        self.plan.write_text(self.plan.read_text().replace("threshold = 2", "threshold = two"))
        with self.assertRaises(Failed) as caught:
            self.approve(self.site.officers[0], signed=self.plan.read_bytes())
        self.assertIn("exit 4", str(caught.exception))

    def test_one_short(self):
        self.assertIn("the plan wants 2 officers, 1 signed it", self.refused(*self.site.sign_plan(self.plan, by=(0,))))
        self.assertIn("the plan wants 2 officers, 0 signed it", self.refused())

    def test_same_person_twice(self):
        first = self.site.sign_plan(self.plan, by=(3,))
        other = first[1].rename(first[1].with_suffix(".again"))
        self.assertIn("POL-SIGNATURE-TWICE",
                      self.refused("--signature", other, *self.site.sign_plan(self.plan, by=(3,))))

    def test_signed_for_another_plan(self):
        signatures = self.site.sign_plan(self.plan)
        self.plan.write_text(self.plan.read_text() + "\n")
        self.assertIn("POL-SIGNATURE-BAD", self.refused(*signatures))

    def test_signed_in_another_namespace(self):
        made = [part for i in (0, 3) for part in ("--signature", self.site.officers[i].sign(self.plan, "approval"))]
        self.assertIn("POL-SIGNATURE-BAD", self.refused(*made))

    def test_signed_by_a_stranger(self):
        stranger = Officer(self.folder, "stranger", "-t", "ed25519")
        self.assertIn("POL-SIGNATURE-UNKNOWN",
                      self.refused("--signature", stranger.sign(self.plan, "plan"),
                                   *self.site.sign_plan(self.plan, by=(0,))))

    def officers(self, lines):
        """Another officers file."""
        file = self.folder / "officers.next"
        file.write_text("".join(lines))
        self.site.change_officers(file)

    def test_signed_by_a_revoked_officer(self):
        lines = [officer.line() for officer in self.site.officers]
        self.addCleanup(self.officers, lines)
        signatures = self.site.sign_plan(self.plan, by=(0, 3))
        self.officers(lines[:3])
        said = self.refused(*signatures)
        self.assertIn("1 signed it so that it counts", said)
        self.assertIn("POL-SIGNATURE-UNKNOWN", said)
        self.officers([*lines[:3], self.site.officers[3].line(',valid-before="20260101Z"')])
        said = self.refused(*signatures)
        self.assertIn("POL-SIGNATURE-LATE: dora", said)

    def test_an_officer_is_revoked_while_it_goes_on(self):
        lines = [officer.line() for officer in self.site.officers]
        self.addCleanup(self.officers, lines)
        options, signatures = self.options(), self.site.sign_plan(self.plan)
        Terminal(self.site.env, "ceremony", "run", *options, *signatures,
                 respond=lambda p: "stop" if "'go'" in p else answer(p))
        self.officers(lines[:3])
        said = self.site.qpcseal("ceremony", "resume", *options, expect=7, stdin=script())
        self.assertIn("no longer dora (POL-SIGNATURE-UNKNOWN)", said.stderr)
        self.assertNotIn(self.name + "#1", self.labels())
        self.officers(lines)
        self.site.qpcseal("ceremony", "resume", *options, stdin="go\nW.W.\n\n" * 200)
        self.assertEqual(self.labels().count(self.name + "#1"), 1)

    def test_an_approval_of_a_single_act_is_no_plan(self):
        """And what approves a plan approves no act outside of it."""
        request = self.site.request("mek-generate", "--param", f"name={self.name}", name=self.name + ".request")
        acts = [part for i in (0, 3) for part in ("--signature", self.site.officers[i].sign(request))]
        self.assertIn("POL-SIGNATURE-BAD", self.refused(*acts))
        signed = self.site.sign_plan(self.plan)[1::2]
        said = self.site.qpcseal("mek", "generate", self.name, "--request", request, "--approval", *signed, expect=7)
        self.assertIn("POL-SIGNATURE-BAD", said.stderr)

    def test_expired(self):
        self.plan.write_text(self.plan.read_text().replace("2099-01-01T", "2026-01-01T"))
        self.assertIn("the plan was valid until 2026-01-01T", self.refused(*self.site.sign_plan(self.plan)))

    def test_what_does_not_fit(self):
        signatures = self.site.sign_plan(self.plan)
        self.assertIn("requires a rehearsal", self.refused(*signatures, expect=5))
        text = self.plan.read_text()
        for old, new, words in (("threshold = 2", "threshold = 1", "the policy wants 2"),
                                (self.site.aud, "00" * 16, "the plan is for appliance"),
                                ("SoftHSM v2", "SoftHSM v9", "the token's model"),
                                ("suites = [2", "suites = [1, 2", "does not serve suite")):
            edited = text.replace(old, new)
            self.assertNotEqual(text, edited)
            # What needs the token is asked after what does not.
            self.plan.write_text(edited.replace("rehearsed = true", "rehearsed = false"))
            self.assertIn(words, self.refused(*self.site.sign_plan(self.plan), expect=5))
        self.plan.write_text(text)
        signatures = self.site.sign_plan(self.plan)
        (self.folder / (self.name + ".checkpoint")).write_text("already")
        self.assertIn("exists already", self.refused(*signatures, expect=5))
        self.site.qpcseal("ceremony", "lint", self.plan, "--dir", self.folder, expect=5)

    def test_a_rehearsal_of_another_plan(self):
        other = self.site.rehearse(self.plan, self.folder)
        self.plan.write_text(self.plan.read_text() + "\n# another\n")
        said = self.site.qpcseal("ceremony", "run", self.plan, "--dir", self.folder, "-o", self.out(), *other,
                                 *self.site.sign_plan(self.plan), expect=5, stdin=script())
        self.assertIn("not the record of a rehearsal of this plan", said.stderr)

    def test_bad_plans(self):
        text = self.plan.read_text()
        for old, new in (('do = "mek-generate"', 'do = "mek-conjure"'), ("threshold = 2", ""),
                         ("threshold = 2", "threshold = 2\nextra = 1"), ('who = "Anna', 'who = "Nobody'),
                         ('output = "', 'output = "../'), ("rehearsed = true", 'rehearsed = "yes"'),
                         ("[token]", "[token")):
            self.plan.write_text(text.replace(old, new))
            self.assertNotEqual(text, self.plan.read_text(), old)
            self.site.qpcseal("ceremony", "lint", self.plan, "--dir", self.folder, expect=4)

    def test_stop_at_every_prompt(self):
        """Hang up at prompt n, then go on: one key, and a record that is whole."""
        options, signatures = self.options(), self.site.sign_plan(self.plan)
        stopped = Terminal(self.site.env, "ceremony", "run", *options, *signatures,
                           respond=lambda p: "stop" if "Yes" in p else answer(p))
        self.assertEqual(stopped.code, 2, stopped.text)
        self.assertIn("stopped", stopped.text)
        command = ["ceremony", "run", *options, *signatures]
        for turn in range(40):
            left = 1 + turn % 3  # prompts that are answered before the line is cut; a step has up to three

            def respond(prompt):
                nonlocal left
                left -= 0 if "Yes" in prompt else 1
                return answer(prompt) if left >= 0 else None

            terminal = Terminal(self.site.env, *command, respond=respond)
            if terminal.code == 0:
                break
            self.assertEqual(terminal.code, 2, terminal.text)
            command = ["ceremony", "resume", *options]
        self.assertEqual(terminal.code, 0, terminal.text)
        self.assertEqual(self.labels().count(self.name + "#1"), 1)
        record = json.loads((self.out() / "record.json").read_text())
        self.assertTrue(all(step["done"] for step in record["steps"]))
        # Each run that ended before its ceremony said when, where and why; the next one went on.
        self.assertEqual(len(record["interruptions"]), turn)
        for stop in record["interruptions"]:
            self.assertEqual(stop["cause"], "stopped: the input ended")
            self.assertIn(stop["step"], [step["id"] for step in record["steps"]])
            self.assertLessEqual(stop["stopped"], stop["resumed"])
        self.assertIn("steps are done", terminal.text)
        self.assertIn("at step '" + record["interruptions"][-1]["step"], terminal.text)

    def check_it(self, folder, *more, expect=0):
        """`ceremony check`, with a copy of the log and the key that an auditor has."""
        copy = self.folder / "log-copy"
        if not copy.exists():
            shutil.copytree(self.site.root / "home" / "log", copy)
        key = self.site.json("audit", "show", "--kind", "genesis")["entries"][0]["data"]["log_key"]
        said = run(QPCSEAL, "ceremony", "check", folder / "record.json", "--log", copy, "--key", key, *more, expect=expect,
                   env=dict(self.site.env, QPCSEAL_HOME="/nonexistent"))
        return said.stdout + said.stderr

    def test_a_record_is_held_against_the_log(self):
        options = self.options()
        self.site.qpcseal("ceremony", "run", *options, *self.site.sign_plan(self.plan), stdin=script())
        out = self.out()
        said = self.check_it(out, "--page", out / "record.html")
        for words in ("complete", "the page is the page of this record", "the record is the one that the log has"):
            self.assertIn(words, said)
        rehearsed = self.check_it(self.folder / (self.plan.stem + "-rehearsal"), expect=5)
        self.assertIn("the log has no ceremony of this record's plan", rehearsed)
        page = out / "record.html"
        page.write_text(page.read_text().replace("COMPLETE", "COMPLETE "))
        self.assertIn("is not the page of this record", self.check_it(out, "--page", page, expect=5))
        record = out / "record.json"
        honest = record.read_text()
        for was, lie, where in (('"deviation":""', '"deviation":"x"', "/steps/0/attempts/0/deviation"),
                                ('"result":"complete"', '"result":"failed"', "/outcome/result"),
                                ('"interruptions":[]', '"interruptions":[0]', "/interruptions/"),
                                ("\n", "\n\n", "its layout")):
            self.assertIn(was, honest)
            record.write_text(honest.replace(was, lie, 1))
            said = self.check_it(out, expect=5)
            self.assertIn("differs from the log in " + where, said)
        record.write_text('{"format": "qpcseal/ceremony-record/1"}')
        self.assertIn("is no record of a ceremony", self.check_it(out, expect=4))
        record.write_text(honest)
        self.check_it(out)

    def test_officers_are_people_of_the_plan(self):
        text = self.plan.read_text()
        self.plan.write_text(text.replace('officer = "bela"', 'officer = "nobody"'))
        said = self.site.qpcseal("ceremony", "lint", self.plan, "--dir", self.folder, expect=5).stdout
        self.assertIn("'Bela Balog' signs as 'nobody', and no officer has that name", said)
        self.assertIn("no officer has that name", self.refused(*self.site.sign_plan(self.plan), expect=5))
        self.plan.write_text(text)
        out = self.site.qpcseal("ceremony", "run", *self.options(), *self.site.sign_plan(self.plan), stdin=script())
        self.assertNotIn("nobody", out.stdout)
        page = (self.out() / "record.html").read_text()
        self.assertIn("the plan names no person for this officer", page)  # anna and dora signed
        self.assertIn("Bela Balog, officer bela, did not sign the plan.", page)

    def test_interrupted_and_killed(self):
        """What the keyboard, the terminal and a kill do: the record names the first two, and says that it lacks the last."""
        options, signatures = self.options(), self.site.sign_plan(self.plan)
        commands = [["ceremony", "run", *options, *signatures]] + [["ceremony", "resume", *options]] * 2
        for number, command in zip((signal.SIGINT, signal.SIGTERM, signal.SIGKILL), commands):
            terminal = Terminal(self.site.env, *command, respond=lambda prompt, number=number: (
                number if "'go'" in prompt else answer(prompt)))
            self.assertNotEqual(terminal.code, 0, terminal.text)
        Terminal(self.site.env, *commands[1])
        stops = json.loads((self.out() / "record.json").read_text())["interruptions"]
        self.assertEqual([stop["cause"] for stop in stops], ["stopped: interrupted (Ctrl-C)",
                                                              "stopped: the program was told to end (SIGTERM)", None])
        self.assertIsNone(stops[2]["stopped"])
        self.assertTrue(all(stop["resumed"] for stop in stops))
        self.assertIn("the program was killed", (self.out() / "record.html").read_text())

    def test_abandon(self):
        options, signatures = self.options(), self.site.sign_plan(self.plan)
        Terminal(self.site.env, "ceremony", "run", *options, *signatures,
                 respond=lambda p: "stop" if "'go'" in p else answer(p))
        other = self.site.plan("first-key", self.folder / "other", ceremony="other-" + self.name, mek="other-" + self.name,
                               output="other")
        said = self.site.qpcseal("ceremony", "run", other, "--dir", other.parent, "-o", other.parent / "record",
                                 *self.site.sign_plan(other), *self.site.rehearse(other, other.parent), expect=5,
                                 stdin=script())
        self.assertIn("another ceremony", said.stderr)
        self.site.qpcseal("ceremony", "resume", *options, "--abandon", "--why", "fire alarm")
        entries = self.site.json("audit", "show", "--kind", "ceremony")["entries"]
        self.assertEqual((entries[-1]["outcome"], entries[-1]["data"]["why"]), ("failed", "fire alarm"))
        record = json.loads((self.out() / "record.json").read_text())
        self.assertEqual((record["outcome"]["result"], record["outcome"]["why"]), ("abandoned", "fire alarm"))
        self.assertEqual([(stop["cause"], stop["resumed"]) for stop in record["interruptions"]],
                         [("stopped: 'stop' was typed", None)])
        page = (self.out() / "record.html").read_text()
        self.assertIn("ABANDONED", page)
        self.assertIn("because: fire alarm", page)
        self.assertIn("was not done; in the rehearsal it was.", page)
        self.assertIn("abandoned because: fire alarm", self.check_it(self.out()))
        report = self.folder / "audit.html"
        self.site.qpcseal("audit", "report", "-o", report)
        self.assertRegex(report.read_text(), "<td[^>]*>First key for resnet50</td><td[^>]*><span class=\"bad\">abandoned</span>")
        self.assertIn("fire alarm", report.read_text())
        shown = self.site.qpcseal("audit", "show", "--kind", "ceremony").stdout
        self.assertIn("because fire alarm", shown)
        self.assertIn("because stopped: 'stop' was typed", self.site.qpcseal("audit", "show", "--kind", "ceremony-stop").stdout)
        self.site.qpcseal("ceremony", "resume", *options, "--force", expect=2)
        self.assertNotIn(self.name + "#1", self.labels())

    def test_abandoned_before_its_first_act_it_begins_anew(self):
        """Under the same signatures; both records are those of the log."""
        options, signatures = self.options(), self.site.sign_plan(self.plan)
        Terminal(self.site.env, "ceremony", "run", *options, *signatures,
                 respond=lambda p: "stop" if "'go'" in p else answer(p))
        self.site.qpcseal("ceremony", "resume", *options, "--abandon", "--why", "fire alarm")
        first = self.out().rename(self.out().with_name("first-" + self.name))
        self.site.qpcseal("ceremony", "lint", self.plan, "--dir", self.plan.parent)
        terminal = Terminal(self.site.env, "ceremony", "run", *options, *signatures)
        self.assertEqual(terminal.code, 0, terminal.text)
        self.assertIn(self.name + "#1", self.labels())
        self.check_it(self.out())
        self.assertIn("abandoned because: fire alarm", self.check_it(first))
        said = self.site.qpcseal("ceremony", "run", *options, "--force", *signatures, expect=7, stdin=script())
        self.assertIn("used before", said.stderr)

    def test_abandoned_after_an_act_it_does_not(self):
        options, signatures = self.options(), self.site.sign_plan(self.plan)
        Terminal(self.site.env, "ceremony", "run", *options, *signatures,
                 respond=lambda p: "stop" if "initials" in p and self.name + "#1" in self.labels() else answer(p))
        self.assertIn(self.name + "#1", self.labels())
        made = next(e["seq"] for e in self.site.json("audit", "show", "--kind", "mek-generate")["entries"]
                    if e["phase"] == "result" and e["data"].get("mek_id") == self.site.json("mek", "show", self.name)["id"])
        said = self.site.qpcseal("ceremony", "resume", *options, "--abandon", "--why", " ", expect=2).stderr
        self.assertIn("--why is empty", said)
        ended = self.site.qpcseal("ceremony", "resume", *options, "--abandon", "--why", "lunch")
        said = f"its act (mek-generate) is done, log entry {made}, and stays; nobody confirmed it"
        self.assertIn(said, ended.stdout)
        self.assertLess(ended.stderr.index(said), ended.stderr.index("type Yes to end it here for good"))
        record = json.loads((self.out() / "record.json").read_text())
        step = next(step for step in record["steps"] if step["act"] == "mek-generate")
        self.assertEqual((step["done"], step["unconfirmed"]), (False, made))
        self.assertEqual(record["outcome"]["acts_unconfirmed"], 1)
        self.assertIn(f"was not confirmed, though its act is done (log entry {made})", " ".join(record["comparison"]))
        page = (self.out() / "record.html").read_text()
        self.assertIn(f"act done (log entry {made}), not confirmed", page)
        self.assertIn("In one more the act was done, and nobody confirmed it.", page)
        self.check_it(self.out(), "--page", self.out() / "record.html")
        said = self.site.qpcseal("ceremony", "run", *options, "--force", *signatures, expect=7, stdin=script())
        self.assertIn("used before", said.stderr)

    def test_whoever_stops_before_it_begins_has_begun_nothing(self):
        options, signatures = self.options(), self.site.sign_plan(self.plan)
        before = len(self.site.json("audit", "show")["entries"])
        for said, code, words in ((signal.SIGINT, 130, "interrupted (Ctrl-C); nothing was done"),
                                  ("no", 2, "the ceremony was not begun"), ("stop", 2, "nothing was done")):
            terminal = Terminal(self.site.env, "ceremony", "run", *options, *signatures, respond=lambda p, said=said: said)
            self.assertEqual(terminal.code, code, terminal.text)
            self.assertIn(words, terminal.text)
            self.assertIn("give the same command again", terminal.text)
        self.assertEqual(len(self.site.json("audit", "show")["entries"]), before)
        answers = ["yes", "Yes"]
        terminal = Terminal(self.site.env, "ceremony", "run", *options, *signatures,
                            respond=lambda p: answers.pop(0) if answers else answer(p))
        self.assertEqual(terminal.code, 0, terminal.text)
        self.assertIn("print record.html", terminal.text)

    def test_at_a_terminal_it_is_ended_by_yes_alone(self):
        options, signatures = self.options(), self.site.sign_plan(self.plan)
        Terminal(self.site.env, "ceremony", "run", *options, *signatures,
                 respond=lambda p: "stop" if "'go'" in p else answer(p))
        end = ("ceremony", "resume", *options, "--abandon", "--why", "lunch")
        terminal = Terminal(self.site.env, *end, respond=lambda p: "no")
        self.assertEqual(terminal.code, 2, terminal.text)
        self.assertIn("the ceremony was not ended", terminal.text)
        terminal = Terminal(self.site.env, *end, respond=lambda p: "Yes")
        self.assertEqual(terminal.code, 0, terminal.text)


class Sweep:
    """SIGKILL at each sync of a ceremony, then resume: each act once, never two keys, never an unrecorded one."""

    CALLS = os.environ.get("QPCSEAL_SWEEP_CALLS", "fdatasync").split(",")

    @classmethod
    def setUpClass(cls):
        cls.site = Site(tokens=False, cards=1)
        cls.folder = cls.site.root / "work"
        cls.folder.mkdir()
        cls.plan = cls.prepare()
        cls.rehearsal = cls.site.rehearse(cls.plan, cls.folder)
        cls.signatures = cls.site.sign_plan(cls.plan)
        cls.home = cls.site.root / "home"
        cls.pristine, cls.clean = cls.site.root / "pristine", cls.site.root / "clean"
        shutil.copytree(cls.home, cls.pristine)
        shutil.copytree(cls.folder, cls.clean)

    @classmethod
    def tearDownClass(cls):
        cls.site.close()

    def reset(self):
        for live, kept in ((self.home, self.pristine), (self.folder, self.clean)):
            shutil.rmtree(live)
            shutil.copytree(kept, live)

    def command(self, verb):
        return ["ceremony", verb, self.plan, "--dir", self.folder, "-o", self.folder / "record", *self.rehearsal]

    def traced(self, call, inject=()):
        trace = self.site.root / "trace"
        done = subprocess.run(["strace", "-f", "-qq", "-o", str(trace), "-e", "trace=" + call, *inject, QPCSEAL,
                               *map(str, self.command("run") + self.signatures)], env=self.site.env, input=script(),
                              capture_output=True, text=True, check=False, timeout=120)
        return done, sum(f" {call}(" in line for line in trace.read_text().splitlines())

    def done_acts(self, entries, outcome):
        """How often each kind of act came out so, of those under this ceremony."""
        under = {e["seq"]: e for e in entries if "ceremony" in e["data"].get("approval", {})}
        ended = [e for e in entries if e["phase"] == "result" and e["intent"] in under and e["outcome"] == outcome]
        events = [e for e in under.values() if e["phase"] == "event" and outcome == "ok"]
        return collections.Counter(e["kind"] for e in ended + events)

    def check(self, where):
        meks = self.site.json("mek", "list")
        self.assertEqual([mek["label"].split("#")[0] for mek in meks], self.names, where)
        entries = self.site.json("audit", "show")["entries"]
        there = set()
        for e in entries:
            if e["phase"] == "result" and e["outcome"] == "ok":
                if e["kind"] in ("mek-generate", "mek-rotate", "mek-restore"):
                    there.add(e["data"]["mek_id"])
                elif e["kind"] == "mek-destroy":
                    there.remove(e["data"]["mek_id"])
        self.assertEqual({mek["id"] for mek in meks}, there, where)
        record = json.loads((self.folder / "record" / "record.json").read_text())
        self.assertTrue(all(step["done"] for step in record["steps"]), where)
        planned = collections.Counter(step["act"] for step in record["steps"] if step["act"] != "checkpoint")
        done, unknown = self.done_acts(entries, "ok"), self.done_acts(entries, "unknown")
        if not done["mek-backup"] and unknown["mek-backup"]:  # cut short when the file was whole: it is the step's
            done["mek-backup"] += 1
        self.assertEqual(done, planned, where)
        for step in record["steps"]:
            for output in step["attempts"][-1]["outputs"]:
                found = hashlib.sha256((self.folder / output["file"]).read_bytes()).hexdigest()
                self.assertEqual(output["sha256"], found, where)
        nonces = [e["data"]["approval"]["nonce"] for e in entries if "approval" in e["data"]]
        self.assertEqual(len(nonces), len(set(nonces)), where)
        self.site.qpcseal("audit", "verify")

    def test_sweep(self):
        resumed = 0
        points = 0
        for call in self.CALLS:
            self.reset()
            done, count = self.traced(call)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.check("undisturbed")
            for when in range(1, count + 1):
                self.reset()
                points += 1
                where = f"{call} {when}/{count}"
                self.traced(call, ["-e", f"inject={call}:signal=KILL:when={when}"])
                entries = self.site.json("audit", "show")["entries"]
                ceremonies = [e for e in entries if e["kind"] == "ceremony"]
                if not ceremonies:
                    self.site.qpcseal(*self.command("run"), *self.signatures, stdin=script())
                elif ceremonies[-1]["phase"] == "result":
                    self.site.qpcseal("ceremony", "report", "-o", self.folder / "record", "--force")
                else:
                    resumed += 1
                    more = ["--force"] if (self.folder / "record").exists() else []
                    self.site.qpcseal(*self.command("resume"), *more, stdin="go\nW.W.\n\n" * 200)
                self.check(where)
        self.assertGreater(resumed, 5)
        print(f"\n{self.plan.stem}: killed at {points} points, {resumed} resumed", flush=True)


class Killed(Sweep, unittest.TestCase):
    """Every act that a plan can have but the recovery key, which is there when the others begin."""

    names = ["lost", "swept", "swept"]

    @classmethod
    def prepare(cls):
        site, key, backup = cls.site, cls.folder / "recovery.key", cls.folder / "lost.backup"
        site.qpcseal("recovery-key", "new", "-o", key, *site.approved("recovery-key"))
        site.qpcseal("mek", "generate", "lost", *site.approved("mek-generate", "--param", "name=lost"))
        site.qpcseal("mek", "backup", "lost", "--to", key, "-o", backup, *site.approved(
            "mek-backup", "--mek", "lost", "--digest", f"recovery_key_sha256={key}"))
        site.qpcseal("mek", "destroy", "lost", *site.approved("mek-destroy", "--mek", "lost"))
        return site.plan("sweep", cls.folder, **{
            f"{name}_sha256": hashlib.sha256(file.read_bytes()).hexdigest()
            for name, file in (("recovery_key", key), ("backup", backup))})


class KilledAtARecoveryKey(Sweep, unittest.TestCase):
    names = []

    @classmethod
    def prepare(cls):
        return cls.site.plan("sweep-recovery-key", cls.folder)


if __name__ == "__main__":
    unittest.main()
