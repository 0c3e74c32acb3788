"""Verbs that do one thing to several containers."""

from __future__ import annotations

from rootless.errors import ContainerNotFound, RootlessError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.cli.options import Call
    from rootless.engine.containers.container import Container


def named(call: Call, *, everything: bool = False) -> list[str]:
    """The words, or with `--all` the ids of all containers (running, or `everything`)."""
    if call.options.get("all"):
        return [one.id for one in call.engine().containers.list(all=everything)]
    if not call.words:
        raise UsageError("no container is named", hint="name one, or use --all")
    return call.words


def side_by_side(
    call: Call,
    work: Callable[[Container], None],
    *,
    everything: bool = False,
    missing: int = 0,
    damaged: bool = False,
) -> int:
    """Do `work` to each container, several at once; print each word when it is done.

    `missing`: see `output.each`.  `damaged`: also to one whose documents cannot be read.
    """
    from rootless.cli import output

    words = named(call, everything=everything)
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
        return output.each(words, one, missing)
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
                code = output.worse(code, error, missing)
    return code
