"""Format vendor: each condition of an exposure removed once."""

import subprocess
import unittest

import tokens
from appliance import QPCSEAL
from vendor_support import VendorAppliance, VendorCase


class Conditions(VendorCase):
    """Each condition removed once: refused with its name, nothing exposed, nothing used up."""

    def refused(self, name, *words, expect=5, command=None, at=None):
        report = self.site.report("stock-a", name=f"{self.id().rsplit('.', 1)[1]}.dat")
        before = self.site.entries()
        wrapped = at or self.folder("wrapped")
        line = ["wrap-mek", "--format", "vendor", "--mek", "stock-a", "--pub-keys", str(report), "--output-dir", str(wrapped)]
        if command:
            done = subprocess.run(command([QPCSEAL, *line]), env=self.site.env, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, expect, done.stderr)
        else:
            done = self.site.qpcseal(*line, expect=expect)
        for word in (name, *words):
            self.assertIn(word, done.stderr)
        self.assertEqual(self.site.entries(), before)
        self.assertFalse(wrapped.exists() and any(wrapped.iterdir()))
        self.assertEqual([path.name for path in wrapped.parent.iterdir() if "tmp-qpcseal" in path.name], [])
        self.assertEqual(self.site.listed("stock-a#1")["exposures"], 0)
        return done.stderr

    def test_format(self):
        self.change_policy(lambda text: text.replace('formats = ["vendor"]', 'formats = ["qpcseal"]'))
        self.refused("POL-FORMAT")

    def test_no_formats_at_all(self):
        self.change_policy(lambda text: text.replace('formats = ["vendor"]\n', ""))
        self.refused("POL-FORMAT")

    def test_own_format_is_not_the_vendors(self):
        refused = self.site.qpcseal("encrypt-model", "--mek", "stock-a", "--qpc", self.site.sample("own.qpc"), "--output-dir",
                                    self.folder("sealed"), expect=5)
        self.assertIn("POL-FORMAT", refused.stderr)
        refused = self.site.qpcseal("wrap-mek", "--mek", "stock-a", "--pub-keys", self.site.report("stock-a"),
                                    "--output-dir", self.folder("wrapped"), expect=5)
        self.assertIn("POL-FORMAT", refused.stderr)

    def test_quorum(self):
        self.change_policy(lambda text: text.replace("mek-expose = 0\n", ""))
        self.refused("POL-EXPOSE")

    def test_pinned_tool(self):
        self.site.qpcseal("site", "change", "--forget-program", "qaic-encrypt", "--yes")
        self.addCleanup(self.site.pin)
        self.refused("EXP-TOOL:")

    def test_tool_as_pinned(self):
        whole = self.site.tool.read_text()
        self.site.tool.write_text(whole + "\n# one line more\n")
        self.addCleanup(self.site.tool.write_text, whole)
        self.assertNotIn("EXP-TOOL-START", self.refused("EXP-TOOL-DIGEST", "qaic_encrypt.py"))

    def test_library_as_pinned(self):
        library = self.site.vendor / "opt" / "behaviour"
        library.write_text("good ")
        self.addCleanup(library.write_text, "good")
        self.assertNotIn("EXP-TOOL-START", self.refused("EXP-TOOL-DIGEST", "behaviour"))

    def test_tool_that_starts(self):
        """Without its interpreter, or killed at once: it is tried before a key is handed to it."""
        whole = self.site.tool.read_text()
        self.addCleanup(self.site.pin)
        self.addCleanup(self.site.tool.write_text, whole)
        for text, words in (("#!/opt/none/python3\n", "No such file"), ("#!/usr/bin/env no-such-program\n", "exit status 127"),
                            ("#!/bin/sh\nkill -9 $$\n", "signal 9")):
            with self.subTest(text):
                self.site.tool.write_text(text)
                self.site.pin()
                self.refused("EXP-TOOL-START", words)
                self.assertIn("EXP-TOOL-START", self.site.qpcseal("doctor", expect=5).stdout)

    def test_output_that_no_folder_can_replace(self):
        out = self.folder("wrapped")
        out.mkdir()
        self.refused("is a mount point", expect=3, at=out,
                     command=lambda line: ["unshare", "-m", "sh", "-c", f'mount -t tmpfs none {out} && exec "$@"', "sh", *line])

    def test_room_for_the_output(self):
        small = self.folder("small")
        small.mkdir()
        self.refused("has no room for", expect=3, at=small / "out",
                     command=lambda line: ["unshare", "-m", "sh", "-c", f'mount -t tmpfs -o size=8m none {small} && exec "$@"',
                                           "sh", *line])

    def test_renames_of_the_output(self):
        """A medium whose renames fail, from where the output's folder is tried."""
        self.refused("renamed: ", expect=3, command=lambda line: [
            "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat2", "-e", "inject=renameat2:error=EIO", *line])

    def swap(self, command):
        """The sandbox's own /proc needs a whole one outside: what hides a part of the only one keeps the kernel from it."""
        fake, proc = self.site.root / "swaps", self.site.root / "proc"
        fake.write_text("Filename Type Size Used Priority\n/dev/sda2 partition 1000 0 -2\n")
        proc.mkdir(exist_ok=True)
        return ["unshare", "-m", "sh", "-c", f'mount -t proc none {proc} && mount --bind {fake} /proc/swaps && exec "$@"', "sh",
                *command]

    def test_swap(self):
        self.refused("EXP-SWAP", "swapoff", command=self.swap)

    def test_core_dumps(self):
        """A kernel that pipes dumps does not heed a limit of 0, and one who may not raise it cannot set 1."""
        pattern = self.site.root / "core_pattern"
        pattern.write_text("|/usr/lib/collector %p\n")
        script = (f'mount --bind {pattern} /proc/sys/kernel/core_pattern && ulimit -Sc 0 && ulimit -Hc 0 && '
                  'exec setpriv --bounding-set=-sys_resource "$@"')
        self.refused("EXP-CORE", "core_pattern", command=lambda line: ["unshare", "-m", "sh", "-c", script, "sh", *line])

    def test_sandbox(self):
        hidden = self.site.root / "no-bwrap"
        hidden.touch()
        script = f'mount --bind {hidden} /usr/bin/bwrap && exec "$@"'
        # The verifier needs it too: the condition is looked at before any report.
        self.refused("EXP-SANDBOX", "bubblewrap", command=lambda line: ["unshare", "-m", "sh", "-c", script, "sh", *line])

    def test_accepted_swap_is_a_fact_of_the_site(self):
        # Not with the others: it exposes.
        site = VendorAppliance()
        self.addCleanup(site.close)
        site.qpcseal("mek", "generate", "stock-a")
        site.qpcseal("site", "change", "--swap", "accept", "--yes")
        self.assertTrue(site.json("site", "show")["facts"]["swap"])
        report = site.report("stock-a")
        line = [QPCSEAL, "wrap-mek", "--format", "vendor", "--mek", "stock-a", "--pub-keys", str(report), "--output-dir",
                str(site.root / "wrapped")]
        done = subprocess.run(self.swap(line), env=site.env, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(site.listed("stock-a#1")["exposures"], 1)

    def test_a_report_that_is_denied(self):
        report = self.site.report("stock-a")
        self.site.answer(dbgstat=0)
        self.addCleanup(self.site.answer)
        refused = self.site.qpcseal("wrap-mek", "--format", "vendor", "--mek", "stock-a", "--pub-keys", report, "--output-dir",
                                    self.folder("wrapped"), expect=5)
        self.assertIn("POL-DBGSTAT", refused.stderr)
        self.assertEqual(self.site.entries("mek-expose"), [])
        self.assertEqual(self.site.listed("stock-a#1")["releases"], 0)

    def test_an_input_that_was_not_made_here(self):
        elsewhere = self.folder("elsewhere")
        elsewhere.mkdir()
        (elsewhere / "programqpc.bin").write_bytes(b"FAKE-MODEL-1\nsomebody else's")
        before = self.site.entries("mek-expose")
        refused = self.site.qpcseal("encrypt-with-session-keys", "--format", "vendor", "--mek", "stock-a", "--input-dir",
                                    elsewhere, "--pub-keys", self.site.report("stock-a"), expect=5)
        self.assertIn("no run of the vendor's tool in this appliance's log made it", refused.stderr)
        self.assertEqual(self.site.entries("mek-expose"), before)

    def test_an_output_that_is_there(self):
        out = self.folder("wrapped")
        out.mkdir()
        (out / "precious").write_text("mine")
        for more, code in (([], 3), (["--force"], 5)):
            self.site.qpcseal("wrap-mek", "--format", "vendor", "--mek", "stock-a", "--pub-keys",
                              self.site.report("stock-a"), "--output-dir", out, *more, expect=code)
        self.assertEqual((out / "precious").read_text(), "mine")
        self.assertEqual(self.site.entries("mek-expose"), [])

    def test_options_of_our_own_format(self):
        refused = self.site.qpcseal("encrypt-model", "--format", "vendor", "--mek", "stock-a", "--qpc", self.model, "--mode",
                                    "token", "--output-dir", self.folder("sealed"), expect=2)
        self.assertIn("--mode is not for --format vendor", refused.stderr)


class TokenTried(VendorCase):
    """A token that would not hand the key out is known before the key counts as exposed."""

    class make(VendorAppliance):
        def __init__(self):
            super().__init__(token=tokens.Forwarded)

    def test_token_that_would_not_hand_it_out(self):
        report, out = self.site.report("stock-a"), self.folder("wrapped")
        before = self.site.entries()
        for fault in ("C_WrapKey * return 0x69", "C_CreateObject * return 0x13", "C_WrapKey * lie 16"):
            with self.subTest(fault):
                self.site.token.faults(fault)
                self.vendor("wrap-mek", "--output-dir", out, reports=[report], expect=6)
                self.site.token.faults()
                self.assertEqual(self.site.entries(), before)
                self.assertFalse(out.exists())
        self.vendor("wrap-mek", "--output-dir", out, reports=[report])
        self.assertEqual(self.site.listed("stock-a#1")["exposures"], 1)


class OneFormat(VendorCase):
    """A release that was begun in one format is not finished in the other."""

    class make(VendorAppliance):
        def __init__(self):
            super().__init__(policy_edit=lambda text: text.replace('formats = ["vendor"]', 'formats = ["qpcseal", "vendor"]'),
                             token=tokens.Forwarded)

    def own(self, report, out, **more):
        return self.site.qpcseal("wrap-mek", "--mek", "stock-a", "--pub-keys", report, "--output-dir", out, **more)

    def test_a_wrap_of_ours_that_was_cut_short_is_not_the_vendors(self):
        report, out = self.site.report("stock-a"), self.folder("wrapped")
        self.site.token.faults("C_Sign 3 kill")  # the checkpoints of intent, wrapped key, result
        self.own(report, out, expect=-9)
        self.site.token.faults()
        before = self.site.signed(0)
        self.assertEqual([phase for kind, phase in before if kind == "release"], ["intent", "wrapped"])
        refused = self.vendor("wrap-mek", "--output-dir", self.folder("other"), reports=[report], expect=5)
        self.assertIn("POL-FORMAT-BEGUN", refused.stderr)
        self.assertIn("was begun with --format qpcseal and cut short", refused.stderr)
        self.assertEqual(self.site.signed(0), [*before, ("recovery", "event"),  # what the kill left of the result
                                               ("refused", "event")])
        self.own(report, out)
        self.assertEqual(self.site.entries("release")[-1]["outcome"], "ok")
        self.assertEqual(self.site.listed("stock-a#1")["exposures"], 0)

    def test_what_the_vendors_tool_had_is_not_wrapped_by_us(self):
        report, out = self.site.report("stock-a", name="exposed.dat"), self.folder("wrapped")
        self.site.behave("sleep")
        self.addCleanup(self.site.behave, "good")
        self.site.cut_short("wrap-mek", "--format", "vendor", "--mek", "stock-a", "--pub-keys", report, "--output-dir", out,
                            *self.exposed("wrap-mek", [report]))
        entry = next(one["seq"] for one in self.site.entries("release")[::-1] if one["phase"] == "intent")
        refused = self.own(report, out, expect=5)
        self.assertIn("POL-CHALLENGE-USED", refused.stderr)
        self.assertIn(f"its challenge was used up by log entry {entry},", refused.stderr)
        self.assertEqual([one["outcome"] for one in self.site.entries("release") if one["phase"] == "result"][-1:], ["unknown"])
        self.assertEqual([one["data"]["findings"][0]["id"] for one in self.site.entries("refused")][-1:], ["POL-CHALLENGE-USED"])
        self.assertFalse(out.exists())


if __name__ == "__main__":
    unittest.main()
