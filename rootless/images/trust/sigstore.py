"""Signatures by sigstore keys: what cosign and skopeo write beside an image, and reading it.

Scope: keys in files and payloads; no certificates, no transparency log, nothing asked over the
network but the registry.  Source: cosign's SIGNATURE_SPEC, containers-signature(5) for the payload.

The arithmetic is the package `cryptography`'s, which is loaded when a signature is made or looked
at; `pynacl` opens private keys that are encrypted in sigstore's own way.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from rootless import documents
from rootless.errors import HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.documents import Json

PAYLOAD_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"
NOTE = "dev.cosignproject.cosign/signature"
KIND = "cosign container image signature"
LARGEST = 1 << 20
_ENCRYPTED = (b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY", b"-----BEGIN ENCRYPTED COSIGN PRIVATE")


def tag_of(digest: str) -> str:
    """Return the tag under which a repository keeps the signatures of a manifest."""
    return digest.replace(":", "-") + ".sig"


def payload(docker_reference: str, digest: str) -> bytes:
    """Return what is signed.  Without a time, so that one key and image give one payload."""
    return documents.dumps(
        {
            "critical": {
                "identity": {"docker-reference": docker_reference},
                "image": {"docker-manifest-digest": digest},
                "type": KIND,
            },
            "optional": {"creator": "rootless"},
        }
    ).encode()


def read_payload(data: bytes, kind: str) -> tuple[str, str] | None:
    """Return (name, manifest digest) of a payload; None for anything that is none."""
    try:
        critical = documents.loads(data.decode())["critical"]
        found = (
            critical["identity"]["docker-reference"], critical["image"]["docker-manifest-digest"]
        )  # fmt: skip
        if critical["type"] != kind or not all(isinstance(one, str) for one in found):
            return None
        return found
    except (ValueError, KeyError, TypeError):
        return None


def verify(key: bytes, data: bytes, signature: str) -> bool:
    """Return whether `signature` (base64) is this public key's (PEM) for `data`.

    Raises HostError where `cryptography` is missing, or for a key that is none.
    """
    crypto = _cryptography()
    from cryptography.exceptions import InvalidSignature

    public = _public(key, crypto)
    try:
        raw = base64.b64decode(signature, validate=True)
    except binascii.Error:
        return False
    ec, padding, hashes = crypto["ec"], crypto["padding"], crypto["hashes"]
    try:
        if isinstance(public, ec.EllipticCurvePublicKey):
            public.verify(raw, data, ec.ECDSA(hashes.SHA256()))
        elif hasattr(public, "public_numbers"):
            public.verify(raw, data, padding.PKCS1v15(), hashes.SHA256())
        else:
            public.verify(raw, data)
    except InvalidSignature:
        return False
    return True


def _public(key: bytes, crypto: dict[str, Any]) -> Any:
    try:
        public = crypto["serialization"].load_pem_public_key(key)
    except Exception:
        raise HostError(
            "this is not a public key",
            hint="a key file begins with -----BEGIN PUBLIC KEY-----",
        ) from None
    if not hasattr(public, "verify"):
        raise HostError("a key of this kind cannot sign", hint="use ECDSA P-256, as cosign makes")
    return public


def sign(key: bytes, data: bytes, passphrase: bytes = b"") -> str:
    """Return the signature (base64) of a private key in PEM.  Raises HostError, UsageError."""
    crypto = _cryptography()
    ec, padding, hashes = crypto["ec"], crypto["padding"], crypto["hashes"]
    private = _private(key, passphrase, crypto)
    if isinstance(private, ec.EllipticCurvePrivateKey):
        raw = private.sign(data, ec.ECDSA(hashes.SHA256()))
    elif hasattr(private, "private_numbers"):
        raw = private.sign(data, padding.PKCS1v15(), hashes.SHA256())
    else:
        raw = private.sign(data)
    return base64.b64encode(raw).decode()


def public_of(key: bytes, passphrase: bytes = b"") -> bytes:
    """Return the public key (PEM) of a private one.  Raises as `sign`."""
    crypto = _cryptography()
    load = crypto["serialization"]
    public = _private(key, passphrase, crypto).public_key()
    form = load.PublicFormat.SubjectPublicKeyInfo
    return bytes(public.public_bytes(load.Encoding.PEM, form))


def _private(key: bytes, passphrase: bytes, crypto: dict[str, Any]) -> Any:
    load = crypto["serialization"]
    try:
        if key.startswith(_ENCRYPTED):
            return load.load_der_private_key(_opened(key, passphrase), None)
        return load.load_pem_private_key(key, passphrase or None)
    except (HostError, UsageError):
        raise
    except Exception as error:
        text = str(error)
        if "password" in text.lower() or "decrypt" in text.lower():
            raise UsageError(
                "the passphrase of the private key is wrong or missing",
                hint="--passphrase-file FILE, or COSIGN_PASSWORD in the environment",
            ) from None
        raise UsageError(
            "this is not a private key", hint="openssl ecparam -name prime256v1 -genkey makes one"
        ) from None


def _opened(key: bytes, passphrase: bytes) -> bytes:
    """A private key out of sigstore's box: scrypt, then NaCl's secretbox.

    Source: go-securesystemslib, package encrypted.
    """
    try:
        from nacl.exceptions import CryptoError
        from nacl.secret import SecretBox
    except ImportError:
        raise _missing("pynacl") from None
    body = b"".join(key.split(b"-----")[2].split())
    try:
        box = documents.loads(base64.b64decode(body).decode())
        rounds = box["kdf"]["params"]
        secret = hashlib.scrypt(
            passphrase, salt=base64.b64decode(box["kdf"]["salt"]), n=int(rounds["N"]),
            r=int(rounds["r"]), p=int(rounds["p"]), maxmem=1 << 28, dklen=32,
        )  # fmt: skip
        nonce = base64.b64decode(box["cipher"]["nonce"])
        return SecretBox(secret).decrypt(base64.b64decode(box["ciphertext"]), nonce)
    except CryptoError:
        raise UsageError(
            "the passphrase of the private key is wrong or missing",
            hint="--passphrase-file FILE, or COSIGN_PASSWORD in the environment",
        ) from None
    except (ValueError, KeyError, TypeError):
        raise UsageError("this is not a private key of sigstore's kind") from None


def manifest(layers: list[tuple[bytes, str]]) -> tuple[bytes, bytes]:
    """Return (manifest, configuration) of an image's signatures: payloads and their base64
    signatures."""
    described: list[Json] = [
        {
            "mediaType": PAYLOAD_TYPE,
            "size": len(data),
            "digest": digest(data),
            "annotations": {NOTE: signature},
        }
        for data, signature in layers
    ]
    config = documents.dumps(
        {
            "architecture": "",
            "os": "",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [one["digest"] for one in described]},
        }
    ).encode()
    whole = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "size": len(config),
            "digest": digest(config),
        },
        "layers": described,
    }
    return documents.dumps(whole).encode(), config


def digest(data: bytes) -> str:
    """Return the digest, sha256:…"""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _cryptography() -> dict[str, Any]:
    try:
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec, padding
    except ImportError:
        raise _missing("cryptography") from None
    return {"hashes": hashes, "serialization": serialization, "ec": ec, "padding": padding}


def _missing(package: str) -> HostError:
    return HostError(
        f"signatures need the Python package {package}, which is not installed",
        hint="pip install 'rootless[sign]'",
    )
