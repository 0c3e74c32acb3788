"""The context of an engine: where its files are, what was configured, and who is told.

A leaf: it knows no collection, so that every part of the engine can be given it.  Where a part
needs more, it is given that by name.
"""

from __future__ import annotations

import os

from rootless import paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.cgroups.managers import Manager
    from rootless.engine.common.demands import Demands
    from rootless.progress import Progress
    from rootless.userns.idmap import IdMaps

    # kind, action, id, name, attributes
    Emitter = Callable[[str, str, str, str, dict[str, str]], None]


class Context:
    """What all collections of one engine share.

    `storage_driver`, `storage_options`, `cgroup_manager` and `runtime` are what was asked for, by
    the caller or in config.toml; `demands` what the caller demands of signatures.
    """

    __slots__ = (
        "_cgroups",
        "_emit",
        "_maps",
        "_progress",
        "cgroup_manager",
        "containers_dir",
        "data_dir",
        "demands",
        "runtime",
        "storage_driver",
        "storage_options",
    )

    def __init__(
        self,
        data_dir: str = "",
        *,
        storage_driver: str | None = None,
        storage_options: list[str] | str | None = None,
        cgroup_manager: str | None = None,
        runtime: str | None = None,
        progress: Progress | Callable[[], Progress] | None = None,
        emit: Emitter,
    ) -> None:
        """`progress`: who hears of long operations, or what makes it when it is needed; `emit`:
        what writes events down.  Raises UsageError for what config.toml says."""
        from rootless.engine.common import arguments, config

        configured = config.of_engine()
        self.data_dir = os.path.abspath(data_dir or paths.data_dir())
        self.containers_dir = os.path.join(self.data_dir, "containers")
        self.storage_driver: str | None = storage_driver or configured.get("storage_driver")
        self.storage_options: list[str] = arguments.words(
            "storage_options", storage_options or configured.get("storage_opt")
        )
        self.cgroup_manager: str | None = cgroup_manager or configured.get("cgroup_manager")
        self.runtime: str | None = runtime or configured.get("runtime")
        self.demands: Demands | None = None
        self._progress = progress
        self._emit = emit
        self._maps: IdMaps | None = None
        self._cgroups: dict[str, Manager] = {}

    @property
    def progress(self) -> Progress:
        """Who hears of long operations."""
        from rootless.progress import Progress

        if not isinstance(self._progress, Progress):
            self._progress = self._progress() if self._progress else Progress()
        return self._progress

    @property
    def maps(self) -> IdMaps:
        """The user's own id map: what layers are unpacked with."""
        if self._maps is None:
            from rootless.userns import idmap

            self._maps = idmap.default_maps()
        return self._maps

    def cgroups(self, mode: str = "") -> Manager:
        """The cgroup manager of this host; `mode` is what `--cgroups` says.  Raises as choose."""
        if mode not in self._cgroups:
            from rootless import cgroups

            self._cgroups[mode] = cgroups.choose(self.cgroup_manager, mode)
        return self._cgroups[mode]

    def notice(self, key: str, text: str, *, always: bool = False) -> None:
        """Report what a default could not do: once for each boot, or `always`.

        `key` names the matter.  What was asked for by name is an error instead, never a notice.
        """
        if always or _first_time(key):
            self.progress.message(f"note: {text}")

    def emit(
        self,
        kind: str,
        action: str,
        identifier: str,
        name: str = "",
        attributes: dict[str, str] | None = None,
    ) -> None:
        """Write an event, for `events`; costs one open, write and close.

        `kind`: container, image, volume, network, pod, system; `action`: podman's word for it,
        but `die`.  Never raises: what was done is done, whether it could be written down or not.
        """
        self._emit(kind, action, identifier, name or identifier, attributes or {})

    def prepare(self) -> None:
        """Make the directories that a first run needs.

        Nobody else may pass the first: an image or a container can hold a program with the setuid
        bit, which another user of the host would start as ourselves (CVE-2021-41091).  Below it
        mapped ids could pass; --userns nomap, whose root is none of ours, needs o+x on the first.
        """
        paths.ensure_data(self.data_dir)
        for name in ("containers", "containers/names", "layers", "volumes"):
            paths.ensure(os.path.join(self.data_dir, name), 0o711)

    def arguments(self) -> list[str]:
        """The options of the command line that make the same context in another process."""
        words = ["--root", self.data_dir]
        for name in ("storage_driver", "cgroup_manager", "runtime"):
            value = getattr(self, name)
            if value:
                words += ["--" + name.replace("_", "-"), value]
        for value in self.storage_options:
            words += ["--storage-opt", value]
        return words


def _first_time(key: str) -> bool:
    """Whether this was not reported yet since the last boot (or the last emptying of /tmp)."""
    directory = os.path.join(paths.runtime_dir(), "told")
    for _ in range(2):
        try:
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
            os.close(os.open(os.path.join(directory, key), flags, 0o600))
            return True
        except FileExistsError:
            return False
        except FileNotFoundError:
            paths.ensure(paths.runtime_dir())
            os.makedirs(directory, 0o700, exist_ok=True)
        except OSError:
            return True
    return True
