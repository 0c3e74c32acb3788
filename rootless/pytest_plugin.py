"""A plugin for pytest: containers for tests, with `-p rootless.pytest_plugin` or in conftest.py
`pytest_plugins = ["rootless.pytest_plugin"]`.

    def test_the_cache(container):
        redis = container("redis", ports={"6379/tcp": None}, ready="Ready to accept connections")
        connect(*redis.address(6379))

Fixtures: `container` and `image` for one test, `session_container` and `session_image` for all of a
run, `rootless_engine`.  What was started is removed at the end, by force, with its volumes; the
logs of containers of a test that has failed are in its report.
"""

from __future__ import annotations

import time

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from rootless.engine.containers.container import Container
    from rootless.engine.engine import Engine
    from rootless.engine.images.image import Image

    Ready = str | Callable[["Started"], object]

_SHOWN = 200
"""Lines of a log that a report has."""


class Started:
    """A container of a test: everything of `Container`, and how to reach it."""

    def __init__(self, container: Container) -> None:
        self.container = container

    def __getattr__(self, name: str) -> Any:
        return getattr(self.container, name)

    def __repr__(self) -> str:
        return repr(self.container)

    def address(self, port: int, protocol: str = "tcp") -> tuple[str, int]:
        """(host, port) at which a published port of the container is reached from here."""
        places = self.container.ports.get(f"{port}/{protocol}")
        if not places:
            raise LookupError(
                f"port {port}/{protocol} of {self.container.name} is not published: give "
                f"ports={{'{port}/{protocol}': None}}"
            )
        host = places[0]["HostIp"]
        return "127.0.0.1" if host in ("", "0.0.0.0", "::") else host, int(places[0]["HostPort"])

    def wait_for(self, ready: Ready, timeout: float = 60) -> None:
        """Wait until it has written a text, or until a function returns what is true.

        A function may raise OSError as long as it is not ready.  Fails the test when the container
        ends before, or after `timeout` seconds.
        """
        end = time.monotonic() + timeout
        while not self._is(ready):
            if self.container.status == "exited":
                # it may have written it as its last
                if self._is(ready):
                    return
                pytest.fail(f"{self.container.name} ended before it was ready\n{logs_of(self)}")
            if time.monotonic() > end:
                pytest.fail(
                    f"{self.container.name} was not ready within {timeout:g} seconds\n"
                    f"{logs_of(self)}"
                )
            time.sleep(0.02)

    def _is(self, ready: Ready) -> bool:
        if isinstance(ready, str):
            return ready.encode() in bytes(self.container.logs())
        try:
            return bool(ready(self))
        except OSError:
            return False


class Starter:
    """What the fixtures `container` and `session_container` are: called, it starts one."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.started: list[Started] = []

    def __call__(
        self,
        image: str,
        command: list[str] | str | None = None,
        *,
        ready: Ready | None = None,
        timeout: float = 60,
        **options: Any,
    ) -> Started:
        """Start a container; options are those of `engine.containers.run`.

        `ready`: see `Started.wait_for`; `timeout`: how long that may take.
        """
        options.pop("detach", None)
        made = Started(self.engine.containers.run(image, command, detach=True, **options))
        self.started.append(made)
        if ready is not None:
            made.wait_for(ready, timeout)
        return made

    def close(self) -> None:
        """Remove all of them, the last first."""
        from rootless.errors import ContainerNotFound

        while self.started:
            try:
                self.started.pop().container.remove(force=True, volumes=True)
            except ContainerNotFound:
                continue  # the test has removed it


class Getter:
    """What the fixtures `image` and `session_image` are: called, it pulls or builds one."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.built: list[str] = []

    def __call__(self, name: str = "", *, build: str = "", **options: Any) -> Image:
        """The image of this name, pulled if it is not here; or built from the directory `build`.

        What was built is removed at the end; options are those of `engine.images.build`.
        """
        from rootless.errors import ImageNotFound

        if build:
            if name:
                options["tag"] = name
            made = self.engine.images.build(path=build, **options)[0]
            self.built.append(made.id)
            return made
        try:
            return self.engine.images.get(name)
        except ImageNotFound:
            return self.engine.images.pull(name)

    def close(self) -> None:
        """Remove what was built."""
        from rootless.errors import RootlessError

        while self.built:
            try:
                self.engine.images.remove(self.built.pop(), force=True)
            except RootlessError:
                continue


def logs_of(one: Started) -> str:
    """The end of what a container wrote, for a report."""
    from rootless.errors import RootlessError

    try:
        lines = bytes(one.container.logs(tail=_SHOWN)).decode(errors="replace")
        return f"{one.container.name} ({one.container.status_text()}):\n{lines}"
    except (RootlessError, OSError) as error:
        return f"{one!r}: {error}"


# ------------------------------------------------- fixtures


@pytest.fixture(scope="session")
def rootless_engine() -> Engine:
    """The engine of the user who runs the tests; a conftest.py may have another of this name."""
    import rootless

    return rootless.Engine()


@pytest.fixture(scope="session")
def session_container(rootless_engine: Engine) -> Iterator[Starter]:
    """Start containers that are there until the end of the run."""
    starter = Starter(rootless_engine)
    yield starter
    starter.close()


@pytest.fixture
def container(rootless_engine: Engine, request: pytest.FixtureRequest) -> Iterator[Starter]:
    """Start containers that are removed at the end of the test."""
    starter = Starter(rootless_engine)
    request.node.stash[_STARTERS] = starter
    yield starter
    starter.close()


@pytest.fixture(scope="session")
def session_image(rootless_engine: Engine) -> Iterator[Getter]:
    """Have images; what was built is removed at the end of the run."""
    getter = Getter(rootless_engine)
    yield getter
    getter.close()


@pytest.fixture
def image(rootless_engine: Engine) -> Iterator[Getter]:
    """Have images; what was built is removed at the end of the test."""
    getter = Getter(rootless_engine)
    yield getter
    getter.close()


_STARTERS: pytest.StashKey[Starter] = pytest.StashKey()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Put the logs of the containers of a test that has failed into its report."""
    report = yield
    if report.failed:  # type: ignore[attr-defined]
        starters = [item.stash.get(_STARTERS, None)]
        starters += [
            value for value in getattr(item, "funcargs", {}).values() if isinstance(value, Starter)
        ]
        shown = {id(one): one for starter in starters if starter for one in starter.started}
        for one in shown.values():
            report.sections.append(("container", logs_of(one)))  # type: ignore[attr-defined]
    return report
