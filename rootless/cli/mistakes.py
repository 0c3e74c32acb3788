"""Hints for command lines that were not understood.  Loaded only then."""

from __future__ import annotations

import difflib

from rootless.cli import unsupported
from rootless.cli.options import NoSuchOption
from rootless.cli.table import ALIASES, GROUPS, VERBS
from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Verb


def hinted(error: UsageError, verb: Verb | None = None) -> UsageError:
    """The error with a hint where it has none; `verb` is whose words they are."""
    hint = error.hint
    if isinstance(error, NoSuchOption):
        hint = unsupported.option(error.option) or (_near(error.option, verb) if verb else "")
    if not hint and verb:
        hint = f"rootless {verb.name} --help"
    return UsageError(error.message, hint=hint)


def _near(wanted: str, verb: Verb) -> str:
    known = [
        name
        for option in verb.options
        for name in option.names
        if name.startswith("--") and not option.hidden
    ]
    return _did_you_mean(difflib.get_close_matches(wanted, known))


def _did_you_mean(near: list[str]) -> str:
    return f"did you mean {' or '.join(near)}?" if near else ""


def unknown(name: str) -> UsageError:
    """The error for a command that does not exist."""
    if found := unsupported.verb(name):
        return found
    near = difflib.get_close_matches(name, [*VERBS, *ALIASES, *GROUPS])
    hint = _did_you_mean(near) or "rootless --help lists the commands"
    return UsageError(f'unknown command "{name}"', hint=hint)
