"""Words that set variables: `-e`, `--env-file` and their kin."""

from __future__ import annotations

import os

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def assign(values: dict[str, str], words: Iterable[str]) -> None:
    """`NAME=VALUE` words, or `NAME` for the variable of this process, into a table.

    `NAME*` are all those of this process whose names begin so (podman-run(1)).  Raises UsageError.
    """
    for word in words:
        name, equals, value = word.partition("=")
        if not name:
            raise UsageError(f'invalid environment variable "{word}"', hint="NAME=VALUE or NAME")
        if equals:
            values[name] = value
        elif name in os.environ:
            values[name] = os.environ[name]
        elif name[-1] == "*":
            for one, held in os.environ.items():
                if one.startswith(name[:-1]):
                    values[one] = held


def merge(values: dict[str, str], words: Iterable[str]) -> None:
    """`NAME=VALUE` words whose `$OTHER` and `${OTHER}` are what the table has; UsageError.

    Nothing of this process is looked up: what is written there may come from somebody's script.
    """
    import re

    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise UsageError(f'invalid --env-merge "{word}"', hint="as in PATH=/opt/bin:${PATH}")
        values[name] = re.sub(
            r"\$(?:\{(\w+)\}|(\w+))", lambda one: values.get(one[1] or one[2], ""), value
        )


PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy")


def proxies(values: dict[str, str]) -> None:
    """The variables of this process that name proxies, in both spellings."""
    for name in (*PROXIES, *(one.upper() for one in PROXIES)):
        if name in os.environ:
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
            # written for a shell as well, as podman takes it
            lines = [_unexported(line.strip("\r\n")) for line in file]
    except OSError as error:
        raise UsageError(f"cannot read the environment file {path}: {error.strerror}") from None
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _unexported(line: str) -> str:
    bare = line.lstrip()
    return bare[7:].lstrip() if bare.startswith("export ") else line
