"""`rootless create`."""

from __future__ import annotations

import sys

from rootless.cli.container_flags import sections
from rootless.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "create",
    "IMAGE [COMMAND [ARGUMENT...]]",
    "Create a container without starting it",
    sections=sections("create"),
    minimum=1,
    stop_early=True,
    complete=("image", ""),
    examples="rootless create --name job debian make\nrootless start -a job",
)


def run(call: Call) -> None:
    """Make it and print its id."""
    from rootless.cli import output
    from rootless.cli.verbs import _container_words
    from rootless.engine.spec.options import ContainerOptions

    quiet = call.options.pop("quiet")
    about_image = _container_words.take(call.options)
    options = ContainerOptions(call.words[0], command=call.words[1:], **call.options)
    _container_words.obey(options, about_image)
    options.create_command = sys.argv[1:]
    engine = call.engine()
    if quiet:
        engine.progress.quiet = True
    output.line(engine.containers.create(options).id)
