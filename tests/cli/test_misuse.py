"""What tired operators and hostile hosts do: it costs no challenge, leaves nothing half-done, and the log knows."""

import json
import os
import pathlib
import pty
import shutil
import signal
import stat
import subprocess
import time
import unittest

import cbor2

from appliance import Appliance, ATTEST, QPCSEAL, run
from test_audit import NOWHERE
from test_rewrap import Case


class Outputs(Case):
    """An output that cannot be made is found before the challenge is used up."""

    def usable(self, report):
        self.assertTrue(self.appliance.json("attest", "verify", report)["allowed"])

    def unable(self, path):
        """Runs as root too: without what lets root write everywhere."""
        plain = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
        return lambda *command, expect=3: run(*plain, QPCSEAL, *command, env=self.appliance.env, expect=expect)

    def test_wrapped_meks(self):
        report = self.attest()
        taken, closed = self.folder("taken"), self.folder("closed")
        taken.write_text("a file")
        closed.mkdir(mode=0o555)
        for flags in ((), ("--skip-denied",)):
            for output in (taken / "such" / "folder", taken, closed):
                with self.subTest(output=output.name, flags=flags):
                    self.unable(output)("wrap-mek", "--mek", "resnet50", "--pub-keys", report, "--output-dir", output,
                                        *flags)
                    self.usable(report)
        self.assertEqual(list(closed.iterdir()), [])
        self.appliance.qpcseal("wrap-mek", "--mek", "resnet50", "--pub-keys", report, "--output-dir", self.folder("out"))

    def test_in_place(self):
        sealed, report = self.seal(), self.attest()
        bind = ("encrypt-with-session-keys", "--input-dir", sealed.parent, "--mek", "resnet50", "--pub-keys", report)
        for target, mode in ((sealed, 0o444), (sealed.parent, 0o555)):
            before = target.stat().st_mode
            target.chmod(mode)
            self.unable(target)(*bind)
            target.chmod(before)
            self.usable(report)
        self.appliance.qpcseal(*bind)
        self.appliance.load(sealed)

    def test_folders_are_for_others_too(self):
        sealed = self.seal()
        wrapped = self.wrap([self.attest(0), self.attest(1)])
        for folder in (sealed.parent, wrapped, next(path for path in wrapped.iterdir() if path.is_dir())):
            self.assertEqual(stat.S_IMODE(folder.stat().st_mode), 0o755, folder)

    def test_paths_that_cannot_be(self):
        loop, long = self.folder("loop"), self.folder("x" * 300)
        loop.symlink_to(loop)
        for command in (["wrap-mek", "--mek", "resnet50", "--pub-keys", loop, "--output-dir", self.folder("out")],
                        ["wrap-mek", "--mek", "resnet50", "--pub-keys", long, "--output-dir", self.folder("out")],
                        ["attest", "request", "--mek", "resnet50", "-o", loop],
                        ["attest", "request", "--mek", "resnet50", "-o", long],
                        ["encrypt-with-session-keys", "--input-dir", loop / "x", "--mek", "resnet50", "--pub-keys",
                         self.attest()],
                        ["replace-mek", "--encrypted-qpc", loop / "x", "--wrapped-meks", loop / "y", "--output-dir",
                         self.folder("out")]):
            with self.subTest(command[0]):
                said = self.appliance.qpcseal(*command, expect=3)
                self.assertNotIn("internal", said.stderr)

    def test_a_home_that_cannot_be_read(self):
        locked = self.folder("locked")
        locked.mkdir(mode=0)
        self.addCleanup(locked.chmod, 0o700)
        plain = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
        env = {**self.appliance.env, "QPCSEAL_HOME": str(locked / "home")}
        report = self.attest()
        run(*plain, QPCSEAL, "inspect", self.model, env=env)  # works without a home
        for command in (["attest", "verify", report], ["mek", "list"], ["plan", "compromise", "resnet50"]):
            self.assertNotIn("internal", run(*plain, QPCSEAL, *command, env=env, expect=3).stderr)
        env["QPCSEAL_HOME"] = "/nonexistent"
        run(QPCSEAL, "attest", "verify", report, env=env, expect=3)


class Containers(Case):
    def many(self, count):
        first = self.seal()
        folder = self.folder("many")
        folder.mkdir()
        for number in range(count):
            shutil.copy(first, folder / f"{number}.qpc")
        return folder

    def test_more_than_a_log_entry_can_name(self):
        folder, report = self.many(257), self.attest()
        bind = ["encrypt-with-session-keys", "--input-dir", folder, "--mek", "resnet50", "--pub-keys", report]
        self.assertIn("at most 256", self.appliance.qpcseal(*bind, expect=2).stderr)
        (folder / "0.qpc").unlink()
        self.appliance.qpcseal(*bind, "--output-dir", self.folder("bound"))
        entry = self.appliance.json("audit", "show", "--kind", "release")["entries"][-1]
        self.assertEqual((entry["outcome"], len(entry["data"]["act"]["containers"])), ("ok", 256))
        self.appliance.load(self.folder("bound") / "256.qpc")

    def test_bound_in_place_though_an_error_came(self):
        """The journal does not go away: the card loads the container, so the log must not say that it failed."""
        sealed, report = self.seal(), self.attest()
        done = subprocess.run(
            ["strace", "-f", "-qq", "-o", "/dev/null", "-P", sealed.parent / f".{sealed.name}.rebind", "-e",
             "trace=unlink", "-e", "inject=unlink:error=EIO", QPCSEAL, "encrypt-with-session-keys", "--input-dir", sealed.parent,
             "--mek", "resnet50", "--pub-keys", report], env=self.appliance.env, capture_output=True, check=False)
        entry = self.appliance.json("audit", "show", "--kind", "release")["entries"][-1]
        if done.returncode == 0:
            self.skipTest("this file system shares bytes: there is no journal")
        self.assertEqual(done.returncode, 3)
        self.appliance.load(sealed)
        self.assertEqual(entry["phase"], "wrapped", "open, and counted")
        self.appliance.qpcseal("encrypt-with-session-keys", "--input-dir", sealed.parent, "--mek", "resnet50",
                               "--pub-keys", report)
        self.assertEqual(self.appliance.json("audit", "show", "--kind", "release")["entries"][-1]["outcome"], "ok")

    def test_a_plan_counts_what_nobody_knows(self):
        """Killed when the container is bound and the result is not written: the card may hold the key."""
        sealed = self.seal()
        report = self.attest(1, request=("--host", "node7", "--device", "1"))
        subprocess.run(
            ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e",
             "inject=fdatasync:signal=KILL:when=3", QPCSEAL, "encrypt-with-session-keys", "--input-dir",
             sealed.parent, "--mek", "resnet50", "--pub-keys", report], env=self.appliance.env, check=False)
        self.appliance.load(sealed, device=1)
        plan = self.appliance.json("plan", "compromise", "resnet50")
        card = next(card for card in plan["cards"] if card["host"] == "node7")
        self.assertTrue(card["unsettled"])
        self.assertIn("soc_reset", json.dumps([step for step in plan["steps"]]))

    def test_names_do_not_become_commands(self):
        model = self.folder("q'; touch pwned; '.qpc")
        shutil.copy(self.model, model)
        self.appliance.qpcseal("encrypt-model", "--qpc", model, "--mek", "resnet50", "--output-dir",
                               self.folder("sealed"))
        plan = self.appliance.json("plan", "compromise", "resnet50")
        command = next(c for step in plan["steps"] for c in step["commands"] if "touch" in c)
        words = subprocess.run(["sh", "-c", "set -f; printf '%s\\n' " + command], capture_output=True, text=True,
                               check=True).stdout.splitlines()
        self.assertIn(model.stem, words)

    def test_ctrl_c_while_sealing(self):
        large = self.appliance.sample("large.qpc", size=300 << 20)
        self.addCleanup(large.unlink)
        out = self.folder("sealed")
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            sealing = subprocess.Popen([QPCSEAL, "encrypt-model", "--qpc", large, "--mek", "resnet50", "--output-dir",
                                        out, "--force"], env=self.appliance.env, stderr=subprocess.PIPE, text=True)
            while not list(out.glob(".*.tmp-*")) and sealing.poll() is None:
                time.sleep(0.01)
            sealing.send_signal(signal_number)
            said = sealing.communicate(timeout=60)[1]
            self.assertEqual(sealing.returncode, 130, said)
            self.assertIn("interrupted", said)
            self.assertEqual(list(out.iterdir()), [])
            entry = self.appliance.json("audit", "show", "--kind", "seal")["entries"][-1]
            self.assertEqual(entry["outcome"], "failed")


class Arguments(Case):
    def entries(self):
        return len(self.appliance.json("audit", "show")["entries"])

    def test_a_ueid_that_is_none(self):
        before = self.entries()
        for ueid in ("", "zz", "0113", "01" * 34):
            said = self.appliance.json_error("attest", "request", "--mek", "resnet50", "--ueid", ueid, "-o",
                                             self.folder("request"))
            self.assertIn(said["exit_code"], (2, 4), said)
        self.appliance.qpcseal("attest", "request", "--mek", "resnet50", "--device", "", "-o", self.folder("request"),
                               expect=2)
        self.assertEqual(self.entries(), before, "a challenge for nothing")

    def test_errors_of_the_command_line_as_json(self):
        for arguments in (["mek", "list", "--no-such", "--json"], ["--json", "mek", "list"],
                          ["encrypt-model", "--json", "--mek", "a", "--mek", "b"]):
            self.assertEqual(self.appliance.json_error(*arguments)["exit_code"], 2)

    def test_a_folder_with_the_keys_name(self):
        here = self.folder("here")
        (here / "resnet50").mkdir(parents=True)
        run(QPCSEAL, "encrypt-model", "--qpc", self.model, "--mek", "resnet50", "--output-dir", "resnet50",
            env=self.appliance.env, cwd=here)
        (here / "plain").write_text("a file")
        for absent in ("MEK.dat", "plain"):
            said = run(QPCSEAL, "encrypt-model", "--qpc", self.model, "--mek", absent, "--output-dir", "out",
                       env=self.appliance.env, cwd=here, expect=4)
            self.assertIn("mek import", said.stderr)

    def test_a_demonstration_says_so(self):
        for command in (["mek", "list"], ["policy", "show"], ["doctor"], ["audit", "verify"]):
            self.assertIn("demonstration appliance", self.appliance.qpcseal(*command).stderr)
        self.assertTrue(self.appliance.json("doctor")["insecure_demo"])

    def test_ctrl_c_at_the_pin(self):
        site = self.appliance.root / "home" / "site.toml"
        text = site.read_text()
        self.addCleanup(site.write_text, text)
        lines = ['pin_source = "tty"' if line.startswith("pin_source") else line for line in text.splitlines()]
        site.write_text("\n".join(lines) + "\n")
        child, terminal = pty.fork()
        if child == 0:  # a shell stays, so that the terminal does
            os.environ.update(self.appliance.env)
            os.execvp("sh", ["sh", "-c", f"trap : INT; '{QPCSEAL}' mek list; stty -a; echo end"])
        said = b""
        while b"PIN for" not in said:
            said += os.read(terminal, 4096)
        time.sleep(0.2)
        os.write(terminal, b"\x03")
        while b"end\r" not in said:
            said += os.read(terminal, 4096)
        os.waitpid(child, 0)
        self.assertRegex(said.decode(), r"\secho\s")


class HostileHost(Case):
    def bloated(self, report, name):
        """The same report with claims that nobody knows, whose signature no longer holds."""
        tags, message = [], cbor2.loads(report.read_bytes())
        while isinstance(message, cbor2.CBORTag):
            tags, message = [message.tag, *tags], message.value
        protected, unprotected, payload, signature = message
        claims = cbor2.loads(payload)
        claims.update({-100000 - number: "x" for number in range(1500)})
        path = self.folder(name)
        message = [protected, unprotected, cbor2.dumps(claims, canonical=True), signature]
        for tag in tags:
            message = cbor2.CBORTag(tag, message)
        path.write_bytes(cbor2.dumps(message))
        return path

    def test_more_faults_than_an_entry_can_hold(self):
        good, bad = self.attest(0), self.bloated(self.attest(1), "bad.report")
        self.appliance.qpcseal("wrap-mek", "--mek", "resnet50", "--pub-keys", bad, "--output-dir", self.folder("none"),
                               expect=5)
        entry = self.appliance.json("audit", "show", "--kind", "denied")["entries"][-1]
        self.assertGreater(entry["data"]["findings_left_out"], 100)
        bundle = self.folder("bundle")
        self.appliance.qpcseal("audit", "receipt", entry["seq"], "--bundle", "-o", bundle)
        key = self.appliance.qpcseal("trust", "show", "--log-key").stdout.strip()
        run(QPCSEAL, "audit", "check-receipt", bundle, "--key", key, env=NOWHERE)
        said = self.appliance.qpcseal("wrap-mek", "--mek", "resnet50", "--pub-keys", bad, good, "--skip-denied",
                                      "--output-dir", self.folder("some"), "--json", expect=5)
        self.assertEqual(len(json.loads(said.stdout)["released"]), 1)

    def test_what_is_no_report_stops_no_other(self):
        good, empty, huge = self.attest(), self.folder("empty"), self.folder("huge")
        empty.touch()
        huge.write_bytes(bytes(70000))
        link = self.folder("link")
        link.symlink_to(good)
        said = self.appliance.qpcseal("wrap-mek", "--mek", "resnet50", "--pub-keys", empty, good, huge, link,
                                      "--skip-denied", "--output-dir", self.folder("some"), "--json", expect=5)
        said = json.loads(said.stdout)
        self.assertEqual((len(said["released"]), len(said["denied"])), (1, 3))
        self.assertTrue(all(card["error"] for card in said["denied"]))

    def test_a_batch_that_reaches_elsewhere(self):
        self.attest()
        batch = self.folder("batch")
        request = self.folder("request")
        self.appliance.qpcseal("attest", "request", "--mek", "resnet50", "-o", request)
        for victim in ("../escaped.report", str(self.folder("absolute.report")), "x/../escaped.report", ".hidden"):
            batch.write_text(f"127.0.0.1 {self.appliance.port} 0 {request.name} {victim}\n")
            said = run(ATTEST, "--batch", batch, env=self.appliance.env, expect=4)
            self.assertIn("beside the batch", said.stderr)
        batch.write_text(f"127.0.0.1 {self.appliance.port} 0 ../{request.name} out.report\n")
        run(ATTEST, "--batch", batch, env=self.appliance.env, expect=4)
        self.assertFalse(pathlib.Path(self.appliance.root.parent / "escaped.report").exists())

    def test_files_of_others_in_a_cards_folder(self):
        report = self.attest(request=("--host", "node", "--device", "0"))
        out = self.folder("out")
        (out / "node-0").mkdir(parents=True)
        (out / "node-0" / "notes.txt").write_text("mine")
        wrap = ["wrap-mek", "--mek", "resnet50", "--pub-keys", report, "--skip-denied", "--output-dir", out]
        self.appliance.qpcseal(*wrap, expect=3)
        self.appliance.qpcseal(*wrap, "--force", expect=3)
        self.assertEqual((out / "node-0" / "notes.txt").read_text(), "mine")
        (out / "node-0" / "notes.txt").unlink()
        self.appliance.qpcseal(*wrap, "--force")

    def test_a_card_that_the_collateral_revoked(self):
        appliance = Appliance(cards=1)
        self.addCleanup(appliance.close)
        appliance.qpcseal("mek", "generate", "m")
        sealed, wrapped = appliance.root / "sealed", appliance.root / "wrapped"
        appliance.qpcseal("encrypt-model", "--qpc", appliance.sample(), "--mek", "m", "--output-dir", sealed)
        appliance.qpcseal("wrap-mek", "--mek", "m", "--pub-keys", appliance.attest("m"), "--output-dir", wrapped)
        ueid = json.loads((wrapped / "config.json").read_text())["wrapped"][0]["ueid"]
        bundle = appliance.root / "collateral"
        appliance.qpcseal("trust", "bundle", "--serial", 1, "--trust", appliance.trust, "--revoke", ueid, "-o", bundle)
        appliance.qpcseal("trust", "import", bundle)
        said = appliance.qpcseal("replace-mek", "--encrypted-qpc", sealed, "--wrapped-meks", wrapped, "--output-dir",
                                 appliance.root / "out", expect=5)
        self.assertIn("collateral bundle revoked card " + ueid, said.stderr)


if __name__ == "__main__":
    unittest.main()
