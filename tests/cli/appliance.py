"""A throw-away appliance with two simulated cards, driven through the real programs."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

BUILD = pathlib.Path(os.environ["QPCSEAL_BUILD"])
QPCSEAL = str(BUILD / "appliance" / "qpcseal")
ATTEST = str(BUILD / "attest" / "qpcseal-attest")
DEVICE = str(BUILD / "attest" / "qpcseal-device")


class Failed(Exception):
    """A command gave another exit code than expected."""


def run(*command, expect=0, env=None, stdin=None, timeout=120, cwd=None):
    """Runs one command; returns its result or raises with all that it printed."""
    done = subprocess.run([str(part) for part in command], env=env, input=stdin, capture_output=True, text=True,
                          timeout=timeout, cwd=cwd, check=False)
    if done.returncode != expect:
        raise Failed(f"{' '.join(map(str, command))}\nexit {done.returncode}, expected {expect}\n"
                     f"{done.stdout}{done.stderr}")
    return done


class Appliance:
    """init --embedded --insecure-demo, a policy from card 0, and a server for the cards."""

    def __init__(self, cards=2, provision=(), policy_edit=None, init=True):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="qpcseal-test-"))
        self.env = {"PATH": os.environ["PATH"], "QPCSEAL_HOME": str(self.root / "home")}
        self.cards = self.root / "cards"
        self.server = None
        self.port = None
        self.device("provision", "--dir", self.cards, "--cards", cards, "--roots-out", self.root / "root.pem",
                    *provision)
        self.policy = self.root / "policy.toml"
        text = self.device("describe", "--dir", self.cards, "--device", 0, "--policy").stdout
        self.policy.write_text(policy_edit(text) if policy_edit else text)
        self.trust = self.root / "trust"
        self.trust.mkdir()
        shutil.copy(self.root / "root.pem", self.trust / "root.pem")
        if init:
            self.init()

    def init(self, expect=0, **more):
        result = self.qpcseal("init", "--embedded", "--insecure-demo", "--appliance-id", "test", "--policy",
                              self.policy, "--trust", self.trust, expect=expect, **more)
        if expect == 0:
            key = self.root / "seal-key.pem"
            key.write_text(self.qpcseal("trust", "show", "--seal-key").stdout)
            self.device("set-seal-key", "--dir", self.cards, "--seal-key", key)
        return result

    def qpcseal(self, *arguments, expect=0, **more):
        return run(QPCSEAL, *arguments, expect=expect, env=more.pop("env", self.env), **more)

    def json(self, *arguments, expect=0):
        return json.loads(self.qpcseal(*arguments, "--json", expect=expect).stdout)

    def device(self, *arguments, expect=0, **more):
        return run(DEVICE, *arguments, expect=expect, env=self.env, **more)

    def load(self, container, device=0, expect=0, out=None):
        extra = ["--out", out] if out else []
        return self.device("load", "--dir", self.cards, "--device", device, container, *extra, expect=expect)

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

    def close(self):
        if self.server is not None:
            self.server.send_signal(signal.SIGTERM)
            self.server.wait(timeout=10)
        shutil.rmtree(self.root, ignore_errors=True)
