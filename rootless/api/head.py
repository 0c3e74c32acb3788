"""The head of an HTTP/1.x request, read strictly (RFC 9112).

Scope: bytes in, a `Head` out.  What two readers could understand differently is refused, so that
no proxy in front and this program ever disagree on where a request ends.
"""

from __future__ import annotations

import re

MOST_BYTES = 1 << 16
MOST_HEADERS = 200

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# visible ASCII; clients escape everything else
_TARGET = re.compile(rb"[\x21-\x7e]+")
# field-value: visible characters, blanks between them, and bytes of other encodings
_VALUE = re.compile(rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")
_DIGITS = re.compile(r"[0-9]{1,15}")


class BadHead(Exception):
    """A head that is refused; `status` is the answer's."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


class Head:
    """A request's head.

    method, target  as they came
    old             whether it is of HTTP/1.0
    headers         by name in lower case; several of one name are joined by ", "
    length          of the body, -1 for a chunked one
    """

    __slots__ = ("headers", "length", "method", "old", "target")

    def __init__(self, method: str, target: str, old: bool, headers: dict[str, str]) -> None:
        self.method = method
        self.target = target
        self.old = old
        self.headers = headers
        self.length = _length(headers, old)

    def has(self, name: str, word: str) -> bool:
        """Whether a list of words, as `Connection` has it, contains this one."""
        return word in [one.strip().lower() for one in self.headers.get(name, "").split(",")]

    @property
    def keeps(self) -> bool:
        """Whether the connection stays open for another request."""
        if self.has("connection", "close"):
            return False
        return not self.old or self.has("connection", "keep-alive")


def end(data: bytes | bytearray, begin: int = 0) -> int:
    """Where the body begins, -1 if the head is not whole yet.  `begin`: what was looked at.

    Raises BadHead when it can only become a bad one.
    """
    # a bare line feed could end a line for somebody else
    found = data.find(b"\r\n\r\n", max(0, begin - 3))
    if found < 0 and len(data) > MOST_BYTES:
        raise BadHead("the head of the request is too long", 431)
    if found > MOST_BYTES:
        raise BadHead("the head of the request is too long", 431)
    return found + 4 if found >= 0 else -1


def parse(data: bytes) -> Head:
    """The head, which ends with an empty line.  Raises BadHead."""
    lines = data[:-4].split(b"\r\n")
    if any(b"\n" in one or b"\r" in one or b"\0" in one for one in lines):
        raise BadHead("a line of the head does not end with CR LF")
    words = lines[0].split(b" ")
    if len(words) != 3 or not _TOKEN.fullmatch(words[0]) or not _TARGET.fullmatch(words[1]):
        raise BadHead("the request line is not METHOD TARGET HTTP/1.1")
    if words[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise BadHead("only HTTP/1.1 and HTTP/1.0 are spoken here", 505)
    if len(lines) > MOST_HEADERS + 1:
        raise BadHead("the request has too many headers", 431)
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        # this refuses continued lines (obs-fold) and a blank before the colon as well
        if not colon or not _TOKEN.fullmatch(name):
            raise BadHead("a header is not NAME: VALUE")
        value = value.strip(b" \t")
        if not _VALUE.fullmatch(value):
            raise BadHead("the value of a header has control characters")
        key, text = name.decode("ascii").lower(), value.decode("latin-1")
        if key in headers:
            if key in ("content-length", "transfer-encoding", "host"):
                raise BadHead(f"the header {key} was given twice")
            text = f"{headers[key]}, {text}"
        headers[key] = text
    old = words[2] == b"HTTP/1.0"
    if not old and "host" not in headers:
        raise BadHead("the header Host is missing")
    return Head(words[0].decode("ascii"), words[1].decode("ascii"), old, headers)


def _length(headers: dict[str, str], old: bool) -> int:
    length, coding = headers.get("content-length"), headers.get("transfer-encoding")
    if coding is not None:
        if length is not None:
            raise BadHead("both Content-Length and Transfer-Encoding were given")
        if old:
            raise BadHead("HTTP/1.0 has no Transfer-Encoding")
        if coding.lower() != "chunked":
            raise BadHead("the only Transfer-Encoding that is known here is chunked", 501)
        return -1
    if length is None:
        return 0
    if not _DIGITS.fullmatch(length):
        raise BadHead("Content-Length is no number")
    return int(length)
