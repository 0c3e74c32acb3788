"""`rootless completion`."""

from __future__ import annotations

from rootless.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "completion",
    "bash|zsh|fish",
    "Generate the completion script for a shell",
    minimum=1,
    maximum=1,
    complete=("bash zsh fish",),
    examples="source <(rootless completion bash)\n"
    "rootless completion fish >~/.config/fish/completions/rootless.fish",
)


def run(call: Call) -> None:
    """Print it."""
    from rootless.cli import completion as cli_completion
    from rootless.cli import output

    output.write(cli_completion.script(call.words[0]))
