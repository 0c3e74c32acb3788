"""`rootless events`."""

from __future__ import annotations

from rootless.cli.words import Verb, flag, several, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call
    from rootless.documents import Json
    from rootless.engine.event_log import Event

VERB = Verb(
    "events",
    "",
    "Show what happens to containers, images, volumes and networks",
    (
        several("-f --filter", "KEY=VALUE",
                "container, image, volume, network, pod, type, event, label, id, name"),
        text("--format", "FORMAT", "json, or a template as {{.Time}} {{.Status}} {{.Name}}"),
        text("--since", "TIME", "from then on: 10m, 2024-05-01T10:00:00Z, seconds since the epoch"),
        text("--until", "TIME", "up to then; a time to come is waited for"),
        text("--stream", "BOOL", "go on with what happens (true)"),
        flag("--no-stream", "end with what has happened"),
        text("--no-trunc", "BOOL", "ids in full (true)"),
    ),
    maximum=0,
    text="Without --since it begins now; with --no-stream, at the oldest event that is kept.  The "
    "actions may be called by docker's or by podman's names.  Nothing runs for this: commands and "
    "monitors write the events to a file each boot, of which the last 8 to 16 MB are kept.",
    examples="rootless events --since 1h --no-stream\n"
    "rootless events --filter container=web --filter event=die --format json",
)  # fmt: skip


def run(call: Call) -> None:
    """Print until --until, Ctrl-C or the end of what has happened."""
    from rootless.cli import output
    from rootless.cli.words import truth
    from rootless.engine.logs import parse_time

    given = call.options
    stream = truth("--stream", given["stream"] or "true") and not given["no_stream"]
    full = truth("--no-trunc", given["no_trunc"] or "true")
    form = given["format"]
    # a wrong time, filter or template is told before anything is waited for
    found = call.engine().events(
        since=parse_time(given["since"]) if given["since"] else None,
        until=parse_time(given["until"]) if given["until"] else None,
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
