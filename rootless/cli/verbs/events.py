"""`rootless events`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, output_format, several, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call
    from rootless.documents import Json
    from rootless.engine.events.reader import Event

VERB = Verb(
    "events",
    "",
    "Show events of containers, images, volumes and networks",
    (
        several("-f --filter", "KEY=VALUE",
                "Filter by container, image, volume, network, pod, type, event, label, id or name"),
        output_format("{{.Time}} {{.Status}} {{.Name}}"),
        text("--since", "TIME",
            "Show events since a time: 10m, 2024-05-01T10:00:00Z or a UNIX timestamp"),
        text("--until", "TIME", "Show events until a time, which may be in the future"),
        text("--stream", "BOOL", "Stream new events (default true)"),
        flag("--no-stream", "Exit after the past events"),
        text("--no-trunc", "BOOL", "Do not truncate IDs (default true)"),
    ),
    maximum=0,
    text="Without --since, only new events are shown; with --no-stream, all stored events. "
    "Filters take docker's and podman's names of events. There is no daemon: commands "
    "and monitors append events to a file, which keeps the last 8 to 16 MB since boot.",
    examples="rootless events --since 1h --no-stream\n"
    "rootless events --filter container=web --filter event=die --format json",
)  # fmt: skip


def run(call: Call) -> None:
    """Print until --until, Ctrl-C or the end of what has happened."""
    from rootless.cli import output
    from rootless.cli.options import truth
    from rootless.engine.common import times

    given = call.options
    stream = truth("--stream", given["stream"] or "true") and not given["no_stream"]
    full = truth("--no-trunc", given["no_trunc"] or "true")
    form = given["format"]
    # a wrong time, filter or template is told before anything is waited for
    found = call.engine().events(
        since=times.moment(given["since"]) if given["since"] else None,
        until=times.moment(given["until"]) if given["until"] else None,
        filters=output.filters(given["filter"]),
        stream=stream,
    )
    if form:
        output.rows([], form, (), {})
    try:
        for one in found:
            output.write(
                output.rows([one.attrs if form == "json" else _row(one)], form, (), {})
                if form
                else one.text(full=full) + "\n"
            )
    except KeyboardInterrupt:
        return


def _row(one: Event) -> Json:
    # docker's client has these names for templates
    more = {"Time": one.time // 1000000000, "TimeNano": one.time, "Scope": "local"}
    return {**one.attrs, **more}
