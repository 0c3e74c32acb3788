"""`engine.images.build`, in the words of docker's Python client.

Scope: from words to a request; progress comes as the dictionaries that the client's users know
(`{"stream": "Step 1/2 : …"}`), errors are ours.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO

from rootless.build.options import BuildOptions, Secret
from rootless.build.progress import Event, LogEvent, StepEvent, WarningEvent
from rootless.engine.build import build as building
from rootless.engine.spec.options import ContainerOptions
from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.collections import Collections
    from rootless.engine.images.image import Image

# what the client has, and what is so here anyway or cannot be
_IGNORED = frozenset(
    ("rm", "forcerm", "timeout", "encoding", "decode", "gzip", "isolation", "use_config_proxy")
)


def build(
    engine: Collections,
    *,
    path: str | None = None,
    fileobj: BinaryIO | None = None,
    tag: str | list[str] = "",
    custom_context: bool = False,
    dockerfile: str | None = None,
    buildargs: Mapping[str, str] | None = None,
    target: str | None = None,
    labels: Mapping[str, str] | None = None,
    nocache: bool = False,
    pull: bool | str = False,
    network_mode: str | None = None,
    extra_hosts: Mapping[str, str] | None = None,
    platform: str | None = None,
    shmsize: int | str | None = None,
    secrets: Mapping[str, bytes] | None = None,
    contexts: Mapping[str, str] | None = None,
    quiet: bool = False,
    on_line: Callable[[Json], None] | None = None,
    red: bool = False,
    **words: Json,
) -> tuple[Image, Iterator[Json]]:
    """See `Images.build`."""
    unknown = set(words) - _IGNORED
    if unknown:
        raise UsageError(f"build has no argument {sorted(unknown)[0]}")
    tags = [tag] if isinstance(tag, str) and tag else list(tag or ())
    policy = pull if isinstance(pull, str) else "always" if pull else "missing"
    options = BuildOptions(
        build_args=dict(buildargs or {}),
        target=target or "",
        platform=platform or "",
        labels=dict(labels or {}),
        no_cache=nocache,
        pull=policy,
        network=network_mode or "default",
        allow=frozenset(("network.host",)) if network_mode == "host" else frozenset(),
        secrets={name: _given(data) for name, data in (secrets or {}).items()},
    )
    hosts = [f"{name}:{address}" for name, address in (extra_hosts or {}).items()]
    step = ContainerOptions("", add_host=hosts, shm_size=None if shmsize is None else str(shmsize))
    request = building.Request(
        context=os.fspath(path) if path is not None else "-",
        file=dockerfile,
        tags=tags,
        options=options,
        contexts=dict(contexts or {}),
        step=step,
        as_docker=True,
    )
    if fileobj is not None:
        if custom_context or path is None:
            request.context, request.stdin = "-", fileobj
        if not custom_context:
            # as the client: a Dockerfile alone
            request.stdin, request.dockerfile = None, fileobj.read()
            request.context = os.fspath(path) if path is not None else os.devnull
    elif path is None:
        raise UsageError("build needs a path or a fileobj")
    told: list[Json] = []

    def line(value: Json) -> None:
        told.append(value)
        if on_line is not None:
            on_line(value)

    made = building.build(engine, request, lambda event: _tell(line, event, quiet, red))
    assert made.image is not None
    line({"aux": {"ID": f"sha256:{made.image.id}"}})
    if not quiet:
        line({"stream": f"Successfully built {made.image.id[:12]}\n"})
    return engine.images.get(made.image.id), iter(told)


def _given(data: bytes) -> Secret:
    return lambda: data


def _tell(line: Callable[[Json], None], event: Event, quiet: bool, red: bool) -> None:
    if quiet:
        return
    if isinstance(event, StepEvent) and event.state in ("started", "cached"):
        cached = " ---> Using cache\n" if event.state == "cached" else ""
        line({"stream": f"Step {event.number} : {event.name}\n{cached}"})
    elif isinstance(event, LogEvent):
        text = event.data.decode("utf-8", "replace")
        # as docker's own builder marks what goes to standard error
        line({"stream": f"\x1b[91m{text}\x1b[0m" if red and event.stream == 2 else text})
    elif isinstance(event, WarningEvent):
        line({"stream": f"{event.rule}: {event.text} (line {event.line})\n"})
