"""`rootless secret rm`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "secret rm",
    "NAME...",
    "Remove secrets",
    (
        flag("-a --all", "Remove all secrets"),
        flag("-i --ignore", "Ignore secrets that do not exist"),
    ),
    text="Containers that run keep what they were given; those that are started later miss it.",
)


def run(call: Call) -> int:
    """Forget each, print its id."""
    from rootless.cli import output
    from rootless.engine.containers import secrets
    from rootless.errors import NotFound, UsageError

    given = call.options
    store = secrets.Secrets(call.engine().context.data_dir)
    if not (call.words or given["all"]):
        raise UsageError("no secret is named", hint="name one, or use --all")

    def work(word: str) -> str | None:
        try:
            return store.remove(word)
        except NotFound:
            if not given["ignore"]:
                raise
            return None

    words = [one["Name"] for one in store.list()] if given["all"] else call.words
    return output.each(words, work, missing=1)
