"""Where a registry may send the client: not to services of this machine.

A redirect, a token server or the place of an upload is a stranger's word, and we ask there from
inside this machine's network.  What listens on the loopback trusts every process that can reach it,
and at link-local addresses a cloud's metadata service gives out the machine's own credentials.  A
registry that has such an address itself may send us to its like: a mirror on the loopback does.
Scope: kinds of addresses.  Sources: RFC 3927, RFC 4291, RFC 6890.
"""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from rootless.errors import RegistryError

_MEANT = {
    "loopback": "an address of this machine",
    "link-local": "a link-local address, where clouds have their metadata services",
    "unspecified": "an address of this machine",
}


def kind(address: str) -> str:
    """Return loopback, link-local, unspecified, or "" for others; an address as the kernel writes
    it."""
    text = address.partition("%")[0].lower()
    if text.startswith("::ffff:") and "." in text:
        text = text[7:]
    if ":" not in text:
        if text.startswith("127."):
            return "loopback"
        if text.startswith("169.254."):
            return "link-local"
        return "unspecified" if text.startswith("0.") else ""
    if text in ("::1", "::"):
        return "loopback" if text == "::1" else "unspecified"
    return "link-local" if text[:3] in ("fe8", "fe9", "fea", "feb") else ""


def kind_of_name(host: str) -> str:
    """Return the same of a host's name, where that is an address in any of its forms, or
    localhost."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return "loopback"
    if ":" in name:
        try:
            name = name.partition("%")[0]
            return kind(socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, name)))
        except OSError:
            return ""
    try:
        return kind(socket.inet_ntoa(socket.inet_aton(name)))
    except (OSError, UnicodeError):
        return ""


def check(found: str, own: set[str], sender: str, url: str) -> None:
    """Raise RegistryError if `sender`, whose own addresses are of the kinds `own`, errs."""
    if not found or found in own or (found == "unspecified" and "loopback" in own):
        return
    raise RegistryError(
        f"{sender} sends us to {urlsplit(url).netloc}, {_MEANT[found]}",
        hint="nothing was asked there; the registry is misconfigured or hostile",
    )
