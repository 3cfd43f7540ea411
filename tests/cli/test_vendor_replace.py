"""Format vendor: what is bound further must be what the tool made here, for one key in use, and cards that are not revoked."""

import shutil
import subprocess
import time
import unittest

from appliance import QPCSEAL
from vendor_support import GuardedVendorAppliance, VendorAppliance, VendorCase


class Bound(VendorCase):
    """A model, and a wrapped key beside it."""

    class make(VendorAppliance):
        def __init__(self):
            super().__init__(policy_edit=lambda text: text.replace('formats = ["vendor"]', 'formats = ["qpcseal", "vendor"]'))

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.site.qpcseal("mek", "generate", "stock-b")
        cls.sealed, cls.wrapped, cls.others = (cls.site.root / name for name in ("sealed", "wrapped", "others"))
        cls.run_tool(cls, "stock-a", "encrypt-model", "--qpc", cls.model, "--output-dir", cls.sealed)
        for mek, out in (("stock-a", cls.wrapped), ("stock-b", cls.others)):
            report = cls.site.report(mek, name=f"{mek}.dat")
            cls.run_tool(cls, mek, "wrap-mek", "--output-dir", out, "--pub-keys", report)

    def run_tool(self, mek, act, *options, expect=0):
        return self.site.qpcseal(act, "--format", "vendor", "--mek", mek, *options, expect=expect)

    def copied(self, folder, name="copy"):
        shutil.copytree(folder, self.folder(name))
        return self.folder(name)

    def replace(self, sealed=None, wrapped=None, out=None, more=(), expect=0):
        return self.site.qpcseal("replace-mek", "--format", "vendor", "--encrypted-qpc",
                                 (sealed or self.sealed) / "programqpc.bin", "--wrapped-meks", wrapped or self.wrapped,
                                 "--output-dir", out or self.folder("new"), *more, expect=expect)


class Replaced(Bound):
    def refused(self, *words, expect=5, **inputs):
        before = self.site.entries()
        done = self.replace(expect=expect, **inputs)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertEqual(self.site.entries(), before)
        self.assertFalse(self.folder("new").exists())
        self.assertEqual(list(self.site.root.glob(".*qpcseal*")), [])

    def test_what_was_made_here(self):
        self.replace()
        self.assertTrue((self.folder("new") / "MEK.encrypt").exists())

    def test_a_model_that_was_not_made_here(self):
        copy = self.copied(self.sealed)
        (copy / "programqpc.bin").write_bytes((copy / "programqpc.bin").read_bytes() + b"x")
        self.refused("no run of the vendor's tool in this appliance's log made it", sealed=copy)

    def test_a_wrapped_key_that_was_not_made_here(self):
        copy = self.copied(self.wrapped)
        (copy / "MEK.nonce").write_bytes(bytes(12))
        self.refused("no run of the vendor's tool in this appliance's log made it", wrapped=copy)

    def test_wrapped_keys_of_two_runs_in_one_folder(self):
        copy = self.copied(self.wrapped)
        shutil.copytree(self.others, copy / "device1")
        self.refused("no one run of the vendor's tool made all of its files", wrapped=copy)

    def test_links(self):
        copy = self.copied(self.wrapped)
        (copy / "MEK.nonce").unlink()
        (copy / "MEK.nonce").symlink_to(self.wrapped / "MEK.nonce")
        self.refused("is no file of a folder that the vendor's tool made", expect=3, wrapped=copy)

    def test_two_keys(self):
        self.refused("the model and the wrapped MEKs are of two MEKs", wrapped=self.others)

    def test_a_key_that_is_not_in_use(self):
        self.site.qpcseal("mek", "suspend", "stock-a")
        self.addCleanup(self.site.qpcseal, "mek", "resume", "stock-a")
        self.refused("is not in use any more")

    def test_a_card_that_is_revoked(self):
        revoked = f'revoked_ueids = ["{self.site.ueid()}"]\nmax_releases_per_card = 100'
        self.change_policy(lambda text: text.replace("revoked_ueids = []\nmax_releases_per_card = 100", revoked))
        self.refused(f"card {self.site.ueid()}", "is revoked")

    def test_a_policy_that_does_not_name_the_format_any_more(self):
        self.change_policy(lambda text: text.replace('formats = ["qpcseal", "vendor"]', 'formats = ["qpcseal"]'))
        self.refused("POL-FORMAT")

    def test_a_tool_that_is_not_pinned(self):
        self.site.qpcseal("site", "change", "--forget-program", "qaic-encrypt", "--yes")
        self.addCleanup(self.site.pin)
        self.refused("EXP-TOOL")

    def test_a_tool_that_is_another_one(self):
        whole = self.site.tool.read_text()
        self.addCleanup(self.site.tool.write_text, whole)
        self.site.tool.write_text(whole + "\n# one line more\n")
        self.refused("EXP-TOOL-DIGEST")

    def test_an_output_that_is_there(self):
        out = self.folder("there")
        out.mkdir()
        (out / "precious").write_text("mine")
        self.refused("exists", expect=3, out=out)
        self.refused("no run of the vendor's tool in this appliance's log made it", out=out, more=["--force"])
        self.assertEqual((out / "precious").read_text(), "mine")


class BoundFurther(Bound):
    """encrypt-with-session-keys: nothing is exposed for a folder that it must not take, and no challenge used up."""

    def refused(self, *words, folder, mek="stock-a", expect=5):
        report = self.site.report(mek)
        before = self.site.entries()
        done = self.run_tool(mek, "encrypt-with-session-keys", "--input-dir", folder, "--pub-keys", report, expect=expect)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertEqual(self.site.entries(), before)

    def test_another_key(self):
        self.refused("was made under another MEK than stock-b#1", folder=self.copied(self.sealed), mek="stock-b")

    def test_one_file_more(self):
        copy = self.copied(self.sealed)
        (copy / "config.json").write_text("{}")
        self.refused("no run of the vendor's tool in this appliance's log made it", folder=copy)

    def test_files_of_two_runs(self):
        copy = self.copied(self.sealed)
        shutil.copy(self.wrapped / "MEK.nonce", copy)
        self.refused("no one run of the vendor's tool made all of its files", folder=copy)

    def test_without_a_report(self):
        done = self.run_tool("stock-a", "encrypt-with-session-keys", "--input-dir", self.sealed, expect=2)
        self.assertRegex(done.stderr, r"--pub-keys")

    def test_more_reports_than_one_run_takes(self):
        report = self.site.report("stock-a")
        before = self.site.entries()
        done = self.run_tool("stock-a", "wrap-mek", "--output-dir", self.folder("wrapped"), "--pub-keys", *[report] * 33,
                             expect=2)
        self.assertRegex(done.stderr, "more than 32 reports")
        self.assertEqual(self.site.entries(), before)


class RevokedByBundle(VendorCase):
    """A card that an imported bundle revokes: none of the four commands serves it, and another card is served."""

    make = GuardedVendorAppliance

    def load(self, serial, *revoked):
        bundle = self.site.root / f"bundle-{serial}"
        self.site.qpcseal("trust", "bundle", "--serial", serial, "--trust", self.site.trust, "-o", bundle,
                          *(word for ueid in revoked for word in ("--revoke", ueid)))
        signatures = [officer.sign(bundle, "collateral") for officer in self.site.officers[:2]]
        self.site.qpcseal("trust", "import", bundle, "--approval", *signatures)

    def replace(self, sealed, wrapped, out, expect=0):
        return self.site.qpcseal("replace-mek", "--format", "vendor", "--encrypted-qpc", sealed / "programqpc.bin",
                                 "--wrapped-meks", wrapped, "--output-dir", out, expect=expect)

    def denied(self, act, out, *options):
        """The verdict uses the challenge up, as ever; the key stays."""
        report = self.site.report("stock-a", name=f"{act}.dat")
        before = len(self.site.entries())
        refused = self.vendor(act, *options, reports=[report], expect=5)
        self.assertIn("POL-COLLATERAL-REVOKED", refused.stderr)
        new = self.site.entries()[before:]
        self.assertEqual([(one["kind"], one["phase"], one.get("outcome")) for one in new],
                         [("release", "intent", None), ("release", "result", "denied")])
        self.assertEqual([one["id"] for one in new[1]["data"]["findings"]], ["POL-COLLATERAL-REVOKED"])
        self.assertFalse(out.exists())
        self.assertEqual(list(self.site.root.glob(".*qpcseal*")), [])

    def test_it_gets_nothing(self):
        sealed, wrapped, of_another, new = (self.folder(name) for name in ("sealed", "wrapped", "another", "new"))
        self.encrypt()
        self.vendor("wrap-mek", "--output-dir", wrapped, reports=[self.site.report("stock-a")])
        self.replace(sealed, wrapped, new)
        shutil.rmtree(new)
        self.load(1, self.site.ueid())
        counted = self.site.listed("stock-a#1")
        before, files = self.site.entries(), {path.name: path.read_bytes() for path in sealed.iterdir()}
        refused = self.replace(sealed, wrapped, new, expect=5)
        self.assertRegex(refused.stderr, f"card {self.site.ueid()}, of log entry [0-9]+, is revoked")
        self.assertFalse(new.exists())
        self.assertEqual(self.site.entries(), before)
        for act, *options in (("encrypt-model", "--qpc", self.model, "--output-dir", new),
                              ("encrypt-with-session-keys", "--input-dir", sealed), ("wrap-mek", "--output-dir", new)):
            with self.subTest(act):
                self.denied(act, new, *options)
        self.assertEqual({path.name: path.read_bytes() for path in sealed.iterdir()}, files)
        now = self.site.listed("stock-a#1")
        self.assertEqual((now["exposures"], now["releases"]), (counted["exposures"], counted["releases"]))
        self.vendor("wrap-mek", "--output-dir", of_another, reports=[self.site.report("stock-a", card=1)])
        self.replace(sealed, of_another, new)
        self.assertEqual(self.site.opened(new, card=1), self.model.read_bytes())

    def test_it_is_served_where_a_later_bundle_takes_it_back(self):
        sealed, wrapped, new = (self.folder(name) for name in ("sealed", "wrapped", "new"))
        self.load(2)
        self.encrypt()
        self.vendor("wrap-mek", "--output-dir", wrapped, reports=[self.site.report("stock-a")])
        self.load(3, self.site.ueid())
        self.replace(sealed, wrapped, new, expect=5)
        self.load(4)
        self.replace(sealed, wrapped, new)


class ModelExchanged(VendorCase):
    """A model that changes between the officers' agreement and the tool's end."""

    def test_nothing_of_it_is_taken(self):
        self.site.behave("wait")
        out, before, number = self.folder("sealed"), len(self.site.entries()), 0
        self.addCleanup(self.model.write_bytes, self.model.read_bytes())
        process = subprocess.Popen([QPCSEAL, "encrypt-model", "--format", "vendor", "--mek", "stock-a", "--qpc", self.model,
                                    "--output-dir", out], env=self.site.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   text=True)
        while process.poll() is None:
            if ("mek-expose", "wrapped") in self.site.signed(before):
                number += 1
                self.model.write_bytes(b"another model %d" % number)
            time.sleep(0.05)
        said = process.stderr.read()
        process.stderr.close()
        self.assertEqual(process.returncode, 5, said)
        self.assertIn("changed while the tool ran", said)
        self.assertFalse(out.exists())
        self.assertEqual(self.site.entries("mek-expose")[-1]["outcome"], "unknown")


if __name__ == "__main__":
    unittest.main()
