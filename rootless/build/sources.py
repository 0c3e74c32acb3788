"""The sources of COPY and ADD: from words to what is asked of `copying`, and what the key has.

Scope: contexts are selected and hashed here; files of stages and images are only named, because
they may belong to anybody and can be read in the user namespace alone.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from rootless.build import hashing, selecting
from rootless.build.contexts import Context, git
from rootless.build.ignore import Patterns
from rootless.build.protocols import Chain, Layers
from rootless.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

_COPYING = "rootless.build.copying:"


@dataclass
class Sources:
    """Sources in order: `requests` for the worker, `key` for the cache, and the chains of stages
    that they are in."""

    requests: list[Json] = field(default_factory=list)
    key: list[Json] = field(default_factory=list)
    trees: dict[int, Chain] = field(default_factory=dict)
    temporary: list[str] = field(default_factory=list)

    def add_text(self, name: str, data: bytes, when: int | None = None) -> None:
        """A file whose content is in the Dockerfile."""
        self.requests.append({"text": data.decode("latin-1"), "name": name, "time": when})
        self.key.append({"text": hashlib.sha256(data).hexdigest(), "name": name})

    def add_context(
        self,
        context: Context,
        words: Sequence[str],
        memory: hashing.Memory,
        *,
        parents: bool = False,
        exclude: Sequence[str] = (),
        unpack: str = "",
    ) -> None:
        """Files of a context.  Raises NotFound, UsageError."""
        chosen: list[selecting.Selected] = []
        pattern = Patterns.parse("\n".join(exclude)) if exclude else None
        root = context.open()
        try:
            for word in words:
                chosen += selecting.select(
                    root, word, parents=parents, exclude=pattern, ignore=context.ignore
                )
            digest = hashing.selection(root, chosen, memory)
        finally:
            os.close(root)
        self.requests.append(
            {
                "top": context.path,
                "chosen": [[one.tree, [entry.pack() for entry in one.entries]] for one in chosen],
                "own": False,
                "unpack": unpack,
            }
        )
        self.key.append({"digest": digest, "unpack": bool(unpack)})

    def add_tree(
        self,
        chain: Chain,
        key: str,
        words: Sequence[str],
        *,
        parents: bool = False,
        exclude: Sequence[str] = (),
    ) -> None:
        """Files of a stage or an image, with this chain of layers and this key."""
        self.trees[len(self.requests)] = chain
        self.requests.append(
            {"words": [*words], "parents": parents, "exclude": [*exclude], "own": True}
        )
        self.key.append({"key": key, "words": [*words], "parents": parents, "exclude": [*exclude]})

    def add_file(self, path: str, name: str, digest: str, when: int | None, unpack: str) -> None:
        """A file that was fetched.  As BuildKit: nobody but its owner may read it."""
        found = os.stat(path)
        entry = selecting.Entry(
            "f", os.path.basename(path), name, 0o600, found.st_dev, found.st_ino, found.st_size,
            when if when is not None else found.st_mtime_ns, found.st_ctime_ns,
        )  # fmt: skip
        self.requests.append(
            {
                "top": os.path.dirname(path),
                "chosen": [[False, [entry.pack()]]],
                "own": False,
                "unpack": unpack,
            }
        )
        self.key.append({"file": digest, "name": name, "unpack": bool(unpack)})

    def by_content(self, layers: Layers) -> list[Json]:
        """The key with digests of what is taken from stages instead of the stages' own keys: a
        stage that was made anew and came out the same is the same."""
        made: list[Json] = []
        for number, row in enumerate(self.key):
            if number not in self.trees:
                made.append(row)
                continue
            request = {name: row[name] for name in ("words", "parents", "exclude")}
            told = layers.work(_COPYING + "select_worker", request, trees={-1: self.trees[number]})
            made.append({"digest": told["digest"], "own": True})
        return made


def is_address(word: str) -> bool:
    """Whether a source of ADD is fetched, and is no repository."""
    return word.startswith(("http://", "https://")) and not git.is_repository(word)


def name_of(address: str) -> str:
    """What a file at an address is called.  Raises NotFound."""
    from urllib.parse import unquote

    try:
        name = unquote(urlsplit(address).path.rpartition("/")[2])
    except ValueError:
        raise NotFound(f"{shown(address)} is no address") from None
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise NotFound(
            f"{address} has no file name in it", hint="name the destination, without a slash"
        )
    return name


def shown(address: str) -> str:
    """An address without what may be a password."""
    return git.shown(address)
