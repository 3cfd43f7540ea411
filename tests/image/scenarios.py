# SPDX-License-Identifier: Apache-2.0
"""What image/test tries, each in machines of its own: operators' days, accidents and attacks, by the serial console."""
import dataclasses
import hashlib
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

from machine import Failure, Machine, from_stick, list_stick, make_stick

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PASSPHRASE = "correct horse battery staple"


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
    """Answers a question for one of several by what the line says; returns the line."""
    machine.expect(re.escape(title))
    machine.expect(r"Number \(Enter: none\)")
    for line in machine.text.splitlines():
        found = re.match(r"\s*(\d+)  (.*)$", line)
        if found and what in found.group(2):
            machine.send(found.group(1))
            return found.group(2)
    raise Failure(f"{title} does not offer {what}:\n{machine.text}")


def make_state(machine, disk, trial=True):
    """`disk`: its name or size. USB disks have no names that one could rely on."""
    entry(machine, 2)
    pick(machine, "The state medium holds", "Make a new one")
    name = pick(machine, "Which one is to become the state medium?", disk).split()[0]
    machine.answer("To erase it, type: erase", f"erase {name}")
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


def make_appliance(machine):
    entry(machine, 4)
    pick(machine, "Which token keeps the keys?", "embedded")
    machine.answer("The appliance's id", "trial-1")
    pick(machine, "The policy", "policy.toml")
    pick(machine, "The folder with the vendor's root", "trust")
    machine.answer("Do officers sign", "no")
    machine.expect("A DEMONSTRATION", seconds=180)
    back(machine)


def make_key(machine, name="resnet50"):
    entry(machine, 5)
    pick(machine, "Keys (MEK)", "Make one")
    machine.answer("The new MEK's name", name)
    machine.answer("Do officers approve", "no")
    machine.expect(f"{name}#1", seconds=120)
    back(machine)


def seal(machine, folder="sealed"):
    entry(machine, 6)
    pick(machine, "The model", "sample.qpc")
    machine.answer("The MEK's name", "resnet50")
    machine.answer("Do officers approve", "no")
    machine.answer("The sealed model goes into", folder)


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
        machine.expect("resnet50", seconds=120)
        back(machine)
        entry(machine, 3)
        machine.expect("Enter goes on", seconds=240)
        check("FAULT" not in machine.text, f"doctor finds a fault:\n{machine.text}")
        machine.send("")
        machine.expect("What next")
        switch_off(machine)


def root_partition(iso):
    """The first byte and the length of the root file system in an image."""
    text = subprocess.run(["sgdisk", "-i", "3", str(iso)], check=True, capture_output=True, text=True).stdout
    first, last = (int(re.search(rf"^{word} sector: (\d+)", text, re.M).group(1)) for word in ("First", "Last"))
    return first * 512, (last - first + 1) * 512


# Folders of kernel modules, and programs, of which none may be in the image.
NO_MODULES = re.compile(r"/kernel/(net|sound|drivers/(net|bluetooth|firewire|thunderbolt|media|gpu|nfc|infiniband|isdn|staging|vhost|"
                        r"usb/(gadget|serial|usbip)|net/.*)|fs/(nfs|cifs|smb|ceph|9p|afs|ocfs2))/")
NO_PROGRAMS = re.compile(r"/(s?bin|systemd)/(sshd|dhclient|dhcpcd|udhcpc|NetworkManager|nmcli|wpa_supplicant|iwd|bluetoothd|ifup|ip|curl|wget|apt|apt-get|"
                         r"gdb|strace|tcpdump|systemd-resolved|systemd-timesyncd)$")
MUST = ("/usr/bin/qpcseal", "/usr/bin/ssh-keygen", "/usr/bin/less", "/usr/sbin/pcscd", "/usr/bin/pkcs11-tool", "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/libexec/qpcseal/menu", "/usr/share/qpcseal-image/words")


def contents(desk):
    """What lies in the root file system, without starting it."""
    folder = desk.folder("contents")
    first, length = root_partition(desk.iso)
    with desk.iso.open("rb") as iso, (folder / "root").open("wb") as out:
        iso.seek(first)
        out.write(iso.read(length))
    listed = subprocess.run(["unsquashfs", "-lls", "-d", "", str(folder / "root")], check=True, capture_output=True, text=True).stdout
    files = [(mode, owner, name.split(" -> ")[0] or "/")
             for mode, owner, name in re.findall(r"^([-dlcbps][rwxsStT-]{9}) (\S+) .*? \d{4}-\d\d-\d\d \d\d:\d\d ?(.*)$", listed, re.M)]
    names = [name for _, _, name in files]
    modules = sorted(name for name in names if name.endswith(".ko"))
    print(f"        {len(names)} files, {len(modules)} kernel modules: "
          + ", ".join(pathlib.PurePath(name).stem for name in modules), flush=True)
    check(20 < len(modules) < 150, f"there are {len(modules)} kernel modules")
    for what, pattern in (("modules", NO_MODULES), ("programs", NO_PROGRAMS)):
        found = [name for name in names if pattern.search(name)]
        check(not found, f"{what} that must not be there: {found}")
    missing = [name for name in MUST if name not in names]
    check(not missing, f"the image lacks {missing}")
    rights = [name for mode, _, name in files if mode[0] == "-" and ("s" in mode or "S" in mode)]
    check(not rights, f"programs with the set-user-ID bit: {rights}")
    loose = [name for mode, _, name in files if mode[0] in "-d" and mode[8] == "w" and name not in ("/tmp", "/var/tmp")]
    check(not loose, f"everybody may write {loose}")
    # No login: neither a unit that asks for one, nor an account that could.
    tree = folder / "tree"
    subprocess.run(["unsquashfs", "-q", "-n", "-d", str(tree), str(folder / "root"), "etc/passwd", "etc/shadow", "etc/systemd/system"],
                   capture_output=True, check=False)
    accounts = [line.split(":") for line in (tree / "etc/passwd").read_text(encoding="utf-8").splitlines()]
    check("qpcseal" in [account[0] for account in accounts], "there is no account qpcseal")
    check(all(account[6] == "/usr/sbin/nologin" for account in accounts), "an account has a shell")
    secrets = [line.split(":")[1] for line in (tree / "etc/shadow").read_text(encoding="utf-8").splitlines()]
    check(all(secret[0] in "!*" for secret in secrets), "an account has a password")
    units = tree / "etc/systemd/system"
    for unit in ("getty@.service", "serial-getty@.service", "emergency.service", "rescue.service", "debug-shell.service"):
        check((units / unit).is_symlink() and str((units / unit).readlink()) == "/dev/null", f"{unit} is not masked")


def flipped(desk):
    """One bit in the middle of a file that every start reads: nothing works with it."""
    folder = desk.folder("flipped")
    first, length = root_partition(desk.iso)
    for name, place in (("the first block", 100), ("the last blocks, where squashfs keeps its tables", length - 4096 - 700)):
        iso = folder / "flipped.iso"
        shutil.copy(desk.iso, iso)
        with iso.open("r+b") as file:
            file.seek(first + place)
            byte = file.read(1)[0]
            file.seek(first + place)
            file.write(bytes([byte ^ 1]))
        with Machine(iso, folder / "1") as machine:
            place = machine.expect("Press Enter to work at this console", r"dm-verity device corrupted|is corrupted|Kernel panic",
                                   seconds=120)
            check(place == 1, f"the image starts although {name} of its root was changed")


def network(desk):
    folder = desk.folder("network")
    with Machine(desk.iso, folder / "1", network=True) as machine:
        machine.answer("Press Enter to work at this console", "", seconds=120)
        machine.expect(r"Network interfaces: ([^\r\n]*)", seconds=30)
        found = machine.console.match.group(1).strip()
        check(found == "lo", f"there are network interfaces: {found}")
        machine.answer("as 2026-12-31 23:59", "yes")
        machine.expect("What next")
        switch_off(machine)


def secure_boot(desk):
    """The key of Debian's firmware for trials is the site's key here: that firmware knows no other one."""
    folder = desk.folder("secure-boot")
    key = folder / "site.key"
    subprocess.run(["openssl", "rsa", "-in", "/usr/share/ovmf/PkKek-1-snakeoil.key", "-passin", "pass:snakeoil", "-out", str(key)],
                   check=True, capture_output=True)
    signed = folder / "signed.iso"
    subprocess.run([str(ROOT / "image" / "sign"), "--key", str(key), "--cert", "/usr/share/ovmf/PkKek-1-snakeoil.pem", str(desk.iso), "-o",
                    str(signed)], check=True, capture_output=True)
    firmware = {"firmware": "OVMF_CODE_4M.secboot.fd", "variables": "/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd"}
    with Machine(signed, folder / "signed", **firmware) as machine:
        start(machine)
        switch_off(machine)
    with Machine(desk.iso, folder / "unsigned", **firmware) as machine:
        place = machine.expect("Press Enter to work at this console", "Access Denied|Security Violation|Shell>|No bootable", seconds=90)
        check(place == 1, "the firmware starts an image that nobody signed")


def mistakes(desk):
    folder = desk.folder("mistakes")
    stick = demo_stick(desk, folder, 34)
    state = blank(folder / "state.img", 256)
    with Machine(desk.iso, folder / "1", [(state, "usb"), (stick, "usb")]) as machine:
        start(machine)
        entry(machine, 6)  # before the medium is there
        machine.expect("First the state medium: entry 2")
        back(machine)
        entry(machine, 2)
        pick(machine, "The state medium holds", "Open the one")
        machine.expect("No state medium was found")
        back(machine)
        make_state(machine, "256M")
        take_stick(machine)
        make_appliance(machine)
        make_key(machine)
        entry(machine, 2)
        machine.answer("Close it", "yes")
        machine.expect("may be taken out")
        back(machine)
        entry(machine, 2)
        pick(machine, "The state medium holds", "Open the one")
        for _ in range(3):
            machine.answer("Enter passphrase for", "wrong", seconds=120)
        machine.expect("It was not opened", seconds=120)
        back(machine)
        open_state(machine)
        back(machine)
        seal(machine, "one")
        machine.expect("programqpc.bin", seconds=180)
        back(machine)
        # A stick that is pulled out
        machine.unplug(1)
        machine.send("")
        machine.expect("The stick was pulled out", seconds=60)
        machine.answer("Enter goes on", "")
        machine.expect("What next")
        # The state medium is pulled out
        machine.unplug(0)
        machine.send("")
        machine.expect("The state medium is gone", seconds=60)
        machine.answer("Enter goes on", "")
        machine.expect("What next")


def give_stick_back(machine, number):
    entry(machine, 10)
    machine.answer("Give it back", "yes")
    machine.expect("The stick may be taken out")
    machine.unplug(number)
    back(machine)


def release(desk):
    """A request goes out on the stick, a card's report comes back on it, and the card loads the model that was bound to it."""
    folder = desk.folder("release")
    stick = demo_stick(desk, folder)
    state = blank(folder / "state.img", 256)
    with Machine(desk.iso, folder / "1", [(state, "virtio"), (stick, "usb")]) as machine:
        start(machine)
        make_state(machine, "vda")
        take_stick(machine)
        make_appliance(machine)
        make_key(machine)
        seal(machine)
        machine.expect("programqpc.bin", seconds=180)
        back(machine)
        for what, name in (("Give the seal key", "seal-key.pem"), ("Write the request", "request.cbor")):
            entry(machine, 7)
            pick(machine, "Attest cards, and release", what)
            if name == "request.cbor":
                machine.answer("The MEK's name", "resnet50")
            machine.answer("a name on the stick", name)
            back(machine)
        give_stick_back(machine, 1)
        courier(desk, folder, stick)
        machine.plug(1)
        time.sleep(2 * machine.patience)
        take_stick(machine)
        entry(machine, 7)
        pick(machine, "Attest cards, and release", "Release: bind")
        machine.answer("The MEK's name", "resnet50")
        pick(machine, "The report", "report.dat")
        machine.answer("Do officers approve", "no")
        pick(machine, "The folder with the sealed model", "sealed")
        back(machine)
        entry(machine, 9)
        pick(machine, "Audit", "Show the log")
        machine.expect("release +result +ok", seconds=120)
        back(machine)
        switch_off(machine)
    (folder / "bound.bin").write_bytes(from_stick(stick, "sealed/programqpc.bin"))
    desk.run("qpcseal-device", "load", "--dir", folder / "cards", "--device", "0", folder / "bound.bin", "--out", folder / "loaded.qpc")
    desk.run("qpcseal-device", "compare", folder / "sample.qpc", folder / "loaded.qpc")


def ceremony(desk):
    """A plan from the stick is rehearsed, and the record says which image ran: the one that the machine shows."""
    folder = desk.folder("ceremony")
    stick = demo_stick(desk, folder)
    plan = (ROOT / "docs/plans/first-key.toml").read_text(encoding="utf-8").replace("threshold = 2", "threshold = 0")
    plan = re.sub(r'(?m)^officer = ".*\n', "", plan).replace('"plant-1"', '"trial-1"').replace("2026-12-31", "2099-12-31")
    (folder / "first-key.toml").write_text(plan, encoding="utf-8")
    subprocess.run(["mcopy", "-i", str(stick), str(folder / "first-key.toml"), "::/first-key.toml"], check=True, capture_output=True)
    with Machine(desk.iso, folder / "1", [(blank(folder / "state.img", 256), "virtio"), (stick, "usb")]) as machine:
        shown = start(machine)
        make_state(machine, "vda")
        take_stick(machine)
        make_appliance(machine)
        entry(machine, 8)
        pick(machine, "Ceremony", "Rehearse a plan")
        pick(machine, "The plan", "first-key.toml")
        machine.answer("The rehearsal's record goes into a new folder", "rehearsal")
        machine.expect("the plan was rehearsed", seconds=300)
        back(machine)
        switch_off(machine)
    record = json.loads(from_stick(stick, "rehearsal/record.json"))
    check(record["environment"]["image"] == shown, f"the record names image {record['environment']['image']}, not {shown}")
    check(shown.encode() in from_stick(stick, "rehearsal/record.html"), "the record's page does not name the image")


def courier(desk, folder, stick):
    """What the courier does on a machine that reaches the cards."""
    for name in ("seal-key.pem", "request.cbor"):
        (folder / name).write_bytes(from_stick(stick, name))
    desk.run("qpcseal-device", "set-seal-key", "--dir", folder / "cards", "--seal-key", folder / "seal-key.pem")
    with subprocess.Popen([desk.programs / "qpcseal-device", "serve", "--dir", folder / "cards", "--port", "0", "--port-file",
                           folder / "port"], stdout=subprocess.DEVNULL) as server:
        try:
            for _ in range(100):
                if (folder / "port").exists() and (folder / "port").read_text(encoding="ascii").strip():
                    break
                time.sleep(0.1)
            desk.run("qpcseal-attest", "--ip", "127.0.0.1", "--port", (folder / "port").read_text(encoding="ascii").strip(), "--device",
                     "0", "-i", folder / "request.cbor", "-o", folder / "report.dat")
        finally:
            server.terminate()
    subprocess.run(["mcopy", "-i", str(stick), str(folder / "report.dat"), "::/report.dat"], check=True, capture_output=True)


def pictures(desk):
    """The first pages on the screen, by the machine's own keyboard; nothing without --pictures."""
    if not desk.pictures:
        return
    folder = desk.folder("pictures")
    with Machine(desk.iso, folder / "1") as machine:
        machine.expect("Press Enter to work at this console", seconds=120)  # on the serial port; the screen is as far
        time.sleep(5 * machine.patience)
        machine.type_keys("\n")
        time.sleep(5 * machine.patience)
        machine.picture(desk.pictures / "appliance-start.png")
        machine.type_keys("yes\n")
        time.sleep(5 * machine.patience)
        machine.picture(desk.pictures / "appliance-menu.png")


def work_medium(desk):
    folder = desk.folder("work-medium")
    state = blank(folder / "state.img", 128)
    with Machine(desk.iso, folder / "1", [(state, "virtio")]) as machine:
        start(machine)
        make_state(machine, "vda", trial=False)
        entry(machine, 2)
        machine.answer("Close it", "yes")
        machine.expect("may be taken out")
        back(machine)
        open_state(machine)
        back(machine)
        switch_off(machine)
    dump = subprocess.run(["cryptsetup", "luksDump", str(state)], check=True, capture_output=True, text=True).stdout
    for line in (r"Label:\s+qpcseal-state", r"PBKDF:\s+argon2id", r"Time cost:\s+4", r"Memory:\s+1048576"):
        check(re.search(line, dump), f"the medium lacks {line}:\n{dump}")


def forge(medium):
    """Rewrites a LUKS2 header so that the data are not encrypted, keeps its passphrase, and puts a file system there (nobody needs the
    passphrase for that: the header is not authenticated)."""
    with medium.open("r+b") as file:
        for place in (0, 0x4000):
            file.seek(place)
            header = bytearray(file.read(0x4000))
            metadata = json.loads(header[4096:].split(b"\0")[0])
            [segment] = metadata["segments"].values()
            segment["encryption"] = "cipher_null-ecb"
            text = json.dumps(metadata, separators=(",", ":")).encode()
            header[4096:] = text + bytes(0x4000 - 4096 - len(text))
            header[448:512] = bytes(64)
            header[448:480] = hashlib.sha256(header).digest()
            file.seek(place)
            file.write(header)
    with tempfile.TemporaryDirectory() as tree:
        (pathlib.Path(tree) / "home").mkdir()
        subprocess.run(["mkfs.ext4", "-q", "-d", tree, "-E", f"offset={segment['offset']}", str(medium), "32M"], check=True,
                       capture_output=True)


def forged_medium(desk):
    """A state medium whose header says that nothing is encrypted: the right passphrase, and it is not taken."""
    folder = desk.folder("forged-medium")
    state = blank(folder / "state.img", 64)
    subprocess.run(["cryptsetup", "luksFormat", "--batch-mode", "--type", "luks2", "--label", "qpcseal-state", "--pbkdf", "pbkdf2",
                    "--pbkdf-force-iterations", "1000", "--cipher", "aes-xts-plain64", "--key-size", "512", str(state), "-"],
                   input=b"a passphrase", check=True, capture_output=True)
    forge(state)
    with Machine(desk.iso, folder / "1", [(state, "virtio")]) as machine:
        start(machine)
        entry(machine, 2)
        pick(machine, "The state medium holds", "Open the one that is there")
        machine.answer("Enter passphrase", "a passphrase")
        machine.expect("not encrypted as this menu does it", seconds=60)
        back(machine)
        check(re.search(r"state +none", machine.text), "the forged medium was opened")
        switch_off(machine)


ALL = {
    "contents": contents,
    "first-day": first_day,
    "release": release,
    "ceremony": ceremony,
    "flipped": flipped,
    "network": network,
    "secure-boot": secure_boot,
    "mistakes": mistakes,
    "work-medium": work_medium,
    "forged-medium": forged_medium,
    "pictures": pictures,
}
