#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Stands for a site's wrapper around the SDK's verifier: report on standard input, one JSON object on standard output.

The file `answer` beside it, where it is pinned with it, changes the answer: a JSON object of members to put in, null for
those to leave out; {"do": "see"} to say what it can see of the machine instead; or {"do": "sleep" ...} for a hostile one.
Claims that the stand-in's reports do not have are fixed.
"""

import argparse
import base64
import json
import os
import pathlib
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import container  # noqa: E402
from cryptography.exceptions import InvalidSignature  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent


def seen():
    """What there is to see: network, folders, files, processes, environment, a terminal."""
    try:
        socket.create_connection(("127.0.0.1", 22), 1).close()
        network = "reached"
    except OSError:
        network = "none"
    try:
        terminal = os.ttyname(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        terminal = "none"
    folders = [path for path in ("/home", "/root", "/etc/passwd", "/var", "/run", "/sys", "/qpcseal") if os.path.exists(path)]
    temporary = [name for name in os.listdir("/tmp") if not HERE.is_relative_to(f"/tmp/{name}")]
    environment = sorted(set(os.environ) - {"PWD", "LC_CTYPE"})
    return [network, [name for _, name in socket.if_nameindex()], environment, folders, temporary,
            sorted(set(os.listdir(HERE)) - {"__pycache__"}),
            max(int(name) for name in os.listdir("/proc") if name.isdigit()) < 16, terminal]


def do(what, answer):
    if what == "see":
        sys.exit(json.dumps(seen()))
    if what == "sleep":
        time.sleep(100000)
    if what == "fork":
        while True:
            try:
                os.fork()
            except OSError:
                time.sleep(100000)
    if what == "crash":
        os.abort()
    if what == "fail":
        sys.exit("the report is \x1b[31mbad")
    if what == "much":
        print(" " * 70000 + answer)
    if what == "two":
        print(answer + answer)
    if what == "twice":
        print(answer[:-1] + ', "dbgstat": 3}')
    if what == "nothing":
        pass
    if what == "list":
        print("[" + answer + "]")
    if what == "float":
        print(answer.replace('"dbgstat": 3', '"dbgstat": 3.0'))
    if what == "bytes":
        sys.stdout.buffer.write(b"\xff\xfe" + answer.encode())
    sys.exit(0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--nonce", required=True)
    parser.add_argument("--expires", required=True)
    parser.add_argument("--now", required=True)
    parser.add_argument("--ueid")
    parser.parse_args()
    report = sys.stdin.buffer.read()
    nonce, ueid, spki, body, signature = container.parse_report(report)
    root = container.load_root((HERE / "root.raw").read_bytes())
    try:
        root.verify(signature, body)
    except InvalidSignature:
        sys.exit("the signature does not verify")
    answer = {"format": "qpcseal/external/1", "verifier": {"name": "stand-in", "version": "1"},
              "chain": ["ab" * 32, container.root_digest(root)], "nonce": nonce.hex(), "ueid": ueid.hex(),
              "session_key": base64.b64encode(spki).decode(), "dbgstat": 3, "lifecycle": "secured", "oemboot": True,
              "oemid": 1, "hwmodel": "0102", "hwversion": "1.0",
              "measurements": [{"name": "firmware", "version": "1", "digest": "cd" * 32, "svn": 7}]}
    changes = HERE / "answer"
    wanted = json.loads(changes.read_text()) if changes.exists() else {}
    what = wanted.pop("do", None)
    for name, value in wanted.items():
        if value is None:
            answer.pop(name)
        else:
            answer[name] = value
    if what is not None:
        do(what, json.dumps(answer))
    print(json.dumps(answer))


main()
