"""Words that set variables: `-e`, `--env-file` and their kin."""

from __future__ import annotations

import os

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def assign(values: dict[str, str], words: Iterable[str]) -> None:
    """`NAME=VALUE` words, or `NAME` for the variable of this process, into a table.

    Raises UsageError.
    """
    for word in words:
        name, equals, value = word.partition("=")
        if not name:
            raise UsageError(f'invalid environment variable "{word}"', hint="NAME=VALUE or NAME")
        if equals:
            values[name] = value
        elif name in os.environ:
            values[name] = os.environ[name]


def of_image(values: dict[str, str], words: Iterable[str]) -> None:
    """The NAME=VALUE words of an image's configuration, into a table.

    A stranger wrote them: a name alone, by which a caller means a variable of his own, must not
    show the image what this process has (CVE-2026-57231).
    """
    assign(values, (word for word in words if "=" in word))


def from_file(path: str) -> list[str]:
    """The words of an --env-file or --label-file: one on each line, # begins a comment."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line.strip("\r\n") for line in file]
    except OSError as error:
        raise UsageError(f"cannot read the environment file {path}: {error.strerror}") from None
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
