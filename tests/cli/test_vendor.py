"""Format vendor: the guide's flow behind the gate, and what is called exposed."""

import hashlib
import json
import subprocess
import unittest

from appliance import QPCSEAL
from second import Second
from vendor_support import VENDOR, GuardedVendorAppliance, VendorCase, python


class Flow(VendorCase):
    """The guide's commands, and its three use cases under its numbers."""

    def check_seen(self, folder, key=("0o400", ["tmpfs"])):
        """What the tool saw of the workstation."""
        seen = json.loads((folder / "seen.json").read_text())
        self.assertEqual((seen["network"], seen["interfaces"]), ("none", ["lo"]))
        self.assertEqual((seen["environment"], seen["folders"]), ([], []))
        self.assertTrue(seen["processes"])
        self.assertEqual((seen["key_mode"], seen["key_on"]), key)
        self.assertNotIn(str(self.site.root), json.dumps(seen))

    def check_log(self, act, cards):
        """Intent, exposed, result; and each card's release likewise."""
        ours = self.site.entries("mek-expose")[-3:]
        self.assertEqual([(one["phase"], one.get("outcome")) for one in ours],
                         [("intent", None), ("wrapped", None), ("result", "ok")])
        self.assertEqual(ours[0]["data"]["act"], act)
        self.assertEqual(ours[1]["data"]["exposed"]["tool_sha256"], hashlib.sha256(self.site.tool.read_bytes()).hexdigest())
        releases = self.site.entries("release")[-3 * len(cards):] if cards else []
        self.assertEqual([one["phase"] for one in releases],
                         ["intent"] * len(cards) + ["wrapped"] * len(cards) + ["result"] * len(cards))
        for entry in releases[len(cards):]:
            self.assertEqual((entry["data"]["suite"], "exposed" in entry["data"]), ("vendor", True))
        results = releases[2 * len(cards):]
        self.assertEqual({one["data"]["ueid"] for one in results}, {self.site.ueid(n) for n in cards})
        self.assertEqual([one["data"]["act"] for one in results], [{"tool": act}] * len(cards))

    def check_outputs(self, folder):
        said = {one["name"]: one["sha256"] for one in self.site.entries("mek-expose")[-1]["data"]["outputs"]}
        there = {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
                 for path in folder.rglob("*") if path.is_file()}
        self.assertEqual(said, there)

    def test_flow_encrypt_then_bind_in_place(self):
        sealed, said = self.encrypt()
        self.assertIn("EXPOSED", said.stdout)
        self.check_seen(sealed)
        self.check_log("encrypt-model", [])
        self.check_outputs(sealed)
        self.assertIsNone(self.site.opened(sealed))
        self.vendor("encrypt-with-session-keys", "--input-dir", sealed, reports=[self.site.report("stock-a")])
        self.check_log("encrypt-with-session-keys", [0])
        self.check_seen(sealed)
        self.check_outputs(sealed)
        self.assertEqual(self.site.opened(sealed), self.model.read_bytes())
        self.assertIsNone(self.site.opened(sealed, card=1))

    def test_use_case_1_reset_then_wrap_and_replace(self):
        sealed, _ = self.encrypt(reports=[self.site.report("stock-a")])
        python(VENDOR / "device.py", "reset", self.site.stock[0])
        self.assertIsNone(self.site.opened(sealed))
        wrapped = self.folder("wrapped")
        self.vendor("wrap-mek", "--output-dir", wrapped, reports=[self.site.report("stock-a")])
        self.check_log("wrap-mek", [0])
        self.check_seen(wrapped)
        self.assertTrue({"MEK.encrypt", "MEK.nonce", "MEK.pub", "config.json"} <= {path.name for path in wrapped.iterdir()})
        before, new = len(self.site.entries()), self.folder("new")
        self.site.qpcseal("replace-mek", "--format", "vendor", "--encrypted-qpc", sealed / "programqpc.bin", "--wrapped-meks",
                          wrapped, "--output-dir", new)
        self.assertEqual(len(self.site.entries()), before)
        self.assertEqual(self.site.opened(new), self.model.read_bytes())
        self.check_seen(new, key=(None, []))
        self.site.qpcseal("replace-mek", "--format", "vendor", "--encrypted-qpc", sealed, "--wrapped-meks", wrapped,
                          "--output-dir", self.folder("again"))  # the folder, as in the guide's example
        self.assertEqual(self.site.opened(self.folder("again")), self.model.read_bytes())

    def test_use_case_2_encrypt_and_bind_by_one_command(self):
        sealed, _ = self.encrypt(reports=[self.site.report("stock-a")])
        self.check_seen(sealed)
        self.check_log("encrypt-model", [0])
        self.check_outputs(sealed)
        self.assertEqual(self.site.opened(sealed), self.model.read_bytes())

    def test_use_case_3_encrypt_for_four_cards_at_once(self):
        cards = range(4)
        reports = [self.site.report("stock-a", card=n, name=f"pub{n}.dat") for n in cards]
        sealed, _ = self.encrypt(reports=reports)
        self.check_seen(sealed)
        self.check_log("encrypt-model", cards)
        self.check_outputs(sealed)
        for card in cards:
            self.assertEqual(self.site.opened(sealed, card=card, number=card), self.model.read_bytes())

    def test_the_stand_in_says_what_the_guide_says(self):
        """Commands, flags and values of the guide's usage lines."""
        for command, words in (("encrypt-model", "--qpc <FILE> --mek <FILE> --output-dir <DIR>"),
                               ("encrypt-with-session-keys", "--input-dir <DIR> --mek <FILE>"),
                               ("wrap-mek", "--mek <FILE> --output-dir <DIR>"),
                               ("replace-mek", "--encrypted-qpc <FILE> --output-dir <DIR>")):
            said = python(VENDOR / "qaic_encrypt.py", command, "--help").stdout.splitlines()
            self.assertEqual(said[0], f"Usage: qaic-encrypt {command} [OPTIONS] {words}")
            self.assertIn("      --wrapped-meks <DIRS>..." if command == "replace-mek" else "      --pub-keys <FILES>...", said)


class Flows(Flow):
    """The same where two officers must agree to each release, and to each exposure."""

    make = GuardedVendorAppliance

    def test_nothing_is_exposed_without_officers(self):
        before = self.site.entries()
        refused = self.site.qpcseal("encrypt-model", "--format", "vendor", "--mek", "stock-a", "--qpc", self.model,
                                    "--output-dir", self.folder("sealed"), expect=7)
        self.assertIn("mek-expose", refused.stderr)
        self.assertEqual(self.site.entries(), before)
        self.assertFalse(self.folder("sealed").exists())

    def test_missing_officers_are_named_before_the_pin(self):
        report = self.site.report("stock-a")
        for command in (("encrypt-model", "--qpc", self.model), ("wrap-mek", "--pub-keys", report),
                        ("encrypt-with-session-keys", "--input-dir", self.model.parent, "--pub-keys", report)):
            with self.subTest(command[0]), open("/dev/null", "rb") as nothing:  # an empty PIN is exit code 6
                refused = self.site.qpcseal(*command, "--format", "vendor", "--mek", "stock-a", "--output-dir",
                                            self.folder("sealed"), "--pin-fd", nothing.fileno(),
                                            pass_fds=(nothing.fileno(),), expect=7)
                self.assertIn("'mek-expose' needs the approval of 2 officers, and no request", refused.stderr)

    def test_swap_is_accepted_by_officers_alone(self):
        for word, value in (("accept", "true"), ("refuse", "false")):
            self.site.qpcseal("site", "change", "--swap", word, expect=7)
            request = self.site.request("site-change", "--param", f"swap={value}", name="site-request")
            signatures = [officer.sign(request) for officer in self.site.officers[:2]]
            self.site.qpcseal("site", "change", "--swap", word, "--request", request, "--approval", *signatures)
            self.assertEqual(self.site.json("site", "show")["facts"].get("swap", False), word == "accept")

    def test_an_approval_is_for_one_act_of_one_tool(self):
        agreed = self.exposed("wrap-mek", [])
        refused = self.site.qpcseal("encrypt-model", "--format", "vendor", "--mek", "stock-a", "--qpc", self.model,
                                    "--output-dir", self.folder("sealed"), *agreed, expect=7)
        self.assertIn("'act'", refused.stderr)

    def test_an_approval_is_for_one_model_and_its_reports(self):
        agreed = self.exposed("encrypt-model", [])
        self.addCleanup(self.model.write_bytes, self.model.read_bytes())
        self.model.write_bytes(b"another model" * 1000)
        before = self.site.entries("mek-expose")
        refused = self.site.qpcseal("encrypt-model", "--format", "vendor", "--mek", "stock-a", "--qpc", self.model,
                                    "--output-dir", self.folder("sealed"), *agreed, expect=7)
        self.assertIn("'model_sha256'", refused.stderr)
        reports = [self.site.report("stock-a", card=number, name=f"bound{number}") for number in (0, 1)]
        agreed = self.exposed("wrap-mek", reports[:1])
        refused = self.site.qpcseal("wrap-mek", "--format", "vendor", "--mek", "stock-a", "--output-dir",
                                    self.folder("wrapped"), "--pub-keys", reports[1], *agreed, expect=7)
        self.assertIn("'reports'", refused.stderr)
        self.assertEqual(self.site.entries("mek-expose"), before)

    def test_an_approval_is_for_the_tool_with_all_its_files(self):
        request = self.exposed("wrap-mek", [])[1]
        asked = self.site.json("inspect", request)["parameters"]
        intent = json.dumps(self.site.json("site", "show")["facts"]["programs"][0], sort_keys=True, separators=(",", ":"))
        self.assertEqual(asked["program_sha256"], hashlib.sha256(intent.encode()).hexdigest())
        self.assertEqual(len(json.loads(intent)["files"]), 2)


class QuietQuorum(VendorCase):
    """A policy that asks nobody for an exposure, and two officers for what an exposure does."""

    class make(GuardedVendorAppliance):
        guarded, expose = ("seal", "release"), 0

    def exposed(self, act, reports):
        return []

    def test_an_exposure_needs_as_many_as_seal_and_release(self):
        self.assertIn("mek-expose: 2\n", self.site.qpcseal("policy", "show").stdout)
        before = self.site.entries()
        _, refused = self.encrypt(expect=7)
        self.assertIn("'mek-expose' needs the approval of 2 officers", refused.stderr)
        self.assertEqual(self.site.entries(), before)


class Words(VendorCase):
    """What is exposed is called exposed."""

    def test_list_show_audit_plan_doctor(self):
        site = self.site
        self.assertEqual(site.listed("stock-a#1")["exposures"], 0)
        self.assertNotIn("EXPOSED since", site.qpcseal("mek", "list").stdout)
        self.encrypt(reports=[site.report("stock-a")])
        listed = site.listed("stock-a#1")
        self.assertEqual((listed["exposures"], listed["releases"]), (1, 1))
        self.assertIn("EXPOSED since", site.qpcseal("mek", "list").stdout)
        self.assertIn("EXPOSED since", site.qpcseal("mek", "show", "stock-a").stdout)
        shown = site.qpcseal("audit", "show").stdout
        self.assertRegex(shown, r"mek-expose +wrapped .*EXPOSED")
        self.assertRegex(shown, r"release +result +ok .*EXPOSED")
        page = site.root / "page.html"
        site.qpcseal("audit", "report", "-o", page)
        self.assertIn("exposed to the vendor's tool 1 times", page.read_text().replace("&#39;", "'"))
        plan = site.json("plan", "compromise", "stock-a")
        self.assertEqual((plan["exposures"], [card["ueid"] for card in plan["cards"]]), (1, [site.ueid()]))
        self.assertTrue(any("workstation" in step["what"] for step in plan["steps"]))
        said = site.qpcseal("plan", "compromise", "stock-a").stdout
        for words in ("EXPOSED", hashlib.sha256(self.model.read_bytes()).hexdigest(), "encrypt-model --format vendor",
                      "attest request --raw", "encrypt-with-session-keys --format vendor"):
            self.assertIn(words, said)
        self.assertNotIn("no container was sealed", said)
        doctor = site.qpcseal("doctor").stdout
        self.assertIn("stock-a#1 is EXPOSED", doctor)
        self.assertIn("'qaic-encrypt': as it is pinned", doctor)
        self.assertIn("IN THE CLEAR", site.qpcseal("policy", "show").stdout)
        site.qpcseal("audit", "verify")

    def test_doctor_says_what_is_not_as_pinned(self):
        behaviour = self.site.vendor / "opt" / "behaviour"
        behaviour.write_text("link")
        self.addCleanup(behaviour.write_text, "good")
        said = self.site.qpcseal("doctor", expect=5).stdout
        self.assertIn("'qaic-encrypt': NOT as it is pinned", said)
        self.assertIn("EXP-TOOL-DIGEST", said)

    def test_doctor_says_that_bubblewrap_is_missing(self):
        hidden = self.site.root / "nothing"
        hidden.touch()
        script = f"mount --bind {hidden} /usr/bin/bwrap && exec {QPCSEAL} doctor"
        said = subprocess.run(["unshare", "-m", "sh", "-c", script], env=self.site.env, capture_output=True, text=True,
                              check=False)
        self.assertEqual(said.returncode, 5, said.stderr)
        self.assertIn("EXP-SANDBOX", said.stdout)


class Backups(VendorCase):
    def test_a_backup_says_so_where_it_is_restored(self):
        self.encrypt()
        second = Second(self.site, "second")
        key, backup = self.site.root / "recovery.key", self.site.root / "backup"
        second.qpcseal("recovery-key", "new", "-o", key)
        self.site.qpcseal("mek", "backup", "stock-a", "--to", key, "-o", backup)
        since = self.site.listed("stock-a#1")["exposed_since"]
        self.assertEqual(second.json("inspect", backup)["exposed_since"], since)
        self.assertEqual(second.json("mek", "restore", backup)["exposed_since"], since)
        listed = second.json("mek", "list")[0]
        self.assertEqual((listed["exposures"], listed["exposed_since"]), (1, since))
        refused = second.qpcseal("encrypt-model", "--format", "vendor", "--mek", "stock-a", "--qpc", self.model, "--output-dir",
                                 self.folder("never"), expect=5)
        self.assertIn("only wraps", refused.stderr)

    def test_an_older_generation_encrypts_nothing_more(self):
        self.site.qpcseal("mek", "rotate", "stock-a")
        before = self.site.entries()
        refused = self.site.qpcseal("encrypt-model", "--format", "vendor", "--mek", "stock-a#1", "--qpc", self.model,
                                    "--output-dir", self.folder("never"), expect=5)
        self.assertIn("stock-a#1 seals nothing more", refused.stderr)
        self.assertEqual(self.site.entries(), before)


if __name__ == "__main__":
    unittest.main()
