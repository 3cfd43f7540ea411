"""Peak resident memory does not depend on the model's size: under 64 MiB for sealing, binding and loading 2 GiB."""

import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "cli"))
from appliance import Appliance, DEVICE, QPCSEAL  # noqa: E402

LIMIT = 64 << 20
SIZE = (2 << 30) + 12345  # of constants.bin; sparse, so it takes no room itself
ROOM = 2 * SIZE + (64 << 20)  # what is written beside it: the sealed one, and its bound copy


def write_model(path):
    """A QPC of four segments, the second a hole of SIZE bytes."""
    segments = [(b"network.elf", 70000), (b"constants.bin", SIZE), (b"constantsdesc.bin", 512), (b"networkdesc.bin", 99)]
    at = 40 + 32 * len(segments)
    names, table = b"".join(name + b"\0" for name, _ in segments), b""
    data, name_at = at + len(names), at
    for name, size in segments:
        table += struct.pack("<QQQQ", size, 0, name_at, data)
        name_at += len(name) + 1
        data += size
    head = struct.pack("<IBBHQQQQ", 0x00A1CD7C, 0, 1, 1, data, 0, len(segments), 40)
    with open(path, "wb") as file:
        file.write(head + table + names + b"\x7fELF" * 17500)
        file.truncate(data)


class LargeModel(unittest.TestCase):
    def peak(self, *command):
        """Runs it; its greatest resident size in bytes."""
        process = subprocess.Popen([str(word) for word in command], env=self.appliance.env,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        errors = process.stderr.read()
        process.stderr.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 0, errors)
        return usage.ru_maxrss << 10

    def setUp(self):
        # Memory-backed where there is room, else wherever temporary files go.
        memory = pathlib.Path("/dev/shm")
        if memory.is_dir() and shutil.disk_usage(memory).free > 2 * ROOM and "TMPDIR" not in os.environ:
            tempfile.tempdir = str(memory)
            self.addCleanup(setattr, tempfile, "tempdir", None)
        if shutil.disk_usage(tempfile.gettempdir()).free < ROOM:
            self.skipTest(f"{tempfile.gettempdir()} has no room for {ROOM >> 20} MiB")
        self.appliance = Appliance(cards=1, policy_edit=lambda text: text.replace('modes = ["token"]',
                                                                                 'modes = ["token", "envelope"]'))
        self.addCleanup(self.appliance.close)

    def test_peaks(self):
        appliance = self.appliance
        appliance.qpcseal("mek", "generate", "m")
        model = appliance.root / "model.qpc"
        write_model(model)
        peaks = {}
        for mode in ("token", "envelope"):
            out = appliance.root / mode
            peaks[f"encrypt-model, mode {mode}"] = self.peak(QPCSEAL, "encrypt-model", "--qpc", model, "--mek", "m",
                                                             "--mode", mode, "--output-dir", out)
            report = appliance.attest("m", name=mode + ".report")
            peaks[f"encrypt-with-session-keys, mode {mode}"] = self.peak(
                QPCSEAL, "encrypt-with-session-keys", "--input-dir", out, "--mek", "m", "--pub-keys", report)
            peaks[f"load, mode {mode}"] = self.peak(DEVICE, "load", "--dir", appliance.cards, "--device", "0",
                                                    out / "programqpc.bin")
            shutil.rmtree(out)
        for what, peak in peaks.items():
            print(f"\n{what}: peak {peak / (1 << 20):.1f} MiB for {SIZE >> 20} MiB", end="", flush=True)
            self.assertLess(peak, LIMIT, what)


if __name__ == "__main__":
    unittest.main()
