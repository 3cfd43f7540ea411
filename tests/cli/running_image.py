"""Commands on a machine that runs an image, as the kernel would tell: /proc/cmdline and /sys in a mount namespace of their own.

/sys/dev/block/MAJOR:MINOR is a link into /sys/devices, as the kernel has it, so that a process which limits its own files must
have allowed what the link leads to.
"""

import json
import os
import subprocess

from appliance import QPCSEAL, Appliance, GuardedAppliance, run
from ceremony_support import Site

ROOT = os.stat("/").st_dev
DEVICE = f"{os.major(ROOT)}:{os.minor(ROOT)}"
VERITY = "CRYPT-VERITY-0123456789abcdef0123456789abcdef-root"
SCRIPT = f"""set -e
printf '%s\\n' "$1" > "$0"
mount --bind "$0" /proc/cmdline
mount -t tmpfs none /sys/dev/block
mount -t tmpfs none /sys/devices/virtual/block
mkdir -p /sys/devices/virtual/block/dm-0/dm
printf '%s\\n' "$2" > /sys/devices/virtual/block/dm-0/dm/uuid
ln -s ../../devices/virtual/block/dm-0 /sys/dev/block/{DEVICE}
shift 2
exec "$@"
"""


def machine(folder, line, uuid=VERITY):
    """What stands before a command that runs on a machine with this command line and root device."""
    return ["unshare", "-m", "sh", "-c", SCRIPT, folder / "cmdline", line, uuid]


class Imaged:
    """An appliance whose commands run under `image`; None: on this machine as it is."""

    image = None

    def qpcseal(self, *arguments, expect=0, **more):
        return run(*self.inside(), QPCSEAL, *arguments, expect=expect, env=more.pop("env", self.env), **more)

    def inside(self):
        return machine(self.root, f"quiet roothash={self.image} ro") if self.image else []

    def json_error(self, *arguments):
        done = subprocess.run([str(part) for part in (*self.inside(), QPCSEAL, *arguments, "--json")], env=self.env,
                              capture_output=True, text=True, check=False)
        return json.loads(done.stdout)["error"]


class ImagedAppliance(Imaged, Appliance):
    def __init__(self, image, **more):
        self.image = image
        super().__init__(cards=1, **more)


class ImagedGuarded(Imaged, GuardedAppliance):
    def __init__(self, image, **more):
        self.image = image
        super().__init__(cards=1, **more)


class ImagedSite(Imaged, Site):
    def __init__(self, image, **more):
        self.image = image
        super().__init__(tokens=False, **more)
