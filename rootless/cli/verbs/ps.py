"""`rootless ps`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, number, output_format, several

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call
    from rootless.documents import Json
    from rootless.engine.containers.container import Container

VERB = Verb(
    "ps",
    "",
    "List containers",
    (
        flag("-a --all", "Show all containers (default: only running ones)"),
        flag("-q --quiet", "Print only container IDs"),
        number("-n --last", "N", "Show the N last created containers, in all states"),
        flag("-l --latest", "Show the latest created container, in all states"),
        flag("-s --size", "Display total file sizes"),
        flag("--no-trunc", "Do not truncate output"),
        several("-f --filter", "KEY=VALUE",
                "Filter by id, name, label, status, health, ancestor, before, since, "
                "exited, volume, network or until"),
        output_format("{{.Names}}", table=True),
        flag("--noheading", "Do not print the table headings"),
    ),
    maximum=0,
    examples="rootless ps -a --filter status=exited\n"
    "rootless ps --format '{{.Names}}: {{.Status}}'",
)  # fmt: skip

_TITLES = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "Ports": "PORTS",
    "State": "STATE",
    "Status": "STATUS",
    "Names": "NAMES",
    "Labels": "LABELS",
    "Size": "SIZE",
    "Mounts": "MOUNTS",
    "Networks": "NETWORKS",
    "Pid": "PID",
    "ExitCode": "EXIT CODE",
    "ImageID": "IMAGE ID",
}


def run(call: Call) -> None:
    """Print the list."""
    from rootless.cli import output

    given = call.options
    wanted = 1 if given["latest"] else given["last"]
    everything = given["all"] or wanted is not None
    found = call.engine().containers.list(everything, output.filters(given["filter"]))
    if wanted is not None and wanted >= 0:
        found = found[:wanted]
    if given["quiet"]:
        output.write(
            "".join((one.id if given["no_trunc"] else one.short_id) + "\n" for one in found)
        )
        return
    full = bool(given["no_trunc"])
    sizes = _sizes(call, found) if given["size"] else {}
    if not given["format"] or given["format"] == "table":
        # what needs no more than this is made without the fields that nobody sees
        titles = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
        cells = [_short(one, full) for one in found]
        heading = [_TITLES[name] for name in titles]
        if given["size"]:
            heading.append(_TITLES["Size"])
            for one, row in zip(found, cells, strict=True):
                row.append(sizes[one.id])
        output.write(output.table(heading, cells, heading=not given["noheading"]))
        return
    rows = [_row(one, full) for one in found]
    if given["size"] or "Size" in given["format"]:
        # a template that asks for it gets it
        sizes = sizes or _sizes(call, found)
        for one, fields in zip(found, rows, strict=True):
            fields["Size"] = sizes[one.id]
    output.write(output.rows(rows, given["format"], (), _TITLES, heading=not given["noheading"]))


def _sizes(call: Call, found: list[Container]) -> dict[str, str]:
    """`12kB (virtual 1.2MB)` by id, as docker has it."""
    from rootless.cli.output import human_size
    from rootless.engine.containers import size as container_size

    return {
        identifier: f"{human_size(written)} (virtual {human_size(whole)})"
        for identifier, (written, whole) in container_size.of(call.engine().context, found).items()
    }


def _command(one: Container, full: bool) -> str:
    text = one.command_text()
    return f'"{text}"' if full or len(text) <= 20 else f'"{text[:19]}…"'


def _short(one: Container, full: bool) -> list[str]:
    from rootless.engine.common import humanize

    return [
        one.id if full else one.short_id,
        one.image,
        _command(one, full),
        humanize.ago(one.created),
        one.status_text(),
        one.ports_text(),
        one.name,
    ]


def _row(one: Container, full: bool) -> dict[str, Json]:
    from rootless.engine.common import humanize
    from rootless.engine.containers import state as container_state

    state = one.look()
    return {
        "ID": one.id if full else one.short_id,
        "Image": one.image,
        "ImageID": one.image_id,
        "Command": _command(one, full),
        "CreatedAt": humanize.local(one.created),
        "RunningFor": humanize.ago(one.created),
        "Ports": one.ports_text(),
        "State": state.status,
        "Status": container_state.describe(state, one.health_text(state)),
        "Names": one.name,
        "Labels": ",".join(f"{key}={value}" for key, value in sorted(one.labels.items())),
        "Mounts": ",".join(
            mount.get("Name") or mount["Source"]
            for mount in one.record["mounts"]
            if mount["Type"] != "tmpfs"
        ),
        "Networks": one.record["network"],
        "Pid": state.pid,
        "ExitCode": state.exit_code,
    }
