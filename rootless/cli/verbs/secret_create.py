"""`rootless secret create`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, several, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "secret create",
    "NAME FILE|-",
    "Create a secret from a file or standard input",
    (
        several("-l --label", "NAME=VALUE", "Set metadata on the secret"),
        text("-d --driver", "NAME", "Secret driver to use: file", complete="file"),
        flag("--env", "FILE is the name of a variable of the environment"),
        flag("--replace", "Replace a secret of the same name"),
        flag("--ignore", "Do nothing where a secret of the same name exists"),
    ),
    minimum=2,
    maximum=2,
    complete=("", "file"),
    text="The content is kept in a file that only you can read, and shown to containers by "
    "`run --secret NAME` as /run/secrets/NAME.",
    examples="printf %s hush | rootless secret create password -\n"
    "rootless run --secret password alpine cat /run/secrets/password",
)


def run(call: Call) -> None:
    """Keep it, print its id."""
    import os
    import sys

    from rootless.cli import output
    from rootless.engine.common import arguments
    from rootless.engine.containers import secrets
    from rootless.errors import UsageError

    given = call.options
    name, source = call.words
    if given["driver"] not in (None, "file"):
        raise UsageError(f"there is no secret driver {given['driver']}", hint="file")
    if given["env"]:
        if source not in os.environ:
            raise UsageError(f"there is no variable {source}")
        content = os.environ[source].encode()
    elif source == "-":
        content = sys.stdin.buffer.read(secrets.MOST + 1)
    else:
        try:
            with open(source, "rb") as file:
                content = file.read(secrets.MOST + 1)
        except OSError as error:
            raise UsageError(f"cannot read {source}: {error.strerror}") from None
    store = secrets.Secrets(call.engine().context.data_dir)
    labels = arguments.pairs("labels", given["label"])
    output.line(
        store.create(name, content, labels, replace=given["replace"], ignore=given["ignore"])
    )
