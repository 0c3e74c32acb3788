"""Errors of the engine as docker's statuses and sentences.

Clients match on the statuses, and some on parts of the sentences; the rest of a sentence is ours,
with its remedy.
"""

from __future__ import annotations

from rootless.api.exchange import ApiError
from rootless.errors import (
    CommandNotExecutable,
    CommandNotFound,
    Conflict,
    ContainerNotFound,
    ImageNotFound,
    NotFound,
    RootlessError,
    UsageError,
    VolumeNotFound,
)


def status(error: BaseException) -> int:
    """The status of an answer that reports this error."""
    if isinstance(error, ApiError):
        return error.status
    if isinstance(error, (UsageError, CommandNotFound, CommandNotExecutable)):
        return 400
    if isinstance(error, NotFound):
        return 404
    return 409 if isinstance(error, Conflict) else 500


def sentence(error: BaseException) -> str:
    """The message of an answer that reports this error."""
    if isinstance(error, ApiError):
        return error.message
    if not isinstance(error, RootlessError):
        if isinstance(error, OSError):
            what = f"{error.filename}: " if error.filename else ""
            return f"{what}{(error.strerror or str(error)).lower()}"
        return f"internal error: {type(error).__name__}: {error}"
    text = error.message
    argv = getattr(error, "argv", None)
    if argv:
        # a step of a build
        return f"The command '{' '.join(argv)}' returned a non-zero code: {error.status}"  # type: ignore[attr-defined]
    if isinstance(error, ContainerNotFound):
        text = text.replace("no such container:", "No such container:").replace('"', "")
    elif isinstance(error, ImageNotFound):
        return _of_image(text)
    elif isinstance(error, VolumeNotFound):
        quoted = text.split('"')
        return f"get {quoted[1]}: no such volume" if len(quoted) > 2 else text
    elif isinstance(error, CommandNotFound):
        text += ": executable file not found in $PATH"
    elif isinstance(error, CommandNotExecutable):
        text += ": permission denied"
    elif isinstance(error, Conflict) and "is already in use by container" in text:
        return _of_name(text)
    return f"{text} ({error.hint})" if error.hint and not isinstance(error, NotFound) else text


def _of_image(text: str) -> str:
    begin, _, name = text.partition("there is no image ")
    if begin or not name or " " in name:
        return text
    last = name.rpartition("/")[2]
    if ":" not in last and "@" not in last and not name.startswith("sha256:"):
        name += ":latest"
    return f"No such image: {name}"


def _of_name(text: str) -> str:
    name = text.split('"')[1]
    holder = text.rpartition(" ")[2]
    return (
        f'Conflict. The container name "/{name}" is already in use by container "{holder}". '
        "You have to remove (or rename) that container to be able to reuse that name."
    )
