"""Where `rootless-runtime` begins: global options, the verb, errors.

Nothing is loaded that the verb does not need: engines call this for every container.
"""

from __future__ import annotations

import os
import sys

from rootless.cli import options as parsing
from rootless.cli.oci.verbs import VERBS
from rootless.cli.options import CGROUP_MANAGER, flag, text
from rootless.errors import RootlessError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rootless.cli.options import Option
    from rootless.documents import Json

GLOBALS = (
    text("--root", "DIR", "Directory for the state of containers",
         complete="directory"),
    text("--log", "FILE",
        "Write errors to a file as well, and warnings to the file only", complete="file"),
    text("--log-format", "FORMAT", "Format of the log file: text or json", complete="text json"),
    text("--log-level", "LEVEL", "Accepted for compatibility, ignored: only errors are written"),
    flag("--debug", "Print a traceback for internal errors"),
    CGROUP_MANAGER,
    flag("--systemd-cgroup", "Use systemd as the cgroup manager"),
    text("--rootless", "WORD", "Accepted for compatibility, ignored: it is detected"),
    text("--criu", "PATH", "Accepted for compatibility, ignored"),
    flag("-v --version", "Print the version and the features"),
    flag("-h --help", "Print this help"),
)  # fmt: skip

_FIRST = ("create", "start", "run", "state", "kill", "delete")


def main(arguments: list[str] | None = None, program: str = "rootless-runtime") -> int:
    """The command; its exit status.  `program` is what the help calls it.

    Without arguments it is the whole process and does not return: taking the interpreter apart, and
    looking for garbage in a process that ends at once, takes a tenth of the time of `run`.
    """
    if arguments is not None:
        return _main(arguments, program)
    import gc

    gc.disable()
    code = _main(None, program)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        pass
    os._exit(code)


def _main(arguments: list[str] | None, program: str) -> int:
    import _signal  # type: ignore[import-not-found,unused-ignore]

    # ignored by our caller it would let the kernel reap what we wait for
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    words = sys.argv[1:] if arguments is None else list(arguments)
    if arguments is None:
        # where whoever started us ignores it, nobody could wait for what is started here
        import _signal  # type: ignore[import-not-found,unused-ignore]

        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    shared: dict[str, Json] = {"program": program}
    try:
        code = _run(words, shared)
        sys.stdout.flush()
        return code
    except RootlessError as error:
        _tell(error, shared)
        return error.exit_code if error.exit_code in (126, 127) else 1
    except KeyboardInterrupt:
        return 130
    except SystemExit as end:
        return int(end.code or 0)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        _tell(RootlessError(f"{what}{(error.strerror or str(error)).lower()}"), shared)
        return 1
    except Exception as error:
        kind = type(error).__name__
        hint = f"{program} --debug ... shows where; please report it"
        _tell(RootlessError(f"internal error: {kind}: {error}", hint=hint), shared)
        if shared.get("debug"):
            raise
        return 1


def _run(words: list[str], shared: dict[str, Json]) -> int:
    found, rest = parsing.parse(GLOBALS, words, stop_early=True)
    shared.update(found)
    if found["log"]:
        from rootless.cli.oci import report as oci_report

        oci_report.check(shared)
    program = shared["program"]
    if found["version"]:
        from rootless.cli.oci import about

        sys.stdout.write(about.version())
        return 0
    if found["help"] or not rest or rest[0] == "help":
        sys.stdout.write(_help(program))
        return 0 if found["help"] or rest else 1
    name, arguments = rest[0], rest[1:]
    verb = VERBS.get(name)
    if verb is None:
        raise UsageError(f'"{name}" is not a command of {program}', hint=f"{program} --help")
    if "--help" in arguments or "-h" in arguments[:1]:
        sys.stdout.write(_help_of(program, name))
        return 0
    options, others = parsing.parse(verb.options, arguments, stop_early=verb.stop_early)
    if name == "exec" and others:
        # options may come after the id as well; what follows is somebody's command line
        options, others = _after_id(verb.options, options, arguments, others)
    for option in verb.options:
        if option.kind == "flag":
            options[option.dest] = bool(options[option.dest])
    if len(others) < verb.minimum:
        raise UsageError(f"{program} {name} needs {verb.usage}", hint=f"{program} {name} --help")
    if verb.maximum is not None and len(others) > verb.maximum:
        raise UsageError(f'{program} {name} does not take "{others[verb.maximum]}"')
    where = "actions" if name in _FIRST else "container_actions"
    module = __import__(f"rootless.cli.oci.{where}", fromlist=[where])
    action = getattr(module, name + "_" if name in ("exec", "list") else name)
    code: int = action(shared, options, others) or 0
    return code


def _after_id(
    described: Sequence[Option], options: dict[str, Json], arguments: list[str], others: list[str]
) -> tuple[dict[str, Json], list[str]]:
    """`exec ID -t --user 1 CMD ARG`: options that stand between the id and the command."""
    head = arguments[: len(arguments) - len(others)]
    more = list(others[1:])
    if not more or more[0][:1] != "-" or more[0] == "-":
        return options, others
    found, words = parsing.parse(described, [*head, *more], stop_early=True)
    return found, [others[0], *words]


def _help(program: str) -> str:
    summary = "Run an OCI runtime that needs no root."
    lines = [f"Usage: {program} [OPTION...] COMMAND ...", "", summary, "", "Commands:"]
    lines += [f"  {name:10} {verb.summary}" for name, verb in VERBS.items()]
    return "\n".join([*lines, "", "Options:", *_options(GLOBALS), ""])


def _help_of(program: str, name: str) -> str:
    verb = VERBS[name]
    lines = [f"Usage: {program} {name} [OPTION...] {verb.usage}".rstrip(), "",
             verb.summary + "."]  # fmt: skip
    lines += ["", verb.text] if verb.text else []
    lines += ["", "Options:", *_options(verb.options)] if verb.options else []
    return "\n".join([*lines, ""])


def _options(described: Sequence[Option]) -> list[str]:
    return [
        f"  {', '.join(one.names)} {one.metavar}".ljust(34) + f" {one.help}"
        for one in described
        if not one.hidden
    ]


def _tell(error: RootlessError, shared: dict[str, Json]) -> None:
    from rootless.cli.oci import report as oci_report

    oci_report.error(error, shared)
