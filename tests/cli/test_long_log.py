"""Memory over a log of 30,000 entries: what a command holds must not grow with what it does not need."""

import json
import unittest

from appliance import Failed
from long_log import cost, long_log

ENTRIES = 30000


class LongLog(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.appliance = long_log(ENTRIES)
        cls.appliance.qpcseal("audit", "receipt", "0", "-o", cls.appliance.root / "receipt")

    @classmethod
    def tearDownClass(cls):
        cls.appliance.close()

    def peak(self, *arguments):
        return cost(self.appliance.env, *arguments)[2]

    def test_inspect_of_a_small_file_needs_no_log(self):
        self.assertLess(self.peak("inspect", self.appliance.root / "receipt"), 16)

    def test_a_start_holds_each_challenge_in_its_bytes(self):
        self.assertLess(self.peak("mek", "list"), 26)

    def test_show_and_report_do_not_hold_the_entries(self):
        page = self.appliance.root / "page.html"
        for command in (("audit", "show"), ("audit", "show", "--json"), ("audit", "report", "-o", page),
                        ("audit", "verify")):
            self.assertLess(self.peak(*command), 32, command)

    def test_json_that_is_streamed_is_laid_out_like_all_other(self):
        for more in ((), ("--kind", "mek-generate"), ("--kind", "rotate-key")):
            text = self.appliance.qpcseal("audit", "show", "--json", *more).stdout
            value = json.loads(text)
            self.assertTrue(value["insecure_demo"])
            self.assertEqual(text, json.dumps(value, indent=2) + "\n")
        self.assertEqual(value["entries"], [])

    def test_a_challenge_of_long_ago_is_known_and_a_changed_old_entry_is_noticed(self):
        appliance = self.appliance
        entries = appliance.root / "home" / "log" / "entries.jsonl"
        text = entries.read_bytes()
        at = text.index(b'"host":"node-') + 12
        entries.write_bytes(text[:at] + b"X" + text[at + 1:])
        try:
            with self.assertRaisesRegex(Failed, "audit log is damaged"):
                appliance.qpcseal("mek", "list")
        finally:
            entries.write_bytes(text)
        appliance.qpcseal("mek", "list")


if __name__ == "__main__":
    unittest.main()
