"""`rootless logs`."""

from __future__ import annotations

import os

from rootless.cli.options import Verb, flag, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "logs",
    "CONTAINER",
    "Fetch the logs of a container",
    (
        flag("-f --follow", "Follow the log output"),
        text("-n --tail", "N", "Number of lines to show from the end of the logs (all for all)"),
        text(
            "--since",
            "TIME",
            "Show logs since a time: 10m, 2024-05-01T10:00:00Z or a UNIX timestamp",
        ),
        text("--until", "TIME", "Show logs until a time"),
        flag("-t --timestamps", "Show timestamps"),
    ),
    minimum=1,
    maximum=1,
    complete=("container",),
    examples="rootless logs -f --tail 20 web",
)


def run(call: Call) -> None:
    """Copy the streams to ours."""
    from rootless.engine.common import times

    given = call.options
    tail = _tail(given["tail"])
    container = call.engine().containers.get(call.words[0])
    try:
        for stream, data in container.logs(
            follow=given["follow"],
            since=times.moment(given["since"]) if given["since"] else None,
            until=times.moment(given["until"]) if given["until"] else None,
            tail=tail,
            timestamps=given["timestamps"],
        ):
            view = memoryview(data)
            while view:
                view = view[os.write(1 if stream == "stdout" else 2, view) :]
    except KeyboardInterrupt:
        if not given["follow"]:
            raise
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
