"""Files that people bring: through other systems' editors and mail, or in place of another kind of file."""

import os
import pathlib
import shutil
import subprocess
import unittest

from appliance import Appliance, ATTEST, DEVICE, GuardedAppliance, QPCSEAL, run
from test_audit import NOWHERE
from test_rewrap import Case

MARK = b"\xef\xbb\xbf"
PLAN = pathlib.Path(__file__).resolve().parents[2] / "docs" / "plans" / "first-key.toml"


def with_cr_lf(path):
    """A copy as a system with other line ends keeps it."""
    out = pathlib.Path(f"{path}.crlf")
    out.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    return out


class Pins(unittest.TestCase):
    """What an editor adds to a PIN never reaches the token, which would count a failed try."""

    @classmethod
    def setUpClass(cls):
        cls.appliance = Appliance(cards=1)
        cls.file = cls.appliance.root / "home" / "pin"
        cls.pin = cls.file.read_bytes().strip()

    @classmethod
    def tearDownClass(cls):
        cls.appliance.close()

    def tearDown(self):
        self.file.write_bytes(self.pin + b"\n")
        os.chown(self.file, os.geteuid(), -1)
        self.file.chmod(0o600)

    def by_descriptor(self, text, expect=0):
        reading, writing = os.pipe()
        os.write(writing, text)
        os.close(writing)
        try:
            return self.appliance.qpcseal("mek", "list", "--pin-fd", reading, pass_fds=(reading,), expect=expect)
        finally:
            os.close(reading)

    def test_a_mark_and_a_carriage_return_are_not_part_of_it(self):
        for text in (self.pin + b"\r\n", MARK + self.pin + b"\n", MARK + self.pin + b"\r\n", self.pin + b"\r"):
            with self.subTest(text=text[:4] + text[-2:]):
                self.file.write_bytes(text)
                self.appliance.qpcseal("mek", "list")
                self.by_descriptor(text)

    def test_what_is_no_pin_is_refused_before_the_token_is_asked(self):
        wide = self.pin.decode().encode("utf-16")
        for text, why in ((wide, "UTF-16"), (self.pin + b"\t\n", "control character"), (b"\r\n", "empty"),
                          (wide[2:], "control character"), (MARK + b"\n", "empty")):
            with self.subTest(why=why):
                self.file.write_bytes(text)
                said = self.appliance.qpcseal("mek", "list", expect=6).stderr
                self.assertIn(why, said)
                self.assertNotIn("CKR_", said)
                self.assertIn(why, self.by_descriptor(text, expect=6).stderr)

    def test_two_lines_are_refused_before_the_token_is_asked(self):
        for text in (self.pin + b"\n" + self.pin + b"\n", b"11111111\n" + self.pin + b"\n", self.pin + b"\n\nx"):
            self.file.write_bytes(text)
            for said in (self.appliance.qpcseal("mek", "list", expect=6).stderr, self.by_descriptor(text, expect=6).stderr):
                self.assertIn("more than one line, and a PIN is one", said)
                self.assertNotIn("CKR_", said)
        for text in (self.pin, self.pin + b"\n\n"):
            self.file.write_bytes(text)
            self.appliance.qpcseal("mek", "list")
            self.by_descriptor(text)

    def test_answers_may_stand_behind_it_on_standard_input(self):
        self.appliance.qpcseal("mek", "list", "--pin-fd", 0, stdin=self.pin.decode() + "\nYes\n")

    def test_a_hint_mends_the_cause(self):
        self.file.chmod(0o640)
        said = self.appliance.qpcseal("mek", "list", expect=6).stderr
        self.assertIn(f"hint: chmod 0600 {self.file}", said)
        self.file.chmod(0o600)
        if os.geteuid() != 0:
            self.skipTest("only root can give a file away")
        os.chown(self.file, 4711, -1)
        said = self.appliance.qpcseal("mek", "list", expect=6).stderr
        self.assertIn("belongs to user 4711", said)
        self.assertIn(f"hint: chown 0 {self.file}", said)


class LineEnds(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = GuardedAppliance(guarded=("mek-generate",), cards=1)

    @classmethod
    def tearDownClass(cls):
        cls.site.close()

    def path(self, name):
        return self.site.root / f"{self.id().rsplit('.', 1)[1]}-{name}"

    def request(self, name):
        out = self.path(name)
        self.site.qpcseal("request", "new", "mek-generate", "--param", f"name={name}", "-o", out)
        return out, [officer.sign(out) for officer in self.site.officers[:2]]

    def generate(self, name, request, signatures, expect=0):
        approvals = [part for signature in signatures for part in ("--approval", signature)]
        return self.site.qpcseal("mek", "generate", name, "--request", request, *approvals, expect=expect)

    def test_a_request_and_its_signatures_are_taken(self):
        request, signatures = self.request("a")
        self.generate("a", with_cr_lf(request), map(with_cr_lf, signatures))
        marked, signatures = self.request("b")
        marked.write_bytes(MARK + marked.read_bytes())
        self.generate("b", marked, signatures)

    def test_utf_16_is_named(self):
        request, signatures = self.request("c")
        wide = self.path("wide")
        wide.write_bytes(request.read_text().encode("utf-16"))
        said = self.generate("c", wide, signatures, expect=4).stderr
        self.assertIn(f"{wide}: this is UTF-16 text", said)
        policy = self.path("policy")
        policy.write_bytes(self.site.policy.read_text().encode("utf-16-le"))
        self.assertIn("this is UTF-16 text", self.site.qpcseal("policy", "check", policy, expect=4).stderr)

    def test_a_signature_over_other_line_ends_says_so(self):
        request, _ = self.request("d")
        changed = [officer.sign(with_cr_lf(request)) for officer in self.site.officers[:2]]
        said = self.generate("d", request, changed, expect=7).stderr
        self.assertIn("over the same text with other line ends", said)

    def test_a_copy_of_the_log_names_the_line_ends(self):
        copy = self.path("copy")
        shutil.copytree(self.site.root / "home" / "log", copy)
        (copy / "checkpoint").write_bytes((copy / "checkpoint").read_bytes().replace(b"\n", b"\r\n"))
        run(QPCSEAL, "audit", "verify", "--log", copy, env=NOWHERE)
        entries = copy / "entries.jsonl"
        whole = entries.read_bytes()
        for text in (whole.replace(b"\n", b"\r\n"), whole.decode().encode("utf-16")):
            entries.write_bytes(text)
            for flags in ((), ("--quick",)):
                said = run(QPCSEAL, "audit", "verify", "--log", copy, *flags, env=NOWHERE, expect=8).stderr
                self.assertIn(f"{entries}: its line ends are CR LF, or its text is UTF-16", said)
        entries.write_bytes(whole.replace(b"genesis", b"genesiz"))
        said = run(QPCSEAL, "audit", "verify", "--log", copy, env=NOWHERE, expect=8).stderr
        self.assertNotIn("CR LF", said)

    def test_notes_and_keys_in_files(self):
        point, key = self.path("point"), self.path("key")
        self.site.qpcseal("audit", "checkpoint", "-o", point)
        self.site.qpcseal("audit", "verify", "--earlier", with_cr_lf(point))
        receipt = self.path("receipt")
        self.site.qpcseal("audit", "receipt", "0", "-o", receipt)
        vkey = self.site.qpcseal("trust", "show", "--log-key").stdout.strip()
        for text in (vkey + "\n", vkey + "\r\n", "\ufeff" + vkey):
            key.write_text(text)
            self.site.qpcseal("audit", "verify", "--key", key)
            self.site.qpcseal("audit", "check-receipt", with_cr_lf(receipt), "--key", key)
        self.site.qpcseal("audit", "verify", "--key", vkey)
        key.write_text(f"{vkey}\n{vkey}\n")
        self.assertIn("not one line", self.site.qpcseal("audit", "verify", "--key", key, expect=4).stderr)
        said = self.site.qpcseal("audit", "verify", "--key", self.path("none"), expect=3).stderr
        self.assertIn("neither a verification key (name+id+key) nor a file", said)

    def test_officers(self):
        listed = with_cr_lf(self.site.root / "home" / "officers")
        listed.write_bytes(MARK + listed.read_bytes())
        names = {each["name"] for each in self.site.json("officers", "show", listed)["officers"]}
        self.assertEqual(names, {officer.name for officer in self.site.officers})


class Certificates(unittest.TestCase):
    def setUp(self):
        self.appliance = Appliance(cards=1, init=False)
        self.root = self.appliance.trust / "root.pem"

    def tearDown(self):
        self.appliance.close()

    def test_text_before_a_certificate(self):
        text = run("openssl", "x509", "-in", self.root, "-text").stdout
        self.root.write_text(text)
        self.appliance.init()

    def test_a_name_in_capitals(self):
        self.root.rename(self.appliance.trust / "ROOT.PEM")
        self.appliance.init()

    def test_other_things(self):
        pem = self.root.read_text()
        for name, content, why in (("root.pem", pem.encode("utf-16"), "this is UTF-16 text"),
                                   ("root.pem", b"only text", "not a certificate"),
                                   ("root.pem", (pem + pem).encode(), "more than one PEM block"),
                                   ("ROOT.TXT", pem.encode(), "neither a certificate")):
            self.root.unlink(missing_ok=True)
            file = self.appliance.trust / name
            file.write_bytes(content)
            self.assertIn(why, self.appliance.init(expect=4).stderr)
            file.unlink()


class OtherKinds(Case):
    """A file in place of another is named for what it is, and is no denial of a card."""

    def kinds(self):
        trip = self.folder("trip")
        self.appliance.qpcseal("attest", "request", "--mek", "resnet50", "--host", "rack", "--device", "0-1", "-o",
                               trip)
        report = self.attest()
        wrapped = self.wrap([report])
        receipt, point, page = self.folder("receipt"), self.folder("point"), self.folder("page")
        self.appliance.qpcseal("audit", "receipt", "0", "-o", receipt)
        self.appliance.qpcseal("audit", "checkpoint", "-o", point)
        self.appliance.qpcseal("audit", "report", "-o", page)
        return {trip / "rack-0.request": "a request for attestation", trip / "batch": "a courier's batch",
                receipt: "a receipt", point: "a signed checkpoint", page: "an HTML page",
                self.model: "a model (QPC)", self.seal(): "a model (QPC)", self.appliance.policy: "a policy",
                wrapped / "config.json": "config.json of wrapped MEKs",
                wrapped / "MEK.encrypt": "a wrapped MEK (MEK.encrypt)",
                self.appliance.root / "home" / "log" / "entries.jsonl": "a log's entries"}

    def denied(self):
        return self.appliance.json("audit", "show", "--kind", "denied")["entries"]

    def test_in_place_of_a_report(self):
        for file, kind in self.kinds().items():
            with self.subTest(kind=kind):
                small = self.folder("small")
                small.write_bytes(file.read_bytes()[:60000])
                for command in (["wrap-mek", "--mek", "resnet50", "--output-dir", self.folder("out"), "--pub-keys"],
                                ["encrypt-with-session-keys", "--input-dir", self.folder("none"), "--mek", "resnet50",
                                 "--pub-keys"],
                                ["attest", "verify"]):
                    said = self.appliance.qpcseal(*command, small, expect=4).stderr
                    self.assertIn(f"{small}: this is {kind}, not an attestation report", said)
        self.assertEqual(self.denied(), [])

    def test_all_files_of_a_trip(self):
        trip = self.folder("trip")
        self.appliance.qpcseal("attest", "request", "--mek", "resnet50", "--host", "rack", "--device", "0-1", "-o",
                               trip)
        self.appliance.device("attest", "--dir", self.appliance.cards, "-d", 0, "-i", trip / "rack-0.request", "-o",
                              trip / "rack-0.report")
        said = self.appliance.qpcseal("wrap-mek", "--mek", "resnet50", "--pub-keys", *sorted(trip.iterdir()),
                                      "--skip-denied", "--output-dir", self.folder("out"), expect=5).stdout
        self.assertIn("this is a request for attestation, not an attestation report", said)
        self.assertIn("this is a courier's batch", said)
        self.assertEqual(self.denied(), [])

    def test_in_place_of_other_files(self):
        report, model = self.attest(), self.model
        request = self.appliance.root / f"{report.name}.request"
        receipt = self.folder("receipt")
        self.appliance.qpcseal("audit", "receipt", "0", "-o", receipt)
        vkey = self.appliance.qpcseal("trust", "show", "--log-key").stdout.strip()
        cases = ((["audit", "check-receipt", request, "--key", vkey], "a request for attestation, not a receipt"),
                 (["policy", "check", report], "an attestation report, not a policy"),
                 (["policy", "check", receipt], "a receipt, not a policy"),
                 (["trust", "import", self.appliance.policy], "a policy, not a collateral bundle"),
                 (["mek", "restore", request], "a request for attestation, not a backup of a MEK"),
                 (["audit", "verify", "--earlier", receipt], "a receipt, not a signed checkpoint"),
                 (["audit", "verify", "--key", receipt], "a receipt, not a verification key"),
                 (["officers", "show", self.appliance.policy], "a policy, not an officers file"),
                 (["policy", "check", PLAN], "a ceremony's plan, not a policy"),
                 (["ceremony", "lint", self.appliance.policy], "a policy, not a ceremony's plan"),
                 (["ceremony", "check", receipt], "a receipt, not a ceremony's record"),
                 (["run", receipt], "a receipt, not a file of commands"),
                 (["mek", "import", self.appliance.policy, "--name", "x"], "a policy, not a MEK file"),
                 (["mek", "drills", "--ended", self.appliance.policy], "a policy, not a receipt"),
                 (["encrypt-model", "--qpc", report, "--mek", "resnet50", "--output-dir", self.folder("no")],
                  "an attestation report, not a model (QPC)"),
                 (["approve", self.appliance.policy, "--module", "/none.so"], "a policy, not a request for approval"))
        for command, words in cases:
            with self.subTest(words=words):
                self.assertIn(f"this is {words}", self.appliance.qpcseal(*command, expect=4).stderr)
        bundle = self.folder("bundle")
        self.wrap([report], "released")
        entry = self.appliance.json("audit", "show", "--kind", "release", "--outcome", "ok")["entries"][-1]["seq"]
        self.appliance.qpcseal("audit", "receipt", entry, "--bundle", "-o", bundle)
        said = self.appliance.qpcseal("policy", "check", bundle, expect=4).stderr
        self.assertIn("this is a bundle (a receipt and what its verdict rests on), not a policy", said)
        said = self.appliance.device("attest", "--dir", self.appliance.cards, "-d", 0, "-i", report, "-o",
                                     self.folder("out"), expect=4).stderr
        self.assertIn("this is an attestation report, not a request for attestation", said)


    def test_inspect_names_what_others_show(self):
        for file, kind, shown_by in ((self.appliance.policy, "a policy", "policy check"),
                                     (PLAN, "a ceremony's plan", "ceremony lint"),
                                     (self.appliance.root / "root.pem", "a certificate", "openssl x509")):
            said = run(QPCSEAL, "inspect", file, env=NOWHERE).stdout
            self.assertIn(f"this is {kind}\n", said)
            self.assertIn(shown_by, said)


class Hosts(Case):
    def test_addresses_in_brackets(self):
        request = self.folder("request")
        self.appliance.qpcseal("attest", "request", "--mek", "resnet50", "-o", request)
        port_file = self.folder("port")
        server = subprocess.Popen([DEVICE, "serve", "--dir", str(self.appliance.cards), "--address", "[::1]", "--port",
                                   "0", "--port-file", str(port_file)], stdout=subprocess.PIPE, text=True)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)
        if not server.stdout.readline():
            self.skipTest("no IPv6 here")
        port = port_file.read_text().strip()
        for host in ("::1", "[::1]"):
            run(ATTEST, "--ip", host, "--port", port, "-i", request, "-o", self.folder(f"report{len(host)}"),
                env=self.appliance.env)
        said = run(ATTEST, "--ip", f"[::1]:{port}", "-i", request, "-o", self.folder("none"), env=self.appliance.env,
                   expect=2).stderr
        self.assertIn("--port", said)

    def test_a_batch_has_the_bare_address(self):
        trip = self.folder("trip")
        self.appliance.qpcseal("attest", "request", "--mek", "resnet50", "--host", "[fe80::2]", "--device", "0", "-o",
                               f"{trip}/")
        self.assertEqual((trip / "batch").read_text(), "fe80::2 62473 0 fe80__2-0.request fe80__2-0.report\n")
        said = self.appliance.qpcseal("attest", "request", "--mek", "resnet50", "--host", "rack:62473", "--device",
                                      "0-1", "-o", self.folder("other"), expect=2).stderr
        self.assertIn("a host with a port behind it", said)


class Folders(Case):
    """Models that were sealed one by one lie in folders of their own."""

    def models(self, *names):
        folder = self.folder("models")
        for name in names:
            self.appliance.qpcseal("encrypt-model", "--qpc", self.model, "--mek", "resnet50", "--output-dir",
                                   folder / name)
        return folder

    def bound(self, folder):
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("programqpc.bin"))

    def test_all_below_a_folder_are_bound(self):
        models, wrapped = self.models(".", "a", "b/c"), self.wrap([self.attest()])
        (models / ".old").mkdir()
        (models / ".old" / "programqpc.bin").write_bytes(self.model.read_bytes())
        names = ["a/programqpc.bin", "b/c/programqpc.bin", "programqpc.bin"]
        out = models / "bound" / "today"
        for _ in range(2):  # the second time the outputs of the first lie below the folder too
            self.replace(models, [wrapped], "--output-dir", out, "--force")
            self.assertEqual(self.bound(out), names)
        for name in names:
            self.appliance.load(out / name)
        shutil.rmtree(models / "bound")
        self.replace(models, [wrapped], "--in-place")
        for name in names:
            self.appliance.load(models / name)

    def test_several_cards(self):
        models, wrapped = self.models("a", "b"), self.wrap([self.attest(0), self.attest(1)])
        out = self.folder("bound")
        self.replace(models, [wrapped], "--output-dir", out)
        cards = [path.name for path in wrapped.iterdir() if path.is_dir()]
        self.assertEqual(self.bound(out), sorted(f"{card}/{name}/programqpc.bin" for card in cards for name in "ab"))

    def test_session_keys(self):
        models, out = self.models("a", "b"), self.folder("bound")
        self.appliance.qpcseal("encrypt-with-session-keys", "--input-dir", models, "--mek", "resnet50", "--pub-keys",
                               self.attest(), "--output-dir", out)
        self.assertEqual(self.bound(out), ["a/programqpc.bin", "b/programqpc.bin"])
        self.appliance.load(out / "b" / "programqpc.bin")


if __name__ == "__main__":
    unittest.main()
