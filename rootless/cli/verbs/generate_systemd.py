"""`rootless generate systemd`."""

from __future__ import annotations

from rootless.cli.options import FLAG, LIST, Verb, flag, number, output_format, several, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call, Option
    from rootless.documents import Json
    from rootless.engine.containers.container import Container

VERB = Verb(
    "generate systemd",
    "CONTAINER",
    "Generate a systemd unit for a container",
    (
        flag("-n --name", "Use the container's name instead of its ID"),
        flag("--new", "Create a new container at each start, with the options of the original run"),
        flag("-f --files",
            "Write NAME.service to the current directory instead of standard output"),
        output_format(),
        text("--restart-policy", "POLICY", "Restart policy of systemd (default on-failure)",
             complete="no on-success on-failure on-abnormal on-watchdog on-abort always"),
        number("--restart-sec", "SECONDS", "Seconds that systemd waits before a restart"),
        number("--start-timeout", "SECONDS", "Start timeout in seconds"),
        number("-t --stop-timeout --time", "SECONDS", "Stop timeout in seconds (default 10)",
               dest="stop_timeout"),
        text("--container-prefix", "TEXT", "Prefix of the unit's name (default container)"),
        text("--separator", "TEXT", "Separator between the prefix and the name (default -)"),
        several("-e --env", "NAME=VALUE", "Set an environment variable of the unit"),
        several("--wants", "UNIT", "Add a (weak) requirement dependency to the unit"),
        several("--after", "UNIT", "Add a dependency order to the unit"),
        several("--requires", "UNIT", "Add a (strong) requirement dependency to the unit"),
        flag("--no-header", "Skip the header that names the generator"),
    ),
    minimum=1,
    maximum=1,
    complete=("container",),
    text="A .container file is shorter and needs no regeneration: see `rootless quadlet "
    "install`.",
    examples="rootless generate systemd --new --name web >~/.config/systemd/user/web.service",
)  # fmt: skip


def run(call: Call) -> None:
    """Print or write it."""
    import os

    from rootless import documents
    from rootless.cli import output
    from rootless.engine.systemd import plain_service

    given = call.options
    container = call.engine().containers.get(call.words[0])
    prefix = "container" if given["container_prefix"] is None else given["container_prefix"]
    separator = "-" if given["separator"] is None else given["separator"]
    base = container.name if given["name"] else container.id
    stem = f"{prefix}{separator if prefix else ''}{base}"
    own = container.record["stopTimeout"]
    wanted = plain_service.Wanted(
        policy=given["restart_policy"] or "on-failure",
        restart_seconds=given["restart_sec"],
        start_seconds=given["start_timeout"],
        stop_seconds=own if given["stop_timeout"] is None else given["stop_timeout"],
        environment=given["env"],
        wants=given["wants"],
        after=given["after"],
        requires=given["requires"],
        header=not given["no_header"],
    )
    name = container.name if given["name"] or given["new"] else container.id
    create = _again(container) if given["new"] else None
    service = f"{stem}.service"
    made = plain_service.unit(name, wanted, create, service)
    if given["files"]:
        path = os.path.join(os.getcwd(), service)
        documents.write_bytes(path, made.encode())
        made = path + "\n"
    if given["format"] == "json":
        made = documents.dumps({stem: made.rstrip("\n") if given["files"] else made}) + "\n"
    output.write(made)


_LEFT_OUT = ("detach", "rm", "name", "replace", "sdnotify", "cgroups", "restart", "quiet",
             "sig_proxy", "dry_run", "cidfile", "pid_file", "conmon_pidfile", "tty",
             "interactive")  # fmt: skip


def _again(container: Container) -> list[str]:
    """The words after `run` that make such a container again.  Raises UsageError."""
    from rootless.cli import options as cli_options
    from rootless.cli.verbs import run as run_verb
    from rootless.errors import UsageError

    first = container.record.get("createCommand")
    if not first:
        raise UsageError(
            f"how the container {container.name} was made is not known",
            hint="only what `rootless run` or `create` made can be made anew",
        )
    _, rest = cli_options.parse(cli_options.GLOBALS, first, stop_early=True)
    while rest[0] in ("container", "run", "create"):
        rest = rest[1:]
    options, others = cli_options.parse(run_verb.VERB.options, rest, stop_early=True)
    front = ["--name", container.name, "--replace", "--rm", "--detach", "--cgroups", "split",
            "--sdnotify", "conmon", "--label", "PODMAN_SYSTEMD_UNIT=%n"]  # fmt: skip
    made: list[str] = []
    for option in run_verb.VERB.options:
        if option.dest not in _LEFT_OUT:
            made += _given(option, options[option.dest])
    # in a unit % and $ mean something of systemd's; the label's %n is meant so
    said = [word.replace("%", "%%").replace("$", "$$") for word in [*made, *others]]
    return [*front, *said]


def _given(option: Option, value: Json) -> list[str]:
    name = option.names[-1] if option.names[-1].startswith("--") else option.names[0]
    if value is None or value == []:
        return []
    if option.kind == FLAG:
        return [name if value else f"{name}=false"]
    values = value if option.kind == LIST else [value]
    return [word for one in values for word in (name, str(one))]
