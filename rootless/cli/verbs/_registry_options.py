"""Options that every verb has that talks to a registry."""

from __future__ import annotations

from rootless.cli.words import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.images.transport import Settings

AUTHFILE = text("--authfile", "FILE", "take passwords from FILE", complete="file")
CERT_DIR = text("--cert-dir", "DIR", "certificates: *.crt, *.cert with *.key", complete="directory")
CREDS = text("--creds", "USER:PASSWORD", "who you are, for this once")
TLS = text("--tls-verify", "BOOL", "check the registry's certificate (true)", complete="true false")
REGISTRY = (AUTHFILE, CERT_DIR, CREDS, TLS)


def settings(given: dict[str, Json], prefix: str = "") -> Settings | None:
    """What these options say, None where none was given."""
    names = [prefix + "creds", prefix + "authfile", "authfile", prefix + "cert_dir"]
    if not any(given.get(name) for name in names):
        return None
    from rootless.engine import transfers

    return transfers.settings(
        transfers.creds(given.get(f"{prefix}creds")),
        given.get(f"{prefix}authfile") or given.get("authfile") or "",
        given.get(f"{prefix}cert_dir") or "",
    )


def verify(given: dict[str, Json], prefix: str = "") -> bool | None:
    """What `--tls-verify` says, None where it was not given."""
    from rootless.cli.words import truth

    value = given.get(f"{prefix}tls_verify")
    return truth(f"--{prefix}tls-verify".replace("_", "-"), value) if value else None
