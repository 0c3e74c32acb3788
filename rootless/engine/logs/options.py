"""`--log-driver` and `--log-opt`: the monitor's orders about a container's log.

Sources: docker-run(1), podman-run(1), systemd.journal-fields(7).
"""

from __future__ import annotations

import os

from rootless.errors import HostError, UsageError
from rootless.runtime import orders as to_monitor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.engine.spec.options import ContainerOptions
    from rootless.runtime.plan_format import Record

_JOURNAL = "/run/systemd/journal/socket"
_FILES = ("k8s-file", "json-file")


def driver(options: ContainerOptions) -> str:
    """Return the driver's name."""
    return options.log_driver or "k8s-file"


def path(options: ContainerOptions, directory: str) -> str:
    """Return the log's file: the one that was asked for, or the container's own, in its
    directory."""
    given = table(options).get("path")
    return os.path.abspath(given) if given else os.path.join(directory, "ctr.log")


def table(options: ContainerOptions) -> dict[str, str]:
    """Return the values of --log-opt, by name."""
    return dict(word.partition("=")[::2] for word in options.log_opt)


def orders(
    options: ContainerOptions, directory: str, fields: Callable[[], tuple[str, ...]]
) -> list[Record]:
    """Return the monitor's orders.  Raises UsageError, HostError without a journal.

    `fields`: what makes the fields of each line in the journal (journald.fields).
    """
    name = driver(options)
    if name not in (*_FILES, "journald", "none"):
        raise UsageError(
            f'unknown --log-driver "{name}"', hint="k8s-file, json-file, journald or none"
        )
    limit, count = 0, 1
    if options.log_opt:
        limit, count = _check(table(options), name)
    made: list[Record] = [to_monitor.log(name, path(options, directory), limit, count)]
    if name == "journald":
        words = fields()
        if not os.path.exists(_JOURNAL):
            raise HostError(
                "--log-driver journald: systemd's journal does not run here",
                hint="use k8s-file, which is the default, or json-file",
            )
        made.append(to_monitor.field(words))
    return made


def _check(given: dict[str, str], name: str) -> tuple[int, int]:
    """(bytes of a file, number of files).  Raises UsageError."""
    from rootless.cgroups import limits

    limit, count = 0, 1
    for key, value in given.items():
        if key == "max-size" and name in _FILES:
            limit = max(0, limits.size(value))
        elif key == "max-file" and name in _FILES and value.isdigit() and int(value) > 0:
            count = int(value)
        elif key == "path" and name in _FILES and value:
            directory = os.path.dirname(os.path.abspath(value))
            if not os.access(directory, os.W_OK):
                raise UsageError(
                    f"--log-opt path={value}: the directory {directory} cannot be written to"
                )
        elif key == "tag" and name != "journald":
            raise UsageError(f"--log-opt {key} needs --log-driver journald")
        elif key not in ("tag", "labels", "env") or not value:
            raise UsageError(
                f'invalid --log-opt "{key}={value}" for the log driver {name}',
                hint="for files max-size=10m, max-file=3, path=FILE; "
                "for journald tag=TEXT, labels=NAME,NAME, env=NAME,NAME",
            )
    return limit, count
