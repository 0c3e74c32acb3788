"""`rootless volume create`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, several, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "volume create",
    "[NAME]",
    "Create a volume",
    (
        several("-l --label", "NAME=VALUE", "Set metadata for the volume"),
        text("-d --driver", "NAME", "Volume driver: local", complete="local"),
        several(
            "-o --opt",
            "NAME=VALUE",
            "Set driver options: type=tmpfs or none, device=DIRECTORY, o=ro,nosuid",
        ),
        flag("--ignore", "Do not fail if the volume exists"),
    ),
    maximum=1,
    text="A volume without a name is anonymous, and `volume prune` may remove it.\nA "
    "directory of the host: -o type=none -o o=bind -o device=/a/directory.\nA tmpfs, "
    "empty in each container: -o type=tmpfs -o o=size=64m,mode=0700.\nA new directory "
    "for a user of the container: -o o=uid=1000,gid=1000.",
    examples="rootless volume create --label project=x papers",
)


def run(call: Call) -> None:
    """Make it and print its name."""
    from rootless.cli import output

    def pairs(words: list[str]) -> dict[str, str]:
        return {name: value for name, _, value in (one.partition("=") for one in words)}

    made = call.engine().volumes.create(
        call.words[0] if call.words else "",
        pairs(call.options["label"]),
        call.options["driver"] or "local",
        pairs(call.options["opt"]),
        ignore=call.options["ignore"],
    )
    output.line(made["Name"])
