"""Log in to a registry and out of it.

Scope: trying a password at the registry, and then keeping it.
"""

from __future__ import annotations

from rootless.errors import RegistryError, UsageError
from rootless.images.names import registries
from rootless.images.names.reference import DEFAULT_REGISTRY, Reference
from rootless.images.registry import credentials
from rootless.images.registry.credentials import Credentials
from rootless.images.registry.http import Settings
from rootless.images.registry.session import Session


def split(text: str) -> tuple[str, str]:
    """Split `HOST[:PORT][/NAMESPACE...]` into registry and namespace.  Raises UsageError."""
    bare = text.removeprefix("https://").removeprefix("http://").rstrip("/")
    if bare in ("index.docker.io/v1", "index.docker.io"):
        bare = DEFAULT_REGISTRY
    registry, _, namespace = (bare or DEFAULT_REGISTRY).partition("/")
    return registries.server(registry).registry, namespace


def try_out(
    registry: str,
    given: Credentials,
    *,
    tls_verify: bool | None = None,
    cert_dir: str = "",
) -> None:
    """Ask the registry whether it knows this user.  Raises RegistryError."""
    endpoint = registries.server(registry, tls_verify=tls_verify)
    session = Session(
        Reference(registry, ""), endpoint, Settings(credentials=given, cert_dir=cert_dir)
    )
    try:
        reply = session.send("GET", "/v2/", {})
        reply.close()
    except RegistryError as error:
        if "refuses access" in error.message:
            raise _wrong(registry) from None
        raise
    finally:
        session.close()
    if reply.status in (401, 403):
        raise _wrong(registry)
    if reply.status != 200:
        raise RegistryError(
            f"{registry} answers {reply.status} where a registry would greet",
            hint="check the name and port of the registry",
        )


def login(
    text: str,
    given: Credentials,
    *,
    authfile: str = "",
    tls_verify: bool | None = None,
    cert_dir: str = "",
) -> str:
    """Try a password and keep it; where it was put.  Raises RegistryError, UsageError, …"""
    registry, namespace = split(text)
    try_out(registry, given, tls_verify=tls_verify, cert_dir=cert_dir)
    return credentials.store(registry, namespace, given, authfile)


def logout(text: str, *, authfile: str = "") -> list[str]:
    """Forget a password; files and programs that still have one.  Raises UsageError."""
    registry, namespace = split(text)
    gone = credentials.remove(registry, namespace, authfile)
    left = credentials.where(registry, namespace, authfile)
    if not gone:
        name = f"{registry}/{namespace}" if namespace else registry
        hint = f"there is a password in {left[0]}, which another program wrote" if left else ""
        raise UsageError(f"you are not logged in to {name}", hint=hint)
    return left


def _wrong(registry: str) -> RegistryError:
    return RegistryError(
        f"cannot log in to {registry}: invalid username or password",
        hint="nothing was stored; some registries want an access token instead of the password",
    )
