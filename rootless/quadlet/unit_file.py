"""One unit file with its drop-ins, what it will be called, and the service that is made of it."""

from __future__ import annotations

from rootless.errors import UsageError
from rootless.quadlet import search_paths, syntax

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.quadlet.syntax import Entry

SECTIONS = {"container": "Container", "pod": "Pod", "volume": "Volume", "network": "Network",
            "kube": "Kube", "image": "Image", "build": "Build"}  # fmt: skip
# the keys of [Unit] that may name other unit files
_RELATIONS = ("After", "Before", "BindsTo", "Conflicts", "OnFailure", "OnSuccess", "PartOf",
              "PropagatesReloadTo", "PropagatesStopTo", "ReloadPropagatedFrom", "Requires",
              "Requisite", "StopPropagatedFrom", "Upholds", "Wants")  # fmt: skip
_NAMES = {"container": "ContainerName", "pod": "PodName", "volume": "VolumeName",
          "network": "NetworkName"}  # fmt: skip


class Source:
    """A unit file: its name, its sections with those of drop-ins."""

    def __init__(self, name: str, path: str, drop_ins: list[str]) -> None:
        """Raises UsageError for bad syntax or a file that cannot be read."""
        self.name = name
        self.path = path
        self.drop_ins = drop_ins
        self.stem, _, self.kind = name.rpartition(".")
        self.sections = syntax.Sections()
        for file in (path, *drop_ins):
            try:
                with open(file, encoding="utf-8") as opened:
                    text = opened.read()
            except (OSError, UnicodeDecodeError) as error:
                why = getattr(error, "strerror", None) or "it is not text"
                raise UsageError(f"{file} cannot be read: {str(why).lower()}") from None
            syntax.parse(text, file, self.sections)
        self.section = SECTIONS.get(self.kind, "")

    def all(self, key: str) -> list[Entry]:
        """Return all assignments of a key in the section of the unit's kind."""
        return self.sections.all(self.section, key)

    def last(self, key: str) -> Entry | None:
        """Return the assignment that counts."""
        return self.sections.last(self.section, key)

    def text(self, key: str) -> str:
        """Return its value, empty if there is none."""
        entry = self.last(key)
        return entry.value if entry else ""

    def flag(self, key: str, default: bool = False) -> bool:
        """Return its value as a boolean.  Raises UsageError."""
        entry = self.last(key)
        return entry.truth() if entry else default

    @property
    def service(self) -> str:
        """The name of the systemd unit that is made of it."""
        if self.kind in search_paths.NATIVE:
            return self.name
        named = self.text("ServiceName")
        if named:
            return named.removesuffix(".service") + ".service"
        if self.kind in ("container", "kube"):
            return f"{self.stem}.service"
        template, at_sign, instance = self.stem.partition("@")
        return f"{template}-{self.kind}{at_sign}{instance}.service"

    @property
    def resource(self) -> str:
        """The name of what the service makes: a container, a volume, a network, an image."""
        if self.kind == "image":
            return self.text("ImageTag") or self.text("Image")
        if self.kind == "build":
            return self.text("ImageTag")
        named = self.text(_NAMES.get(self.kind, ""))
        if named:
            return named
        template, at_sign, instance = self.stem.partition("@")
        # a name of a container has no @; systemd fills in the instance of a template
        return f"systemd-{template}_{instance or '%i'}" if at_sign else f"systemd-{self.stem}"

    def check_keys(self, known: frozenset[str] | set[str], lacking: dict[str, str]) -> None:
        """Raise UsageError for a key that is not known or that cannot be had."""
        if self.section not in self.sections.table:
            raise UsageError(f"{self.path}: there is no section [{self.section}]")
        for entry in self.sections.get(self.section):
            if entry.key in lacking:
                raise entry.wrong(f"{entry.key}= cannot be had: {lacking[entry.key]}")
            if entry.key not in known:
                raise entry.wrong(
                    f"unknown key {entry.key}= in [{self.section}]", hint=_similar(entry.key, known)
                )


def _similar(key: str, known: frozenset[str] | set[str]) -> str:
    import difflib

    found = difflib.get_close_matches(key, sorted(known), 1, 0.6)
    return f"is {found[0]}= meant?" if found else "see podman-systemd.unit(5)"


class Service:
    """The unit in the making: lines that are added to those that the file itself has."""

    def __init__(self, source: Source, sources: dict[str, Source], program: list[str]) -> None:
        self.source = source
        self.sources = sources
        self.program = program
        self.unit: list[str] = ["SourcePath=" + source.path.replace("%", "%%")]
        self.lines: list[str] = []

    def other(self, entry: Entry, name: str) -> Source:
        """Return the unit file of this name, on which this one depends from now on.  Raises
        UsageError."""
        found = self.sources.get(name)
        if found is None:
            raise entry.wrong(
                f"{entry.key}={entry.value}: there is no unit file {name}",
                hint="it belongs into the same directory",
            )
        self.need(found.service)
        return found

    def need(self, service: str) -> None:
        """Start only after this service, and not without it."""
        for line in (f"Requires={service}", f"After={service}"):
            if line not in self.unit:
                self.unit.append(line)

    def set(self, key: str, value: str) -> None:
        """Set a line of [Service], unless the file has it."""
        if self.source.sections.last("Service", key) is None:
            self.lines.append(f"{key}={value}")

    def command(self, *words: str) -> str:
        """Return a command line of this program."""
        return syntax.command([*self.program, *words])

    def text(self) -> str:
        """Return the unit as systemd reads it.  Raises UsageError for a relation to nothing."""
        made = [f"# Made by rootless from {self.source.path}; changes here are lost."]
        table = self.source.sections.table
        order = [name for name in table if name not in ("Unit", "Service")]
        for name in ("Unit", *order, "Service"):
            entries = table.get(name, [])
            if name == self.source.section and name or name == "Quadlet":
                made += ["", f"[X-{name}]", *(f"{one.key}={one.value}" for one in entries)]
                continue
            made += ["", f"[{name}]"]
            if name == "Unit":
                made += [*(self._relation(one) for one in entries), *self.unit]
            else:
                made += [f"{one.key}={one.value}" for one in entries]
                made += self.lines if name == "Service" else []
        return "\n".join(made) + "\n"

    def _relation(self, entry: Entry) -> str:
        if entry.key not in _RELATIONS:
            return f"{entry.key}={entry.value}"
        words = []
        for word in entry.value.split():
            if word.rpartition(".")[2] in search_paths.KINDS:
                if word not in self.sources:
                    raise entry.wrong(f"{entry.key}={entry.value}: there is no unit file {word}")
                word = self.sources[word].service
            words.append(word)
        return f"{entry.key}={' '.join(words)}"

    def links(self) -> list[tuple[str, str]]:
        """Return what [Install] asks for: (path of a link below the directory of units, its
        target)."""
        return links(self.source)


def links(source: Source) -> list[tuple[str, str]]:
    """Return Service.links: made here because systemctl cannot enable units of a generator.

    Source: systemd.unit(5), [Install].
    """
    service = source.service
    made: list[tuple[str, str]] = []
    for entry in source.sections.all("Install", "Alias"):
        made += [(word, service) for word in entry.words() if _safe(entry, word) != service]
    enabled = service
    stem, _, kind = service.rpartition(".")
    if stem.endswith("@"):
        default = source.sections.last("Install", "DefaultInstance")
        if default is None:
            return made
        enabled = f"{stem}{_safe(default, default.value)}.{kind}"
    for key in ("WantedBy", "RequiredBy", "UpheldBy"):
        below = {"WantedBy": "wants", "RequiredBy": "requires", "UpheldBy": "upholds"}[key]
        for entry in source.sections.all("Install", key):
            made += [
                (f"{_safe(entry, word)}.{below}/{enabled}", f"../{service}")
                for word in entry.words()
            ]
    return made


def _safe(entry: Entry, word: str) -> str:
    # it becomes a file's name below a directory of systemd's
    if "/" in word or word in ("", ".", ".."):
        raise entry.wrong(f"{entry.key}={entry.value}: {word} is not the name of a unit")
    return word
