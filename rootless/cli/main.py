"""Where the command begins: looks at the first words and loads no more than they need."""

from __future__ import annotations

import os
import sys

from rootless.errors import RootlessError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from rootless.cli.options import Option, Verb
    from rootless.documents import Json
    from rootless.engine.engine import Engine
    from rootless.progress import Progress


def main(arguments: list[str] | None = None) -> int:
    """The command `rootless`; returns its exit status.  Arguments default to sys.argv[1:]."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if arguments is None:
        # where whoever started us ignores it, nobody could wait for what is started here
        import _signal  # type: ignore[import-not-found,unused-ignore]

        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    try:
        if "_ROOTLESS_COMPLETE" in os.environ:
            from rootless.cli import completion as cli_completion

            return cli_completion.answer(engine_maker)
        code = _run(words)
        _flush()
        return code
    except RootlessError as error:
        _tell(error)
        return error.exit_code
    except KeyboardInterrupt:
        from rootless.cli import output

        output.still()
        return 130
    except BrokenPipeError:
        # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except OSError as error:
        _trace(words)
        _tell(_of_system(error))
        return 125
    except Exception as error:
        if isinstance(error.__cause__, KeyboardInterrupt):
            # before Python 3.12 the making of a class hides it in a RuntimeError
            from rootless.cli import output

            output.still()
            return 130
        _trace(words)
        kind = type(error).__name__
        _tell(
            RootlessError(
                f"internal error: {kind}: {error}",
                hint="rootless --debug ... shows where; please report it",
            )
        )
        return 125


def _tell(error: RootlessError) -> None:
    from rootless.cli import output

    output.tell(error)


def _trace(words: list[str]) -> None:
    """Show where an error happened, where the options before the verb ask for it."""
    from rootless.cli import options as cli_options

    try:
        shared, _ = cli_options.parse(cli_options.GLOBALS, words, stop_early=True)
    except UsageError:
        return
    if shared["debug"] or shared["log_level"] == "debug":
        import traceback

        from rootless.cli import output

        output.remark(traceback.format_exc())


def _flush() -> None:
    sys.stdout.flush()


def _of_system(error: OSError) -> RootlessError:
    what = f"{error.filename}: " if error.filename else ""
    hint = ""
    if error.errno in (28, 30, 122):  # ENOSPC, EROFS, EDQUOT
        from rootless import disks

        if error.filename:
            return disks.refused(str(error.filename), error)
        hint = disks.HINT
    return RootlessError(f"{what}{(error.strerror or str(error)).lower()}", hint=hint)


def _run(words: list[str]) -> int:
    """Find the verb and carry it out, or show help; the exit status.  Raises RootlessError."""
    from rootless.cli import options as cli_options
    from rootless.cli.table import ALIASES, GROUPS, INSPECTS, VERBS, load

    try:
        shared, rest = cli_options.parse(cli_options.GLOBALS, words, stop_early=True)
    except UsageError as error:
        raise _hinted(error) from None
    _obey(shared)
    if shared["version"]:
        from rootless import __version__

        sys.stdout.write(f"rootless version {__version__}\n")
        return 0
    if rest[:1] == ["help"]:
        rest = [*rest[1:], "--help"]
    if shared["help"] or not rest or rest == ["--help"]:
        return _help("")
    name, arguments = rest[0], rest[1:]
    if name == "runtime":
        # another program's words and errors: nothing of them is ours to parse
        from rootless.cli.oci import main as runtime

        return runtime.main(arguments, "rootless runtime")
    while name in GROUPS:
        if not arguments or arguments[0] in ("--help", "-h"):
            return _help(name)
        name, arguments = f"{name} {arguments[0]}", arguments[1:]
    full, name = name, ALIASES.get(name, name)
    if name not in VERBS:
        from rootless.cli import mistakes

        raise mistakes.unknown(name)
    module = load(name)
    verb: Verb = module.VERB
    try:
        options, others = cli_options.parse(verb.options, arguments, stop_early=verb.stop_early)
        cli_options.check_count(verb, others, latest=bool(options.get("latest")))
    except UsageError as error:
        asked = isinstance(error, cli_options.NoSuchOption) and error.option in ("--help", "-h")
        if asked:
            return _help(name)
        raise _hinted(error, verb) from None
    if full in INSPECTS:
        options["type"] = INSPECTS[full]
    return perform(module, options, others, shared)


_LEVELS = ("trace", "debug", "info", "warn", "warning", "error", "fatal", "panic")


def _obey(shared: dict[str, Json]) -> None:
    """Check the options before the verb that are not the engine's, and send the output elsewhere.

    Raises UsageError.
    """
    level, events = shared["log_level"], shared["events_backend"]
    if level is not None and level.lower() not in _LEVELS:
        raise UsageError(f'unknown --log-level "{level}"', hint=", ".join(_LEVELS))
    if events not in (None, "file"):
        raise UsageError(
            f"--events-backend {events} is not offered", hint="events are kept in files: file"
        )
    path = os.devnull if shared["noout"] else shared["out"]
    if path:
        # programs that take this one's place, as the client of `run`, write there as well
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        os.dup2(fd, 1)
        os.close(fd)


def _help(name: str) -> int:
    from rootless.cli import help as cli_help

    sys.stdout.write(cli_help.text(name))
    return 0


def _hinted(error: UsageError, verb: Verb | None = None) -> UsageError:
    from rootless.cli import mistakes

    return mistakes.hinted(error, verb)


def perform(
    module: ModuleType, options: dict[str, Json], words: list[str], shared: dict[str, Json]
) -> int:
    """Run a verb; its exit status."""
    from rootless.cli.options import Call

    _defaults(module, options)
    make = engine_maker(shared)
    return module.run(Call(options, words, make, make)) or 0


def _defaults(module: ModuleType, options: dict[str, Json]) -> None:
    """The person's own defaults for a verb, from config.toml, where no option was given."""
    from rootless.engine.common import config

    verb = module.VERB
    for name, value in config.of_verb(verb.name).items():
        option = next((one for one in verb.options if one.dest == name), None)
        if option is None:
            raise UsageError(
                f"{config.path()}: rootless {verb.name} has no option {name.replace('_', '-')}"
            )
        if options[name] == option.unset():
            options[name] = _configured(option, value, config.path())
    for option in verb.options:
        if option.kind == "flag":
            options[option.dest] = bool(options[option.dest])


def _configured(option: Option, value: Json, path: str) -> Json:
    if option.kind == "list":
        return [str(one) for one in value] if isinstance(value, list) else [str(value)]
    wanted = {"flag": bool, "number": int}.get(option.kind)
    if wanted is None:
        return str(value)
    if type(value) is not wanted:
        kind = "true or false" if wanted is bool else "a whole number"
        raise UsageError(f'{path}: {option.dest.replace("_", "-")} is {kind}, not "{value}"')
    return value


def _told() -> Progress:
    from rootless.cli.progress import Told

    return Told()


def engine_maker(shared: dict[str, Json]) -> Callable[..., Engine]:
    """Makes the engine when a verb asks for it; what it is given is told of long operations."""

    def make(progress: Progress | Callable[[], Progress] = _told) -> Engine:
        from rootless.engine.engine import Engine

        return Engine(
            data_dir=shared["data_dir"] or "",
            storage_driver=shared["storage_driver"],
            storage_options=shared.get("storage_opt"),
            cgroup_manager=shared["cgroup_manager"],
            runtime=shared["runtime"],
            progress=progress,
        )

    return make
