"""One card: its certificates, its session key, and the claims it makes about itself."""

from cryptography.hazmat.primitives.asymmetric import ec

import evidence as ev
from material import MEK_ID, NONCE, UEID, ec_key, filler

P384 = ec.SECP384R1()
ROOT_KEY, SUB_KEY, LEAF_KEY = (ec_key(f"certificate {name}", P384) for name in ("root", "sub", "leaf"))
SESSION_KEY = ec_key("session", P384)
REQUEST = ev.Request(filler("aud", 16), NONCE, MEK_ID, UEID, 1790000000, ("p384", "p256"))


def certificates(**leaf):
    """[leaf, intermediate, root] in DER."""
    options = {"serial": 3, "ca": False, "ueid": UEID, **leaf}
    key = options.pop("key", LEAF_KEY)
    root = ev.make_certificate("root", ROOT_KEY.public_key(), "root", ROOT_KEY, serial=1, ca=True)
    sub = ev.make_certificate("sub", SUB_KEY.public_key(), "root", ROOT_KEY, serial=2, ca=True)
    return [ev.make_certificate("card", key.public_key(), "sub", SUB_KEY, **options), sub, root]


def claims(**changes):
    """What a secured card says; `changes` by the names that evidence.py gives the claims."""
    result = {
        ev.AUD: REQUEST.aud.hex(),
        ev.EXP: 1790000000,
        ev.IAT: 1780000000,
        ev.CNF: {1: ev.cose_key(SESSION_KEY.public_key())},
        ev.NONCE: NONCE,
        ev.UEID: UEID,
        ev.OEMID: 64242,
        ev.HWMODEL: b"card-1",
        ev.HWVERSION: ["2.0", 1],
        ev.OEMBOOT: True,
        ev.DBGSTAT: 3,
        ev.EAT_PROFILE: ev.PROFILE,
        ev.SUBMODS: {"soc0": {ev.DBGSTAT: 3, ev.MEASUREMENTS: [ev.measurement("boot", filler("boot", 48))]}},
        ev.BOOTSEED: filler("bootseed", 32),
        ev.MEASUREMENTS: [
            ev.measurement("firmware", filler("firmware", 48), "1.20.3", 7),
            ev.measurement("loader", filler("loader", 32)),
        ],
        ev.LIFECYCLE: 2,
    }
    return {**result, **{getattr(ev, name): value for name, value in changes.items()}}
