"""Options that every verb has that talks to a registry."""

from __future__ import annotations

import os

from rootless.cli.options import flag, number, several, text
from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.common.demands import Demands
    from rootless.engine.images.collection import Settings

AUTHFILE = text("--authfile", "FILE", "Path of the authentication file", complete="file")
CERT_DIR = text(
    "--cert-dir",
    "DIR",
    "Directory of TLS certificates: *.crt, *.cert with *.key",
    complete="directory",
)
CREDS = text(
    "--creds", "USER:PASSWORD", "Credentials to use for accessing the registry, not stored"
)
TLS = text(
    "--tls-verify",
    "BOOL",
    "Require HTTPS and verify certificates (default true)",
    complete="true false",
)
REGISTRY = (AUTHFILE, CERT_DIR, CREDS, TLS)
RETRY = (
    number("--retry", "COUNT", "How often to ask a registry again that fails (default 4)"),
    text("--retry-delay", "DURATION", "Time before the first of them, as in 2s; it doubles"),
)
PLATFORM = (
    text("--platform", "OS/ARCH[/VARIANT]", "Select the platform of the image"),
    text("--os", "OS", "Select the operating system of the image"),
    text("--arch", "ARCH", "Select the architecture of the image", complete="amd64 arm64 riscv64"),
    text("--variant", "NAME", "Select the variant of the architecture, as in v8"),
)
CONTENT_TRUST = flag(
    "--disable-content-trust", "Accepted for compatibility: docker's notary is not used"
)
POLICY = text(
    "--signature-policy",
    "FILE",
    "Path of a signature policy file to use instead of policy.json",
    complete="file",
)
TRUST = (
    flag("--verify", "Require a signature by a key of the signature policy"),
    several("--verify-key", "FILE", "Require a signature by this public key",
            complete="file"),
    POLICY,
)  # fmt: skip

COMPRESSION_FORMAT = text(
    "--compression-format",
    "FORMAT",
    "Compression of the layers: gzip, zstd, zstd:chunked or none",
    complete="gzip zstd zstd:chunked none",
)
COMPRESSION = (
    COMPRESSION_FORMAT,
    number("--compression-level", "N", "Compression level: 1 to 9 (gzip), 1 to 22 (zstd)"),
)
MANIFEST_TYPE = text("-f --format", "FORMAT", "Manifest type: oci or v2s2", complete="oci v2s2")
DIGESTFILE = text(
    "--digestfile", "FILE", "Write the digest of the pushed image to a file", complete="file"
)
POLICYPATH = text(
    "--policypath",
    "FILE",
    "Path of the policy file (default: your policy.json)",
    complete="file",
)
QUIET = flag("-q --quiet", "Print only the image name")
ALL_OF_INDEX = flag("--all", "Add all images of the index in the registry")


def settings(given: dict[str, Json], prefix: str = "") -> Settings | None:
    """What these options say, None where none was given."""
    names = [prefix + "creds", prefix + "authfile", "authfile", prefix + "cert_dir"]
    retries, delay = given.get("retry"), given.get("retry_delay")
    if not any(given.get(name) for name in names) and retries is None and not delay:
        return None
    from rootless.engine.images import transfer as image_transfer

    if retries is not None and not 0 <= retries <= 100:
        raise UsageError(f"--retry {retries} is no count", hint="0 to 100")

    authfile = given.get(f"{prefix}authfile") or given.get("authfile") or ""
    if authfile and not os.path.exists(authfile):
        raise UsageError(
            f"the authentication file {authfile} does not exist",
            hint=f"rootless login --authfile {authfile} REGISTRY makes it",
        )
    return image_transfer.settings(
        image_transfer.creds(given.get(f"{prefix}creds")),
        authfile,
        given.get(f"{prefix}cert_dir") or "",
        retries=retries,
        delay=_seconds(delay) if delay else None,
    )


def platform(given: dict[str, Json]) -> str | None:
    """What `--platform`, or `--os`, `--arch` and `--variant`, say; None without any."""
    if given.get("platform"):
        return str(given["platform"])
    if not (given.get("os") or given.get("arch")):
        return None  # a variant of what is not named is this host's own
    machine = os.uname().machine
    usual = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    told = f"{given.get('os') or 'linux'}/{given.get('arch') or usual}"
    return f"{told}/{given['variant']}" if given.get("variant") and given.get("arch") else told


def _seconds(text: str) -> float:
    from rootless.engine.common import times

    found = float(text) if text.isascii() and text.isdigit() else times.duration(text)
    if found is None:
        raise UsageError(f'--retry-delay "{text}" is no duration', hint="as in 2s")
    return found


def demands(given: dict[str, Json]) -> Demands:
    """What these options ask of an image besides the person's usual policy."""
    from rootless.engine.common.demands import Demands

    return Demands(
        given.get("signature_policy") or "", bool(given.get("verify")), given.get("verify_key")
    )


def verify(given: dict[str, Json], prefix: str = "") -> bool | None:
    """What `--tls-verify` says, None where it was not given."""
    from rootless.cli.options import truth

    value = given.get(f"{prefix}tls_verify")
    return truth(f"--{prefix}tls-verify".replace("_", "-"), value) if value else None
