"""Officers with tokens, plans from docs/plans, and a person at a terminal."""

import os
import pathlib
import pty
import re
import select
import subprocess
import time

from appliance import GuardedAppliance, Officer, QPCSEAL, run

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
HERE = pathlib.Path(__file__).parent
PLANS = (HERE.parent.parent / "docs" / "plans", HERE / "plans")
OPERATIONS = ("mek-generate", "mek-rotate", "mek-backup", "mek-restore", "mek-drill", "mek-destroy", "mek-resume",
              "recovery-key")


class TokenOfficer(Officer):
    """A person whose key is in a SoftHSM token of its own, reached by ssh-agent as a smart card is."""

    def __init__(self, folder, name):  # pylint: disable=super-init-not-called
        self.name = name
        self.key = folder / name
        tokens = folder / f"{name}-token"
        tokens.mkdir()
        conf = folder / f"{name}.conf"
        conf.write_text(f"directories.tokendir = {tokens}\nlog.level = ERROR\n")
        askpass = folder / f"{name}.askpass"
        askpass.write_text("#!/bin/sh\necho 123456\n")
        askpass.chmod(0o700)
        self.env = {"PATH": os.environ["PATH"], "SOFTHSM2_CONF": str(conf), "SSH_ASKPASS": str(askpass),
                    "SSH_ASKPASS_REQUIRE": "force", "SSH_AUTH_SOCK": str(folder / f"{name}.sock")}
        run("softhsm2-util", "--init-token", "--free", "--label", name, "--pin", "123456", "--so-pin", "123456",
            env=self.env)
        run("pkcs11-tool", "--module", MODULE, "--token-label", name, "--login", "--pin", "123456", "--keypairgen",
            "--key-type", "EC:prime256v1", "--label", name, "--id", "01", env=self.env)
        said = run("ssh-agent", "-a", self.env["SSH_AUTH_SOCK"], env=self.env).stdout
        self.agent = int(re.search(r"SSH_AGENT_PID=(\d+)", said).group(1))
        run("ssh-add", "-s", MODULE, env=self.env)
        public = run("ssh-add", "-L", env=self.env).stdout.split()
        self.key.with_suffix(".pub").write_text(f"{public[0]} {public[1]} {name}\n")

    def sign(self, file, sig_namespace="approval"):
        file = pathlib.Path(file)
        made = file.with_name(file.name + ".sig")
        made.unlink(missing_ok=True)
        run("ssh-keygen", "-q", "-Y", "sign", "-f", self.key.with_suffix(".pub"), "-n", sig_namespace + "@qpcseal", file,
            env=self.env)
        return made.rename(file.with_name(f"{file.name}.{self.name}.sig"))

    def close(self):
        run("ssh-agent", "-k", env=dict(self.env, SSH_AGENT_PID=str(self.agent)))


class Site(GuardedAppliance):
    """An appliance where two of four officers must agree to each act on a key: three with tokens, one without."""

    def __init__(self, tokens=True, guarded=OPERATIONS, **more):
        self.with_tokens = tokens
        super().__init__(guarded=guarded, **more)
        self.aud = self.json("audit", "show", "--kind", "genesis")["entries"][0]["data"]["aud"]

    def make_officers(self, keys):
        if not self.with_tokens:
            return [Officer(keys, name, "-t", "ed25519") for name in ("anna", "bela", "carl", "dora")]
        return [TokenOfficer(keys, name) for name in ("anna", "bela", "carl")] + [Officer(keys, "dora", "-t", "ed25519")]

    def init(self, expect=0, **more):
        keys = self.root / "officers-keys"
        if not (keys / "dora.pub").exists():
            for file in keys.iterdir():
                file.unlink()
            self.officers = self.make_officers(keys)
            self.officers_file.write_text("".join(officer.line() for officer in self.officers))
        return super().init(expect=expect, **more)

    def plan(self, sample, folder, **edits):
        """docs/plans/SAMPLE.toml, made this appliance's."""
        text = next(path for folder in PLANS if (path := folder / f"{sample}.toml").exists()).read_text()
        for key, value in {"aud": self.aud, "appliance": "test", "valid_until": "2099-01-01T00:00:00Z",
                           **edits}.items():
            text, count = re.subn(rf'(?m)^{key} = .*$', f'{key} = {value}' if isinstance(value, int) else
                                  f'{key} = "{value}"', text)
            assert count, f"{sample} has no {key}"
        folder.mkdir(exist_ok=True)
        path = folder / f"{sample}.toml"
        path.write_text(text)
        return path

    def sign_plan(self, plan, by=(0, 3)):
        return [part for i in by for part in ("--signature", self.officers[i].sign(plan, "plan"))]

    def rehearse(self, plan, folder):
        out = folder / f"{plan.stem}-rehearsal"
        self.qpcseal("ceremony", "rehearse", plan, "--dir", folder, "-o", out)
        return ["--rehearsal", out / "record.json"]

    def close(self):
        for officer in self.officers:
            if isinstance(officer, TokenOfficer):
                officer.close()
        super().close()


def answer(prompt):
    """What a person says who follows the plan."""
    for word, said in (("'go'", "go"), ("'done'", "done"), ("type Yes", "Yes"), ("initials", "W.W."), ("deviation", "")):
        if word in prompt:
            return said
    raise AssertionError(f"no answer to {prompt!r}")


class Terminal:
    """qpcseal in a pseudo-terminal. `respond` gets each prompt and gives an answer, a signal, or None to hang up."""

    def __init__(self, env, *command, respond=answer):
        self.text = ""
        master, slave = pty.openpty()
        self.process = subprocess.Popen([QPCSEAL, *map(str, command)], env=dict(env, TERM="dumb"), stdin=slave,
                                        stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.talk(master, respond)
        self.code = self.process.wait(timeout=60)
        os.close(master)

    def talk(self, master, respond):
        deadline = time.time() + 300
        answered = 0
        while time.time() < deadline:
            ready, _, _ = select.select([master], [], [], 0.2)
            if ready:
                try:
                    data = os.read(master, 65536)
                except OSError:
                    return
                if not data:
                    return
                self.text += data.decode(errors="replace").replace("\r\n", "\n")
                continue
            if self.process.poll() is not None:
                return
            line = self.text[answered:].rsplit("\n", 1)[-1]
            if line.endswith(": "):
                said = respond(line)
                answered = len(self.text)
                if isinstance(said, int):  # a signal
                    self.process.send_signal(said)
                    continue
                os.write(master, b"\x04" if said is None else said.encode() + b"\n")
        raise AssertionError("the terminal went quiet:\n" + self.text)


def script(answers=200):
    """Answers for a run without a terminal. A prompt that wants one word is asked again until it comes."""
    return "Yes\n" + "go\ndone\nW.W.\n\n" * answers
