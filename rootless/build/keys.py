"""Cache keys: what a step's result depends on, and nothing else.

A key is made of the key before it, the step as expanded, and digests of what it copies: no path of
this machine, no time and no secret is in it, so that a cache from another machine hits.
"""

from __future__ import annotations

import hashlib

from rootless import documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

_VERSION = "rootless build 1"


def of_base(identity: str) -> str:
    """The key of a base image's files, by the ids of its layers; of nothing for ""."""
    return _hash(["base", identity])


def of_step(parent: str, kind: str, values: Json) -> str:
    """The key of a step.  `values`: a JSON value; tables are put in order."""
    return _hash(["step", parent, kind, _ordered(values)])


def of_cache(identity: str) -> str:
    """The name of a cache mount's directory: an id is any text."""
    return _hash(["cache", identity])[:32]


def _ordered(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [_ordered(one) for one in value]
    return value


def _hash(value: Json) -> str:
    return hashlib.sha256(documents.dumps([_VERSION, value]).encode()).hexdigest()
