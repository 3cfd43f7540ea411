"""Wrapped MEKs as files, put into sealed models that are with their cards already; and the vendor's whole flow."""

import json
import os
import pathlib
import shutil
import unittest

from appliance import Appliance, ATTEST, GuardedAppliance, run

FILES = {"MEK.encrypt", "MEK.nonce", "MEK.pub", "config.json"}


class Case(unittest.TestCase):
    cards = 2

    @classmethod
    def setUpClass(cls):
        cls.appliance = Appliance(cards=cls.cards)
        cls.appliance.qpcseal("mek", "generate", "resnet50")
        cls.model = cls.appliance.sample()

    @classmethod
    def tearDownClass(cls):
        cls.appliance.close()

    def folder(self, name):
        return self.appliance.root / f"{self.id().rsplit('.', 1)[1]}-{name}"

    def log_size(self):
        return (self.appliance.root / "home" / "log" / "entries.jsonl").stat().st_size

    def reset(self, card):
        self.appliance.device("reset", "--dir", self.appliance.cards, "--device", card)

    def attest(self, card=0, mek="resnet50", request=()):
        self.count = getattr(self, "count", 0) + 1
        return self.appliance.attest(mek, card, name=f"{self.id().rsplit('.', 1)[1]}-{self.count}.dat", request=request)

    def seal(self, name="sealed", mek="resnet50", reports=(), expect=0):
        out = self.folder(name)
        extra = ["--pub-keys", *reports] if reports else []
        self.appliance.qpcseal("encrypt-model", "--qpc", self.model, "--mek", mek, "--output-dir", out, *extra,
                               expect=expect)
        return out / "programqpc.bin"

    def wrap(self, reports, name="wrapped", expect=0, mek="resnet50", more=()):
        out = self.folder(name)
        self.said = self.appliance.qpcseal("wrap-mek", "--mek", mek, "--pub-keys", *reports, "--output-dir", out, *more,
                                           expect=expect)
        return out

    def replace(self, sealed, wrapped, *where, expect=0, env=None):
        return self.appliance.qpcseal("replace-mek", "--encrypted-qpc", sealed, "--wrapped-meks", *wrapped, *where,
                                      expect=expect, env=env or self.appliance.env)


class Wrap(Case):
    def test_one_report_gives_files_straight_in_the_folder(self):
        report = self.attest(request=("--host", "rack7", "--device", "3"))
        out = self.wrap([report])
        self.assertEqual({path.name for path in out.iterdir()}, FILES)
        config = json.loads((out / "config.json").read_text())
        self.assertEqual(config["mek"], "resnet50#1")
        entry = config["wrapped"][0]
        self.assertEqual((entry["folder"], entry["host"], entry["device"]), (".", "rack7", 3))
        logged = self.appliance.json("audit", "show", "--kind", "release")["entries"]
        result = next(e for e in logged if e["seq"] == entry["receipt"]["entry"])
        self.assertEqual(result["phase"], "result")
        for key in ("ueid", "suite", "report_sha256", "nonce", "wrapped_sha256"):
            self.assertEqual(result["data"][key], entry[key], key)

    def test_many_reports_give_a_folder_a_card(self):
        out = self.wrap([self.attest(0, request=("--host", "host-a", "--device", "0")), self.attest(1)])
        config = json.loads((out / "config.json").read_text())
        folders = [entry["folder"] for entry in config["wrapped"]]
        self.assertEqual(folders[0], "host-a-0")
        self.assertEqual(folders[1], "card-" + config["wrapped"][1]["ueid"])
        for folder in folders:
            self.assertEqual({path.name for path in (out / folder).iterdir()}, FILES)
        intents = [e for e in self.appliance.json("audit", "show", "--kind", "release")["entries"]
                   if e["phase"] == "intent"][-2:]
        self.assertEqual(intents[0]["txn"], intents[1]["txn"])

    def test_existing_outputs_stay_and_cost_no_challenge(self):
        out = self.wrap([self.attest()])
        before = {path.name: path.read_bytes() for path in out.iterdir()}
        report, size = self.attest(), self.log_size()
        self.wrap([report], expect=3)
        self.assertIn("exists", self.said.stderr)
        self.assertEqual(self.log_size(), size)
        self.assertEqual({path.name: path.read_bytes() for path in out.iterdir()}, before)
        self.wrap([report], more=["--force"])
        self.assertNotEqual((out / "MEK.encrypt").read_bytes(), before["MEK.encrypt"])

    def test_one_bad_report_and_nothing_is_wrapped(self):
        good, bad = self.attest(0), self.attest(1)
        broken = bytearray(bad.read_bytes())
        broken[-5] ^= 1
        bad.write_bytes(broken)
        out = self.wrap([good, bad], expect=5)
        self.assertFalse(out.exists())
        self.wrap([good])  # the report that did not verify used up nothing

    def test_same_card_twice(self):
        out = self.wrap([self.attest(0), self.attest(0)], expect=5)
        self.assertIn("POL-CARD-TWICE", self.said.stderr)
        self.assertFalse(out.exists())


class Approved(unittest.TestCase):
    def test_officers_agree_to_the_wrap(self):
        appliance = GuardedAppliance(guarded=("release",), cards=1)
        self.addCleanup(appliance.close)
        appliance.qpcseal("mek", "generate", "m")
        report = appliance.attest("m")
        out = appliance.root / "wrapped"
        command = ("wrap-mek", "--mek", "m", "--pub-keys", report, "--output-dir", out)
        appliance.qpcseal(*command, expect=7)
        self.assertFalse(out.exists())
        appliance.qpcseal(*command, *appliance.approved("release", "--mek", "m", "--report", report))
        self.assertEqual({path.name for path in out.iterdir()}, FILES)


class Replace(Case):
    def test_after_a_reset_the_model_loads_again(self):
        sealed = self.seal(reports=[self.attest()])
        self.appliance.load(sealed)
        self.reset(0)
        refused = self.appliance.load(sealed, expect=5)
        self.assertIn("since its boot", refused.stderr)
        wrapped = self.wrap([self.attest()])
        before = sealed.read_bytes()
        out = self.folder("out")
        said = self.replace(sealed, [wrapped], "--output-dir", out, "--json")
        self.assertTrue(json.loads(said.stdout)["checked_against_log"])
        plain = self.folder("plain.qpc")
        self.appliance.load(out / "programqpc.bin", out=plain)
        self.appliance.device("compare", self.model, plain)
        self.assertEqual(sealed.read_bytes(), before)
        changed = {i // 4096 for i, (a, b) in enumerate(zip(before, (out / "programqpc.bin").read_bytes())) if a != b}
        self.assertEqual(changed, {1}, "only the page of MEK slots")
        self.replace(sealed, [wrapped], "--output-dir", out, expect=3)
        self.replace(sealed, [wrapped], "--in-place")
        self.appliance.load(sealed)
        self.assertEqual(sealed.read_bytes(), (out / "programqpc.bin").read_bytes())

    def test_a_folder_of_containers(self):
        folder = self.folder("models")
        folder.mkdir()
        for name in ("a.qpc", "b.qpc"):
            shutil.move(self.seal(name=name + ".d"), folder / name)
        (folder / "readme").write_text("not a QPC")
        out = self.folder("out")
        self.replace(folder, [self.wrap([self.attest()])], "--output-dir", out)
        self.assertEqual(sorted(path.name for path in out.iterdir()), ["a.qpc", "b.qpc"])
        for name in ("a.qpc", "b.qpc"):
            self.appliance.load(out / name)

    def test_several_cards_with_one_container_get_a_container_each(self):
        wrapped = self.wrap([self.attest(0), self.attest(1)])
        sealed = self.seal()
        out = self.folder("out")
        self.replace(sealed, [wrapped], "--output-dir", out)
        config = json.loads((wrapped / "config.json").read_text())
        for card, entry in enumerate(config["wrapped"]):
            self.appliance.load(out / entry["folder"] / "programqpc.bin", device=card)
            self.appliance.load(out / entry["folder"] / "programqpc.bin", device=1 - card, expect=5)
        by_card = self.folder("by-card")
        self.replace(sealed, [wrapped / entry["folder"] for entry in config["wrapped"]], "--output-dir", by_card)
        self.appliance.load(by_card / config["wrapped"][1]["folder"] / "programqpc.bin", device=1)
        self.replace(sealed, [wrapped], "--in-place", expect=2)

    def test_another_mek(self):
        self.appliance.qpcseal("mek", "generate", "other")
        wrapped = self.wrap([self.attest(mek="other")], mek="other")
        out = self.folder("out")
        said = self.replace(self.seal(), [wrapped], "--output-dir", out, expect=5)
        self.assertIn("MEK id", said.stderr)
        self.assertFalse(out.exists())

    def test_a_release_that_the_log_does_not_know(self):
        wrapped = self.wrap([self.attest()])
        other = Appliance(cards=1)
        self.addCleanup(other.close)
        out = self.folder("out")
        sealed = self.seal()
        said = self.replace(sealed, [wrapped], "--output-dir", out, expect=5, env=other.env)
        self.assertIn("no release", said.stderr)
        self.assertFalse(out.exists())
        nowhere = {"PATH": os.environ["PATH"], "QPCSEAL_HOME": "/nonexistent"}
        said = self.replace(sealed, [wrapped], "--output-dir", out, expect=3, env=nowhere)
        self.assertIn("QPCSEAL_HOME names no home", said.stderr)
        homeless = {"PATH": os.environ["PATH"], "HOME": str(self.appliance.root / "nobody")}
        said = self.replace(sealed, [wrapped], "--output-dir", out, env=homeless)
        self.assertIn("no log was asked", said.stdout)
        self.appliance.load(out / "programqpc.bin")

    def test_a_release_that_is_revoked_since(self):
        appliance = Appliance(cards=2)
        self.addCleanup(appliance.close)
        appliance.qpcseal("mek", "generate", "m")
        sealed, model = appliance.root / "sealed", appliance.sample()
        appliance.qpcseal("encrypt-model", "--qpc", model, "--mek", "m", "--output-dir", sealed)
        wrapped = []
        for card in (0, 1):
            wrapped.append(appliance.root / f"wrapped-{card}")
            appliance.qpcseal("wrap-mek", "--mek", "m", "--pub-keys", appliance.attest("m", card, name=f"{card}.dat"),
                              "--output-dir", wrapped[card])

        def replace(card, name, expect):
            out = appliance.root / name
            said = appliance.qpcseal("replace-mek", "--encrypted-qpc", sealed, "--wrapped-meks", wrapped[card],
                                     "--output-dir", out, expect=expect)
            self.assertEqual(out.exists(), expect == 0)
            return said.stderr

        ueid = json.loads((wrapped[0] / "config.json").read_text())["wrapped"][0]["ueid"]
        text = appliance.policy.read_text().replace("serial = 1\n", "serial = 2\n")
        (appliance.root / "next.toml").write_text(text.replace("revoked_ueids = []", f'revoked_ueids = ["{ueid}"]'))
        appliance.qpcseal("policy", "install", appliance.root / "next.toml")
        self.assertIn("the policy revoked card " + ueid, replace(0, "revoked", 5))
        replace(1, "other-card", 0)
        appliance.qpcseal("mek", "suspend", "m")
        self.assertIn("suspended", replace(1, "suspended", 5))
        appliance.qpcseal("mek", "resume", "m")
        replace(1, "resumed", 0)

    def test_files_that_do_not_belong_together(self):
        first, second = self.wrap([self.attest()], name="first"), self.wrap([self.attest()], name="second")
        sealed = self.seal()
        for name in ("MEK.encrypt", "MEK.nonce", "MEK.pub"):
            mixed = self.folder("mixed-" + name)
            shutil.copytree(first, mixed)
            shutil.copy(second / name, mixed / name)
            said = self.replace(sealed, [mixed], "--output-dir", self.folder("out"), expect=4)
            self.assertIn("config.json", said.stderr)
        (first / "config.json").unlink()
        said = self.replace(sealed, [first], "--output-dir", self.folder("out"), expect=3)
        self.assertIn("config.json", said.stderr)

    def test_config_json_cannot_name_files_elsewhere(self):
        wrapped = self.wrap([self.attest(0), self.attest(1)])
        config = wrapped / "config.json"
        good = json.loads(config.read_text())
        for bad in ("../" + wrapped.name, "/etc", "..", ""):
            good["wrapped"][0]["folder"] = bad
            config.write_text(json.dumps(good))
            self.replace(self.folder("x"), [wrapped], "--output-dir", self.folder("out"), expect=4)

    def test_plain_qpc(self):
        wrapped = self.wrap([self.attest()])
        self.replace(self.model, [wrapped], "--output-dir", self.folder("out"), expect=4)
        self.replace(self.model, [wrapped], expect=2)


class Bind(Case):
    def test_a_folder_of_several_models(self):
        folder = self.folder("models")
        folder.mkdir()
        for name in ("a.qpc", "b.qpc", "c.qpc"):
            shutil.move(self.seal(name=name + ".d"), folder / name)
        said = self.appliance.json("encrypt-with-session-keys", "--input-dir", folder, "--mek", "resnet50", "--pub-keys",
                                   self.attest())
        self.assertEqual([pathlib.Path(path).name for path in said["outputs"]], ["a.qpc", "b.qpc", "c.qpc"])
        self.assertEqual(len(said["released"]), 1)
        for name in ("a.qpc", "b.qpc", "c.qpc"):
            self.appliance.load(folder / name)
        report = self.attest()
        self.appliance.qpcseal("encrypt-with-session-keys", "--input-dir", folder, "--mek", "resnet50", "--pub-keys",
                               report, expect=2)
        out = self.folder("out")
        self.appliance.qpcseal("encrypt-with-session-keys", "--input-dir", folder, "--mek", "resnet50", "--pub-keys",
                               report, "--output-dir", out, "--force")
        self.appliance.load(out / "b.qpc")


class VendorsFlow(Case):
    """The guide's commands with the program's name and the MEK argument changed, and nothing else."""

    cards = 4

    def vendor(self, *arguments, expect=0):
        return self.appliance.qpcseal(*arguments, expect=expect)

    def report_of(self, card):
        """attest request, then the vendor's client with the vendor's flags."""
        if self.appliance.server is None:
            self.appliance.serve()
        name = self.folder(f"{card}-{len(list(self.appliance.root.iterdir()))}")
        self.vendor("attest", "request", "--mek", "resnet50", "-o", str(name) + ".request")
        run(ATTEST, "--ip", "127.0.0.1", "--port", self.appliance.port, "-d", card, "-i", str(name) + ".request", "-o",
            str(name) + ".report", env=self.appliance.env)
        return str(name) + ".report"

    def test_first_day_then_reset_then_new_wrap(self):
        sealed, wrapped, out = self.folder("qpc"), self.folder("meks"), self.folder("new")
        self.vendor("encrypt-model", "--qpc", self.model, "--mek", "resnet50", "--output-dir", sealed)
        self.vendor("encrypt-with-session-keys", "--input-dir", sealed, "--mek", "resnet50", "--pub-keys",
                    self.report_of(0))
        self.appliance.load(sealed / "programqpc.bin")
        self.reset(0)
        self.appliance.load(sealed / "programqpc.bin", expect=5)
        self.vendor("wrap-mek", "--mek", "resnet50", "--pub-keys", self.report_of(0), "--output-dir", wrapped)
        self.vendor("replace-mek", "--encrypted-qpc", sealed / "programqpc.bin", "--wrapped-meks", wrapped,
                    "--output-dir", out)
        self.appliance.load(out / "programqpc.bin")

    def test_single_command(self):
        sealed = self.folder("qpc")
        self.vendor("encrypt-model", "--qpc", self.model, "--mek", "resnet50", "--output-dir", sealed, "--pub-keys",
                    self.report_of(2))
        self.appliance.load(sealed / "programqpc.bin", device=2)

    def test_four_cards_with_one_mek(self):
        sealed, wrapped, out = self.folder("qpc"), self.folder("meks"), self.folder("new")
        self.vendor("encrypt-model", "--qpc", self.model, "--mek", "resnet50", "--output-dir", sealed)
        reports = [self.report_of(card) for card in range(4)]
        self.vendor("wrap-mek", "--mek", "resnet50", "--pub-keys", *reports, "--output-dir", wrapped)
        self.vendor("replace-mek", "--encrypted-qpc", sealed / "programqpc.bin", "--wrapped-meks", wrapped,
                    "--output-dir", out)
        folders = [entry["folder"] for entry in json.loads((wrapped / "config.json").read_text())["wrapped"]]
        for card in range(4):
            self.appliance.load(out / folders[card] / "programqpc.bin", device=card)


if __name__ == "__main__":
    unittest.main()
