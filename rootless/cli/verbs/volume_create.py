"""`rootless volume create`."""

from __future__ import annotations

from rootless.cli.words import Verb, flag, several, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "volume create",
    "[NAME]",
    "Make a volume",
    (
        several("-l --label", "NAME=VALUE", "a label"),
        flag("--ignore", "no error if it exists"),
        text("-d --driver", "NAME", "local", complete="local"),
        several("-o --opt", "NAME=VALUE", "an option of the driver"),
    ),
    maximum=1,
)


def run(call: Call) -> None:
    """Make it and print its name."""
    from rootless.cli import output

    def pairs(words: list[str]) -> dict[str, str]:
        return {name: value for name, _, value in (one.partition("=") for one in words)}

    volumes = call.engine().volumes
    if (
        call.words
        and call.options["ignore"]
        and any(one["Name"] == call.words[0] for one in volumes.list())
    ):
        output.line(call.words[0])
        return
    made = volumes.create(
        call.words[0] if call.words else "",
        pairs(call.options["label"]),
        call.options["driver"] or "local",
        pairs(call.options["opt"]),
    )
    output.line(made["Name"])
