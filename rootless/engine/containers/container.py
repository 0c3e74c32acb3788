"""One container: its life from created to removed."""

from __future__ import annotations

import os
import time

from rootless import paths
from rootless.engine.containers import names as container_names
from rootless.engine.containers import record as container_record
from rootless.engine.containers import state as container_state
from rootless.engine.containers.ref import ContainerRef
from rootless.errors import Conflict, ContainerNotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Iterator
    from typing import Any, BinaryIO, Literal, overload

    from rootless.documents import Json
    from rootless.engine.containers.attach import Session
    from rootless.engine.containers.exec_result import ExecResult
    from rootless.engine.containers.output import Entries
    from rootless.engine.containers.stores import Stores
    from rootless.engine.containers.wait import Waiter
    from rootless.engine.context import Context
    from rootless.engine.health.check import Outcome
    from rootless.engine.images.image import Image
    from rootless.engine.spec.option_values import ExecOptions

    Moment = float | datetime.datetime | None


class Container(ContainerRef):
    """A container as the user's directory knows it; every look at its state is a fresh one.

    As a context manager it is removed, by force, at the end.
    """

    def __init__(self, ctx: Context, identifier: str, stores: Stores) -> None:
        """Raises ContainerNotFound, DamagedDocument."""
        super().__init__(ctx, identifier)
        self._stores = stores

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.remove(force=True, volumes=True)
        except ContainerNotFound:
            pass

    # its life

    def start(
        self, *, attach: bool = False, window: tuple[int, int] | None = None
    ) -> Session | None:
        """Start it; with `attach` the session that talks to it is returned.

        A running container is left as it is.  `window`: rows and columns of its terminal, by
        default those of ours.  Raises what the failing step of the launch means.
        """
        from rootless.engine.containers import start as container_start

        with self.lock():
            found = self.state()
            if found.alive or found.monitor:
                return self.attach_session() if attach else None
            if attach:
                self.emit("attach")  # docker's order: whoever looks is there before it starts
            if found.lost:
                # its monitor could not report it any more
                self.emit("die", exitCode=str(found.exit_code))
            if self.listener():
                raise Conflict(
                    f"the container {self.name} runs, although its state does not say so",
                    hint=f"rootless rm -f {self.name} ends and removes it",
                )
            for one in self.record.get("requires", ()):
                Container(self.ctx, one, self._stores).start()
            started = container_start.launch(self, window)
        if self.record.get("service"):
            from rootless.engine.containers import sd_notify

            sd_notify.started(self, started.channel, stays=attach)
        if not attach:
            os.close(started.channel)
            return None
        from rootless.engine.containers.attach import Session

        return Session(self, fd=started.channel)

    def attach_session(self) -> Session:
        """A session with the running container.  Raises Conflict when it does not run."""
        from rootless.engine.containers.attach import Session

        if not self.state().monitor:
            raise Conflict(
                f"the container {self.name} is not running", hint=f"rootless start {self.name}"
            )
        self.emit("attach")
        return Session(self, path=os.path.join(paths.socket_directory(self.id), "attach"))

    def kill(self, signal: str | int = "SIGKILL") -> None:
        """Send a signal to the first process; return after the end if it is SIGKILL.

        Raises Conflict when it does not run.
        """
        from rootless.engine.common import signals
        from rootless.engine.containers import stop as container_stop

        number = signals.number(signal)
        found = self.state()
        if not found.alive:
            if found.status == "restarting" and number in (9, 15):
                container_stop.ask(self.directory)
                return
            raise Conflict(f"the container {self.name} is not running")
        if number in (9, 15):
            container_stop.ask(self.directory)
        signals.send(found.pid, found.pid_start, number)
        self.emit("kill", signal=str(number))
        if number == 9:
            container_stop.wait_killed(self.directory)

    def stop(self, timeout: int | None = None, signal: str | None = None) -> None:
        """Send the stop signal, wait `timeout` seconds (by default the container's own), then kill.

        Does nothing when it does not run.
        """
        from rootless.engine.containers import stop as container_stop

        container_stop.stop(self, timeout, signal)

    def restart(self, timeout: int | None = None) -> None:
        """Stop and start."""
        self.stop(timeout)
        self.start()
        self.emit("restart")

    def pause(self) -> None:
        """Freeze all processes.  Raises HostError where there is no cgroup to do it."""
        from rootless.engine.containers import pause as container_pause

        container_pause.freeze(self, True)

    def unpause(self) -> None:
        """Thaw."""
        from rootless.engine.containers import pause as container_pause

        container_pause.freeze(self, False)

    def update(self, **words: object) -> None:
        """Change its limits, now and for later starts; see engine.containers.update.update."""
        from rootless.engine.containers import update as container_update

        container_update.update(self, self._stores, **words)  # type: ignore[arg-type]
        self.emit("update")

    if TYPE_CHECKING:

        @overload
        def stats(
            self,
            seconds: float = 1.0,
            *,
            stream: Literal[True] = True,
            decode: bool | None = None,
        ) -> Iterator[Json]: ...

        @overload
        def stats(
            self, seconds: float = 1.0, *, stream: Literal[False], decode: bool | None = None
        ) -> dict[str, Json]: ...

    def stats(
        self, seconds: float = 1.0, *, stream: bool = True, decode: bool | None = None
    ) -> Iterator[Json] | dict[str, Json]:
        """What it uses, again and again; without `stream` once, as a table.

        See rootless.engine.containers.stats.stats.  `decode` is docker's; it always is.
        """
        from rootless.engine.containers import stats as container_stats

        found = (rows[0] for rows in container_stats.stats([self], seconds) if rows)
        return found if stream else next(found)

    def remove(
        self, *, force: bool = False, volumes: bool = False, timeout: int | None = None
    ) -> None:
        """Remove it and all that is its own.  Raises Conflict when it runs and not `force`.

        With a `timeout` what runs has that many seconds to end by itself; otherwise it is killed.
        """
        from rootless.engine.containers import remove as container_remove

        container_remove.remove(self, self._stores, force=force, volumes=volumes, timeout=timeout)

    def rename(self, new: str) -> None:
        """Give it another name.  Raises Conflict, UsageError."""
        from rootless.engine.events import writer as event_writer

        container_names.check(new)
        with self.lock():
            self.reload()
            old = self.name
            container_names.take(self.ctx.containers_dir, new, self.id)
            self.record["name"] = new
            container_record.write(self.directory, self.record)
            container_names.release(self.ctx.containers_dir, old, self.id)
            event_writer.renamed(self.directory, self.record)
        self.emit("rename", oldName="/" + old)

    def wait(
        self,
        condition: str | list[str] = "stopped",
        *,
        interval: float | None = None,
        timeout: float | None = None,
    ) -> dict[str, int]:
        """Wait until (one of) the condition(s) holds; {"StatusCode": n}, -1 when it has not ended.

        Raises TimedOut after `timeout` seconds.  See rootless.engine.containers.wait.wait.
        """
        from rootless.engine.containers import wait as container_wait

        conditions = [condition] if isinstance(condition, str) else list(condition)
        return {"StatusCode": container_wait.wait(self, conditions, interval, timeout)}

    def waiter(self, condition: str = "stopped") -> Waiter:
        """Begin to wait, without waiting: whatever happens from now on counts."""
        from rootless.engine.containers import wait as container_wait

        return container_wait.Waiter(self, [condition])

    # what happens in it

    def exec(
        self,
        command: list[str] | str,
        *,
        timeout: float | None = None,
        check: bool = False,
        **options: object,
    ) -> ExecResult:
        """Run a command in it: (exit_code, output, error).  Further words: ExecOptions.

        A string is taken apart into words; no shell is asked.  After `timeout` seconds it is
        killed, and TimedOut is raised; with `check` CommandFailed, unless it ends with 0.
        """
        from rootless.engine.containers import exec as container_exec

        return container_exec.run(self, command, timeout=timeout, check=check, **options)

    def exec_run(
        self,
        cmd: list[str] | str,
        stdout: bool = True,
        stderr: bool = True,
        stdin: bool = False,
        *,
        detach: bool = False,
        stream: bool = False,
        socket: bool = False,
        demux: bool = False,
        **options: object,
    ) -> Any:
        """As docker's Python client: (exit_code, output).

        `stream`: (None, an iterator of bytes); `socket`: (None, a socket to the command);
        `demux`: the output is (stdout, stderr), each None if empty, and so is what is streamed;
        `detach`: it is not waited for.  Further words: ExecOptions.
        """
        from rootless.engine.containers import exec_run

        return exec_run.run(
            self, cmd, stdout, stderr, stdin, detach=detach, stream=stream, socket=socket,
            demux=demux, words=options,
        )  # fmt: skip

    def attach(
        self,
        *,
        stdout: bool = True,
        stderr: bool = True,
        stream: bool = False,
        logs: bool = False,
        demux: bool = False,
    ) -> Any:
        """What it writes from now on, until it ends; with `logs` what it has written before.

        Bytes, or with `stream` an iterator of bytes; `demux`: (stdout, stderr) instead of bytes.
        """
        from rootless.engine.containers import output

        pairs = output.chosen(
            self.logs(follow=True) if logs else self.attach_session().channel().output(),
            stdout, stderr,
        )  # fmt: skip
        return output.shaped(pairs, stream, demux)

    def become_exec(self, options: ExecOptions) -> str:
        """For the command line: replace this process by the command; detached, return at once."""
        from rootless.engine.containers import exec as container_exec

        return container_exec.become(self, options)

    if TYPE_CHECKING:

        @overload
        def logs(
            self,
            stdout: bool = True,
            stderr: bool = True,
            stream: None = None,
            timestamps: bool = False,
            tail: int | str | None = None,
            since: Moment = None,
            follow: bool | None = None,
            until: Moment = None,
            *,
            stop: Callable[[], bool] | None = None,
        ) -> Entries: ...

        @overload
        def logs(
            self,
            stdout: bool = True,
            stderr: bool = True,
            *,
            stream: Literal[True],
            timestamps: bool = False,
            tail: int | str | None = None,
            since: Moment = None,
            follow: bool | None = None,
            until: Moment = None,
            stop: Callable[[], bool] | None = None,
        ) -> Iterator[bytes]: ...

        @overload
        def logs(
            self,
            stdout: bool = True,
            stderr: bool = True,
            *,
            stream: Literal[False],
            timestamps: bool = False,
            tail: int | str | None = None,
            since: Moment = None,
            follow: bool | None = None,
            until: Moment = None,
            stop: Callable[[], bool] | None = None,
        ) -> bytes: ...

    def logs(
        self,
        stdout: bool = True,
        stderr: bool = True,
        stream: bool | None = None,
        timestamps: bool = False,
        tail: int | str | None = None,
        since: Moment = None,
        follow: bool | None = None,
        until: Moment = None,
        *,
        stop: Callable[[], bool] | None = None,
    ) -> Entries | Iterator[bytes] | bytes:
        """("stdout" | "stderr", bytes) pairs, oldest first; where bytes are expected, all of it.

        With `stream` an iterator of bytes, that follows unless `follow` is false, as docker's
        client.  `tail`: a number of lines, or "all"; `since`, `until`: seconds since the epoch or a
        datetime.  `stop` is asked now and then whether whoever follows has gone.
        """
        from rootless.engine.containers import output
        from rootless.engine.logs import reader as log_reader

        end = output.moment(until)

        def alive() -> bool:
            if stop is not None and stop():
                return False
            # what comes later than `until` is not waited for
            if end is not None and time.time() >= end:
                return False
            return bool(container_state.read(self.directory).monitor)

        path = self.record["logPath"]
        if self.record["logDriver"] == "journald":
            path = self.id
        pairs = log_reader.read(
            path,
            self.record["logDriver"],
            follow=bool(stream if follow is None else follow),
            since=output.moment(since),
            until=end,
            tail=None if tail in (None, "all") else int(tail),
            timestamps=timestamps,
            alive=alive,
        )
        if not (stdout and stderr):
            pairs = output.chosen(pairs, stdout, stderr)
        if stream is None:
            return output.Entries(pairs)
        parts = output.as_bytes(pairs)
        return parts if stream else b"".join(parts)

    @property
    def attrs(self) -> Json:
        """Everything about it, in the shape of `docker inspect`."""
        from rootless.engine.containers import inspect as container_inspect

        return container_inspect.container(self)

    def explain(self) -> Json:
        """The picture of `rootless explain`, as data."""
        from rootless.engine.containers import explain as container_explain

        found = self.state()
        if not found.pid:
            raise Conflict(
                f"the container {self.name} is not running", hint=f"rootless start {self.name}"
            )
        return container_explain.explain(self.attrs, self.process()[0], found.monitor or None)

    def top(self, arguments: list[str] | str | None = None) -> Json:
        """{"Titles": [...], "Processes": [[...]]} of its processes, with host pids.

        `arguments`: columns or options of ps(1).
        """
        from rootless.engine.common import arguments as common_arguments
        from rootless.engine.containers import top as container_top

        return container_top.top(self, common_arguments.command(arguments, "the arguments of ps"))

    def diff(self) -> list[tuple[str, str]]:
        """(kind, path) of files added (A), changed (C) and deleted (D) since the image."""
        from rootless.engine.containers import copy as container_copy

        return container_copy.diff(self)

    def get_archive(self, path: str, out: int | None = None, chunk_size: int = 1 << 21) -> Any:
        """What is at `path` as a tar stream: written to the descriptor `out`, or returned.

        Returned is (iterator of bytes, {"name", "size", "mode", "mtime", "linkTarget"}), as
        docker's client does.
        """
        from rootless.engine.containers import archive
        from rootless.engine.containers import copy as container_copy

        if out is not None:
            return container_copy.get_archive(self, path, out)
        return archive.get(self, path, chunk_size)

    def put_archive(
        self, path: str, data: bytes | BinaryIO | int, *, keep_owner: bool = True
    ) -> Json:
        """Unpack a tar stream (bytes, a file or its descriptor) below the directory `path`."""
        from rootless.engine.containers import archive
        from rootless.engine.containers import copy as container_copy

        with archive.source(data) as descriptor:
            return container_copy.put_archive(self, path, descriptor, keep_owner=keep_owner)

    def export(self, target: str | int) -> Json:
        """Write its whole file system as a tar to a path or descriptor; {"files", "bytes"}."""
        from rootless.engine.containers import commit as container_commit

        return container_commit.export_to(self, target)

    def commit(self, name: str = "", tag: str = "", *, repository: str = "", **words: Any) -> Image:
        """Make an image of it, named `name` or, as docker's client has it, repository:tag.

        Further words: rootless.images.store.commit.Words.
        """
        from rootless.engine.containers import commit as container_commit

        name = repository or name
        name = f"{name}:{tag}" if name and tag else name
        return container_commit.commit(self, self._stores.images, name, **words)

    def check_health(self) -> Outcome:
        """Check now; see rootless.engine.health.check.check."""
        from rootless.engine.health import check as health_check

        return health_check.check(self)

    def execute(self, command: list[str], seconds: float) -> tuple[int, str]:
        """For health checks: (exit status, what it wrote to both streams); -1: too long."""
        from rootless.engine.containers import exec_limited

        return exec_limited.execute(self, command, seconds)
