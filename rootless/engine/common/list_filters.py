"""`--filter`: the tests that lists of containers, images and volumes have in common."""

from __future__ import annotations

from rootless.errors import UsageError


def has_label(labels: dict[str, str], wanted: str) -> bool:
    """Whether they have `NAME` or `NAME=VALUE`."""
    name, equals, value = wanted.partition("=")
    return name in labels and (not equals or labels[name] == value)


def matches(pattern: str, text: str) -> bool:
    """Whether a regular expression is found in a text.  Raises UsageError."""
    import re

    try:
        return re.search(pattern, text) is not None
    except re.error:
        raise UsageError(f'invalid pattern "{pattern}"') from None
