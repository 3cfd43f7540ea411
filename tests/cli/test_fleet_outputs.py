# SPDX-License-Identifier: Apache-2.0
"""wrap-mek --skip-denied: one card's output, neighbours or an earlier run's end stop no other card, and nothing is lost."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import unittest

import cbor2

from appliance import Appliance, ATTEST, QPCSEAL, run
from second import killed
from vendor_support import VendorAppliance


def digest(report):
    return hashlib.sha256(report.read_bytes()).hexdigest()


def broken(report):
    """The same report with a signature that is not its card's."""
    data = bytearray(report.read_bytes())
    data[-1] ^= 1
    path = report.with_name("broken-" + report.name)
    path.write_bytes(data)
    return path


class Desk(unittest.TestCase):
    """One appliance for all tests of a class; each has an output of its own."""

    MEK = "m"

    @classmethod
    def setUpClass(cls):
        cls.site = cls.make()
        cls.addClassCleanup(cls.site.close)
        cls.site.qpcseal("mek", "generate", cls.MEK)

    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1]
        self.out = self.site.root / self.name
        self.before = len(self.entries())

    def command(self, reports, *more, out=None):
        return ["wrap-mek", "--mek", self.MEK, "--pub-keys", *reports, "--output-dir", out or self.out, "--skip-denied", *more]

    def wrap(self, *reports, more=(), out=None, expect=0):
        return self.site.json(*self.command(reports, *more, out=out), expect=expect)

    def cut_before_names(self, *reports):
        """Killed behind the results: the files of all of them wait."""
        self.assertNotEqual(killed(self.site.env, "renameat2", 4 * len(reports) + 1, *self.command(reports)), 0)
        self.assertEqual({path.name for path in self.out.iterdir()}, {self.waiting(one).name for one in reports})

    def waiting(self, report):
        return self.out / f".{digest(report)}.new"

    def key(self, folder):
        return (self.out / folder / "MEK.encrypt").read_bytes()

    def entries(self):
        return [json.loads(line) for line in (self.site.root / "home" / "log" / "entries.jsonl").read_text().splitlines()]

    def log(self, kind, phase):
        """How many entries of this kind the test has made."""
        return sum((entry["kind"], entry["phase"]) == (kind, phase) for entry in self.entries()[self.before:])

    def check_served(self, said, *reports, earlier=()):
        """These reports and no others have folders, each its own card's; those in `earlier` from an earlier run."""
        released = {pathlib.Path(card["report"]): card for card in said["released"]}
        self.assertEqual(set(released), set(reports))
        self.assertEqual({report for report, card in released.items() if card["earlier"]}, set(earlier))
        self.assertEqual(len({card["folder"] for card in released.values()}), len(reports))
        for card in released.values():
            self.assertNotIn("waits", card)
            config = json.loads((self.out / card["folder"] / "config.json").read_text())
            self.assertEqual([one["ueid"] for one in config["wrapped"]], [card["ueid"]])
        return [released[report]["folder"] for report in reports]

    def denied(self, said):
        return {pathlib.Path(card["report"]): [one["id"] for one in card.get("findings", [])] or card["error"]
                for card in said["denied"]}


class Outputs(Desk):
    @classmethod
    def make(cls):
        site = Appliance(cards=4)
        site.serve()
        return site

    def report(self, card, place=None, host="node"):
        """A fresh one of this card, asked for as that place's."""
        name = f"{self.name}-{len(self.entries())}.report"
        return self.site.attest("m", card, name=name, request=["--host", host, "--device", place] if place is not None else [])

    def folder_with_precious(self, name):
        precious = self.out / name / "thesis" / "precious"
        precious.parent.mkdir(parents=True)
        precious.write_text("mine")
        return precious

    def test_a_newer_report_of_the_same_place(self):
        first, second = self.report(0, 1), self.report(1, 2)
        self.cut_before_names(first, second)
        keys = [self.key(self.waiting(one)) for one in (first, second)]
        newer = self.report(2, 1)
        folders = self.check_served(self.wrap(first, second, newer), first, second, newer, earlier=[first, second])
        self.assertEqual([self.key(folder) for folder in folders[:2]], keys)
        self.assertEqual(self.log("release", "intent"), 3, "one for each challenge")
        self.assertEqual(self.log("denied", "event"), 0)

    def test_places_that_differ_in_case_alone(self):
        """One name where the medium does not tell them apart: --force would replace the first card's folder."""
        reports = [self.report(0, 1, host="Node"), self.report(1, 1, host="node")]
        folders = self.check_served(self.wrap(*reports, more=["--force"]), *reports)
        self.assertTrue(all(folder.startswith("card-") for folder in folders), folders)

    def test_files_of_a_release_that_ended_otherwise_are_removed(self):
        """Those of reports that this log does not know are another appliance's, which waits on the same medium."""
        first, second, denied = self.report(0, 1), self.report(1, 2), self.report(2, 3)
        for serial, least in ((2, 4), (3, 0)):
            text = self.site.policy.read_text().replace("serial = 1\n", f"serial = {serial}\n")
            next_policy = self.site.root / f"policy.{serial}"
            next_policy.write_text(re.sub(r"(?m)^min_dbgstat = \d+$", f"min_dbgstat = {least}", text))
            self.site.qpcseal("policy", "install", next_policy)
            if least:
                self.assertEqual(self.denied(self.wrap(denied, expect=5)), {denied: ["POL-DBGSTAT"]})
        self.cut_before_names(first)
        anothers = self.out / f".{'ab' * 32}.new"
        for folder in (anothers, self.waiting(denied)):
            shutil.copytree(self.waiting(first), folder)
        self.check_served(self.wrap(second), second)
        self.assertFalse(self.waiting(denied).exists())
        self.assertTrue(anothers.exists())
        self.check_served(self.wrap(first), first, earlier=[first])

    def test_an_older_release_takes_no_later_ones_name(self):
        """Killed before the name, then the card was reset and answered again."""
        old = self.report(0, 1)
        self.cut_before_names(old)
        self.site.device("reset", "--dir", self.site.cards, "--device", 0)
        new = self.report(0, 1)
        self.check_served(self.wrap(old, new, more=["--force"]), old, new, earlier=[old])
        later = self.report(0, 1)
        folder, = self.check_served(self.wrap(later, more=["--force"]), later)
        key = self.key(folder)
        shutil.copytree(self.out, self.site.root / "copy")
        said = self.wrap(old, more=["--force"], expect=5)
        self.assertIn("answered a later request", said["released"][0]["old"])
        self.assertEqual(self.key(folder), key)

    def test_an_answer_to_a_used_challenge_is_in_nobodys_way(self):
        served = self.report(0)
        self.wrap(served, out=self.site.root / "elsewhere")
        fresh, neighbour = self.report(0), self.report(1)
        said = self.wrap(served, fresh, neighbour, expect=5)
        self.check_served(said, fresh, neighbour)
        self.assertEqual(self.denied(said), {served: ["POL-CHALLENGE-USED"]})
        self.assertEqual(self.log("release", "intent"), 3)
        self.assertEqual(self.log("refused", "event"), 1)

    def test_a_broken_report_of_the_same_place(self):
        old = broken(self.report(0, 1))
        fresh, neighbour = self.report(1, 1), self.report(2, 2)
        said = self.wrap(fresh, neighbour, old, expect=5)
        self.check_served(said, fresh, neighbour)
        self.assertEqual(self.denied(said), {old: ["ATT-SIGNATURE"]})

    def test_a_broken_report_of_the_place_of_one_that_waits(self):
        """Its challenge was used up by the report that it was, in another output."""
        served = self.report(0, 1)
        self.wrap(served, out=self.site.root / "elsewhere")
        old, first, second = broken(served), self.report(0, 1), self.report(1, 2)
        self.before = len(self.entries())
        self.cut_before_names(first, second)
        said = self.wrap(first, second, old, expect=5)
        self.check_served(said, first, second, earlier=[first, second])
        self.assertEqual(list(self.denied(said)), [old])
        self.assertEqual(self.log("release", "intent"), 2)

    def test_files_that_wait_outlive_another_run(self):
        first, other = self.report(0, 1), self.report(1, 1)
        self.cut_before_names(first)
        key = self.key(self.waiting(first))
        self.assertEqual(self.check_served(self.wrap(other), other), ["node-1"])
        self.assertEqual(self.key(self.waiting(first)), key)
        text = self.site.qpcseal(*self.command([first]), expect=9).stdout
        self.assertRegex(text, r"RELEASED, log entry \d+, and has no folder")
        [card] = self.wrap(first, expect=9)["released"]
        self.assertIsNone(card["folder"])
        self.assertIn("node-1 exists", card["waits"])
        (self.out / "node-1").rename(self.site.root / "moved-away")
        self.assertEqual(self.check_served(self.wrap(first), first, earlier=[first]), ["node-1"])
        self.assertEqual(self.key("node-1"), key)
        self.assertFalse(self.waiting(first).exists())
        self.assertEqual(self.log("release", "intent"), 2)

    def test_force_keeps_other_files_from_one_that_waits(self):
        first, second = self.report(0, 1), self.report(1, 2)
        self.cut_before_names(first, second)
        precious = self.folder_with_precious("node-1")
        said = self.wrap(first, second, more=["--force"], expect=9)
        self.assertEqual([(card["folder"], "waits" in card) for card in said["released"]], [(None, True), ("node-2", False)])
        self.assertEqual(precious.read_text(), "mine")
        self.assertTrue(self.waiting(first).exists())

    def test_force_keeps_what_is_no_cards_folder_from_fresh_ones(self):
        """A folder with other files, a plain file and a link to nothing; the challenges stay unused."""
        precious, file, link = self.folder_with_precious("node-0"), self.out / "node-1", self.out / "node-2"
        file.write_text("mine")
        link.symlink_to("/nonexistent")
        reports = [self.report(card, card) for card in range(4)]
        said = self.wrap(*reports, more=["--force"], expect=5)
        self.check_served(said, reports[3])
        for number, (report, fault) in enumerate(self.denied(said).items()):
            self.assertEqual(report, reports[number])
            self.assertRegex(fault, rf"/node-{number}(/thesis)? is in the way")
        self.assertEqual((precious.read_text(), file.read_text(), os.readlink(link)), ("mine", "mine", "/nonexistent"))
        self.out = self.site.root / "elsewhere-unused"
        self.assertEqual(self.check_served(self.wrap(*reports[:3]), *reports[:3]), ["node-0", "node-1", "node-2"])

    def test_a_folder_in_the_way_of_one_that_waits(self):
        first, second = self.report(0, 1), self.report(1, 2)
        self.cut_before_names(first, second)
        (self.out / "node-1").mkdir()
        fresh = self.report(2, 3)
        said = self.wrap(first, second, fresh, expect=9)
        self.assertEqual([(card["folder"], card["earlier"]) for card in said["released"]],
                         [(None, True), ("node-2", True), ("node-3", False)])
        self.assertEqual(said["denied"], [])
        self.assertIn("node-1 exists", said["released"][0]["waits"])

    def test_a_long_host_name(self):
        host = ".".join(["n" * 62] * 4)
        self.assertEqual(len(host), 251)
        long, short = self.report(0, 1, host), self.report(1, 1, "ok")
        said = self.wrap(long, short)
        ueid = json.loads((self.site.cards / "cards" / "0" / "config.json").read_text())["ueid"]
        self.assertEqual(self.check_served(said, long, short), [f"card-{ueid}", "ok-1"])

    def test_a_copy_of_a_report(self):
        first, second = self.report(0), self.report(1)
        copy = shutil.copy(second, second.with_name("copy.report"))
        said = self.wrap(first, second, copy, expect=5)
        self.check_served(said, first, second)
        self.assertEqual(self.denied(said), {copy: f"it is the same report as {second}"})
        self.assertEqual(self.log("release", "intent"), 2)

    def test_anothers_answer_to_a_challenge_that_is_wrapped(self):
        """Cut short behind the wrap, before the result; the challenge names no card."""
        request = self.site.root / "shared.request"
        self.site.qpcseal("attest", "request", "--mek", "m", "-o", request)
        first, other = (self.site.root / f"shared-{card}.report" for card in (1, 0))
        for card, report in ((1, first), (0, other)):
            run(ATTEST, "--ip", "127.0.0.1", "--port", self.site.port, "--device", card, "-i", request, "-o", report)
        self.assertNotEqual(killed(self.site.env, "fdatasync", 3, *self.command([first])), 0)
        key = self.key(self.waiting(first))
        said = self.wrap(first, other, expect=5)
        [folder] = self.check_served(said, first)
        self.assertEqual(self.key(folder), key)
        self.assertEqual(self.denied(said), {other: ["POL-CHALLENGE-USED"]})


class Searching(VendorAppliance):
    """Its verifier finds its evidence anywhere in a report, and refuses that of the card that the answer's "busy" names."""

    def prepare(self):
        super().prepare()
        text = self.verifier.read_text()
        for old, new in (("report = sys.stdin.buffer.read()\n", """report = sys.stdin.buffer.read()
    at = report.index(container.REPORT)
    head = at + len(container.REPORT) + 32 + 17
    report = report[at:head + 2 + int.from_bytes(report[head:head + 2], "big") + 64]
"""), ("    what = wanted.pop(", """    if wanted.pop("busy", None) == ueid.hex():
        sys.exit("busy")
    what = wanted.pop(""")):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        self.verifier.write_text(text)


class External(Desk):
    """Cards that a program of the site judges."""

    MEK = "stock-a"

    @classmethod
    def make(cls):
        return Searching(lambda text: text.replace('formats = ["vendor"]', 'formats = ["vendor", "qpcseal"]'))

    def report(self, card):
        return self.site.report("stock-a", card=card, name=f"{self.name}-{card}.report")

    def test_a_refusal_is_not_asked_again(self):
        reports = [self.report(card) for card in range(3)]
        self.site.answer(busy=self.site.ueid(1))
        trace = self.site.root / "trace"
        done = run("strace", "-f", "-qq", "-e", "trace=execve", "-o", trace, QPCSEAL, *self.command(reports), "--json",
                   env=self.site.env, expect=5)
        self.assertEqual(len(re.findall(r'execve\("[^"]*/verifier\.py"', trace.read_text())), len(reports))
        said = json.loads(done.stdout)
        self.check_served(said, reports[0], reports[2])
        self.assertEqual(self.denied(said), {reports[1]: ["ATT-EXTERNAL-RUN"]})
        self.site.answer()
        self.check_served(self.wrap(*reports), *reports, earlier=[reports[0], reports[2]])

    def test_what_is_released_is_placed_though_the_report_expired(self):
        self.site.answer()
        reports = [self.report(card) for card in range(2)]
        self.cut_before_names(*reports)
        self.site.answer(exp=1000)
        self.check_served(self.wrap(*reports), *reports, earlier=reports)
        self.assertEqual(self.log("release", "intent"), 2)

    def test_what_only_the_program_verifies_names_the_folder(self):
        """A report of card 1 in the header of a native one that claims to be card 0's."""
        self.site.answer()
        self.site.qpcseal("mek", "generate", "own-a")
        victim, honest, hidden = (self.report(card) for card in (0, 2, 1))
        outer = cbor2.loads(self.site.attest("own-a", 0, name="native.dat").read_bytes())
        protected, header, payload, signature = outer.value.value
        protected, claims = cbor2.loads(protected), cbor2.loads(payload)
        protected[33] = [hidden.read_bytes(), *protected[33][1:]]
        claims[256], claims[10] = bytes.fromhex(self.site.ueid(0)), os.urandom(32)
        outer.value.value[:] = [cbor2.dumps(protected, canonical=True), header, cbor2.dumps(claims, canonical=True), signature]
        evil = self.site.root / "evil.report"
        evil.write_bytes(cbor2.dumps(outer, canonical=True))
        reports = [victim, honest, evil]
        named = [f"card-{self.site.ueid(card)}" for card in (0, 2, 1)]
        self.assertEqual(self.check_served(self.wrap(*reports), *reports), named)
        self.assertEqual(self.check_served(self.wrap(*reports), *reports, earlier=reports), named)


if __name__ == "__main__":
    unittest.main()
