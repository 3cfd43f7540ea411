"""Format vendor: a hostile tool, a run that is cut short, and where the key was."""

import base64
import json
import re
import subprocess
import sys
import unittest

from appliance import QPCSEAL
from vendor_support import VendorCase


# Whichever of the two is seen first.
TOO_MUCH = "bytes (into its folder|of its folder's file system)"


class Hostile(VendorCase):
    """A hostile or broken tool: nothing of it reaches the output, and the log says what happened."""

    def struck(self, kind, words, expect, *options):
        self.site.behave(kind)
        self.addCleanup(self.site.behave, "good")
        report, out = self.site.report("stock-a"), self.folder("sealed")
        exposures, releases = (self.site.listed("stock-a#1")[name] for name in ("exposures", "releases"))
        done = self.vendor("encrypt-model", "--qpc", self.model, "--output-dir", out, *options, reports=[report],
                           expect=expect)
        self.assertRegex(done.stderr, words)
        self.assertIn("counts as exposed", done.stderr)
        self.assertFalse(out.exists())
        self.assertEqual([path.name for path in out.parent.iterdir() if "tmp-qpcseal" in path.name], [])
        result, released = self.site.entries("mek-expose")[-1], self.site.entries("release")[-1]
        for entry in (result, released):
            self.assertEqual((entry["phase"], entry["outcome"]), ("result", "unknown"))
            self.assertRegex(entry["data"]["error"], words.split(": ")[-1])
        listed = self.site.listed("stock-a#1")
        self.assertEqual((listed["exposures"], listed["releases"]), (exposures + 1, releases + 1))
        plan = self.site.json("plan", "compromise", "stock-a")
        self.assertTrue(all(card["unsettled"] for card in plan["cards"]))
        # The challenge stays used up.
        self.site.behave("good")
        again = self.vendor("encrypt-model", "--qpc", self.model, "--output-dir", out, reports=[report], expect=5)
        self.assertIn("POL-CHALLENGE-USED", again.stderr)
        return done

    def test_sleeps(self):
        self.struck("sleep", "ran longer than 3 s", 3, "--tool-timeout", 3)

    def test_forks(self):
        self.struck("fork", "more than 64 processes", 3)

    def test_gigabytes(self):
        self.struck("gigabytes", TOO_MUCH, 3)

    def test_fills_the_disk_with_files_that_have_no_name(self):
        self.struck("unlinked", "bytes in files without a name", 3)

    def test_takes_room_that_it_does_not_write(self):
        self.struck("preallocated", TOO_MUCH, 3)

    def test_makes_a_device(self):
        """The sandbox refuses one; what the kernel lets it make is not taken."""
        self.struck("mknod", "exit status 6", 3)

    def test_many_files(self):
        self.struck("many", "more", 3)

    def test_ends_with_an_error(self):
        self.struck("partial", "exit status 4", 3)

    def test_is_killed(self):
        self.struck("killed", "signal 9", 3)

    def test_core(self):
        self.struck("core", "signal 6", 3)

    def test_talks(self):
        done = self.struck("talk", "bytes of output", 3)
        self.assertLess(len(done.stderr), 2000)

    def test_tells_the_key(self):
        """What it says is neither shown nor logged."""
        done = self.struck("tell", "exit status 5", 3)
        self.assertNotIn("key ", done.stderr.replace("key counts", ""))
        self.assertNotRegex(json.dumps(self.site.entries("mek-expose")[-1]), r"key [0-9a-f]{32}")

    def test_outputs_that_are_no_plain_files(self):
        for kind in ("link", "hardlink", "pipe", "whiteout", "sparse", "socket", "setuid", "name", "dot", "deep", "nothing"):
            with self.subTest(kind):
                self.site.behave(kind)
                out = self.folder(kind)
                done = self.vendor("encrypt-model", "--qpc", self.model, "--output-dir", out, expect=5)
                self.assertIn("EXP-OUTPUT", done.stderr)
                self.assertFalse(out.exists())
                result = self.site.entries("mek-expose")[-1]
                self.assertEqual(result["outcome"], "unknown")
                self.assertIn("what the tool made is not taken", result["data"]["error"])
        self.site.behave("good")


class HostileElsewhere(VendorCase):
    """The commands that begin with what is there: it stays as it was."""

    def files(self, folder):
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def test_binding_in_place_leaves_the_folder_as_it_was(self):
        sealed, _ = self.encrypt()
        before = self.files(sealed)
        self.addCleanup(self.site.behave, "good")
        for kind, words, expect in (("setuid", "EXP-OUTPUT", 5), ("partial", "exit status 4", 3), ("killed", "signal 9", 3)):
            with self.subTest(kind):
                self.site.behave(kind)
                refused = self.vendor("encrypt-with-session-keys", "--input-dir", sealed,
                                      reports=[self.site.report("stock-a", name=f"{kind}.dat")], expect=expect)
                self.assertIn(words, refused.stderr)
                self.assertEqual(self.files(sealed), before)
                self.assertEqual(list(sealed.parent.glob(".*qpcseal*")), [])
                self.assertEqual(self.site.entries("mek-expose")[-1]["outcome"], "unknown")

    def test_replace_mek_makes_nothing(self):
        sealed, _ = self.encrypt()
        wrapped, out = self.folder("wrapped"), self.folder("new")
        self.vendor("wrap-mek", "--output-dir", wrapped, reports=[self.site.report("stock-a", name="wrap.dat")])
        self.addCleanup(self.site.behave, "good")
        for kind, words, expect, *more in (("setuid", "EXP-OUTPUT", 5), ("nothing", "EXP-OUTPUT", 5),
                                           ("partial", "status 4", 3), ("sleep", "ran longer than 2 s", 3, "--tool-timeout", 2)):
            with self.subTest(kind):
                self.site.behave(kind)
                before = self.site.entries(), self.files(sealed), self.files(wrapped)
                refused = self.site.qpcseal("replace-mek", "--format", "vendor", "--encrypted-qpc", sealed / "programqpc.bin",
                                            "--wrapped-meks", wrapped, "--output-dir", out, *more, expect=expect)
                self.assertIn(words, refused.stderr)
                self.assertFalse(out.exists())
                self.assertEqual(list(out.parent.glob(".*qpcseal*")), [])
                self.assertEqual((self.site.entries(), self.files(sealed), self.files(wrapped)), before)


class CutShort(VendorCase):
    """Killed while the tool has the key."""

    def test_it_counts_and_the_next_start_says_so(self):
        self.site.behave("sleep")
        report, out = self.site.report("stock-a"), self.folder("sealed")
        self.site.cut_short("encrypt-model", "--format", "vendor", "--mek", "stock-a", "--qpc", self.model, "--output-dir", out,
                            "--pub-keys", report)
        listed = self.site.listed("stock-a#1")
        self.assertEqual((listed["exposures"], listed["releases"]), (1, 1))
        for kind in ("mek-expose", "release"):
            self.assertEqual(self.site.entries(kind)[-1]["outcome"], "unknown", kind)
        self.site.behave("good")
        again = self.vendor("encrypt-model", "--qpc", self.model, "--output-dir", out, reports=[report], expect=5)
        self.assertIn("POL-CHALLENGE-USED", again.stderr)
        self.assertEqual(self.site.listed("stock-a#1")["releases"], 1)
        left = [path.name for path in out.parent.iterdir() if "tmp-qpcseal" in path.name]
        self.assertEqual(left, [])


WRITES = ("write", "pwrite64", "writev", "pwritev", "pwritev2", "sendto", "sendmsg", "sendmmsg", "msync", "splice", "vmsplice",
          "tee", "copy_file_range", "sendfile", "process_vm_writev")


class WhereTheKeyWas(VendorCase):
    """The key's bytes go to the sandbox's pipe and tmpfs, and to no other descriptor."""

    def key(self):
        """The token's key, as a card of the stand-in's unwraps it."""
        sealed, _ = self.encrypt("known", reports=[self.site.report("stock-a")])
        sys.path.insert(0, str(self.site.vendor / "opt"))
        import container
        from cryptography.hazmat.primitives import serialization
        private = serialization.load_der_private_key((self.site.stock[0] / "session").read_bytes(), None)
        return container.unwrap((sealed / "MEK.encrypt").read_bytes(), (sealed / "MEK.nonce").read_bytes(),
                                (sealed / "MEK.pub").read_bytes(), private)

    def test_no_write_of_the_key_but_to_pipe_and_tmpfs(self):
        key = self.key()
        self.assertEqual(len(key), 16)
        sealed, wrapped, new = (self.folder(name) for name in ("sealed", "wrapped", "new"))
        memory = {"pipe:[N]", "/bindN"}  # the second: bubblewrap's file, in the sandbox's tmpfs
        for act, out, places in ((["encrypt-model", "--qpc", self.model, "--output-dir", sealed], sealed, memory),
                                 (["encrypt-with-session-keys", "--input-dir", sealed], sealed, memory),
                                 (["wrap-mek", "--output-dir", wrapped], wrapped, memory),
                                 (["replace-mek", "--encrypted-qpc", sealed / "programqpc.bin", "--wrapped-meks", wrapped,
                                   "--output-dir", new], new, set())):
            with self.subTest(act[0]):
                if act[0] != "replace-mek":
                    act += ["--mek", "stock-a", "--pub-keys", self.site.report("stock-a", name=f"{act[0]}.dat")]
                self.assertEqual(self.places(key, act), places)
                self.check_files(key, out)

    @staticmethod
    def forms(key):
        return key, key.hex().encode(), key.hex().upper().encode(), base64.b64encode(key)

    def places(self, key, act):
        """What the key was written to, by qpcseal and all processes that it starts, the tool among them."""
        trace = self.site.root / f"trace-{act[0]}"
        done = subprocess.run(["strace", "-f", "-y", "-xx", "-s", "1000000", "-o", trace, "-e", "trace=" + ",".join(WRITES),
                               QPCSEAL, *map(str, act), "--format", "vendor"], env=self.site.env, capture_output=True,
                              text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        patterns = ["".join(f"\\x{byte:02x}" for byte in form) for form in self.forms(key)]
        calls = trace.read_text().splitlines()
        self.assertGreater(len(calls), 10)
        out = set()
        for call in calls:
            if any(pattern in call for pattern in patterns):
                name = re.sub(r"\\x([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), re.search(r"\w+\(\d+<(.+?)>", call)[1])
                out.add(re.sub(r"\d+|file\w+", "N", name))
        return out

    def check_files(self, key, out):
        """No file of the appliance or of the output has it, whoever wrote it: the token's own are encrypted."""
        files = [path for root in (out, self.site.root / "home") for path in root.rglob("*") if path.is_file()]
        self.assertGreater(len(files), 5)
        for path in files:
            data = path.read_bytes()
            for form in self.forms(key):
                self.assertNotIn(form, data, path)


if __name__ == "__main__":
    unittest.main()
