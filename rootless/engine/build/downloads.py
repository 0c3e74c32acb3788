"""Opening the http addresses that a Dockerfile names, and those that their servers send us to.

ADD of an address of this machine has to be allowed, as a step that wants its network; one that is
given as the context need not.  A redirect is a stranger's word, and we ask there from inside this
machine's network (see `rootless.images.registry.peers`): nobody may send us to the loopback who is
not there himself, and link-local addresses, where clouds give out a machine's own credentials, are
asked for nobody.
Addresses are looked at once connected: a name may lead anywhere.  What a proxy reaches is the
proxy's business.
"""

from __future__ import annotations

import http.client
import time
import urllib.request
from functools import partial
from typing import Any

from rootless.errors import StorageError, UsageError
from rootless.images.registry import peers

_WINDOW = 60  # seconds
_LEAST = 100  # bytes a second


class Rule:
    """What one download may connect to."""

    def __init__(self, own_host: bool) -> None:
        self._own: set[str] = set()
        self._first = True
        self._own_host = own_host
        # the address of whom the last connection led to
        self.peer = ""

    def check(self, address: str, host: str) -> None:
        """Raise UsageError for an address (as the kernel has it) that is not to be asked."""
        kind = peers.kind(address)
        if kind == "link-local":
            raise UsageError(
                f"{host} is a link-local address, where clouds have their metadata services",
                hint="nothing was asked there",
            )
        if self._first and kind and not self._own_host:
            # what listens there for this machine alone is no business of a Dockerfile's
            raise UsageError(
                f"{host} is an address of this machine, which the build does not allow",
                hint="rootless build --allow network.host",
            )
        if self._first:
            self._first = False
            self._own.add(kind)
        elif kind and not self._own & {"loopback", "unspecified"}:
            raise UsageError(
                f"a redirect leads to {host}, an address of this machine",
                hint="nothing was asked there",
            )

    def checked(self, connection: http.client.HTTPConnection) -> None:
        """Look at where a connection leads; it is closed if nothing is to be asked there."""
        try:
            self.peer = connection.sock.getpeername()[0]
            self.check(self.peer, connection.host)
        except BaseException:
            connection.close()
            raise


class _Http(http.client.HTTPConnection):
    def __init__(self, *words: Any, rule: Rule | None, **more: Any) -> None:
        super().__init__(*words, **more)
        self._rule = rule

    def connect(self) -> None:
        super().connect()
        if self._rule is not None:
            self._rule.checked(self)


class _Https(http.client.HTTPSConnection):
    def __init__(self, *words: Any, rule: Rule, **more: Any) -> None:
        super().__init__(*words, **more)
        self._rule = rule

    def connect(self) -> None:
        super().connect()
        if not getattr(self, "_tunnel_host", None):
            self._rule.checked(self)


class _HttpHandler(urllib.request.HTTPHandler):
    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self._rule = rule

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        rule = None if req.has_proxy() else self._rule
        return self.do_open(partial(_Http, rule=rule), req)


class _HttpsHandler(urllib.request.HTTPSHandler):
    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self._rule = rule

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_Https, rule=self._rule), req)


def opened(
    address: str, seconds: float, *, own_host: bool = True, rule: Rule | None = None
) -> http.client.HTTPResponse:
    """The answer of an address; a context manager.  `own_host`: it may be one of this machine.

    Raises UsageError, HTTPError, OSError.
    """
    rule = rule or Rule(own_host)
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(), _HttpHandler(rule), _HttpsHandler(rule),
        urllib.request.HTTPRedirectHandler(), urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(), urllib.request.UnknownHandler(),
    ):  # fmt: skip
        # no others: a redirect could lead to ftp, whose server chooses where data comes from
        opener.add_handler(handler)
    request = urllib.request.Request(address, headers={"User-Agent": "rootless"})
    answer: http.client.HTTPResponse = opener.open(request, timeout=seconds)
    return answer


class Pace:
    """Whether a download is fast enough to come to an end."""

    def __init__(self, shown: str) -> None:
        self._shown = shown
        self._since = time.monotonic()
        self._bytes = 0

    def add(self, count: int) -> None:
        """Note what has come.  Raises StorageError."""
        self._bytes += count
        took = time.monotonic() - self._since
        if took > _WINDOW:
            if self._bytes < took * _LEAST:
                raise StorageError(f"{self._shown} sends fewer than {_LEAST} bytes a second")
            self._since, self._bytes = time.monotonic(), 0
