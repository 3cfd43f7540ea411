# SPDX-License-Identifier: Apache-2.0
"""The image's lists and the parts of its build that need no Debian: what is pinned, what is left out, what is signed."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
IMAGE = ROOT / "image"
STUB = pathlib.Path("/usr/lib/systemd/boot/efi/linuxx64.efi.stub")
HASH = "0123456789abcdef" * 4


def common(script, **environment):
    """Runs a script with the functions of image/common; returns (exit code, output, errors)."""
    done = subprocess.run(["bash", "-c", f'. "{IMAGE}/common"; {script}', "image/test"], capture_output=True, text=True, timeout=300,
                          env={"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "SOURCE_DATE_EPOCH": "1790000000", **environment})
    return done.returncode, done.stdout, done.stderr


def has(*programs):
    return all(shutil.which(program, path="/usr/bin:/bin:/usr/sbin:/sbin") for program in programs)


class Lists(unittest.TestCase):
    def lock(self):
        return [line.split(" ") for line in (IMAGE / "packages.lock").read_text(encoding="utf-8").splitlines() if not line.startswith("#")]

    def test_each_package_is_pinned_by_version_and_digest(self):
        lines = self.lock()
        self.assertGreater(len(lines), 100)
        for line in lines:
            self.assertEqual(len(line), 6, line)
            group, _, version, size, sha256, path = line
            self.assertIn(group, ("root", "initrd", "kernel", "stub"))
            self.assertRegex(version, r"^[0-9][0-9A-Za-z.+:~-]*$")
            self.assertRegex(size, r"^[1-9][0-9]*$")
            self.assertRegex(sha256, r"^[0-9a-f]{64}$")
            self.assertRegex(path, r"^pool/[^:]*\.deb$")
        names = [(line[0], line[1]) for line in lines]
        self.assertEqual(len(names), len(set(names)))

    def test_no_package_brings_a_network(self):
        forbidden = re.compile(r"^(network-manager|ifupdown|isc-dhcp|dhcpcd|openssh-server|iproute2|iwd|wpasupplicant|bluez|netbase|"
                               r"systemd-resolved|systemd-timesyncd|curl|wget|apt|firmware-|alsa|pulseaudio|avahi)")
        self.assertEqual([line[1] for line in self.lock() if line[0] == "root" and forbidden.match(line[1])], [])

    def test_the_lock_fits_the_packages(self):
        subprocess.run([IMAGE / "lock", "--check"], check=True)

    def test_no_module_of_a_network_is_named(self):
        modules = [line for line in (IMAGE / "modules").read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
        self.assertGreater(len(modules), 30)
        forbidden = re.compile(r"(net|wifi|80211|bluetooth|btusb|firewire|ohci1394|snd|thunderbolt|ethernet|e1000|r8169|igb|usbnet|"
                               r"cdc|rndis|tun|bridge|nfs|cifs|nbd|iscsi)")
        self.assertEqual([name for name in modules if forbidden.search(name)], [])

    def test_the_command_line_is_one_line_without_a_root_hash(self):
        code, line, _ = common("command_line")
        self.assertEqual(code, 0)
        self.assertNotIn("\n", line)
        self.assertNotIn("roothash", line)
        for word in ("lockdown=confidentiality", "iommu=force", "systemd.verity_root_options=panic-on-corruption", "nohibernate",
                     "systemd.import_credentials=no", "root=/dev/mapper/root"):
            self.assertIn(word, line.split(" "))

    def test_the_words_are_those_of_qpcseal(self):
        text = subprocess.run([IMAGE / "words", "00ff10ab"], check=True, capture_output=True, text=True).stdout
        self.assertEqual(text.split(), ["aardvark", "Yucatan", "assume", "Pegasus"])
        listed = subprocess.run([IMAGE / "words", "--list"], check=True, capture_output=True, text=True).stdout.split()
        self.assertEqual(len(listed), 512)
        self.assertEqual((listed[0], listed[511]), ("aardvark", "Yucatan"))

    def test_words_of_something_else_than_hex_are_refused(self):
        for text in ("", "0", "0G", "00 11"):
            self.assertNotEqual(subprocess.run([IMAGE / "words", text], capture_output=True, check=False).returncode, 0, text)


@unittest.skipUnless(has("dpkg-deb"), "needs dpkg-deb")
class Packages(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="qpcseal-image-test."))
        self.addCleanup(shutil.rmtree, self.folder)

    def deb(self, name="small"):
        tree = self.folder / name
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "DEBIAN" / "control").write_text(f"Package: {name}\nVersion: 1.0\nArchitecture: all\nMaintainer: a <a@b.invalid>\n"
                                                 "Description: for a test\n", encoding="utf-8")
        pool = self.folder / "mirror" / "pool"
        pool.mkdir(parents=True, exist_ok=True)
        file = pool / f"{name}_1.0_all.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, file], check=True, capture_output=True)
        return file

    def fetch(self, sha256, mirror):
        """fetch() of a lock with one package, in a tree of its own."""
        (self.folder / "packages.lock").write_text(f"root small 1.0 10 {sha256} pool/small_1.0_all.deb\n", encoding="utf-8")
        return common(f'image="{self.folder}"; fetch root "{mirror}"', QPCSEAL_IMAGE_CACHE=str(self.folder / "cache"))

    def digest(self, file):
        return subprocess.run(["sha256sum", file], check=True, capture_output=True, text=True).stdout.split()[0]

    def test_takes_a_package_that_is_the_locked_one(self):
        sha256 = self.digest(self.deb())
        code, _, errors = self.fetch(sha256, f"file:{self.folder}/mirror")
        self.assertEqual(code, 0, errors)
        self.assertTrue((self.folder / "cache" / f"{sha256}.deb").exists())

    def test_names_a_package_that_no_mirror_has(self):
        code, _, errors = self.fetch("0" * 64, f"file:{self.folder}/nowhere")
        self.assertEqual(code, 3)
        self.assertIn(f"no mirror has small 1.0 (SHA-256 {'0' * 64})", errors)

    def test_refuses_a_package_with_other_bytes(self):
        self.deb()
        code, _, errors = self.fetch("0" * 64, f"file:{self.folder}/mirror")
        self.assertEqual(code, 3)
        self.assertIn("no mirror has small 1.0", errors)
        self.assertEqual(list((self.folder / "cache").iterdir()), [])

    def take(self):
        return common(f'image="{self.folder}"; take root "{self.folder}/taken"', QPCSEAL_IMAGE_CACHE=str(self.folder / "cache"))

    def test_takes_copies_of_cached_packages(self):
        file = self.deb()
        self.fetch(self.digest(file), f"file:{self.folder}/mirror")
        code, _, errors = self.take()
        self.assertEqual(code, 0, errors)
        self.assertEqual((self.folder / "taken" / file.name).read_bytes(), file.read_bytes())

    def test_refuses_a_cached_package_that_was_changed(self):
        sha256 = self.digest(self.deb())
        self.fetch(sha256, f"file:{self.folder}/mirror")
        with (self.folder / "cache" / f"{sha256}.deb").open("ab") as file:
            file.write(b"x")
        code, _, errors = self.take()
        self.assertEqual(code, 3)
        self.assertIn("is damaged", errors)

    def test_refuses_a_cache_that_others_can_write(self):
        cache = self.folder / "cache"
        cache.mkdir()
        for mode in (0o777, 0o775, 0o757):
            cache.chmod(mode)
            code, _, errors = self.fetch("0" * 64, f"file:{self.folder}/mirror")
            self.assertEqual((code, "others can write to it" in errors), (3, True), errors)

    def test_refuses_a_cache_that_is_a_link(self):
        (self.folder / "elsewhere").mkdir()
        (self.folder / "cache").symlink_to("elsewhere")
        code, _, errors = self.fetch("0" * 64, f"file:{self.folder}/mirror")
        self.assertEqual((code, "is no folder" in errors), (3, True), errors)

    @unittest.skipUnless(os.geteuid() == 0, "as root alone: gives a folder away")
    def test_refuses_a_cache_of_somebody_else(self):
        cache = self.folder / "cache"
        cache.mkdir()
        os.chown(cache, 65534, 65534)
        code, _, errors = self.fetch("0" * 64, f"file:{self.folder}/mirror")
        self.assertEqual((code, "belongs to somebody else" in errors), (3, True), errors)

    def test_lists_all_packages(self):
        lock = self.folder / "packages.lock"
        lock.write_text(f"# made\nroot small 1:1.0 10 {'a' * 64} pool/x.deb\nkernel linux 6 10 {'b' * 64} pool/y.deb\n", encoding="utf-8")
        text = subprocess.run([IMAGE / "packages-list", "--version", "1", "--deb", self.deb("qpcseal"), "--roothash", HASH, lock],
                              check=True, capture_output=True, text=True).stdout
        bill = json.loads(text)
        self.assertEqual((bill["bomFormat"], bill["specVersion"]), ("CycloneDX", "1.5"))
        self.assertEqual([(one["name"], one["version"]) for one in bill["components"]],
                         [("linux", "6"), ("qpcseal", "1.0"), ("small", "1:1.0")])
        self.assertEqual(len({one["bom-ref"] for one in bill["components"]}), 3)
        self.assertEqual(bill["components"][2]["hashes"], [{"alg": "SHA-256", "content": "a" * 64}])


@unittest.skipUnless(STUB.exists() and has("objcopy", "sbsign", "xorriso", "sgdisk", "mkfs.vfat", "mcopy", "veritysetup", "openssl"),
                     "needs the packages of 'ci/deps --image'")
class Medium(unittest.TestCase):
    """A medium whose kernel and root are a few bytes."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="qpcseal-image-test."))
        self.addCleanup(shutil.rmtree, self.folder)

    def build(self, name):
        parts = self.folder / name
        parts.mkdir()
        code, root_hash, errors = common(f"""
            cd "{parts}"; mkdir parts
            printf 'a root file system' >parts/root; seal_root "$PWD/parts" {'5' * 64} >&2
            printf 'roothash=%s quiet' "$roothash" >cmdline
            printf 'ID=x\\n' >osrel; head -c 300000 /dev/zero >kernel; head -c 100001 /dev/zero >initrd
            unified {STUB} osrel cmdline kernel initrd image.efi
            esp_image image.efi parts/esp
            medium "$PWD/parts" "$roothash" out.iso
            printf '%s' "$roothash" """)
        self.assertEqual(code, 0, errors)
        return parts / "out.iso", root_hash

    def test_equal_inputs_give_equal_bytes(self):
        first, _ = self.build("first")
        second, _ = self.build("second")
        self.assertEqual(first.read_bytes(), second.read_bytes())

    def test_the_sections_do_not_overlap_and_the_kernel_is_last(self):
        self.build("one")
        text = subprocess.run(["objdump", "-h", self.folder / "one" / "image.efi"], check=True, capture_output=True, text=True).stdout
        sections = [(name, int(vma, 16), int(size, 16)) for name, size, vma in
                    re.findall(r"^ *\d+ (\.\w+) +([0-9a-f]+)  ([0-9a-f]+)", text, re.M)]
        self.assertEqual([name for name, _, _ in sections[-4:]], [".osrel", ".cmdline", ".initrd", ".linux"])
        ends = 0
        for name, start, size in sorted(sections, key=lambda section: section[1]):
            self.assertGreaterEqual(start, ends, name)
            ends = start + size

    def test_the_partitions_are_found_by_the_root_hash(self):
        iso, root_hash = self.build("one")
        listed = subprocess.run(["sgdisk", "-i", "3", iso], check=True, capture_output=True, text=True).stdout
        listed += subprocess.run(["sgdisk", "-i", "4", iso], check=True, capture_output=True, text=True).stdout
        ids = [found.replace("-", "").lower() for found in re.findall(r"Partition unique GUID: (\S+)", listed)]
        self.assertEqual(ids, [root_hash[:32], root_hash[32:]])

    def keys(self, name):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-days", "2", "-keyout",
                        self.folder / f"{name}.key", "-out", self.folder / f"{name}.pem"], check=True, capture_output=True)
        return self.folder / f"{name}.key", self.folder / f"{name}.pem"

    def sign(self, *arguments):
        return subprocess.run([IMAGE / "sign", *arguments], capture_output=True, text=True, check=False)

    def efi(self, iso):
        out = self.folder / "taken.efi"
        code, _, errors = common(f'take_partition "{iso}" 2 "{self.folder}/esp"; mcopy -n -i "{self.folder}/esp" '
                                 f'::/EFI/BOOT/BOOTX64.EFI "{out}"')
        self.assertEqual(code, 0, errors)
        return out

    def test_signs_with_the_sites_key_and_takes_the_signature_off_again(self):
        iso, _ = self.build("one")
        key, cert = self.keys("site")
        _, other = self.keys("other")
        signed, back = self.folder / "signed.iso", self.folder / "back.iso"
        done = self.sign("--key", key, "--cert", cert, iso, "-o", signed)
        self.assertEqual(done.returncode, 0, done.stderr)
        verify = ["sbverify", "--cert"]
        self.assertEqual(subprocess.run([*verify, cert, self.efi(signed)], capture_output=True, check=False).returncode, 0)
        self.assertNotEqual(subprocess.run([*verify, other, self.efi(signed)], capture_output=True, check=False).returncode, 0)
        self.assertNotEqual(subprocess.run([*verify, cert, self.efi(iso)], capture_output=True, check=False).returncode, 0)
        done = self.sign("--remove", signed, "-o", back)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(back.read_bytes(), iso.read_bytes())

    def test_a_signed_file_that_was_changed_does_not_verify(self):
        iso, root_hash = self.build("one")
        key, cert = self.keys("site")
        signed = self.folder / "signed.iso"
        self.sign("--key", key, "--cert", cert, iso, "-o", signed)
        efi = self.efi(signed)
        data = efi.read_bytes()
        place = data.index(root_hash.encode())
        efi.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1:])
        self.assertNotEqual(subprocess.run(["sbverify", "--cert", cert, efi], capture_output=True, check=False).returncode, 0)

    def test_something_that_is_no_image_is_not_signed(self):
        key, cert = self.keys("site")
        file = self.folder / "none.iso"
        file.write_bytes(bytes(1 << 20))
        done = self.sign("--key", key, "--cert", cert, file, "-o", self.folder / "out.iso")
        self.assertEqual(done.returncode, 4)
        self.assertIn("it is no image", done.stderr)
        self.assertFalse((self.folder / "out.iso").exists())


if __name__ == "__main__":
    unittest.main()
