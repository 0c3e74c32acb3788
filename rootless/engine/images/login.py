"""`login`: passwords for registries, tried before they are kept."""

from __future__ import annotations

from rootless.errors import UsageError
from rootless.images.registry import credentials
from rootless.images.registry import login as registry_login

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json


def login(
    username: str,
    password: str,
    registry: str,
    *,
    authfile: str = "",
    tls_verify: bool | None = None,
    cert_dir: str = "",
) -> Json:
    """See Engine.login."""
    host, namespace = registry_login.split(registry)
    if username or password:
        given = credentials.Credentials(username, password)
        kept = registry_login.login(
            registry, given, authfile=authfile, tls_verify=tls_verify, cert_dir=cert_dir
        )
        return {"Status": "Login Succeeded", "Kept": kept}
    known = credentials.find(host, namespace, authfile)
    if known is None:
        raise UsageError(f"you are not logged in to {registry}", hint="give a name")
    registry_login.try_out(host, known, tls_verify=tls_verify, cert_dir=cert_dir)
    return {"Status": "Login Succeeded", "Kept": credentials.where(host, namespace, authfile)[0]}


def check(username: str, password: str, registry: str) -> None:
    """See Engine.check_login."""
    host, _ = registry_login.split(registry)
    given = credentials.Credentials(username, password)
    registry_login.try_out(host, given, tls_verify=None, cert_dir="")


def logged_in(registry: str, authfile: str) -> str:
    """The name that is stored for a registry, "" if none is."""
    host, namespace = registry_login.split(registry)
    known = credentials.find(host, namespace, authfile)
    return (known.user or "<token>") if known is not None else ""


def registries() -> list[str]:
    """Return the registries that a password is stored for."""
    return list(credentials.registries_known())
