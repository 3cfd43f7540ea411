# SPDX-License-Identifier: Apache-2.0
"""What image/test tries, each in machines of its own: operators' days, accidents and attacks, by the serial console."""
import dataclasses
import pathlib
import re
import shutil
import subprocess

from machine import Failure, Machine, from_stick, list_stick, make_stick

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PASSPHRASE = "correct horse battery staple"
PIN = "314159"


@dataclasses.dataclass
class Desk:
    """The image under test, a folder to work in, programs of the courier and of simulated cards, a folder for pictures."""
    iso: pathlib.Path
    work: pathlib.Path
    programs: pathlib.Path
    pictures: pathlib.Path = None

    def folder(self, name):
        folder = self.work / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def run(self, program, *arguments):
        return subprocess.run([self.programs / program, *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def find_programs(given):
    for folder in [given] if given else [ROOT / "build/dev/bin", ROOT / "build/release/bin", *map(pathlib.Path, ("/usr/bin",))]:
        if (folder / "qpcseal-device").exists() and (folder / "qpcseal-attest").exists():
            return folder
    raise SystemExit("image/test: qpcseal-device and qpcseal-attest are missing: give --programs DIR")


def check(holds, text):
    if not holds:
        raise Failure(text)


def blank(file, megabytes):
    with pathlib.Path(file).open("wb") as out:
        out.truncate(megabytes * 1024 * 1024)
    return file


def demo_stick(desk, folder, megabytes=64):
    """A stick as somebody brings it to a first day: policy, roots, a model."""
    cards = folder / "cards"
    desk.run("qpcseal-device", "provision", "--dir", cards, "--cards", "1", "--roots-out", folder / "root.pem")
    (folder / "policy.toml").write_text(desk.run("qpcseal-device", "describe", "--dir", cards, "--device", "0", "--policy"),
                                        encoding="utf-8")
    trust = folder / "trust"
    trust.mkdir()
    shutil.copy(folder / "root.pem", trust)
    desk.run("qpcseal-device", "sample", "--out", folder / "sample.qpc")
    make_stick(folder / "stick.img", {"policy.toml": folder / "policy.toml", "trust": trust, "sample.qpc": folder / "sample.qpc"},
               megabytes)
    return folder / "stick.img"


# --- What an operator does ------------------------------------------------------------------------------------------------------

def start(machine):
    """From the power switch to the menu, with the clock confirmed; returns the root hash that the machine shows."""
    machine.answer("Press Enter to work at this console", "", seconds=120)
    machine.expect(r"The image that runs", seconds=30)
    machine.expect(r"\b([0-9a-f]{64})\b")
    shown = machine.console.match.group(1)
    machine.answer(r"as 2026-12-31 23:59", "yes")
    machine.expect("What next")
    return shown


def entry(machine, number):
    machine.send(str(number))


def back(machine):
    machine.answer("Enter goes on", "")
    machine.expect("What next")


def pick(machine, title, what):
    """Answers a question for one of several by what the line says."""
    machine.expect(re.escape(title))
    machine.expect(r"Number \(Enter: none\)")
    for line in machine.text.splitlines():
        found = re.match(r"\s*(\d+)  (.*)$", line)
        if found and what in found.group(2):
            machine.send(found.group(1))
            return
    raise Failure(f"{title} does not offer {what}:\n{machine.text}")


def make_state(machine, disk, trial=True):
    entry(machine, 2)
    pick(machine, "The state medium holds", "Make a new one")
    pick(machine, "Which one is to become the state medium?", disk)
    machine.answer("To erase it, type: erase", f"erase {disk}")
    pick(machine, "What is it for?", "TRIALS" if trial else "Work")
    machine.answer("Enter passphrase", PASSPHRASE)
    machine.answer("Verify passphrase", PASSPHRASE)
    machine.answer("Enter passphrase for", PASSPHRASE, seconds=300)
    machine.expect("The state medium is open", seconds=300)
    back(machine)


def open_state(machine):
    entry(machine, 2)
    pick(machine, "The state medium holds", "Open the one")
    machine.answer("Enter passphrase for", PASSPHRASE)
    machine.expect("The state medium is open", seconds=300)


def take_stick(machine, menu=True, write="yes"):
    if menu:
        entry(machine, 10)
    pick(machine, "Which stick?", "vfat")
    machine.answer("May files be written to it", write)
    machine.expect("The stick is ready")
    if menu:
        back(machine)


def pin(machine, times=1, seconds=120):
    for _ in range(times):
        machine.answer(r"PIN[^\n]*: ?$", PIN, seconds=seconds)


def make_appliance(machine):
    entry(machine, 4)
    pick(machine, "Which token keeps the keys?", "embedded")
    machine.answer("The appliance's id", "trial-1")
    pick(machine, "The policy", "policy.toml")
    pick(machine, "The folder with the vendor's root", "trust")
    machine.answer("Do officers sign", "no")
    pin(machine, 2)
    machine.expect("A DEMONSTRATION", seconds=180)
    back(machine)


def make_key(machine, name="resnet50"):
    entry(machine, 5)
    pick(machine, "Keys (MEK)", "Make one")
    machine.answer("The new MEK's name", name)
    machine.answer("Do officers approve", "no")
    pin(machine)
    machine.expect(f"{name}#1", seconds=120)
    back(machine)


def seal(machine, folder="sealed"):
    entry(machine, 6)
    pick(machine, "The model", "sample.qpc")
    machine.answer("The MEK's name", "resnet50")
    machine.answer("Do officers approve", "no")
    machine.answer("The sealed model goes into", folder)
    pin(machine)


def switch_off(machine):
    entry(machine, 0)
    machine.answer("Switch this machine off", "yes")
    machine.expect("Switching off", seconds=60)
    return machine.wait_off()


# --- The scenarios --------------------------------------------------------------------------------------------------------------

def first_day(desk):
    folder = desk.folder("first-day")
    stick = demo_stick(desk, folder)
    state = blank(folder / "state.img", 256)
    disks = [(state, "virtio"), (stick, "usb")]
    with Machine(desk.iso, folder / "1", disks) as machine:
        first = start(machine)
        make_state(machine, "vda")
        take_stick(machine)
        make_appliance(machine)
        make_key(machine)
        seal(machine)
        machine.expect("programqpc.bin", seconds=180)
        back(machine)
        entry(machine, 9)
        pick(machine, "Audit", "auditors' page")
        machine.answer("The page, a name on the stick", "audit.html")
        machine.expect("Enter goes on", seconds=120)
        machine.send("")
        machine.expect("What next")
        if desk.pictures:
            machine.picture(folder / "unused.png")
        switch_off(machine)
    names = list_stick(stick)
    check("sealed/programqpc.bin" in names, f"the stick has no sealed model: {names}")
    check(b"mek-generate" in from_stick(stick, "audit.html"), "the auditors' page does not show the MEK")
    with Machine(desk.iso, folder / "2", disks) as machine:
        second = start(machine)
        check(first == second, "the image names itself differently at the second start")
        open_state(machine)
        machine.expect("It holds an appliance")
        back(machine)
        entry(machine, 5)
        pick(machine, "Keys (MEK)", "List them")
        pin(machine)
        machine.expect("resnet50", seconds=120)
        back(machine)
        entry(machine, 3)
        pin(machine)
        machine.expect("Enter goes on", seconds=240)
        check("FAULT" not in machine.text, f"doctor finds a fault:\n{machine.text}")
        machine.send("")
        machine.expect("What next")
        switch_off(machine)


ALL = {
    "first-day": first_day,
}
