"""A throw-away appliance with two simulated cards, driven through the real programs."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import entry_format

BUILD = pathlib.Path(os.environ["QPCSEAL_BUILD"])
QPCSEAL = str(BUILD / "bin" / "qpcseal")
ATTEST = str(BUILD / "bin" / "qpcseal-attest")
DEVICE = str(BUILD / "bin" / "qpcseal-device")


class Failed(Exception):
    """A command gave another exit code than expected."""


def run(*command, expect=0, env=None, stdin=None, timeout=120, cwd=None, pass_fds=()):
    """Runs one command; returns its result or raises with all that it printed."""
    done = subprocess.run([str(part) for part in command], env=env, input=stdin, capture_output=True, text=True,
                          timeout=timeout, cwd=cwd, check=False, pass_fds=pass_fds)
    if done.returncode != expect:
        raise Failed(f"{' '.join(map(str, command))}\nexit {done.returncode}, expected {expect}\n"
                     f"{done.stdout}{done.stderr}")
    return done


def shifted(env, seconds):
    """The environment of a workstation whose clock is so many seconds ahead, or behind."""
    return dict(env, LD_PRELOAD=str(BUILD / "tests" / "clock" / "libshift-clock.so"), SHIFT_CLOCK=str(int(seconds)))


def today(seconds=0):
    """What --clock wants to hear of a clock that is so many seconds ahead."""
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() + seconds))


def softhsm_env(tokens, folder):
    """For programs that look into an embedded token from outside: its SOFTHSM2_CONF, in a folder of the test."""
    conf = pathlib.Path(folder) / "outside-softhsm2.conf"
    conf.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
    return {"SOFTHSM2_CONF": str(conf), "PATH": os.environ["PATH"]}


class Appliance:
    """A home, a policy from card 0, and a server for the cards.

    The token is the embedded one (init --embedded --insecure-demo), or what `token` makes of a folder
    (tokens.py); then there is one officer, whose agreement the policy asks for where the officers change.
    """

    is_named = False  # whether the policy names this appliance, as each after the first one must but in demonstrations

    def __init__(self, cards=2, provision=(), policy_edit=None, init=True, token=None):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="qpcseal-test-"))
        self.token = token(self.root / "token") if token else None
        self.is_named = self.is_named or self.token is not None
        self.env = {"PATH": os.environ["PATH"], "QPCSEAL_HOME": str(self.root / "home")}
        self.cards = self.root / "cards"
        self.server = None
        self.port = None
        self.device("provision", "--dir", self.cards, "--cards", cards, "--roots-out", self.root / "root.pem",
                    *provision)
        self.policy = self.root / "policy.toml"
        text = self.device("describe", "--dir", self.cards, "--device", 0, "--policy", "--appliance",
                           "test" if self.is_named else "any").stdout
        self.policy.write_text(policy_edit(text) if policy_edit else text)
        self.trust = self.root / "trust"
        self.trust.mkdir()
        shutil.copy(self.root / "root.pem", self.trust / "root.pem")
        if init:
            self.init()

    def sole_officer(self):
        keys = self.root / "sole-officer"
        keys.mkdir(exist_ok=True)
        return Officer(keys, "officer", "-t", "ed25519")

    def init(self, *options, expect=0, **more):
        kind, officer = ["--embedded", "--insecure-demo"], None
        if self.token:
            officer = self.sole_officer()
            listed = self.root / "sole-officer" / "officers"
            listed.write_text(officer.line())
            kind = [*self.token.init_options(), "--officers", listed, "--policy-signature",
                    officer.sign(self.policy, "policy")]
        result = self.qpcseal("init", *kind, "--appliance-id", "test", "--policy", self.policy, "--trust", self.trust,
                              *options, expect=expect, **more)
        if expect == 0:
            key = self.root / "seal-key.pem"
            key.write_text(self.qpcseal("trust", "show", "--seal-key").stdout)
            self.device("set-seal-key", "--dir", self.cards, "--seal-key", key)
        if expect == 0 and officer is not None:
            text = self.root / "sole-officer" / "genesis"
            self.qpcseal("genesis", "show", "-o", text)
            self.qpcseal("genesis", "accept", "--approval", officer.sign(text))
        return result

    def qpcseal(self, *arguments, expect=0, **more):
        return run(QPCSEAL, *arguments, expect=expect, env=more.pop("env", self.env), **more)

    def json(self, *arguments, expect=0):
        return json.loads(self.qpcseal(*arguments, "--json", expect=expect).stdout)

    def json_error(self, *arguments):
        """What a failing command says as JSON."""
        done = subprocess.run([QPCSEAL, *map(str, arguments), "--json"], env=self.env, capture_output=True, text=True,
                              check=False)
        return json.loads(done.stdout)["error"]

    def device(self, *arguments, expect=0, **more):
        return run(DEVICE, *arguments, expect=expect, env=self.env, **more)

    def load(self, container, device=0, expect=0, out=None):
        extra = ["--out", out] if out else []
        return self.device("load", "--dir", self.cards, "--device", device, container, *extra, expect=expect)

    def loads(self, container, device=0):
        done = subprocess.run([DEVICE, "load", "--dir", str(self.cards), "--device", str(device), str(container)],
                              env=self.env, capture_output=True, check=False)
        return done.returncode == 0

    def serve(self):
        port_file = self.root / "port"
        self.server = subprocess.Popen([DEVICE, "serve", "--dir", str(self.cards), "--port", "0", "--port-file",
                                        str(port_file)], env=self.env, stdout=subprocess.DEVNULL)
        for _ in range(100):
            if port_file.exists() and port_file.read_text().strip():
                self.port = int(port_file.read_text())
                return
            time.sleep(0.1)
        raise Failed("the device server did not start")

    def attest(self, mek, device=0, name="report.dat", request=()):
        """A fresh request for `mek`, answered by a card; returns the report's path."""
        if self.server is None:
            self.serve()
        request_file = self.root / (name + ".request")
        report = self.root / name
        self.qpcseal("attest", "request", "--mek", mek, "-o", request_file, *request)
        run(ATTEST, "--ip", "127.0.0.1", "--port", self.port, "--device", device, "-i", request_file, "-o", report,
            env=self.env)
        return report

    def sample(self, name="model.qpc", size=None, flavour=None):
        path = self.root / name
        extra = (["--size", size] if size else []) + (["--flavour", flavour] if flavour else [])
        self.device("sample", "--out", path, *extra)
        return path

    def check_entries(self):
        """The log of every test, where it was not tampered with, is as FORMAT.md says."""
        log = self.root / "home" / "log"
        if log.exists() and subprocess.run([QPCSEAL, "audit", "verify", "--quick"], env=self.env, capture_output=True,
                                           check=False).returncode == 0:
            entry_format.check(log)

    def close(self):
        if self.server is not None:
            self.server.send_signal(signal.SIGTERM)
            self.server.wait(timeout=10)
        if self.token is not None:
            self.token.close()
        try:
            self.check_entries()
        finally:
            shutil.rmtree(self.root, ignore_errors=True)


NAMESPACES = ("approval", "policy", "officers", "plan", "collateral")


class Officer:
    """A person with an SSH key."""

    def __init__(self, folder, name, *kind):
        self.name = name
        self.key = folder / name
        run("ssh-keygen", "-q", "-N", "", "-C", name, "-f", self.key, *kind)

    def line(self, options=""):
        names = ",".join(name + "@qpcseal" for name in NAMESPACES)
        return f'{self.name} namespaces="{names}"{options} {self.key.with_suffix(".pub").read_text()}'

    def sign(self, file, sig_namespace="approval"):
        """What `ssh-keygen -Y sign` makes of the file; the signature's path."""
        file = pathlib.Path(file)
        made = file.with_name(file.name + ".sig")
        made.unlink(missing_ok=True)
        run("ssh-keygen", "-q", "-Y", "sign", "-f", self.key, "-n", sig_namespace + "@qpcseal", file)
        return made.rename(file.with_name(f"{file.name}.{self.name}.sig"))


class GuardedAppliance(Appliance):
    """A real one, with a PIN and three officers: two must agree to each operation in `guarded`, and to others."""

    is_named = True

    def __init__(self, guarded=("mek-generate", "seal", "release"), extra_officers=None, genesis=True, init_now=True,
                 **more):
        """extra_officers: folder -> lines of the officers file, and a function file -> their signatures of it."""
        self.guarded, self.genesis = guarded, genesis
        super().__init__(policy_edit=self.with_thresholds, init=False, **more)
        keys = self.root / "officers-keys"
        keys.mkdir()
        self.officers = [Officer(keys, "anna", "-t", "ed25519"), Officer(keys, "bela", "-t", "ecdsa", "-b", "256"),
                         Officer(keys, "carl", "-t", "ecdsa", "-b", "384")]
        lines, self.extra_signatures = extra_officers(keys) if extra_officers else ([], lambda file: [])
        self.officers_file = self.root / "officers"
        self.officers_file.write_text("".join([officer.line() for officer in self.officers] + lines))
        if init_now:
            self.init()

    def with_thresholds(self, text):
        for operation in self.guarded:
            text = text.replace(f"\n{operation} = 0\n", f"\n{operation} = 2\n")
        return re.sub(r"(?m)^((?:officers|policy|site)-change|anchor-accept|clock-correct) = [01]$", r"\1 = 2", text)

    def init(self, expect=0, signatures=None, **more):
        if signatures is None:
            signatures = [officer.sign(self.policy, "policy") for officer in self.officers[:2]]
        pin = self.root / "pin"
        pin.touch(mode=0o600)
        pin.write_text("12345678\n")
        signed = ["--policy-signature", *signatures] if signatures else []
        result = self.qpcseal("init", "--embedded", "--appliance-id", "test", "--policy", self.policy, *signed,
                              "--trust", self.trust, "--officers", self.officers_file, "--pin-source", f"file:{pin}",
                              expect=expect, **more)
        if expect == 0 and self.genesis:
            self.accept_genesis()
        return result

    def accept_genesis(self):
        text = self.root / "genesis"
        self.qpcseal("genesis", "show", "-o", text)
        self.qpcseal("genesis", "accept", "--approval", *(officer.sign(text) for officer in self.officers),
                     *self.extra_signatures(text))

    def change_officers(self, file, by=(0, 1), **more):
        """Another officers file, to which those in `by` agree."""
        request = self.request("officers-change", "--digest", f"officers_sha256={file}", name="officers-request")
        signatures = [self.officers[i].sign(request, "officers") for i in by]
        return self.qpcseal("officers", "install", file, "--request", request, "--approval", *signatures, **more)

    def request(self, operation, *arguments, name="request", **more):
        file = self.root / name
        file.unlink(missing_ok=True)
        self.qpcseal("request", "new", operation, *arguments, "-o", file, **more)
        return file

    def approved(self, operation, *arguments, by=(0, 1), name="request"):
        """The options that carry a fresh request and its signatures."""
        file = self.request(operation, *arguments, name=name)
        return ["--request", file, "--approval", *(self.officers[i].sign(file) for i in by)]
