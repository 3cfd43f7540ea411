"""An appliance whose site has the stand-ins of tests/vendor as the vendor's tool and verifier."""

import hashlib
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import unittest

from appliance import QPCSEAL, Appliance, GuardedAppliance, run

VENDOR = pathlib.Path(__file__).resolve().parents[1] / "vendor"
PYTHON = "/usr/bin/python3"  # the system's: the one that the sandbox has

DEVICE = """
[[device]]
name = "stock"
scheme = "external:sdk"
roots = ["{root}"]
oemid = 1
hwmodel = "0102"
hwversion = "1.0"
min_dbgstat = 3
lifecycle = ["secured"]
session_keys = ["p256"]
challenge_lifetime = "24h"
ueids = "any"
revoked_ueids = []
max_releases_per_card = 100
crl = "none"
submods = "none"

[[device.measurement]]
name = "firmware"
digests = ["{digest}"]
min_svn = 7

[[mek]]
labels = ["stock-*"]
devices = ["stock"]
modes = ["token"]
formats = ["vendor"]
suites = [1, 2, 3]
segments = []
max_releases = 100
max_encryptions = 1000
"""


def python(*arguments, expect=0, **more):
    return run(PYTHON, *arguments, expect=expect, **more)


def sandbox_is_here():
    """Asked of bubblewrap itself: in many containers it can make none."""
    words = "bwrap --unshare-all --unshare-user --disable-userns --ro-bind / / --proc /proc --dev /dev --tmpfs /tmp true"
    return subprocess.run(words.split(), capture_output=True, check=False).returncode == 0


class VendorSite:
    """What both kinds of appliance have in common; mixed into one of them."""

    def prepare(self):
        if not sandbox_is_here():
            raise unittest.SkipTest("bubblewrap can make no sandbox on this machine")
        # In /tmp, even where temporary files are in /dev/shm: a sandbox has a /dev of its own.
        self.vendor = folder = pathlib.Path(tempfile.mkdtemp(prefix="qpcseal-vendor-", dir="/tmp"))
        shutil.copytree(VENDOR, folder / "opt", ignore=shutil.ignore_patterns("*.txt", "__pycache__"))
        self.tool, self.verifier = folder / "opt" / "qaic_encrypt.py", folder / "opt" / "verifier.py"
        self.stock = [folder / f"card{number}" for number in range(4)]
        for card in self.stock:
            python(VENDOR / "device.py", "make", card, folder / "root")
        shutil.copy(folder / "root" / "root.raw", folder / "opt" / "root.raw")
        (folder / "opt" / "answer").write_text("{}")
        (folder / "opt" / "behaviour").write_text("good")

    def stock_policy(self, text):
        root = hashlib.sha256((self.vendor / "root" / "root.raw").read_bytes()).hexdigest()
        head, approvals = text.split("\n[approvals]\n")
        head = head.replace('labels = ["*"]', 'labels = ["own-*"]')
        text = head + DEVICE.format(root=root, digest="cd" * 32) + "\n[approvals]\nmek-expose = 0\n" + approvals
        return text

    def pin_options(self):
        opt = self.vendor / "opt"
        return ["--program", f"qaic-encrypt={self.tool}", "--program-file", f"qaic-encrypt={opt / 'container.py'}",
                "--program-file", f"qaic-encrypt={opt / 'behaviour'}", "--program", f"sdk={self.verifier}",
                "--program-file", f"sdk={opt / 'container.py'}", "--program-file", f"sdk={opt / 'root.raw'}",
                "--program-file", f"sdk={opt / 'answer'}"]

    def report(self, mek, card=0, name="pub.dat", request=()):
        """A fresh challenge, as bare nonce, answered by a stock card."""
        nonce, report = self.root / (name + ".request"), self.root / name
        for path in (nonce, report):
            path.unlink(missing_ok=True)
        self.qpcseal("attest", "request", "--mek", mek, "--raw", "-o", nonce, *request)
        python(VENDOR / "device.py", "attest", self.stock[card], nonce, report)
        return report

    def opened(self, folder, card=0, number=None):
        """What the card loads of the folder; None where it cannot."""
        out = self.root / "opened"
        out.unlink(missing_ok=True)
        done = subprocess.run([PYTHON, VENDOR / "device.py", "load", self.stock[card], folder, out,
                               *([] if number is None else [str(number)])], capture_output=True, check=False)
        return out.read_bytes() if done.returncode == 0 else None

    def ueid(self, card=0):
        return (self.stock[card] / "ueid").read_bytes().hex()

    def entries(self, kind=None):
        lines = (self.root / "home" / "log" / "entries.jsonl").read_text().splitlines()
        return [entry for entry in map(json.loads, lines) if kind in (None, entry["kind"])]

    def cut_short(self, *line):
        """Kills a run with reports whose tool sleeps, once the log says for good that it has the key."""
        before = len(self.entries())
        process = subprocess.Popen([QPCSEAL, *line], env=self.env)
        while process.poll() is None and ("release", "wrapped") not in self.signed(before):
            time.sleep(0.05)
        process.kill()
        process.wait()

    def signed(self, begin):
        """Kind and phase of the entries from there on that a checkpoint covers: the others are cut off at the next start."""
        log = self.root / "home" / "log"
        end = int((log / "checkpoint").read_text().splitlines()[1])
        lines = (log / "entries.jsonl").read_text().splitlines()[begin:end]
        return [(entry["kind"], entry["phase"]) for entry in map(json.loads, lines)]

    def listed(self, label):
        return next(one for one in self.json("mek", "list") if one["label"] == label)


class VendorAppliance(VendorSite, Appliance):
    """Without officers; with a token of its own kind, one officer agrees to the pins."""

    def __init__(self, policy_edit=None, pin=True, token=None):
        self.prepare()
        super().__init__(policy_edit=lambda text: (policy_edit or str)(self.with_quorum(self.stock_policy(text), token)),
                         token=token)
        if pin:
            self.pin()

    def pin(self):
        """What lies in the folder now is what the site's facts name."""
        agreed = ["--yes"]
        if self.token:
            request = self.root / "site-request"
            request.unlink(missing_ok=True)
            self.qpcseal("request", "new", "site-change", *self.pin_options(), "-o", request)
            agreed = ["--request", request, "--approval", self.officer.sign(request)]
        self.qpcseal("site", "change", *self.pin_options(), *agreed)

    @staticmethod
    def with_quorum(text, token):
        """Only a demonstration may ask nobody."""
        return text.replace("mek-expose = 0\n", "mek-expose = 1\n") if token else text

    def exposure_options(self, act, reports=(), model=None):
        """The options by which the one officer agrees to a run; none in a demonstration."""
        if not self.token:
            return []
        request = self.root / "expose-request"
        request.unlink(missing_ok=True)
        self.qpcseal("request", "new", "mek-expose", "--mek", "stock-a", "--param", f"act={act}",
                     *(["--qpc", model] if act == "encrypt-model" else []),
                     *(word for report in reports for word in ("--report", report)), "-o", request)
        return ["--request", request, "--approval", self.officer.sign(request)]

    def sole_officer(self):
        self.officer = super().sole_officer()
        return self.officer

    def put(self, name, text):
        """Another pinned file; facts that do not change are refused."""
        file = self.vendor / "opt" / name
        if file.read_text() != text:
            file.write_text(text)
            self.pin()

    def behave(self, kind):
        self.put("behaviour", kind)

    def answer(self, **changes):
        self.put("answer", json.dumps(changes))

    def close(self):
        super().close()
        shutil.rmtree(self.vendor, ignore_errors=True)


class GuardedVendorAppliance(VendorSite, GuardedAppliance):
    """With three officers, two of whom must agree to each release and each exposure."""

    guarded, expose = ("release", "mek-expose"), 2

    def __init__(self):
        self.prepare()
        super().__init__(guarded=self.guarded)
        pin = self.root / "pin"
        options = ["--request", self.request("site-change", *self.pin_options(), name="site-request")]
        options += ["--approval", *(officer.sign(options[1]) for officer in self.officers[:2])]
        self.qpcseal("site", "change", *self.pin_options(), *options)
        assert pin.exists()

    def with_thresholds(self, text):
        return re.sub(r"(?m)^mek-expose = 0$", f"mek-expose = {self.expose}", super().with_thresholds(self.stock_policy(text)))

    def exposure_options(self, act, reports=(), model=None):
        """The options by which two officers agree to a run, and to the releases in it."""
        named = [word for report in reports for word in ("--report", report)]
        requests = [self.request("mek-expose", "--mek", "stock-a", "--param", f"act={act}",
                                 *(["--qpc", model] if act == "encrypt-model" else []), *named, name="expose-request")]
        if reports:
            requests.append(self.request("release", "--mek", "stock-a", *named, name="release-request"))
        signatures = [officer.sign(request) for request in requests for officer in self.officers[:2]]
        return ["--request", *requests, "--approval", *signatures]

    def close(self):
        super().close()
        shutil.rmtree(self.vendor, ignore_errors=True)


class VendorCase(unittest.TestCase):
    """One appliance with key stock-a for all tests of a class."""

    make = VendorAppliance

    @classmethod
    def setUpClass(cls):
        cls.site = cls.make()
        cls.site.qpcseal("mek", "generate", "stock-a", *cls.agreed(cls, "mek-generate"))
        cls.model = cls.site.root / "model.qpc"
        cls.model.write_bytes(b"a compiled model" * 1000)

    @classmethod
    def tearDownClass(cls):
        cls.site.close()

    def agreed(self, operation, *arguments):
        """The options by which officers agree; none without them."""
        return []

    def change_policy(self, edit):
        """Another policy, for the time of a test."""
        old = self.site.policy.read_text()
        serial = [int(re.search(r"(?m)^serial = (\d+)$", old)[1])]

        def install(text):
            serial[0] += 1
            self.site.policy.write_text(re.sub(r"(?m)^serial = \d+$", f"serial = {serial[0]}", text))
            self.site.qpcseal("policy", "install", self.site.policy)
        install(edit(old))
        self.addCleanup(install, old)

    def folder(self, name):
        return self.site.root / f"{self.id().rsplit('.', 1)[1]}-{name}"

    def vendor(self, act, *options, reports=(), expect=0):
        agreed = list(self.exposed(act, reports))
        given = ["--pub-keys", *reports] if reports else []
        return self.site.qpcseal(act, "--format", "vendor", "--mek", "stock-a", *options, *given, *agreed, expect=expect)

    def exposed(self, act, reports):
        return self.site.exposure_options(act, reports, self.model)

    def encrypt(self, name="sealed", reports=(), expect=0):
        out = self.folder(name)
        return out, self.vendor("encrypt-model", "--qpc", self.model, "--output-dir", out, reports=reports, expect=expect)
