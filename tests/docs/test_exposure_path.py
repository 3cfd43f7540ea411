"""No other code than release::Exposure can hand out a key in the clear: by the sources, and by what the objects refer to."""

import os
import pathlib
import re
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SYMBOL = "qpcseal::keys::expose_mek("
ROOMS = ("lib", "pkcs11", "attest", "policy", "courier", "device", "appliance")


def sources():
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*")):
            if path.suffix in (".cpp", ".h"):
                yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


class ExposurePath(unittest.TestCase):
    def test_only_exposure_names_the_function(self):
        found = {name for name, text in sources() if re.search(r"\bexpose_mek\(", text)}
        self.assertEqual(found, {"appliance/keys/expose_mek.h", "appliance/keys/expose_mek.cpp",
                                 "appliance/release/exposure.cpp"})

    def test_only_exposure_makes_a_permit(self):
        found = {name for name, text in sources() if "ExposurePermit(" in text}
        self.assertEqual(found, {"appliance/keys/expose_mek.h", "appliance/release/exposure.cpp"})
        header = (ROOT / "appliance/keys/expose_mek.h").read_text(encoding="utf-8")
        self.assertEqual(re.findall(r"friend class (\S+);", header), ["release::Exposure"])

    def test_only_the_release_library_refers_to_it(self):
        build = pathlib.Path(os.environ.get("QPCSEAL_BUILD", ROOT / "build" / "dev"))
        archives = sorted(build.rglob("libqpcseal_*.a"))
        self.assertTrue(archives, build)
        users = set()
        for archive in archives:
            listed = subprocess.run(["nm", "-C", archive], capture_output=True, text=True, check=True).stdout
            if any(" U " in line and SYMBOL in line for line in listed.splitlines()):
                users.add(archive.name)
        self.assertEqual(users, {"libqpcseal_release.a"})


if __name__ == "__main__":
    unittest.main()
