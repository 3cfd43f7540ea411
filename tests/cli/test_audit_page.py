"""The page of `audit report`: what an auditor who was not there reads at a glance, and `audit show`'s subjects."""

import html.parser
import json
import re
import unittest

from appliance import Appliance, GuardedAppliance


class Page(html.parser.HTMLParser):
    """Rows of tables as lists of texts, by the heading above; what is folded, by its summary."""

    def __init__(self, text):
        super().__init__()
        self.sections, self.text, self.folds, self.heading = {}, "", [], ""
        self.stack, self.row, self.depth, self.cell = [], None, 0, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.stack.append(tag)
        if tag == "tr":
            self.row = []
        if tag == "td" and self.row is not None:
            self.row.append("")
        if tag == "summary":
            self.folds.append("")
        if tag == "h2":
            self.heading = ""

    def handle_endtag(self, tag):
        while self.stack and self.stack.pop() != tag:
            pass
        if tag == "tr" and self.row:
            self.sections.setdefault(self.heading, []).append(self.row)
            self.row = None

    def handle_data(self, data):
        self.text += data
        if "style" in self.stack:
            return
        if "h2" in self.stack:
            self.heading += data
        if "summary" in self.stack:
            self.folds[-1] += data
        if self.row:
            self.row[-1] += data


def page_of(appliance, *options):
    path = appliance.root / "page.html"
    appliance.qpcseal("audit", "report", "-o", path, "--force", *options)
    return Page(path.read_text())


class AtAGlance(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = GuardedAppliance(guarded=("release",))
        cls.addClassCleanup(cls.site.close)
        q = cls.site.qpcseal
        q("mek", "generate", "m")
        report = cls.site.attest("m", request=("--host", "node-7", "--device", "0"))
        cls.ueid = cls.site.json("attest", "verify", report)["card"]["ueid"]
        q("wrap-mek", "--mek", "m", "--pub-keys", report, "--output-dir", cls.site.root / "out",
          *cls.site.approved("release", "--mek", "m", "--report", report, by=(0, 2)))
        model = cls.site.sample()
        for number in range(8):
            q("encrypt-model", "--qpc", model, "--mek", "m", "--output-dir", cls.site.root / f"sealed-{number}")
        q("mek", "rotate", "m")
        q("mek", "suspend", "m#1")
        cls.page = page_of(cls.site)
        cls.raw = (cls.site.root / "page.html").read_text()

    def test_who_released_what_to_which_card_allowed_by_whom_under_which_policy(self):
        row, = [row for row in self.page.sections["Who released what to which card"] if len(row) == 8 and row[4] == "1"]
        self.assertEqual(row[:4], ["m#1", self.ueid, "simulated", "node-7, device 0"])
        self.assertEqual(row[6:], ["anna, carl", "serial 1"])
        policy, = self.page.sections["Policies"]
        digest = self.site.json("audit", "show", "--kind", "genesis")["entries"][0]["data"]["policy"]["digest"]
        self.assertEqual((policy[0], policy[3]), ("1", digest))
        self.assertIn("anna, bela, carl", policy[4])

    def test_every_release_of_a_request_says_who_agreed(self):
        site = self.site
        reports = [site.attest("m", device, name=f"early-{device}.dat") for device in (0, 1)]
        site.qpcseal("wrap-mek", "--mek", "m#2", "--pub-keys", *reports, "--output-dir", site.root / "two", expect=7)
        more = [site.attest("m#2", device, name=f"two-{device}.dat") for device in (0, 1)]
        site.qpcseal("wrap-mek", "--mek", "m#2", "--pub-keys", *more, "--output-dir", site.root / "two",
                     *site.approved("release", "--mek", "m#2", *(w for r in more for w in ("--report", r)), by=(1, 2)))
        shown = site.qpcseal("audit", "show", "--kind", "release", "--mek", "m#2").stdout.splitlines()[1:]
        self.assertEqual(len(shown), 6, shown)  # intent, wrapped, result, twice
        for line in shown:
            self.assertIn("agreed by bela, carl", line)

    def test_many_seals_are_one_row_that_opens(self):
        fold, = [fold for fold in self.page.folds if "times seal" in fold]
        self.assertTrue(fold.startswith("8 times seal, entries "), fold)
        self.assertEqual(sum(row[2:3] == ["seal"] for row in self.page.sections["Model keys"]), 8)

    def test_the_life_of_a_key(self):
        lives = dict(re.findall(r'<div class="life"><b>([^<]+)</b><div class="track"[^>]*>(.*?)</div></div>', self.raw))
        self.assertEqual(sorted(lives), ["m#1", "m#2"])
        marks = [words.split(" 2")[0] for words in re.findall(r'title="([^"]+)"', lives["m#1"])]
        for words in ("made", "released to a card", "sealed a model", "replaced by a new generation", "suspended"):
            self.assertIn(words, marks)
        self.assertEqual([words.split(" 2")[0] for words in re.findall(r'title="([^"]+)"', lives["m#2"])], ["made"])
        lanes = {}
        for place, top in re.findall(r'style="left:([\d.]+)%(?:;top:([\d.]+rem))?"', lives["m#1"]):
            lanes.setdefault(top, []).append(float(place))
        self.assertEqual(sum(map(len, lanes.values())), len(marks))
        for places in lanes.values():  # a telephone's line is about 300 pixels wide, a mark of three signs 25
            self.assertTrue(all(0 < place < 100 for place in places))
            self.assertTrue(all(after - before >= 8.3 for before, after in zip(places, places[1:])), places)

    def test_date_terms_and_pages(self):
        self.assertRegex(self.page.text, r"Made 20\d\d-\d\d-\d\dT[\d:]+Z by qpcseal")
        self.assertIn("counter(page)", self.page.text)
        terms = [row[0] for row in self.page.sections["Terms"]]
        for term in ("ueid", "POL-", "suite", "allowed by"):
            self.assertTrue(any(term in listed for listed in terms), term)

    def test_each_kind_has_a_subject(self):
        lines = self.site.qpcseal("audit", "show").stdout.splitlines()
        at = lines[0].index("SUBJECT")
        entries = {str(entry["seq"]): entry for entry in self.site.json("audit", "show")["entries"]}
        for line in lines[1:]:
            entry = entries[line.split()[0]]
            self.assertTrue(line[at:].strip(), line)
            self.assertFalse(entry["txn"].startswith(line[at:].strip().removesuffix("...")), line)

    def test_a_period_says_that_it_is_one(self):
        page = page_of(self.site, "--since", "2099-01-01T00:00:00Z")
        self.assertIn("Shown are entries from 2099-01-01T00:00:00Z", page.text)
        self.assertIn("No key was released.", page.text)
        self.assertEqual(len(page.sections["Policies"]), 1)


class Denials(unittest.TestCase):
    def test_grouped_by_reason(self):
        site = Appliance()
        self.addCleanup(site.close)
        site.qpcseal("mek", "generate", "m")
        report = site.attest("m")
        wrap = ("wrap-mek", "--mek", "m", "--output-dir", site.root / "out", "--pub-keys")
        site.qpcseal(*wrap, report)
        broken = site.root / "broken.dat"
        broken.write_bytes(report.read_bytes()[:-1] + b"\0")
        for again in (report, report, report, broken):
            site.qpcseal("wrap-mek", "--mek", "m", "--output-dir", site.root / "more", "--pub-keys", again, expect=5)
        page = page_of(site)
        groups = {row[0]: row[1:3] for row in page.sections["Denials and failures, by reason"] if len(row) == 4}
        self.assertEqual(groups["POL-CHALLENGE-USED"], ["3", "1"])
        self.assertEqual(groups["ATT-SIGNATURE"][0], "1")
        self.assertIn("A demonstration appliance", page.text)
        self.assertIn("nobody: a demonstration", page.text)
        released, = [row for row in page.sections["Who released what to which card"] if len(row) == 8 and row[4] == "1"]
        self.assertEqual(released[6], "the policy alone")
        self.assertEqual(json.loads(json.dumps(page.sections["Cards"][0][1:3])), ["1", "3"])


if __name__ == "__main__":
    unittest.main()
