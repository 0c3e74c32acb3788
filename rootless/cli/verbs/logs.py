"""`rootless logs`."""

from __future__ import annotations

import os

from rootless.cli.options import Verb, flag, text
from rootless.cli.verbs._shared_options import LATEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rootless.cli.options import Call
    from rootless.engine.containers.container import Container

VERB = Verb(
    "logs",
    "CONTAINER...",
    "Fetch the logs of one or more containers",
    (
        flag("-f --follow", "Follow the log output"),
        text("-n --tail", "N", "Number of lines to show from the end of the logs (all for all)"),
        text(
            "--since",
            "TIME",
            "Show logs since a time: 10m, 2024-05-01T10:00:00Z or a UNIX timestamp",
        ),
        text("--until", "TIME", "Show logs until a time; 3s with --follow is in three seconds"),
        flag("-t --timestamps", "Show timestamps"),
        flag("--details", "Show the labels and variables that --log-opt names before each line"),
        flag("--names", "Show names instead of IDs before the lines of several containers"),
        flag("--color", "Show what is before the lines of several containers in colors"),
        LATEST,
    ),
    minimum=1,
    complete=("container",),
    examples="rootless logs -f --tail 20 web\nrootless logs --names web db",
)

_COLORS = (37, 31, 33, 34, 35, 36, 32)


def run(call: Call) -> None:
    """Copy the streams to ours."""
    from rootless.cli.verbs import _several

    given = call.options
    words = _several.named(call)
    containers = [call.engine().containers.get(word) for word in words]
    try:
        if len(containers) == 1:
            for stream, data in _entries(containers[0], call):
                _write(stream, data)
        elif given["follow"]:
            _side_by_side(containers, call)
        else:
            for number, container in enumerate(containers):
                _marked(container, number, call, _write)
    except KeyboardInterrupt:
        if not given["follow"]:
            raise
    for container in containers:
        _complain(container)


def _entries(container: Container, call: Call) -> Iterable[tuple[str, bytes]]:
    """The container's entries, with its details before each line."""
    from rootless.engine.common import times

    given = call.options
    entries = container.logs(
        follow=given["follow"],
        since=times.moment(given["since"]) if given["since"] else None,
        until=times.moment(given["until"], ahead=_ahead(call)) if given["until"] else None,
        tail=_tail(given["tail"]),
        timestamps=given["timestamps"],
    )
    if not given["details"]:
        return entries
    from rootless.engine.containers import log_details

    told = log_details.of(container)
    return ((stream, told + data) for stream, data in entries)


def _ahead(call: Call) -> bool:
    """Whether a time of --until is counted from now on: podman does, docker counts back."""
    from rootless.cli import called

    return bool(call.options["follow"]) or called.tool() == "podman"


def _write(stream: str, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1 if stream == "stdout" else 2, view) :]


def _marked(
    container: Container, number: int, call: Call, write: Callable[[str, bytes], None]
) -> None:
    """The container's lines with its id or name before each."""
    mark = container.name if call.options["names"] else container.short_id
    if call.options["color"]:
        mark = f"\x1b[{_COLORS[number % len(_COLORS)]}m{mark}\x1b[0m"
    begins = {"stdout": True, "stderr": True}
    for stream, data in _entries(container, call):
        write(stream, f"{mark} ".encode() + data if begins[stream] else data)
        begins[stream] = data.endswith(b"\n")


def _side_by_side(containers: list[Container], call: Call) -> None:
    """Follow several: their lines come as they are written."""
    import threading

    threads = [
        threading.Thread(target=_marked, args=(one, number, call, _write), daemon=True)
        for number, one in enumerate(containers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _complain(container: Container) -> None:
    if os.path.exists(os.path.join(container.directory, "lazy.json")):
        from rootless.cli import output
        from rootless.engine.containers import lazy_start

        for line in lazy_start.complaints(container):
            output.remark(f"rootless: {line}\n")


def _tail(text: str | None) -> int | None:
    from rootless.errors import UsageError

    if text in (None, "", "all", "-1"):
        return None
    assert text is not None
    if not text.isdigit():
        raise UsageError(f'invalid --tail "{text}"', hint="a number of lines, or all")
    return int(text)
