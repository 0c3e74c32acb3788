"""Names of registries and passwords, as docker's clients send them."""

from __future__ import annotations

import base64

from rootless import documents
from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.api.exchange import Exchange


def registry_of(address: str) -> str:
    """The registry's name in what docker's clients call its server."""
    if not address or "index.docker.io" in address:
        return "docker.io"
    return address.partition("://")[2].partition("/")[0] if "://" in address else address


def credentials(exchange: Exchange) -> dict[str, str] | None:
    """X-Registry-Auth: base64 of a JSON object.  Raises UsageError."""
    text = exchange.head.headers.get("x-registry-auth", "")
    if not text:
        return None
    try:
        data = base64.urlsafe_b64decode(text.replace("+", "-").replace("/", "_") + "===")
        found = documents.loads(data.decode())
    except ValueError:
        raise UsageError("invalid X-Registry-Auth header") from None
    if not isinstance(found, dict):
        raise UsageError("invalid X-Registry-Auth header")
    made = {str(key): str(value) for key, value in found.items() if value}
    if made.get("auth") and not made.get("username"):
        try:
            name, _, word = base64.b64decode(made["auth"]).decode().partition(":")
        except ValueError:
            raise UsageError("invalid X-Registry-Auth header") from None
        made |= {"username": name, "password": word}
    wanted = ("username", "identitytoken", "registrytoken")
    return made if any(made.get(key) for key in wanted) else None
