# SPDX-License-Identifier: Apache-2.0
"""A virtual machine that starts an image, with its serial console as text: QEMU, OVMF, and KVM where the processor has it.

  with Machine(iso, folder, disks=[...]) as machine:
      machine.expect("Press Enter")
      machine.send("")
"""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

import pexpect

FIRMWARE = pathlib.Path("/usr/share/OVMF")


def has_kvm():
    """Whether virtual machines run on the processor itself: a device alone says nothing."""
    flags = re.search(r"^flags\s*:.*$", pathlib.Path("/proc/cpuinfo").read_text(encoding="ascii"), re.M)
    return bool(flags and re.search(r"\b(vmx|svm)\b", flags.group(0)) and os.access("/dev/kvm", os.R_OK | os.W_OK))


class Failure(Exception):
    """What was expected on the console did not come, or something that must not came."""


class Machine:
    """One run of a machine. `disks` are files, each with the way in which it is attached: (file, "usb" | "virtio")."""

    def __init__(self, iso, folder, disks=(), network=False, firmware="", variables=None, memory=2560, patience=1.0, writable=False):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.kvm = has_kvm()
        self.patience = patience * (1 if self.kvm else 6)
        self.monitor_path = self.folder / "monitor"
        self.monitor_path.unlink(missing_ok=True)
        self.log_path = self.folder / "console.log"
        variables = pathlib.Path(variables or FIRMWARE / "OVMF_VARS_4M.fd")
        kept = self.folder / "variables.fd"
        if variables != kept:
            shutil.copy(variables, kept)
        code = FIRMWARE / (firmware or "OVMF_CODE_4M.fd")
        command = ["qemu-system-x86_64", "-nodefaults", "-machine", "q35" + (",smm=on" if "secboot" in code.name else ""),
                   *(["-accel", "kvm", "-cpu", "host"] if self.kvm else ["-accel", "tcg,thread=multi", "-cpu", "max"]),
                   "-smp", "2", "-m", str(memory), "-display", "none", "-vga", "std", "-serial", "stdio", "-rtc", "base=utc",
                   "-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={code}", "-drive", f"if=pflash,format=raw,unit=1,file={kept}",
                   "-qmp", f"unix:{self.monitor_path},server=on,wait=off", "-device", "qemu-xhci,id=usb", "-device", "usb-kbd,bus=usb.0",
                   "-drive", f"if=none,id=image,format=raw,file={iso}" + ("" if writable else ",snapshot=on"),
                   "-device", "usb-storage,bus=usb.0,drive=image,bootindex=0,removable=on",
                   "-no-reboot", *(["-global", "driver=cfi.pflash01,property=secure,value=on"] if "secboot" in code.name else [])]
        for number, (file, way) in enumerate(disks):
            command += ["-blockdev", f"driver=raw,node-name=disk{number},file.driver=file,file.filename={file}", "-device",
                        f"usb-storage,bus=usb.0,drive=disk{number},id=device{number},removable=on" if way == "usb"
                        else f"virtio-blk-pci,drive=disk{number},id=device{number}"]
        command += ["-nic", "user,model=virtio-net-pci", "-nic", "user,model=e1000e"] if network else ["-nic", "none"]
        self.log = self.log_path.open("w", encoding="utf-8")
        self.started = time.monotonic()
        self.console = pexpect.spawn(command[0], command[1:], encoding="utf-8", codec_errors="replace", echo=False, timeout=60,
                                     dimensions=(50, 100))
        self.console.logfile_read = self.log
        self.console.delaybeforesend = 0.3
        self.monitor = None
        self.text = ""  # all that the console said before what was last expected

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.monitor:
            self.monitor.close()
        if self.console.isalive():  # a busy machine takes a while to go
            self.console.kill(signal.SIGKILL)
            self.console.wait()
        self.console.close()
        self.log.close()

    def expect(self, *patterns, seconds=60):
        """Waits for one of the regular expressions; returns its place and keeps what came before it in `text`."""
        try:
            place = self.console.expect(list(patterns), timeout=seconds * self.patience)
        except (pexpect.TIMEOUT, pexpect.EOF) as error:
            tail = "\n".join((self.console.before or "").splitlines()[-30:])
            kind = "nothing more came" if isinstance(error, pexpect.TIMEOUT) else "the machine ended"
            raise Failure(f"expected {' or '.join(patterns)}, and {kind}. The console's last lines:\n{tail}") from None
        self.text = self.console.before + (self.console.after if isinstance(self.console.after, str) else "")
        return place

    def send(self, line):
        self.console.send(line + "\r")

    def answer(self, question, line, seconds=60):
        """Waits for a question, and answers it."""
        self.expect(question, seconds=seconds)
        self.send(line)

    def wait_off(self, seconds=60):
        """Waits until the machine has switched itself off."""
        try:
            self.console.expect(pexpect.EOF, timeout=seconds * self.patience)
        except pexpect.TIMEOUT:
            raise Failure("the machine did not switch off") from None
        return time.monotonic() - self.started

    def control(self, execute, **arguments):
        """One command of QEMU's monitor (QMP)."""
        if not self.monitor:
            self.monitor = socket.socket(socket.AF_UNIX)
            self.monitor.connect(str(self.monitor_path))
            self.reader = self.monitor.makefile("r", encoding="utf-8")
            self.reader.readline()
            self.control("qmp_capabilities")
        self.monitor.sendall(json.dumps({"execute": execute, "arguments": arguments}).encode() + b"\n")
        while True:
            answer = json.loads(self.reader.readline())
            if "error" in answer:
                raise Failure(f"{execute}: {answer['error'].get('desc')}")
            if "return" in answer:
                return answer["return"]

    def unplug(self, number):
        """Pulls a disk out."""
        self.control("device_del", id=f"device{number}")

    def plug(self, number):
        """Puts a USB disk in again that was pulled out."""
        self.control("device_add", driver="usb-storage", bus="usb.0", drive=f"disk{number}", id=f"device{number}", removable=True)

    def type_keys(self, text):
        """Types on the machine's keyboard: what the screen's console gets."""
        names = {" ": "spc", "\n": "ret", "-": "minus", ":": "semicolon", ".": "dot", "/": "slash"}
        for letter in text:
            keys = [{"type": "qcode", "data": names.get(letter, letter.lower())}]
            if letter.isupper() or letter in ":_":
                keys.insert(0, {"type": "qcode", "data": "shift"})
            self.control("send-key", keys=keys)
            time.sleep(0.15 * self.patience)

    def picture(self, file):
        """Takes a picture of the screen."""
        raw = self.folder / "screen.ppm"
        self.control("screendump", filename=str(raw))
        from PIL import Image
        with Image.open(raw) as picture:
            picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=16).save(file, optimize=True)


def make_stick(file, files, megabytes=64):
    """A USB stick with one FAT file system and these files: {name on the stick: file or folder of this machine}."""
    file = pathlib.Path(file)
    with file.open("wb") as out:
        out.truncate(megabytes * 1024 * 1024)
    subprocess.run(["mkfs.vfat", "-F", "32", "-n", "STICK", str(file)], check=True, capture_output=True)
    for name, source in files.items():
        subprocess.run(["mcopy", "-s", "-i", str(file), str(source), f"::/{name}"], check=True, capture_output=True)


def from_stick(file, name):
    """What a file of the stick holds."""
    return subprocess.run(["mcopy", "-n", "-i", str(file), f"::/{name}", "-"], check=True, capture_output=True).stdout


def list_stick(file):
    """The names of all files on the stick."""
    listing = subprocess.run(["mdir", "-b", "-/", "-i", str(file), "::"], check=True, capture_output=True, text=True).stdout
    return [line.removeprefix("::/") for line in listing.splitlines() if line.startswith("::/")]
