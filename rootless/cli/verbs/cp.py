"""`rootless cp`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call
    from rootless.engine.engine import Engine

VERB = Verb(
    "cp",
    "CONTAINER:PATH TARGET | SOURCE CONTAINER:PATH",
    "Copy files between a container and the host",
    (
        flag("-a --archive", "Preserve UIDs and GIDs"),
        flag("-L --follow-link", "Follow symbolic links in SOURCE"),
        flag("--overwrite", "Replace a directory by a file, and a file by a directory"),
        flag("-q --quiet", "Accepted for compatibility; there is no output"),
    ),
    minimum=2,
    maximum=2,
    complete=("file",),
    text="- is a tar archive on standard input (compressed or not) or standard output. A "
    "SOURCE that ends in /. copies the contents of the directory. The container may be "
    "running or stopped.",
    examples="rootless cp web:/etc/nginx.conf .\nrootless cp site/. web:/srv\n"
    "rootless cp web:/srv - | tar t",
)


def run(call: Call) -> None:
    """One direction, the other, or from container to container."""
    from rootless.engine.containers import copy as container_copy
    from rootless.errors import UsageError

    engine = call.engine()
    source, target = call.words
    keep, follow = call.options["archive"], call.options["follow_link"]
    over = bool(call.options["overwrite"])
    from_name, from_path = _split(source)
    to_name, to_path = _split(target)
    if from_name and to_name:
        _between(engine, (from_name, from_path), (to_name, to_path), keep, follow, over)
    elif from_name:
        container = engine.containers.get(from_name)
        if target == "-":
            container.get_archive(from_path, 1)
        else:
            container_copy.copy_out(container, from_path, target, archive=keep, follow=follow,
                                    overwrite=over)  # fmt: skip
    elif to_name:
        container = engine.containers.get(to_name)
        if source == "-":
            container.put_archive(to_path, 0, keep_owner=True)
        else:
            container_copy.copy_in(container, source, to_path, archive=keep, follow=follow,
                                   overwrite=over)  # fmt: skip
    else:
        raise UsageError(
            "neither place is in a container", hint="write CONTAINER:PATH for one of them"
        )


def _split(word: str) -> tuple[str, str]:
    """(container, path); a path of the host begins with / or ., or has no colon."""
    if word.startswith(("/", ".")) or ":" not in word:
        return "", word
    name, _, path = word.partition(":")
    return name, path or "/"


def _between(
    engine: Engine,
    source: tuple[str, str],
    target: tuple[str, str],
    keep: bool,
    follow: bool,
    over: bool,
) -> None:
    import shutil
    import tempfile

    from rootless.engine.containers import copy as container_copy

    directory = tempfile.mkdtemp(prefix="rootless-cp-")
    try:
        first = engine.containers.get(source[0])
        second = engine.containers.get(target[0])
        container_copy.copy_out(first, source[1], directory + "/", archive=keep, follow=follow)
        contents = source[1].endswith("/.")
        name = source[1].rstrip("/").rpartition("/")[2]
        inner = directory + "/." if contents else f"{directory}/{name}"
        container_copy.copy_in(second, inner, target[1], archive=keep, overwrite=over)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
