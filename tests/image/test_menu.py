# SPDX-License-Identifier: Apache-2.0
"""The appliance's menu, function by function, with commands that only say how they were called."""

import os
import pathlib
import pty
import subprocess
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
MENU = ROOT / "image" / "root" / "usr" / "libexec" / "qpcseal" / "menu"
WORDS = ROOT / "image" / "words"
HASH = "00ff10ab" * 8


class Menu(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="qpcseal-menu."))
        self.addCleanup(subprocess.run, ["rm", "-rf", str(self.folder)], check=True)
        self.bin = self.folder / "bin"
        for name in ("bin", "run", "state", "stick", "home"):
            (self.folder / name).mkdir()
        (self.folder / "words").write_text(subprocess.run([WORDS, "--list"], check=True, capture_output=True, text=True).stdout,
                                           encoding="utf-8")
        self.cmdline(f"BOOT roothash={HASH} quiet")
        self.calls = self.folder / "calls"
        # Commands that change a machine: none of them may be the real one.
        for name in ("cryptsetup", "mount", "umount", "mkfs.ext4", "wipefs", "blockdev", "systemctl", "hwclock", "udevadm", "sync"):
            self.command(name, "exit 0")
        self.command("findmnt", 'exit 1')
        self.command("lsblk", "exit 0")

    def command(self, name, body):
        file = self.bin / name
        file.write_text(f'#!/bin/bash\nprintf "%s" "{name}" >>"{self.calls}"\nprintf " %q" "$@" >>"{self.calls}"\n'
                        f'echo >>"{self.calls}"\n{body}\n', encoding="utf-8")
        file.chmod(0o755)

    def cmdline(self, text):
        (self.folder / "cmdline").write_text(text + "\n", encoding="utf-8")

    def called(self, name):
        lines = self.calls.read_text(encoding="utf-8").splitlines() if self.calls.exists() else []
        return [line for line in lines if line.split(" ")[0] == name]

    def menu(self, script, typed=""):
        """Runs a script in which the menu's functions are known; returns (exit code, what it said)."""
        environment = {"PATH": f"{self.bin}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8", "QPCSEAL_MENU_RUN": str(self.folder / "run"),
                       "QPCSEAL_MENU_STATE": str(self.folder / "state"), "QPCSEAL_MENU_STICK": str(self.folder / "stick"),
                       "QPCSEAL_MENU_HOME": str(self.folder / "home"), "QPCSEAL_MENU_CMDLINE": str(self.folder / "cmdline"),
                       "QPCSEAL_MENU_WORDS": str(self.folder / "words")}
        done = subprocess.run(["bash", "-c", f'. "{MENU}"\nas_account() {{ "$@"; }}\n{script}'], input=typed, env=environment,
                              capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    # The image's name

    def test_names_the_image_from_one_roothash(self):
        self.assertEqual(self.menu("image_digest"), (0, HASH))

    def test_names_no_image_where_the_command_line_has_two(self):
        self.cmdline(f"roothash={HASH} roothash={'1' * 64}")
        code, text = self.menu("image_digest")
        self.assertNotEqual(code, 0)
        self.assertEqual(text, "")

    def test_names_no_image_where_the_hash_is_none(self):
        for text in ("quiet", "roothash=", "roothash=12", f"roothash={'G' * 64}", f"xroothash={HASH}"):
            self.cmdline(text)
            self.assertNotEqual(self.menu("image_digest")[0], 0, text)

    def test_shows_the_image_in_the_words_of_qpcseal(self):
        _, text = self.menu("show_image")
        want = subprocess.run([WORDS, HASH], check=True, capture_output=True, text=True).stdout.split()
        self.assertEqual(len(want), 32)
        self.assertEqual([word for word in text.split() if word in want], want)

    def test_names_the_commit_to_rebuild(self):
        self.command("qpcseal", '[ "$*" = --version ] && echo "qpcseal 0.2.0 (commit 0123456789ab)"')
        self.assertIn("\nProgram: qpcseal 0.2.0 (commit 0123456789ab)\n", self.menu("show_image")[1])
        self.command("qpcseal", "exit 1")
        code, text = self.menu("show_image")
        self.assertIn("\nProgram: unknown\n", text)
        self.assertIn("Network interfaces", text)

    def test_start_words_have_this_name_in_menu_and_file(self):
        self.assertIn("START WORDS", self.menu("show_image")[1])
        build = (ROOT / "image" / "build").read_text(encoding="utf-8")
        self.assertIn("START WORDS: ", build)
        self.assertIn("FILE WORDS: ", build)

    def test_a_network_interface_is_called_out(self):
        for names, wrong in ((["lo"], False), (["lo", "eth0"], True), ([], True)):
            net = self.folder / "-".join(["net", *names])
            net.mkdir()
            for name in names:
                (net / name).mkdir()
            _, text = self.menu(f"export QPCSEAL_MENU_NET={net}; show_image")
            self.assertEqual("There must be none but lo" in text, wrong, names)

    def test_names_the_keyboards_layout_before_anything_is_typed(self):
        _, text = self.menu("main")
        self.assertIn("The keyboard's layout is US.", text.split("Press Enter")[0])

    # Questions

    def test_only_the_whole_word_is_a_yes(self):
        for typed, code in (("yes\n", 0), ("no\n", 1), ("\n", 1), ("y\nyes\n", 0), ("yess\nno\n", 1), ("", 1)):
            self.assertEqual(self.menu("yes Sure", typed)[0], code, repr(typed))

    def test_a_choice_is_a_number_of_the_list(self):
        code, text = self.menu('choose Which one two three && echo "place $REPLY"', "4\n0\n-1\nx\n3\n")
        self.assertEqual(code, 0)
        self.assertIn("place 2", text)
        self.assertEqual(text.count("Please type a number from 1 to 3."), 4)

    def test_no_choice_is_a_choice(self):
        self.assertEqual(self.menu("choose Which one two", "\n")[0], 1)

    def test_names_from_a_medium_do_not_steer_the_terminal(self):
        _, text = self.menu("choose Which $'evil\\e[2Jname'", "\n")
        self.assertIn("evil?[2Jname", text)
        self.assertNotIn("\x1b[2J", text)

    # The clock

    def test_the_clock_is_confirmed_by_yes_alone(self):
        code, text = self.menu("date() { command date \"$@\"; }; confirm_clock; ls \"$run_dir\"", "\nyes\n")
        self.assertEqual(code, 0, text)
        self.assertIn("clock-confirmed", text)

    def test_a_date_that_is_none_changes_nothing(self):
        self.command("date", '[[ "$*" = *-s* ]] && exit 1; exec /bin/date "$@"')
        for typed in ("2026-02-30 10:00", "2026-13-01 10:00", "30.11.2026", "2026-11-30", "2026-11-30 25:00", "$(reboot)"):
            _, text = self.menu("confirm_clock", typed + "\n")
            self.assertIn("is no date and time. Nothing was changed.", text, typed)
            self.assertFalse((self.folder / "run" / "clock-confirmed").exists())
        self.assertEqual([line for line in self.called("date") if " -s " in line], [])

    def test_a_date_is_set_and_asked_for_again(self):
        self.command("date", '[[ "$*" = *-s* ]] && exit 0; exec /bin/date "$@"')
        code, text = self.menu("confirm_clock", "2026-11-30 08:15\nyes\n")
        self.assertEqual(code, 0, text)
        self.assertEqual([line for line in self.called("date") if " -s " in line], [r"date -u -s 2026-11-30\ 08:15:00\ UTC"])
        self.assertEqual(len(self.called("hwclock")), 1)
        self.assertEqual(text.count("This machine's clock says"), 2)

    # Commands of the handbook

    def test_shows_the_command_that_it_runs(self):
        self.command("qpcseal", "echo done")
        code, text = self.menu("run qpcseal mek generate 'a b'")
        self.assertEqual(code, 0)
        self.assertIn("$ qpcseal mek generate a\\ b", text)

    def test_says_what_an_exit_code_means(self):
        for code, word in ((3, "A file or a medium"), (5, "Denied"), (6, "token refused"), (7, "approvals"), (8, "STOP"),
                           (9, "Do NOT repeat")):
            self.command("qpcseal", f"exit {code}")
            given, text = self.menu("run qpcseal doctor")
            self.assertEqual(given, code)
            self.assertIn(word, text)

    # Media

    def test_work_needs_the_state_medium(self):
        for function in ("doctor", "keys", "seal", "release", "ceremony", "audit", "backup", "make_appliance", "prompt"):
            _, text = self.menu(function, "yes\n" * 5)
            self.assertIn("First the state medium: entry 2.", text, function)
        self.assertEqual(self.called("qpcseal"), [])

    def mounted(self, *names):
        """Says that these folders are mount points, of devices that are there."""
        cases = "\n".join(f'*--mountpoint\\ {self.folder / name}) echo /dev/null; exit 0 ;;' for name in names)
        self.command("findmnt", f'case "$*" in\n{cases}\nesac\nexit 1')

    def test_a_stick_that_was_pulled_out_is_named_and_let_go(self):
        self.mounted("stick")  # /dev/null is no block device
        code, text = self.menu("media_are_there")
        self.assertEqual(code, 1)
        self.assertIn("The stick was pulled out before it was given back", text)
        self.assertEqual(self.called("umount"), [f"umount -l {self.folder / 'stick'}"])

    def test_a_state_medium_that_is_gone_ends_the_work(self):
        self.mounted("state", "home")
        code, text = self.menu("need_state")
        self.assertEqual(code, 1)
        self.assertIn("The state medium is gone", text)

    def test_a_disk_is_erased_only_by_its_name(self):
        self.command("lsblk", 'case "$*" in *-Pno*) echo \'NAME="vda" TYPE="disk" FSTYPE="" PKNAME=""\' ;; esac')
        for typed in ("vda", "erase", "erase vdb", "erase  vda", "ERASE vda", ""):
            _, text = self.menu("make_state", f"1\n{typed}\n1\n")
            self.assertIn("Nothing was changed.", text, typed)
        for name in ("wipefs", "cryptsetup", "mkfs.ext4"):
            self.assertEqual(self.called(name), [], name)

    def test_names_the_keyboards_layout_before_a_passphrase_is_typed(self):
        self.command("lsblk", 'case "$*" in *-Pno*) echo \'NAME="vda" TYPE="disk" FSTYPE="" PKNAME=""\' ;; esac')
        self.command("cryptsetup", "echo asks for the passphrase; exit 1")
        _, text = self.menu("make_state", "1\nerase vda\n1\n")
        self.assertIn("The keyboard's layout is US", text.split("asks for the passphrase")[0])

    def format_options(self, purpose):
        self.command("lsblk", 'case "$*" in *-Pno*) echo \'NAME="vda" TYPE="disk" FSTYPE="" PKNAME=""\' ;; esac')
        self.command("install", "exit 0")
        self.menu("make_state", f"1\nerase vda\n{purpose}\n")
        [call] = [line for line in self.called("cryptsetup") if " luksFormat " in line]
        return call

    def test_a_medium_for_work_is_dear_to_guess_and_needs_no_benchmark(self):
        call = self.format_options(1)
        for option in ("--type luks2", "--label qpcseal-state", "--pbkdf argon2id", "--pbkdf-memory 1048576",
                       "--pbkdf-force-iterations 4", "--verify-passphrase"):
            self.assertIn(option, call)
        self.assertNotIn("trials", call)

    def test_a_medium_for_trials_says_so(self):
        call = self.format_options(2)
        self.assertIn("--subsystem qpcseal-for-trials", call)
        self.assertIn("--pbkdf pbkdf2", call)

    def test_a_disk_that_holds_no_state_is_not_opened(self):
        self.command("lsblk", 'case "$*" in *-Pno*) echo \'NAME="vda" TYPE="disk" FSTYPE="crypto_LUKS" PKNAME=""\' ;; esac')
        self.command("cryptsetup", 'case "$1" in luksDump) printf "Label:\\tsomething else\\n" ;; esac')
        _, text = self.menu("open_state")
        self.assertIn("No state medium was found", text)
        self.assertEqual([line for line in self.called("cryptsetup") if " open " in line], [])

    def test_a_medium_with_another_cipher_is_closed_again(self):
        self.command("lsblk", 'case "$*" in *-Pno*) echo \'NAME="vda" TYPE="disk" FSTYPE="crypto_LUKS" PKNAME=""\' ;; esac')
        self.command("cryptsetup", 'case "$1" in luksDump) printf "Label:\\tqpcseal-state\\n" ;; esac')
        good = "0 100 crypt aes-xts-plain64 :64:logon:x 0 254:0 32768"
        for table in ("0 100 crypt cipher_null-ecb - 0 254:0 32768", "0 100 linear 254:0 32768", "", good + "\n100 100 linear 254:0 1"):
            self.command("dmsetup", f"printf '%s\\n' '{table}'")
            code, text = self.menu("open_state")
            self.assertEqual((code, "DO NOT USE IT" in text), (1, True), text)
            self.assertEqual(self.called("cryptsetup")[-1], "cryptsetup close qpcseal-state")
            self.assertEqual(self.called("mount"), [])
        self.command("dmsetup", f"echo '{good}'")
        self.menu("open_state")
        self.assertEqual(len(self.called("mount")), 1)

    def test_the_disk_of_the_image_is_not_offered(self):
        self.command("lsblk", 'case "$*" in *-rnso*) printf "root crypt\\nsda3 part\\nsda disk\\n" ;;\n'
                     '*-Pno*) printf \'%s\\n\' \'NAME="sda" TYPE="disk" FSTYPE="" PKNAME=""\' '
                     '\'NAME="sda2" TYPE="part" FSTYPE="vfat" PKNAME="sda"\' \'NAME="sdb" TYPE="disk" FSTYPE="vfat" PKNAME=""\' ;; esac')
        self.assertEqual(self.menu("candidates vfat")[1], "sdb\n")
        self.assertEqual(self.menu("candidates any")[1], "sdb\n")

    def test_a_stick_is_mounted_so_that_nothing_on_it_runs(self):
        self.command("lsblk", 'case "$*" in *-Pno*) printf \'%s\\n\' \'NAME="sdb" TYPE="disk" FSTYPE="vfat" PKNAME=""\' ;;\n'
                     '*-nrso*) echo sdb ;; *FSTYPE*) echo vfat ;; esac')
        self.command("id", "echo 990")
        for answer, read_only in (("yes", False), ("no", True)):
            self.calls.unlink(missing_ok=True)
            self.menu("take_stick", f"1\n{answer}\n")
            call = self.called("mount")[0].replace("\\,", ",")
            self.assertIn("noexec,nodev,nosuid,nosymfollow", call)
            self.assertEqual(",ro" in call, read_only)
            self.assertEqual(self.called("blockdev"), [] if read_only else ["blockdev --setrw /dev/sdb"])

    def read_only_stick(self):
        self.command("findmnt", f'case "$*" in *OPTIONS*{self.folder / "stick"}) echo ro,nosuid ;; *SOURCE*) echo /dev/null ;; '
                     f'*--mountpoint\\ {self.folder / "stick"}) ;; *) exit 1 ;; esac')

    def test_a_stick_that_can_only_be_read_gets_no_new_file(self):
        self.read_only_stick()
        code, text = self.menu("need_stick() { return 0; }; new_name Page page", "page\n")
        self.assertEqual(code, 1)
        self.assertIn("Give it back (entry 10), and take it again with yes to writing.", text)
        self.assertNotIn("a name on the stick", text)

    def test_a_release_goes_to_a_stick_that_can_be_written(self):
        self.read_only_stick()
        _, text = self.menu("need_home() { return 0; }; need_stick() { return 0; }; release", "3\n")
        self.assertIn("take it again with yes to writing", text)
        self.assertEqual(self.called("qpcseal"), [])

    def test_says_that_a_stick_can_only_be_read(self):
        self.read_only_stick()
        self.assertIn("free, READ ONLY", self.menu("status_lines")[1])
        self.mounted("stick")
        self.assertNotIn("READ ONLY", self.menu("status_lines")[1])

    def test_asks_for_writing_with_the_cases_that_need_it(self):
        self.command("lsblk", 'case "$*" in *-Pno*) printf \'%s\\n\' \'NAME="sdb" TYPE="disk" FSTYPE="vfat" PKNAME=""\' ;; esac')
        _, text = self.menu("take_stick", "1\n")
        self.assertIn("sealed model", text.split("May files be written to it")[0])

    def test_after_a_failure_of_a_medium_it_says_what_is_free_where(self):
        self.mounted("state", "stick")
        self.command("df", f'case "$*" in *{self.folder / "stick"}) printf "Avail\\n   0\\n" ;; *) printf "Avail\\n 90M\\n" ;; esac')
        for exit_code, said in ((3, True), (5, False)):
            self.command("qpcseal", f"exit {exit_code}")
            _, text = self.menu("media_are_there() { return 0; }; run qpcseal audit report")
            self.assertEqual("Free on the state medium" in text and ": 90M\n" in text, said)
            self.assertEqual("Free on the stick" in text and ": 0\n" in text, said)

    def test_a_name_for_the_stick_is_new_and_plain(self):
        (self.folder / "stick" / "there").touch()
        code, text = self.menu('need_stick() { return 0; }; new_name Page page && echo "is $REPLY"', "../x\n-x\na b\nthere\nnew.html\n")
        self.assertEqual(code, 0)
        self.assertIn(f"is {self.folder}/stick/new.html", text)
        self.assertEqual(text.count("Letters, digits"), 3)
        self.assertIn("The stick has a there already", text)

    def test_files_are_picked_by_kind_and_hidden_ones_are_not_shown(self):
        for name in ("m.qpc", ".hidden.qpc", "note.txt"):
            (self.folder / "stick" / name).touch()
        code, text = self.menu("need_stick() { return 0; }; pick Model '*.qpc' && echo \"is $REPLY\"", "1\n")
        self.assertEqual(code, 0)
        self.assertIn(f"is {self.folder}/stick/m.qpc", text)
        self.assertNotIn("hidden", text)
        self.assertNotIn("note", text)

    def test_it_is_not_switched_off_while_a_stick_is_in_use(self):
        self.mounted("stick")
        self.command("umount", "exit 1")
        _, text = self.menu("switch_off", "yes\n")
        self.assertIn("The stick is in use", text)
        self.assertEqual(self.called("systemctl"), [])

    # What is typed is text

    def at_terminal(self, script, typed):
        """The same at a pseudo-terminal, where a line editor would take keys."""
        environment = {"PATH": f"{self.bin}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8", "TERM": "linux"}
        pid, terminal = pty.fork()
        if pid == 0:
            os.execvpe("bash", ["bash", "-c", f'. "{MENU}"\n{script}'], environment)
        time.sleep(0.5)
        os.write(terminal, typed)
        said = b""
        try:
            while part := os.read(terminal, 4096):
                said += part
        except OSError:  # the terminal's other end is closed
            pass
        os.close(terminal)
        os.waitpid(pid, 0)
        return said.decode(errors="replace")

    def test_no_key_runs_what_is_typed(self):
        ran = self.folder / "ran"
        for keys in (b"\x1b\x05", b"\x18\x05", b"\x1b!", b"\x18!"):
            said = self.at_terminal('ask Name; printf "got %q\\n" "$REPLY"', f"$(touch {ran})".encode() + keys + b"\n")
            self.assertIn("got ", said)
            self.assertFalse(ran.exists(), f"{keys}: {said}")

    def test_a_number_with_a_zero_before_it_is_that_number(self):
        for typed, place in (("08", 7), ("010", 9), ("1", 0)):
            _, text = self.menu('choose T a b c d e f g h i j && echo "place $REPLY"', typed + "\n")
            self.assertIn(f"place {place}", text)

    def test_a_name_on_the_stick_that_is_a_link_is_taken(self):
        (self.folder / "stick" / "new.html").symlink_to("/nonexistent")
        _, text = self.menu('need_stick() { return 0; }; new_name Page new.html', "\n")
        self.assertIn("The stick has a new.html already", text)

    # Consoles

    def test_a_terminal_without_hardware_is_no_console(self):
        self.assertEqual(self.menu("is_console tty1")[0], 0)
        for name in ("ttyS99", "pts/0", "null", "../x"):
            self.assertNotEqual(self.menu(f"is_console {name}")[0], 0, name)


if __name__ == "__main__":
    unittest.main()
