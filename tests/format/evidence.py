"""Attestation requests and `eat-card` evidence (FORMAT.md sections 4 and 5): a maker and a strict verifier."""

import dataclasses
import datetime
import hashlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils

import strict_cbor
from qpc_format import require
from strict_cbor import Tag

REQUEST_TYPE = "qpcseal/request/1"
PROFILE = "tag:qpcseal.example,2026:eat-card/1"
SESSION_TYPES = ("p256", "p384", "rsa")
MAX_SIZE = 65536
ES384, EAT_CWT, X5CHAIN = -35, 263, 33
AUD, EXP, IAT, CNF, NONCE = 3, 4, 6, 8, 10
UEID, OEMID, HWMODEL, HWVERSION, OEMBOOT, DBGSTAT = 256, 258, 259, 260, 262, 263
EAT_PROFILE, SUBMODS, BOOTSEED, MEASUREMENTS, LIFECYCLE = 265, 266, 268, 273, -75002
REQUIRED = {AUD, CNF, NONCE, UEID, OEMID, HWMODEL, HWVERSION, OEMBOOT, DBGSTAT, EAT_PROFILE, BOOTSEED}
REQUIRED |= {MEASUREMENTS, LIFECYCLE}
MEASUREMENT_FORMAT = 65000
SHA256, SHA384 = -16, -43
CURVES = {1: ec.SECP256R1(), 2: ec.SECP384R1()}
COORDINATE = 48


def is_uint(value, limit=(1 << 64) - 1):
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= limit


def is_bytes(value, low, high):
    return isinstance(value, bytes) and low <= len(value) <= high


@dataclasses.dataclass(frozen=True)
class Request:
    aud: bytes
    nonce: bytes
    mek_id: bytes
    ueid: bytes  # or None
    expiry: int
    session_types: tuple

    def encode(self):
        fields = [REQUEST_TYPE, self.aud, self.nonce, self.mek_id, self.ueid, self.expiry, list(self.session_types)]
        return strict_cbor.encode(dict(enumerate(fields, 1)))


def decode_request(data):
    fields = strict_cbor.decode(data)
    require(isinstance(fields, dict) and list(fields) == list(range(1, 8)), "not a request's fields")
    require(fields[1] == REQUEST_TYPE, "not a request of version 1")
    for key, size in ((2, 16), (3, 32), (4, 16)):
        require(is_bytes(fields[key], size, size), "an id or nonce of a wrong size")
    require(fields[5] is None or is_bytes(fields[5], 7, 33), "ueid")
    require(is_uint(fields[6]), "expiry")
    types = fields[7]
    require(isinstance(types, list) and types and all(t in SESSION_TYPES for t in types), "session key types")
    return Request(*(fields[key] for key in range(2, 7)), tuple(types))


# Making evidence


def cose_key(public):
    numbers = public.public_numbers()
    if isinstance(public, rsa.RSAPublicKey):
        return {1: 3, -1: numbers.n.to_bytes((public.key_size + 7) // 8, "big"), -2: b"\1\0\1"}
    curve = 1 if isinstance(public.curve, ec.SECP256R1) else 2
    size = public.curve.key_size // 8
    return {1: 2, -1: curve, -2: numbers.x.to_bytes(size, "big"), -3: numbers.y.to_bytes(size, "big")}


def measurement(name, digest, version=None, svn=None):
    component = {1: [name] + ([[version]] if version is not None else [])}
    component[2] = [SHA256 if len(digest) == 32 else SHA384, digest]
    if svn is not None:
        component[-1] = svn
    return [MEASUREMENT_FORMAT, strict_cbor.encode(component)]


def signature_input(protected, payload):
    return strict_cbor.encode(["Signature1", protected, b"", payload])


def sign_evidence(leaf_key, chain, payload):
    """`chain` is DER, leaf first; `payload` is the claims map."""
    x5chain = chain[0] if len(chain) == 1 else list(chain)
    protected = strict_cbor.encode({1: ES384, 3: EAT_CWT, X5CHAIN: x5chain})
    body = strict_cbor.encode(payload)
    der = leaf_key.sign(signature_input(protected, body), ec.ECDSA(hashes.SHA384()))
    signature = b"".join(half.to_bytes(COORDINATE, "big") for half in utils.decode_dss_signature(der))
    return strict_cbor.encode(Tag(61, Tag(18, [protected, {}, body, signature])))


def make_certificate(subject, public, issuer, issuer_key, *, serial, ca, ueid=None, **options):
    """A certificate valid for twenty years from 2026-01-01; `subject` and `issuer` are common names.

    Options: path_length, and for a bad one usage_swapped, which gives a leaf a CA's key usage and the reverse.
    """
    start = datetime.datetime(2026, 1, 1)

    def name(common, ueid=None):
        parts = [x509.NameAttribute(x509.NameOID.COMMON_NAME, common)]
        if ueid is not None:
            parts.append(x509.NameAttribute(x509.NameOID.SERIAL_NUMBER, ueid.hex()))
        return x509.Name(parts)

    usage = dict.fromkeys(
        "content_commitment key_encipherment data_encipherment key_agreement encipher_only decipher_only".split(),
        False,
    )
    signs_certificates = ca != options.get("usage_swapped", False)
    usage.update(digital_signature=not signs_certificates, key_cert_sign=signs_certificates, crl_sign=False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject, ueid))
        .issuer_name(name(issuer))
        .public_key(public)
        .serial_number(serial)
        .not_valid_before(start)
        .not_valid_after(start.replace(year=2046))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=options.get("path_length")), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )
    return builder.sign(issuer_key, hashes.SHA384()).public_bytes(serialization.Encoding.DER)


# Verifying evidence


def verify_evidence(data, request, roots, now):
    """Returns (claims, session public key).

    `roots` maps the SHA-256 of each pinned root to its DER, for chains that leave the root out. `now` is naive UTC.
    """
    require(len(data) <= MAX_SIZE, "longer than 64 KiB")
    protected, payload, signature = open_cose(data)
    chain = _chain(protected)
    leaf = _verify_chain(chain, roots, now)
    r, s = (int.from_bytes(half, "big") for half in (signature[:COORDINATE], signature[COORDINATE:]))
    der = utils.encode_dss_signature(r, s)
    leaf.public_key().verify(der, signature_input(protected, payload), ec.ECDSA(hashes.SHA384()))
    claims = strict_cbor.decode(payload)
    check_claims(claims)
    check_freshness(claims, request, leaf)
    return claims, session_public_key(claims[CNF][1])


def open_cose(data):
    outer = strict_cbor.decode(data)
    require(isinstance(outer, Tag) and outer.number == 61, "not a CWT")
    require(isinstance(outer.value, Tag) and outer.value.number == 18, "not a COSE_Sign1")
    parts = outer.value.value
    require(isinstance(parts, list) and len(parts) == 4 and parts[1] == {}, "not the four parts of a COSE_Sign1")
    protected, _, payload, signature = parts
    require(all(isinstance(part, bytes) for part in (protected, payload)), "not byte strings")
    require(is_bytes(signature, 2 * COORDINATE, 2 * COORDINATE), "a signature is 96 bytes")
    return protected, payload, signature


def _chain(protected):
    header = strict_cbor.decode(protected)
    require(isinstance(header, dict) and set(header) == {1, 3, X5CHAIN}, "protected header's keys")
    require(header[1] == ES384 and header[3] == EAT_CWT, "algorithm or content type")
    chain = [header[X5CHAIN]] if isinstance(header[X5CHAIN], bytes) else header[X5CHAIN]
    require(isinstance(chain, list) and 1 <= len(chain) <= 5, "x5chain")
    require(all(isinstance(der, bytes) for der in chain), "x5chain")
    return chain


def _verify_chain(chain, roots, now):
    certificates = [x509.load_der_x509_certificate(der) for der in chain]
    if hashlib.sha256(chain[-1]).digest() not in roots:
        issuers = [x509.load_der_x509_certificate(der) for der in roots.values()]
        certificates += [root for root in issuers if root.subject == certificates[-1].issuer][:1]
    root = certificates[-1].public_bytes(serialization.Encoding.DER)
    require(hashlib.sha256(root).digest() in roots, "the chain ends at no pinned root")
    require(2 <= len(certificates) <= 6, "more certificates than allowed, or a root alone")
    for depth, certificate in enumerate(certificates):
        require(certificate.not_valid_before <= now <= certificate.not_valid_after, "certificate not valid now")
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        require(constraints.ca == (depth > 0), "a CA where a leaf belongs, or the reverse")
        require(constraints.path_length is None or depth - 1 <= constraints.path_length, "path too long")
        require(usage.key_cert_sign if depth else usage.digital_signature, "key usage")
        issuer = certificates[min(depth + 1, len(certificates) - 1)]
        require(certificate.issuer == issuer.subject, "issuer's name")
        algorithm = ec.ECDSA(certificate.signature_hash_algorithm)
        issuer.public_key().verify(certificate.signature, certificate.tbs_certificate_bytes, algorithm)
    public = certificates[0].public_key()
    require(isinstance(public, ec.EllipticCurvePublicKey), "leaf key")
    require(isinstance(public.curve, ec.SECP384R1), "leaf key")
    return certificates[0]


def check_freshness(claims, request, leaf):
    require(claims[NONCE] == request.nonce, "another nonce")
    require(claims[AUD] == request.aud.hex(), "another appliance's request")
    require(request.ueid is None or claims[UEID] == request.ueid, "another card")
    serials = leaf.subject.get_attributes_for_oid(x509.NameOID.SERIAL_NUMBER)
    require([s.value for s in serials] == [claims[UEID].hex()], "certificate of another card")


def check_claims(claims):
    require(isinstance(claims, dict), "claims are a map")
    require(REQUIRED <= set(claims) <= REQUIRED | {EXP, IAT, SUBMODS}, "claims missing or unknown")
    require(isinstance(claims[AUD], str), "aud")
    require(all(is_uint(claims.get(key, 0)) for key in (EXP, IAT)), "exp or iat")
    require(is_bytes(claims[NONCE], 8, 64), "eat_nonce")
    require(is_bytes(claims[UEID], 7, 33), "ueid")
    require(is_uint(claims[OEMID]), "oemid")
    require(is_bytes(claims[HWMODEL], 1, 32), "hwmodel")
    require(isinstance(claims[OEMBOOT], bool), "oemboot")
    require(claims[EAT_PROFILE] == PROFILE, "profile")
    require(is_bytes(claims[BOOTSEED], 32, 64), "bootseed")
    require(is_uint(claims[LIFECYCLE], 3), "lifecycle")
    _check_common(claims)
    cnf = claims[CNF]
    require(isinstance(cnf, dict) and set(cnf) == {1}, "cnf")
    session_public_key(cnf[1])
    submods = claims.get(SUBMODS, {"one": None})
    require(isinstance(submods, dict) and submods, "submods")
    for name, submod in claims.get(SUBMODS, {}).items():
        require(isinstance(name, str) and isinstance(submod, dict), "submods")
        keys = {DBGSTAT, MEASUREMENTS}
        require(keys <= set(submod) <= keys | {OEMID, HWMODEL, HWVERSION}, "submodule's claims missing or unknown")
        named = is_uint(submod.get(OEMID, 0)) and isinstance(submod.get(HWMODEL, b""), bytes)
        require(named, "submodule's oemid or hwmodel")
        _check_common(submod)


def _check_common(claims):
    require(is_uint(claims[DBGSTAT], 4), "dbgstat")
    version = claims.get(HWVERSION, ["1"])
    require(isinstance(version, list) and 1 <= len(version) <= 2 and isinstance(version[0], str), "hwversion")
    require(all(isinstance(v, int) and not isinstance(v, bool) for v in version[1:]), "hwversion")
    require(isinstance(claims[MEASUREMENTS], list) and claims[MEASUREMENTS], "measurements")
    for item in claims[MEASUREMENTS]:
        require(isinstance(item, list) and len(item) == 2 and is_uint(item[0]), "measurement")
        require(item[0] == MEASUREMENT_FORMAT and isinstance(item[1], bytes), "measurement")
        _check_component(strict_cbor.decode(item[1]))


def _check_component(component):
    require(isinstance(component, dict) and {1, 2} <= set(component) <= {1, 2, -1}, "component's keys")
    name, digest = component[1], component[2]
    require(isinstance(name, list) and 1 <= len(name) <= 2 and isinstance(name[0], str), "component's name")
    for version in name[1:]:
        require(isinstance(version, list) and len(version) == 1 and isinstance(version[0], str), "version")
    require(isinstance(digest, list) and len(digest) == 2, "component's digest")
    size = {SHA256: 32, SHA384: 48}.get(digest[0])
    require(size is not None and is_bytes(digest[1], size, size), "component's digest")
    require(is_uint(component.get(-1, 0)), "security version number")


def session_public_key(key):
    require(isinstance(key, dict) and 1 in key, "a session key is a map")
    if key[1] == 2:
        require(set(key) == {1, -1, -2, -3} and key[-1] in CURVES, "session key's curve")
        curve = CURVES[key[-1]]
        size = curve.key_size // 8
        require(is_bytes(key[-2], size, size) and is_bytes(key[-3], size, size), "session key's coordinates")
        return ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\4" + key[-2] + key[-3])
    require(key[1] == 3 and set(key) == {1, -1, -2} and key[-2] == b"\1\0\1", "session key's type")
    require(is_bytes(key[-1], 384, 512) and key[-1][0] != 0, "session key's modulus")
    modulus = int.from_bytes(key[-1], "big")
    require(modulus.bit_length() >= 3072, "session key's modulus")
    return rsa.RSAPublicNumbers(65537, modulus).public_key()


def root_map(*roots):
    return {hashlib.sha256(der).digest(): der for der in roots}
