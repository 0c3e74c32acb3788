"""Where git may go for ADD of a repository.

git asks by itself, so that connections cannot be looked at as those of `downloads` are.  An http
server is asked before it: where that came to, after redirects, is where git is sent, at the address
that was looked at, and git follows no redirect further.  The hosts of git:// and ssh:// are looked
up; a name that leads elsewhere a moment later speaks no http, with which a service that expects no
git could be asked for something.
"""

from __future__ import annotations

import http.client
import socket
import urllib.error
from urllib.parse import SplitResult, urlsplit, urlunsplit

from rootless.engine.build import downloads
from rootless.errors import UsageError
from rootless.images.registry import peers

_SECONDS = 60
_ASKED = "/info/refs?service=git-upload-pack"
_PORTS = {"http": 80, "https": 443, "git": 9418, "ssh": 22, "git+ssh": 22, "ssh+git": 22}
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-._:")


def reach(remote: str, *, own_host: bool) -> tuple[str, list[tuple[str, str]]]:
    """The address that git is to be given for this one, and settings that keep it there.

    Raises UsageError for one that is not to be asked (`own_host`: it may be of this machine).
    """
    settings = [("http.followRedirects", "false")]
    try:
        parts = urlsplit(remote)
        port = parts.port or _PORTS.get(parts.scheme, 0)
        host = parts.hostname or ""
    except ValueError:
        raise _none(remote) from None
    if parts.scheme in _PORTS:
        # what git or curl would read otherwise than we do: also "http::" for a helper of git's
        if not host or not _PLAIN.issuperset(host):
            raise _none(remote)
    elif "://" not in remote and ":" in remote:
        host = _ssh_host(remote)
        _look_up(host, _PORTS["ssh"], own_host)
        return remote, settings
    if parts.scheme in ("http", "https"):
        found, peer = _asked(parts, own_host)
        where = urlsplit(found)
        host = where.hostname or ""
        if peer and not _is_literal(host):
            shown = f"[{peer}]" if ":" in peer else peer
            port = where.port or _PORTS[where.scheme]
            settings.append(("http.curloptResolve", f"{host}:{port}:{shown}"))
        return found, settings
    if parts.scheme in _PORTS:
        _look_up(host, port, own_host)
    # git refuses the others
    return remote, settings


def _none(remote: str) -> UsageError:
    return UsageError(f"{remote.rpartition('@')[2]} is no address of a repository")


def _ssh_host(remote: str) -> str:
    """The host of USER@HOST:PATH, USER@[HOST]:PATH or [USER@HOST:PORT]:PATH."""
    before, bracket, after = remote.partition("[")
    if bracket and ":" not in before:
        inner = after.partition("]")[0].rpartition("@")[2]
        return inner.partition(":")[0] if inner.count(":") == 1 else inner
    return remote.partition(":")[0].rpartition("@")[2]


def _asked(parts: SplitResult, own_host: bool) -> tuple[str, str]:
    """Where an http address comes to, and the address of the machine there ("" with a proxy)."""
    plain = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    base = urlunsplit(plain).rstrip("/")
    rule = downloads.Rule(own_host)
    try:
        with downloads.opened(base + _ASKED, _SECONDS, rule=rule) as answer:
            final = answer.geturl()
    except urllib.error.HTTPError as error:
        final = error.geturl() or ""
        error.close()
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError):
        # git says what is wrong; it may trust certificates that we do not know
        _look_up(plain.hostname or "", plain.port or _PORTS[plain.scheme], own_host)
        return urlunsplit(parts), ""
    found = final.removesuffix(_ASKED) if final.endswith(_ASKED) else base
    where = urlsplit(found)
    if where.scheme == parts.scheme and where.netloc == plain.netloc:
        # a password is for nobody else
        found = urlunsplit(where._replace(netloc=parts.netloc))
    return found, rule.peer


def _look_up(host: str, port: int, own_host: bool) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return  # git finds no other
    for _, _, _, _, address in found:
        downloads.Rule(own_host).check(str(address[0]), host)


def _is_literal(host: str) -> bool:
    return ":" in host or bool(peers.kind_of_name(host)) or host.replace(".", "").isdigit()
