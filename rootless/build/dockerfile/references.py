"""Whether a text can be the name of an image: `[host[:port]/]path[:tag][@digest]`.

Only the form; what it means is the business of whoever finds images.  Scope: pure.
"""

from __future__ import annotations

import re

_PATH_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST_PART = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = rf"(?:{_HOST_PART}(?:\.{_HOST_PART})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_REFERENCE = re.compile(
    rf"(?P<name>(?:{_HOST}/)?{_PATH_PART}(?:/{_PATH_PART})*)"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
    r"(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?"
)
_ID = re.compile(r"[a-f0-9]{64}")
_NAME_MAX = 255
_LENGTH_MAX = 1000


def is_image_name(text: str) -> bool:
    """Tell whether `text` has the form of an image's name; an id alone is none."""
    if len(text) > _LENGTH_MAX or _ID.fullmatch(text):
        return False
    match = _REFERENCE.fullmatch(text)
    return match is not None and len(match["name"]) <= _NAME_MAX
