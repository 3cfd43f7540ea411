"""Tokens other than the embedded one, for `qpcseal init --module`: in a process of its own, or NSS softoken."""

import os
import pathlib
import shutil
import signal
import subprocess
import time

from appliance import BUILD, Failed, run

PIN = "test-pin-1234"
SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
FORWARD = BUILD / "tests" / "forward"


class Token:
    """What init needs to know of a token: all in a folder that the caller removes."""

    label = "test"
    arguments = ""
    accept = ()  # desired key attributes that it lacks

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.root.mkdir()
        self.pin = self.root / "pin"
        self.pin.write_text(PIN + "\n")
        self.pin.chmod(0o600)

    def init_options(self):
        out = ["--module", self.module, "--token", self.label, "--pin-source", f"file:{self.pin}"]
        if self.arguments:
            out += ["--module-arguments", self.arguments]
        for name in self.accept:
            out += ["--accept", name]
        return out

    def close(self):
        """Ends what it started."""


class Forwarded(Token):
    """SoftHSM2 in a process of its own, behind the forwarding module; also where faults are injected."""

    module = FORWARD / "libforward-token.so"

    def __init__(self, root):
        super().__init__(root)
        folder = self.root / "tokens"
        folder.mkdir()
        conf = self.root / "softhsm2.conf"
        conf.write_text(f"directories.tokendir = {folder}\nobjectstore.backend = file\nlog.level = ERROR\n")
        self.env = dict(os.environ, SOFTHSM2_CONF=str(conf))
        run("softhsm2-util", "--init-token", "--free", "--label", self.label, "--so-pin", "so-pin-1234", "--pin", PIN,
            env=self.env)
        self.socket, self.keys = self.root / "socket", self.root / "keys"
        self.arguments = f"socket={self.socket}"
        self.process = None
        self.faults()
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [str(FORWARD / "forward-token"), "--socket", str(self.socket), "--module", SOFTHSM, "--faults",
             str(self.root / "faults"), "--trace", str(self.root / "trace"), "--record-keys", str(self.keys)],
            env=self.env, stderr=subprocess.DEVNULL)
        for _ in range(200):
            if self.socket.exists():
                return
            time.sleep(0.05)
        raise Failed("forward-token does not answer")

    def restart_if_gone(self):
        if self.process.poll() is not None:
            self.start()

    def faults(self, *rules):
        """From the next C_Initialize on; see tests/support/forward/faults.h."""
        (self.root / "faults").write_text("".join(rule + "\n" for rule in rules))

    def trace(self):
        """The calls since the last time this was asked: (name, CK_RV), in order."""
        path = self.root / "trace"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [(words[0], int(words[1], 16)) for words in (line.split() for line in lines)]

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=10)


class Nss(Token):
    """NSS softoken: another implementation with other abilities."""

    label = "NSS Certificate DB"
    accept = ("not-copyable", "allowed-mechanisms", "local")
    places = [pathlib.Path(f"/usr/lib/{machine}-linux-gnu/{folder}libsoftokn3.so")
              for machine in ("x86_64", "aarch64") for folder in ("nss/", "")]

    @classmethod
    def installed(cls):
        return shutil.which("certutil") is not None and any(path.exists() for path in cls.places)

    def __init__(self, root):
        super().__init__(root)
        self.module = next(path for path in self.places if path.exists())
        self.arguments = f"configdir='sql:{self.root}' certPrefix='' keyPrefix='' secmod='secmod.db' flags="
        run("certutil", "-N", "-d", f"sql:{self.root}", "-f", self.pin)
