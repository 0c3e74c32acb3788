"""What a long operation tells whoever watches it.

Scope: the vocabulary.  The base class says nothing; the command line overrides it with bars or
lines.  The methods may be called from several threads at once.
"""

from __future__ import annotations


class Progress:
    """A watcher that does not watch.  `quiet`: messages alone, no bars and no lines of parts."""

    quiet = False

    def start(self, key: str, label: str, total: int | None) -> None:
        """The part `key` begins; `total` is its size in bytes, or None where nobody knows it."""

    def advance(self, key: str, n: int) -> None:
        """`n` more bytes of the part `key` are done."""

    def finish(self, key: str, note: str = "") -> None:
        """The part `key` is done; `note` says how if that is remarkable ("already exists")."""

    def message(self, text: str) -> None:
        """One line for a person."""
