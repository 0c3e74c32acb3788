"""Where the command begins: looks at the first words and loads no more than they need."""

from __future__ import annotations

import os
import sys

from rootless.errors import RootlessError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from rootless.cli.options import Option
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
            from rootless.cli import help as cli_help

            return cli_help.main(words)
        code = _lean(words)
        if code is None:
            from rootless.cli import help as cli_help

            code = cli_help.main(words)
        _flush()
        return code
    except RootlessError as error:
        tell(error)
        return error.exit_code
    except KeyboardInterrupt:
        _still()
        return 130
    except BrokenPipeError:
        # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except OSError as error:
        _trace(words)
        tell(_of_system(error))
        return 125
    except Exception as error:
        _trace(words)
        kind = type(error).__name__
        tell(
            RootlessError(
                f"internal error: {kind}: {error}",
                hint="rootless --debug ... shows where; please report it",
            )
        )
        return 125


def _trace(words: list[str]) -> None:
    """Show where an error happened, where the options before the verb ask for it."""
    from rootless.cli import options as parsing

    try:
        shared, _ = parsing.parse(parsing.GLOBALS, words, stop_early=True)
    except UsageError:
        return
    if shared["debug"] or shared["log_level"] == "debug":
        import traceback

        from rootless.cli import output

        output.remark(traceback.format_exc())


def _still() -> None:
    # loaded only where there was something to tell
    module = sys.modules.get("rootless.cli.progress")
    if module is not None:
        module.still()


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


def tell(error: RootlessError) -> None:
    """The sentence and the hint, on standard error; colours only on a terminal."""
    _still()
    from rootless.cli import output

    bold, plain = ("\x1b[1;31m", "\x1b[0m") if colours(2) else ("", "")
    hint = f"hint: {error.hint}\n" if error.hint else ""
    output.remark(f" {error.message}\n{hint}", before=f"{bold}error:{plain}")


def colours(descriptor: int) -> bool:
    """Whether to colour what is written there (https://no-color.org)."""
    return (
        not os.environ.get("NO_COLOR")
        and os.environ.get("TERM", "dumb") != "dumb"
        and os.isatty(descriptor)
    )


def _lean(words: list[str]) -> int | None:
    """The exit status, or None when this is for click: help, other verbs, and mistakes."""
    from rootless.cli import options as parsing
    from rootless.cli.table import ALIASES, INSPECTS, LEAN

    try:
        shared, rest = parsing.parse(parsing.GLOBALS, words, stop_early=True)
    except UsageError:
        return None
    if not rest:
        return None
    if rest[:2] == ["help", "runtime"]:
        rest = [*rest[1:], "--help"]
    name, arguments = rest[0], rest[1:]
    if name == "runtime":
        # another program's words and errors: nothing of them is ours to parse
        from rootless.cli.oci import main as runtime

        return runtime.main(arguments, "rootless runtime")
    kind = ""
    if name in ("container", "image") and arguments:
        kind = INSPECTS.get(f"{name} {arguments[0]}", "")
        name, arguments = ALIASES.get(f"{name} {arguments[0]}", name), arguments[1:]
    if name not in LEAN:
        return None
    module = load(name)
    verb = module.VERB
    try:
        options, others = parsing.parse(verb.options, arguments, stop_early=verb.stop_early)
        parsing.check_count(verb, others)
    except UsageError:
        return None
    if kind:
        options["type"] = kind
    return perform(module, options, others, shared)


def load(name: str) -> ModuleType:
    """The module of a verb."""
    from rootless.cli.table import VERBS

    # importlib would bring more modules than the verb
    module: ModuleType = __import__("rootless.cli.verbs." + VERBS[name][0], fromlist=["VERB"])
    return module


def perform(
    module: ModuleType, options: dict[str, Json], words: list[str], shared: dict[str, Json]
) -> int:
    """Run a verb; its exit status."""
    from rootless.cli.options import Call

    _defaults(module, options)
    return module.run(Call(options, words, engine_maker(shared))) or 0


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


def engine_maker(shared: dict[str, Json]) -> Callable[[], Engine]:
    """Makes the engine when a verb asks for it."""

    def make() -> Engine:
        from rootless.engine.engine import Engine

        return Engine(
            data_dir=shared["data_dir"] or "",
            storage_driver=shared["storage_driver"],
            storage_options=shared.get("storage_opt"),
            cgroup_manager=shared["cgroup_manager"],
            runtime=shared["runtime"],
            progress=_told,
        )

    return make
