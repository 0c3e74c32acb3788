"""WWW-Authenticate headers: how a server wants a client to authenticate.

Scope: reading them.  Source: RFC 9110, section 11.6.1; the token specification of the distribution
project.
"""

from __future__ import annotations

import re


class Challenge:
    """One way to authorize that a server offers."""

    __slots__ = ("parameters", "scheme")

    def __init__(self, scheme: str, parameters: dict[str, str]) -> None:
        self.scheme = scheme
        self.parameters = parameters


_PART = re.compile(
    r"""\s*,?\s*(?:(?P<key>[\w!#$%&'*+.^`|~-]+)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|"""
    r"""(?P<bare>[^\s,"]+))|(?P<scheme>[\w!#$%&'*+.^`|~-]+)(?=\s|,|$))"""
)


def challenges(headers: list[str]) -> list[Challenge]:
    """Read WWW-Authenticate headers (RFC 9110, section 11.6.1); what is malformed is skipped."""
    found: list[Challenge] = []
    for header in headers:
        position = 0
        while match := _PART.match(header, position):
            if match.end() == position:
                break
            position = match.end()
            if match["scheme"]:
                found.append(Challenge(match["scheme"].lower(), {}))
            elif found:
                value = match["bare"]
                if value is None:
                    value = re.sub(r"\\(.)", r"\1", match["quoted"])
                found[-1].parameters[match["key"].lower()] = value
    return found
