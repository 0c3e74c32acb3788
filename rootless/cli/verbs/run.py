"""`rootless run`."""

from __future__ import annotations

import os
import sys

from rootless.cli.container_flags import sections
from rootless.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call
    from rootless.engine.spec.options import ContainerOptions

VERB = Verb(
    "run",
    "IMAGE [COMMAND [ARGUMENT...]]",
    "Create a container and run a command in it",
    sections=sections("run"),
    minimum=1,
    stop_early=True,
    complete=("image", ""),
    text="The exit status is that of the command; 125 if rootless fails, 126 if the command "
    "cannot be executed, 127 if it is not found, 128+n if it is killed by signal n.",
    examples="rootless run --rm -it debian\n"
    'rootless run --rm -v "$PWD":/work -w /work debian make\n'
    "rootless run -d --name web -p 8080:80 nginx",
)


def run(call: Call) -> int:
    """Make, start, attach or return."""
    from rootless.cli.options import truth
    from rootless.cli.verbs import _container_words
    from rootless.engine.spec.options import ContainerOptions

    given = call.options
    own = {name: given.pop(name) for name in ("sig_proxy", "dry_run", "quiet", "attach", "rmi")}
    about_image = _container_words.take(given)
    streams = _streams(own["attach"], bool(given["detach"]))
    proxy = truth("--sig-proxy", own["sig_proxy"] or "true")
    options = ContainerOptions(call.words[0], command=call.words[1:], **given)
    if options.preserve_fd:
        from rootless.engine.containers import preserved

        preserved.choose(options)
    _container_words.obey(options, about_image)
    options.create_command = sys.argv[1:]
    if own["rmi"]:
        _check_rmi(options)
    if "NOTIFY_SOCKET" in os.environ or "LISTEN_FDS" in os.environ:
        from rootless.engine.containers import sd_notify

        sd_notify.from_environment(options)
    if options.tty and options.interactive and not options.detach and not os.isatty(0):
        from rootless.cli import called

        called.without_terminal("run")
    engine = call.engine()
    if own["quiet"]:
        engine.progress.quiet = True
    if own["dry_run"]:
        from rootless.cli import output

        output.write(engine.dry_run(options))
        return 0
    container, session = engine.containers.launch(options, attach=not options.detach)
    if session is None:
        os.write(1, container.id.encode() + b"\n")
        return 0
    if own["rmi"]:
        from rootless.cli import image_remover

        image_remover.stay(engine, container.image)
    session.become_client(
        stdin=options.interactive and "stdin" in streams,
        stdout="stdout" in streams,
        stderr="stderr" in streams,
        tty=options.tty,
        detach_keys=options.detach_keys or "",
        sig_proxy=proxy,
    )
    return 125


def _check_rmi(options: ContainerOptions) -> None:
    """--rmi implies --rm, and somebody must be there to see the end.  Raises UsageError."""
    from rootless.errors import UsageError

    options.rm = True
    if options.detach:
        raise UsageError(
            "--rmi and --detach contradict each other",
            hint="rootless run -d --rm, and rootless rmi when it has ended",
        )


def _streams(words: list[str], detach: bool) -> set[str]:
    """The streams of --attach, all without it.  Raises UsageError."""
    from rootless.errors import UsageError

    chosen = {word.lower() for word in words}
    for word in words:
        if word.lower() not in ("stdin", "stdout", "stderr"):
            raise UsageError(f'invalid --attach "{word}"', hint="stdin, stdout or stderr")
    if chosen and detach:
        raise UsageError("--attach and --detach contradict each other")
    return chosen or {"stdin", "stdout", "stderr"}
