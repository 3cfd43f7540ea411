"""What the programs cannot do once they are confined, tried from inside: a module that tries it, and calls that are watched."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

from appliance import ATTEST, BUILD, DEVICE, QPCSEAL, Appliance, GuardedAppliance, run

INTRUDER = BUILD / "tests" / "intruder" / "libintruder.so"
OLD_KERNEL = BUILD / "tests" / "intruder" / "old-kernel"
REFUSED = {"inet": "EPERM", "inet6": "EPERM", "packet": "EPERM", "netlink": "EPERM", "exec": "EPERM",
           "ptrace": "EPERM", "memory": "EPERM", "unshare": "EPERM", "namespace": "EPERM", "mount": "EPERM", "tree": "EPERM",
           "driver": "EPERM", "bpf": "EPERM", "watch": "EPERM", "io_uring": "EPERM",
           "userfault": "EPERM", "keyring": "EPERM", "read": "EACCES", "make": "EACCES", "descriptor": "EBADF",
           "dumpable": "no", "privileges": "none new", "variable": "cleared"}
ALLOWED = {"unix": "done"}


def parse(lines):
    return dict(line.split(": ", 1) for line in lines)


@unittest.skipUnless(os.geteuid() == 0, "what a module is refused, only root could do in any case")
class Intruder(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="qpcseal-test-"))
        self.addCleanup(shutil.rmtree, self.root, True)
        self.log = self.root / "log"
        self.env = {"PATH": os.environ["PATH"], "QPCSEAL_HOME": str(self.root / "home"), "P11_KIT_STRICT": "1",
                    "INTRUDER_LOG": str(self.log)}

    def with_open_descriptor(self, *command):
        """Runs a command that gets a descriptor, 57, which nobody gave it on purpose."""
        return subprocess.run(["bash", "-c", 'exec 57</dev/null; exec "$@"', "bash", *map(str, command)], env=self.env,
                              capture_output=True, text=True, check=False)

    def list(self, *options):
        done = self.with_open_descriptor(QPCSEAL, "doctor", "--list", "--module", INTRUDER, "--json", *options)
        self.assertEqual(0, done.returncode, done.stderr)
        return parse(token["label"] for token in json.loads(done.stdout))

    def test_without_confinement_every_trial_works(self):
        """So that a refusal below is the program's doing."""
        done = self.with_open_descriptor("pkcs11-tool", "--module", INTRUDER, "-L")
        found = parse(self.log.read_text().splitlines())
        self.assertEqual(set(REFUSED) | set(ALLOWED), set(found), done.stderr)
        for trial in REFUSED:
            self.assertNotEqual(REFUSED[trial], found[trial], trial)

    def test_a_module_is_refused_all_but_its_own_files_and_local_sockets(self):
        self.assertEqual({**REFUSED, **ALLOWED}, self.list())

    def test_a_site_that_accepts_the_network_gives_sockets_and_nothing_else(self):
        found = self.list("--accept", "module-network")
        for trial in ("inet", "inet6", "netlink", "unix"):
            self.assertEqual("done", found.pop(trial), trial)
        self.assertEqual({key: REFUSED[key] for key in found}, found)

    def test_module_files_are_reached_when_they_are_named(self):
        self.assertEqual("done", self.list("--module-files", "/etc/shadow")["read"])
        run(QPCSEAL, "doctor", "--list", "--module", INTRUDER, "--module-files", "shadow", env=self.env, expect=2)

    def officer(self, *options):
        """What the module of an officer who signs a policy could do."""
        run(DEVICE, "provision", "--dir", self.root / "cards", "--cards", 1, "--roots-out", self.root / "root.pem")
        policy = self.root / "policy.toml"
        policy.write_text(run(DEVICE, "describe", "--dir", self.root / "cards", "--device", 0, "--policy").stdout)
        digest = hashlib.sha256(policy.read_bytes()).hexdigest()
        pin = self.root / "pin"
        pin.touch(mode=0o600)
        pin.write_text("1234\n")
        self.log.unlink(missing_ok=True)
        done = self.with_open_descriptor(QPCSEAL, "policy", "sign", policy, "--module", INTRUDER, "--token", "none",
                                         "--yes-digest", digest, "--pin-source", f"file:{pin}", "--module-files",
                                         self.root, *options)
        self.assertIn("none", done.stderr)
        self.assertTrue(self.log.exists(), done.stderr)
        shutil.rmtree(self.root / "cards")
        (self.root / "root.pem").unlink()
        policy.unlink()
        return parse(self.log.read_text().splitlines())

    def test_an_officers_module_is_refused_the_same(self):
        self.assertEqual({**REFUSED, **ALLOWED}, self.officer())
        self.assertEqual("done", self.officer("--module-network")["inet"])


@unittest.skipUnless(os.geteuid() == 0, "what a program is refused, only root could do in any case")
class AtExit(unittest.TestCase):
    """What commands without a module could do: a library that is loaded before them tries it when they end."""

    WITH_NETWORK = {**REFUSED, **dict.fromkeys(("inet", "inet6", "netlink", "unix"), "done")}
    FILES_ALONE = {**REFUSED, "unix": "EPERM"}

    @classmethod
    def setUpClass(cls):
        cls.site = Appliance(cards=1)
        cls.addClassCleanup(cls.site.close)
        cls.nothing = cls.site.root / "nothing"
        cls.nothing.write_text("nothing")

    def tried(self, *command, stop=None):
        env = {**self.site.env, "P11_KIT_STRICT": "1", "INTRUDER_AT_EXIT": "1", "LD_PRELOAD": str(INTRUDER)}
        child = subprocess.Popen(["bash", "-c", 'exec 57</dev/null; exec "$@"', "bash", *map(str, command)], env=env, text=True,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if stop is not None:
            while not child.stdout.readline().startswith("listening"):
                self.assertIsNone(child.poll(), command)
            child.send_signal(stop)
        said = child.communicate(timeout=60)[1]
        found = dict(line.split(": ", 1) for line in said.splitlines() if re.match(r"[a-z_0-9]+: ", line))
        self.assertLessEqual(set(REFUSED), set(found), said)
        return {name: found[name] for name in {**REFUSED, **ALLOWED}}

    def test_without_confinement_every_trial_works(self):
        found = self.tried("/bin/true")
        for trial, refused in self.FILES_ALONE.items():
            self.assertNotEqual(refused, found[trial], trial)

    def test_commands_without_a_token_have_their_files_alone(self):
        for command in (("inspect", self.site.sample()), ("audit", "verify"), ("policy", "check", self.site.policy),
                        ("audit", "check-receipt", self.nothing, "--key", self.nothing), ("ceremony", "lint", self.nothing),
                        ("ceremony", "check", self.nothing), ("policy", "diff", self.site.policy, self.site.policy),
                        ("attest", "verify", self.nothing)):
            self.assertEqual(self.FILES_ALONE, self.tried(QPCSEAL, *command), command)

    def test_the_courier_has_sockets_and_its_reports_folder(self):
        self.assertEqual(self.WITH_NETWORK, self.tried(ATTEST, "--ip", "127.0.0.1", "--port", 1, "-i", self.nothing, "-o",
                                                       self.site.root / "report"))

    def test_the_card_has_sockets_where_it_serves_and_files_else(self):
        self.assertEqual(self.FILES_ALONE, self.tried(DEVICE, "list", "--dir", self.site.cards))
        self.assertEqual(self.WITH_NETWORK, self.tried(DEVICE, "serve", "--dir", self.site.cards, "--port", 0,
                                                       stop=signal.SIGTERM))


class Watched(unittest.TestCase):
    """The order of calls: what confines a process comes before it opens what is from outside."""

    @classmethod
    def setUpClass(cls):
        cls.site = Appliance(cards=1)
        cls.addClassCleanup(cls.site.close)
        cls.model = cls.site.sample()

    def calls(self, *command, expect=0):
        trace = self.site.root / "trace"
        run("strace", "-f", "-o", trace, "-e", "trace=seccomp,landlock_restrict_self,openat,socket,connect,bind", *command,
            env=self.site.env, expect=expect)
        return trace.read_text().splitlines()

    def position(self, lines, pattern):
        # O_PATH opens nothing: it names a file to Landlock.
        found = [number for number, line in enumerate(lines) if re.search(pattern, line) and "O_PATH" not in line]
        self.assertTrue(found, f"no {pattern} in\n" + "\n".join(lines))
        return found[0]

    def check_order(self, opened, *command, filters=1, expect=0):
        lines = self.calls(*command, expect=expect)
        at = self.position(lines, opened)
        before = "\n".join(lines[:at])
        self.assertEqual(filters, len(re.findall(r"seccomp\(SECCOMP_SET_MODE_FILTER.*= 0", before)), command)
        self.assertIn("landlock_restrict_self", before, command)

    def test_commands_without_a_token_are_confined_before_they_open_their_files(self):
        for opened, command in ((r"model\.qpc", ("inspect", self.model)),
                                (r"policy\.toml", ("policy", "check", self.site.policy)),
                                (r"checkpoint", ("audit", "verify"))):
            self.check_order(opened, QPCSEAL, *command)
        name = self.site.root / "other"
        name.write_text("nothing")
        self.check_order(r"/other", QPCSEAL, "ceremony", "lint", name, expect=4)
        self.check_order(r"/other", QPCSEAL, "audit", "check-receipt", name, "--key", name, expect=4)

    def test_no_program_reads_a_configuration_of_openssl(self):
        """It could name a library to load."""
        conf = self.site.root / "openssl.cnf"
        conf.write_text("openssl_conf = x\n[x]\n")
        env = dict(self.site.env, OPENSSL_CONF=str(conf))
        run("strace", "-o", self.site.root / "control", "-e", "trace=openat", "openssl", "rand", "-hex", "1", env=env)
        self.assertIn("openssl.cnf", (self.site.root / "control").read_text())
        for command in ((QPCSEAL, "inspect", self.model), (QPCSEAL, "mek", "list"),
                        (DEVICE, "list", "--dir", self.site.cards)):
            run("strace", "-f", "-o", self.site.root / "trace", "-e", "trace=openat", *command, env=env)
            self.assertNotIn("openssl.cnf", (self.site.root / "trace").read_text(), command)

    def test_the_token_is_opened_behind_both_filters(self):
        # Its file is hashed, and then loaded by the same descriptor.
        self.check_order(r"libsofthsm2\.so", QPCSEAL, "mek", "list", filters=2)

    def test_the_courier_and_the_card_are_confined_before_they_talk(self):
        self.site.qpcseal("mek", "generate", "model")
        self.site.serve()
        request = self.site.root / "request"
        self.site.qpcseal("attest", "request", "--mek", "model", "-o", request)
        self.check_order(r"connect\(", ATTEST, "--ip", "127.0.0.1", "--port", self.site.port, "-i", request, "-o",
                         self.site.root / "report")
        self.check_order(r"card-0|/0/", DEVICE, "list", "--dir", self.site.cards)


class OldKernels(unittest.TestCase):
    """Where the kernel cannot confine, a token's module is not loaded, unless the site's facts accept that."""

    CALLS = {"files": "landlock_create_ruleset", "system calls": "seccomp"}

    def test_a_site_refuses_a_kernel_that_cannot_confine(self):
        site = GuardedAppliance(cards=1)
        self.addCleanup(site.close)
        for what, call in self.CALLS.items():
            done = run(OLD_KERNEL, call, QPCSEAL, "mek", "list", env=site.env, expect=3)
            self.assertIn(what, done.stderr)
            self.assertIn("unconfined", done.stderr)

    def test_a_site_that_accepts_it_goes_on_and_doctor_says_so(self):
        site = Appliance(cards=1, init=False)
        self.addCleanup(site.close)
        site.init("--accept", "unconfined")
        self.assertIn("files limited", site.qpcseal("doctor").stdout)
        for word, call in (("files NOT limited", "landlock_create_ruleset"), ("calls NOT filtered", "seccomp")):
            self.assertIn(word, run(OLD_KERNEL, call, QPCSEAL, "doctor", env=site.env).stdout)

    def test_commands_without_a_token_work_there(self):
        site = Appliance(cards=1, init=False)
        self.addCleanup(site.close)
        for call in self.CALLS.values():
            run(OLD_KERNEL, call, QPCSEAL, "policy", "check", site.policy, env=site.env)


if __name__ == "__main__":
    unittest.main()
