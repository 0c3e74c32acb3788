"""`rootless build`."""

from __future__ import annotations

from contextlib import contextmanager

from rootless.cli.options import Verb
from rootless.cli.verbs._build_options import SECTIONS, refuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from rootless.build.stage import StepFailed
    from rootless.cli.options import Call
    from rootless.documents import Json
    from rootless.engine.build.delivery import Built
    from rootless.engine.build.request import Request
    from rootless.engine.engine import Engine

VERB = Verb(
    "build",
    "[CONTEXT]",
    "Build an image from a Dockerfile",
    sections=SECTIONS,
    maximum=1,
    complete=("directory",),
    text="CONTEXT is a directory (default .), a tar archive, an address, a git repository, or - "
    "for standard input. Each RUN runs in a container of its own, without root. Progress goes to "
    "standard error. A step that fails ends with status 1, a mistake in the Dockerfile or an "
    "option with 125.",
    examples="rootless build -t mine .\n"
    "rootless build -t mine -f other.Dockerfile --build-arg VERSION=2 .\n"
    "rootless build --secret id=token,src=token.txt -t mine .\n"
    "rootless build -o out --target files .",
)  # fmt: skip


def run(call: Call) -> int:
    """Build; print what was asked for."""
    from rootless.build.dockerfile.source import DockerfileError

    given = call.options
    refuse(given)
    engine = call.engine()
    engine.progress.quiet = bool(given["quiet"])
    if given["signature_policy"]:
        from rootless.cli.verbs import _registry_options as registry

        engine.demands = registry.demands(given)
    try:
        from rootless.cli.verbs import _build_request as build_request

        request = build_request.request(given, call.words)
        call_for = given["print"] or given["call"] or "build"
        if given["check"] or call_for != "build":
            return _describe(engine, request, "check" if given["check"] else call_for)
        if given["watch"]:
            return _watch(engine, call, request)
        return _build(engine, request, given)
    except DockerfileError as error:
        # the sentence, and below it the line with a mark
        excerpt = f"\n{error.excerpt}" if error.excerpt else ""
        error.message = f"{error.message}{excerpt}"
        raise


def _build(engine: Engine, request: Request, given: dict[str, Json]) -> int:
    from rootless import documents
    from rootless.build.stage import StepFailed
    from rootless.cli import build_progress, output
    from rootless.engine.build import build
    from rootless.errors import UsageError

    mode = "quiet" if given["quiet"] else given["progress"] or "auto"
    if mode not in build_progress.MODES:
        raise UsageError(f'unknown --progress "{mode}"', hint=", ".join(build_progress.MODES))
    if given["in_ci"]:
        from rootless.cli import build_ci

        build_ci.report(engine)
    with _logged(given["logfile"]) as log:
        display = build_progress.choose(mode, log)
        try:
            made = build.build(engine, request, display.take)
        except StepFailed as error:
            display.close()
            if error.left is None or not error.left.image:
                raise
            return _shell(engine, request, error)
        finally:
            display.close()
    image = made.image
    if given["metadata_file"]:
        write(given["metadata_file"], documents.dumps(metadata(made), indent=True) + "\n")
    if image is None:
        return 0
    identity = made.identity
    if given["iidfile"]:
        write(given["iidfile"], identity)
    if given["quiet"]:
        output.line(identity)
    return 0


def _shell(engine: Engine, request: Request, error: StepFailed) -> int:
    """--on-failure=shell: a container with the files before the step, until its shell ends."""
    import os
    import subprocess
    import sys

    from rootless.cli import output
    from rootless.engine.common import reexec

    left = error.left
    assert left is not None
    sys.stderr.write(
        output.harmless(f"error: {error.message}") + "\n"
        "hint: this is a shell on the files as they were before that step; exit ends it\n"
    )
    context = engine.context
    words = ["--root", context.data_dir]
    if context.storage_driver:
        words += ["--storage-driver", context.storage_driver]
    words += ["run", "--rm", "-it" if os.isatty(0) else "-i", "--network"]
    words.append({"none": "none"}.get(request.options.network, "private"))
    for name, value in left.environment.items():
        words += ["-e", f"{name}={value}"]
    words += ["--entrypoint", left.state.config.shell[0], left.image]
    try:
        subprocess.run(reexec.command(words), check=False)
    finally:
        engine.images.remove(left.image)
    return error.exit_code


def _watch(engine: Engine, call: Call, request: Request) -> int:
    """Build again and again; mistakes are said, and the next change is waited for."""
    import os
    import sys

    from rootless.build.dockerfile.source import DockerfileError
    from rootless.build.stage import StepFailed
    from rootless.cli import output
    from rootless.cli.verbs import _build_request
    from rootless.engine.build.watching import Watch
    from rootless.errors import NotFound, UsageError

    given = call.options
    if not os.path.isdir(request.context) or given["file"] == "-":
        raise UsageError("--watch needs a directory as the context", hint="leave --watch out")
    watch = Watch(request.context, given["file"])
    while True:
        try:
            _build(engine, request, given)
        except (DockerfileError, NotFound, StepFailed) as error:
            excerpt = getattr(error, "excerpt", "")
            error.message += f"\n{excerpt}" if excerpt else ""
            output.tell(error)
        sys.stderr.write("waiting for changes\n")
        sys.stderr.flush()
        changed = watch.settle()
        sys.stderr.write(output.harmless(f"changed: {', '.join(changed)}") + "\n")
        # secrets and ignore files are read anew
        request = _build_request.request(given, call.words)


@contextmanager
def _logged(path: str | None) -> Iterator[TextIO | None]:
    """The file of --logfile, opened to be written anew."""
    from rootless.errors import StorageError

    if not path:
        yield None
        return
    try:
        file = open(path, "w", encoding="utf-8", errors="replace")  # noqa: SIM115
    except OSError as error:
        raise StorageError(f"cannot write {path}: {(error.strerror or '').lower()}") from None
    with file:
        yield file


def metadata(made: Built) -> dict[str, Json]:
    """--metadata-file: what buildx writes there, of the image that was made."""
    image = made.image
    if image is None:
        return {}
    value: dict[str, Json] = {
        "containerimage.config.digest": image.config_digest,
        "containerimage.digest": made.digest,
    }
    if image.names:
        value["image.name"] = ",".join(image.names)
    return value


def write(path: str, content: str) -> None:
    """Write a small file in one step.  Raises StorageError."""
    from rootless import documents
    from rootless.errors import StorageError

    try:
        documents.write_bytes(path, content.encode())
    except OSError as error:
        raise StorageError(f"cannot write {path}: {(error.strerror or '').lower()}") from None


def _describe(engine: Engine, request: Request, what: str) -> int:
    """--check, --call and --print."""
    from rootless.cli import output
    from rootless.engine.build import build
    from rootless.errors import UsageError

    name, _, rest = what.partition(",")
    form = rest.removeprefix("format=") or "text"
    if name not in ("graph", "check", "outline", "targets") or form not in ("text", "json"):
        raise UsageError(
            f'build has nothing to say of "{what}"',
            hint="check, outline or targets, with ,format=json; graph",
        )
    told, status = build.describe(engine, request, name, form)
    output.write(told)
    return status
