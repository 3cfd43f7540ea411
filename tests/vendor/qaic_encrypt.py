#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Stands for the vendor's qaic-encrypt: the four commands of its guide, with their flags and file names, and a format of
its own. It writes what it can see of the machine into `seen.json` beside its outputs.

Its behaviour can be made hostile by the file `behaviour` beside it, which a test pins with it.
"""

import argparse
import json
import os
import pathlib
import signal
import socket
import stat
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import container  # noqa: E402
from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: E402


def seen():
    """What there is to see: network, folders, processes, environment."""
    try:
        socket.create_connection(("127.0.0.1", 22), 1).close()
        network = "reached"
    except OSError:
        network = "none"
    return {"interfaces": [name for _, name in socket.if_nameindex()], "network": network,
            "environment": sorted(set(os.environ) - {"PWD", "LC_CTYPE"}), "root": sorted(os.listdir("/")),
            "folders": [path for path in ("/home", "/root", "/etc/passwd", "/var", "/run", "/sys") if os.path.exists(path)],
            "processes": max(int(name) for name in os.listdir("/proc") if name.isdigit()) < 16, "uid": os.getuid(),
            "key_mode": oct(os.stat("/qpcseal/key/MEK.dat").st_mode & 0o777) if os.path.exists("/qpcseal/key") else None,
            "key_on": [line.split(" - ")[1].split()[0] for line in open("/proc/self/mountinfo") if "/qpcseal/key/" in line],
            "arguments": sys.argv[1:]}


def misbehave(kind, out):
    """What a hostile or broken tool does with its folder."""
    if kind == "sleep":
        time.sleep(100000)
    if kind == "wait":  # until somebody changes the model
        model = "/qpcseal/in/model.qpc"
        before = os.stat(model).st_mtime_ns
        while os.stat(model).st_mtime_ns == before:
            time.sleep(0.05)
        return
    if kind == "fork":
        while True:
            try:
                os.fork()
            except OSError:
                time.sleep(100000)
    if kind == "gigabytes":
        for number in range(100):
            with open(out / f"big{number}", "wb") as file:
                for _ in range(1 << 10):
                    file.write(bytes(1 << 20))
    if kind == "many":
        for number in range(2000):
            (out / f"file{number}").touch()
        time.sleep(60)  # until it is ended
    if kind == "link":
        (out / "programqpc.bin").symlink_to("/etc/shadow")
    if kind == "hardlink":
        (out / "a").write_text("x")
        os.link(out / "a", out / "b")
    if kind == "unlinked":
        files = []
        for number in range(4):
            files.append(open(out / f"big{number}", "wb"))
            os.unlink(out / f"big{number}")
            os.posix_fallocate(files[-1].fileno(), 0, 1 << 30)
        time.sleep(100000)
    if kind == "preallocated":
        for number in range(4):
            with open(out / f"big{number}", "wb") as file:
                os.posix_fallocate(file.fileno(), 0, 1 << 30)
        time.sleep(100000)
    if kind == "sparse":
        for number in range(3):
            (out / f"big{number}").touch()
            os.truncate(out / f"big{number}", 1 << 30)
    if kind == "pipe":
        os.mkfifo(out / "pipe")
    if kind == "mknod":
        for device in (os.makedev(1, 5), os.makedev(8, 0)):
            try:
                os.mknod(out / "device", stat.S_IFBLK | 0o666, device)
            except PermissionError:
                continue
            sys.exit(0)
        sys.exit(6)
    if kind == "whiteout":
        os.mknod(out / "device", stat.S_IFCHR | 0o666, 0)
    if kind == "socket":
        socket.socket(socket.AF_UNIX).bind(str(out / "socket"))
    if kind == "setuid":
        (out / "programqpc.bin").write_text("x")
        os.chmod(out / "programqpc.bin", 0o4755)
    if kind == "name":
        (out / "a\nb").write_text("x")
    if kind == "dot":
        (out / ".bashrc").write_text("x")
    if kind == "deep":
        (out / "a/b/c").mkdir(parents=True)
        (out / "a/b/c/d").write_text("x")
    if kind == "nothing":
        sys.exit(0)
    if kind == "partial":
        (out / "programqpc.bin").write_text("half")
        sys.exit(4)
    if kind == "killed":
        (out / "programqpc.bin").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "talk":
        while True:
            print(open("/qpcseal/key/MEK.dat", "rb").read().hex() * 1000)
    if kind == "tell":
        sys.stderr.write("key " + open("/qpcseal/key/MEK.dat", "rb").read().hex() + "\n")
        sys.exit(5)
    if kind == "core":
        os.abort()
    sys.exit(0)


def bind(mek, reports, out):
    for number, path in enumerate(reports):
        where = out if len(reports) == 1 else out / f"device{number}"
        where.mkdir(exist_ok=True)
        wrapped, nonce, point = container.wrap(mek, pathlib.Path(path).read_bytes(), os.urandom(12))
        (where / "MEK.encrypt").write_bytes(wrapped)
        (where / "MEK.nonce").write_bytes(nonce)
        (where / "MEK.pub").write_bytes(point)


def key(path):
    data = pathlib.Path(path).read_bytes()
    if len(data) != 16:
        sys.exit("MEK is not of 16 bytes")
    return data


def encrypt_model(options, out):
    mek = key(options.mek)
    iv = os.urandom(12)
    sealed = AESGCM(mek).encrypt(iv, pathlib.Path(options.qpc).read_bytes(), None)
    (out / "programqpc.bin").write_bytes(container.MODEL + iv + sealed)
    if options.pub_keys:
        bind(mek, options.pub_keys, out)


def encrypt_with_session_keys(options, out):
    if not (out / "programqpc.bin").read_bytes().startswith(container.MODEL):
        sys.exit("no encrypted model")
    bind(key(options.mek), options.pub_keys, out)


def wrap_mek(options, out):
    bind(key(options.mek), options.pub_keys, out)
    (out / "config.json").write_text(json.dumps({"device": list(range(len(options.pub_keys)))}))


def replace_mek(options, out):
    place = pathlib.Path(options.encrypted_qpc)  # the guide's example has a folder
    model = (place / "programqpc.bin" if place.is_dir() else place).read_bytes()
    if not model.startswith(container.MODEL):
        sys.exit("no encrypted model")
    (out / "programqpc.bin").write_bytes(model)
    for folder in options.wrapped_meks:
        for path in sorted(pathlib.Path(folder).rglob("MEK.*")):
            to = out / path.relative_to(folder)
            to.parent.mkdir(exist_ok=True)
            to.write_bytes(path.read_bytes())


# The guide's usage lines: flag, its value, whether it must be there.
COMMANDS = {"encrypt-model": (("--qpc", "FILE", True), ("--mek", "FILE", True), ("--output-dir", "DIR", True),
                              ("--pub-keys", "FILES", False)),
            "encrypt-with-session-keys": (("--input-dir", "DIR", True), ("--mek", "FILE", True), ("--pub-keys", "FILES", False)),
            "wrap-mek": (("--mek", "FILE", True), ("--pub-keys", "FILES", False), ("--output-dir", "DIR", True)),
            "replace-mek": (("--encrypted-qpc", "FILE", True), ("--wrapped-meks", "DIRS", False), ("--output-dir", "DIR", True))}


def usage(command):
    needed = " ".join(f"{flag} <{value}>" for flag, value, must in COMMANDS[command] if must)
    lines = [f"Usage: qaic-encrypt {command} [OPTIONS] {needed}", "", "Options:"]
    lines += [f"      {flag} <{value}>{'...' if value.endswith('S') else ''}" for flag, value, _ in COMMANDS[command]]
    return "\n".join([*lines, "      --help"])


class Parser(argparse.ArgumentParser):
    """Says what the guide says where `--help` is asked for, or something is missing."""

    command = None

    def format_help(self):
        return usage(self.command) + "\n" if self.command else "Usage: qaic-encrypt <COMMAND>\n"

    format_usage = format_help


def main():
    parser = Parser()
    commands = parser.add_subparsers(dest="command", required=True)
    for name, flags in COMMANDS.items():
        command = commands.add_parser(name)
        command.command = name
        for flag, value, must in flags:
            command.add_argument(flag, required=must, nargs="+" if value.endswith("S") else None)
    options = parser.parse_args()
    out = pathlib.Path(getattr(options, "output_dir", None) or options.input_dir)
    behaviour = pathlib.Path(__file__).resolve().parent / "behaviour"
    if behaviour.exists() and behaviour.read_text().strip() != "good":
        misbehave(behaviour.read_text().strip(), out)
    {"encrypt-model": encrypt_model, "encrypt-with-session-keys": encrypt_with_session_keys, "wrap-mek": wrap_mek,
     "replace-mek": replace_mek}[options.command](options, out)
    (out / "seen.json").write_text(json.dumps(seen()))


main()
