"""Verbs that do one thing to several containers, and how containers are chosen."""

from __future__ import annotations

from rootless.errors import ContainerNotFound, RootlessError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.cli.options import Call
    from rootless.engine.containers.collection import Containers
    from rootless.engine.containers.container import Container

# what --all and --filter mean where a verb is for those that run
ALIVE = ("running", "paused", "restarting", "stopping")


def newest(containers: Containers) -> str:
    """The id of the container that was created last.  Raises ContainerNotFound."""
    found = containers.list(all=True)
    if not found:
        raise ContainerNotFound("there is no container, so none is the latest")
    return found[0].id


def first(call: Call) -> tuple[str, list[str]]:
    """The container that a verb for one is about, and the words behind it."""
    if call.options["latest"]:
        return newest(call.engine().containers), call.words
    return call.words[0], call.words[1:]


def named(call: Call, states: tuple[str, ...] = ()) -> list[str]:
    """The words, and what the options choose: names and ids.

    `states`: those that `--all` and `--filter` mean, all without it.  Raises UsageError.
    """
    given = call.options
    every, filters, files = given.get("all"), given.get("filter"), given.get("cidfile")
    latest = given.get("latest")
    ways = [name for name, there in (("--all", every), ("--filter", filters), ("--latest", latest),
                                     ("names", call.words or files)) if there]  # fmt: skip
    if {*ways} == {"--all", "--filter"}:
        ways = ["--all"]
    if len(ways) > 1:
        raise UsageError(f"{' and '.join(ways[-2:])} contradict each other")
    if latest:
        return [newest(call.engine().containers)]
    if every or filters:
        from rootless.cli import output

        found = call.engine().containers.list(all=True, filters=output.filters(filters or ()))
        return [one.id for one in found if not states or one.status in states]
    words = [*call.words, *_from_files(files or (), bool(given.get("ignore")))]
    if not words and not files:
        raise UsageError("no container is named", hint="name one, or use --all")
    return words


def _from_files(paths: list[str] | tuple[str, ...], ignore: bool) -> list[str]:
    found = []
    for path in paths:
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                found.append(file.readline(256).strip())
        except FileNotFoundError:
            # with --ignore a container that was never made is as good as one that is gone
            if not ignore:
                raise UsageError(f"the container id file {path} does not exist") from None
    return found


def side_by_side(
    call: Call,
    work: Callable[[Container], None],
    *,
    states: tuple[str, ...] = (),
    missing: int = 0,
    in_use: int = 0,
    damaged: bool = False,
) -> int:
    """Do `work` to each container, several at once; print each word when it is done.

    `states`: see `named`.  `missing`, `in_use`: see `output.each`.  `damaged`: also to one whose
    documents cannot be read.
    """
    from rootless.cli import output

    words = named(call, states)
    ignore = call.options.get("ignore")
    containers = call.engine().containers

    def one(word: str) -> str | None:
        try:
            work(containers.get(word, damaged=damaged))
        except ContainerNotFound:
            if not ignore:
                raise
            return None
        return word

    if len(words) < 2:
        return output.each(words, one, missing, in_use)
    from concurrent.futures import ThreadPoolExecutor

    code = 0
    with ThreadPoolExecutor(min(16, len(words))) as pool:
        for future in [pool.submit(one, word) for word in words]:
            try:
                told = future.result()
                if told is not None:
                    output.line(told)
            except RootlessError as error:
                output.tell(error)
                code = output.worse(code, error, missing, in_use)
    return code
