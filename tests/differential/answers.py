"""What is compared of a command: how it ended, what it printed as a program would read it, and what
is different afterwards.  The words of messages and of tables for people are not."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import asdict, dataclass, field
from typing import Any

# Kind of thing -> name -> what is known of it
State = dict[str, dict[str, str]]


@dataclass
class Answer:
    """One tool's answer to one line."""

    status: int
    # of "out" and "err" those that have text
    streams: str
    # what is on the standard output: nothing, text, table, object, array, lines (JSON, one each)
    form: str
    # text as it is, without what is never the same twice; None where a person reads it
    output: str | None = None
    # the header of a table
    columns: list[str] | None = None
    # path of a field -> its type
    fields: dict[str, str] | None = None
    # what is there afterwards and was not before, and the other way round
    effects: State = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For a file of recorded answers."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Answer:
        """The reverse of `as_json`."""
        return cls(**data)


# ------------------------------------------------- what kind of command it is

# verbs of two words
GROUPS = {
    "builder", "buildx", "config", "container", "context", "generate", "healthcheck", "image",
    "kube", "machine", "manifest", "network", "node", "plugin", "pod", "play", "secret", "service",
    "stack", "swarm", "system", "trust", "volume", "quadlet",
}  # fmt: skip
# options before the verb that take a value
VALUED = {
    "--cgroup-manager", "--config", "--conmon", "--connection", "-c", "--context", "-H", "--host",
    "--events-backend", "--hooks-dir", "--identity", "-l", "--log-level", "--module", "--namespace",
    "--network-cmd-path", "--network-config-dir", "--out", "--root", "--runroot", "--runtime",
    "--runtime-flag", "--ssh", "--storage-driver", "--storage-opt", "--tlscacert", "--tlscert",
    "--tlskey", "--tmpdir", "--url", "--volumepath",
}  # fmt: skip
SAME_VERB = {
    "container ls": "ps", "container list": "ps", "container ps": "ps", "image ls": "images",
    "image list": "images", "image rm": "rmi", "image remove": "rmi", "volume list": "volume ls",
    "network list": "network ls", "pod list": "pod ps", "pod ls": "pod ps",
    "secret list": "secret ls", "image unmount": "image umount", "container umount": "umount",
    "container unmount": "umount", "unmount": "umount", "volume remove": "volume rm",
    "network remove": "network rm", "secret remove": "secret rm", "podman": "",
    "system info": "info", "play kube": "kube play", "kube generate": "generate kube",
    "container clone": "container clone", "container cleanup": "container cleanup",
    "container runlabel": "container runlabel", "container prune": "container prune",
    "container checkpoint": "container checkpoint", "container restore": "container restore",
    "container exists": "container exists",
    **{f"image {verb}": verb for verb in "build history import inspect load pull push save search "
       "tag untag".split()},
    "image diff": "diff", "buildx build": "build", "builder build": "build",
}  # fmt: skip


def verb_of(words: list[str]) -> str:
    """The verb of a command, under one name: `podman image ls` is `images`."""
    rest = iter(words[1:])
    for word in rest:
        if word in VALUED:
            next(rest, None)
        elif not word.startswith("-"):
            break
    else:
        return ""
    if word in GROUPS:
        second = next((one for one in rest if not one.startswith("-")), "")
        whole = f"{word} {second}".strip()
        if whole in SAME_VERB:
            return SAME_VERB[whole]
        return second if word == "container" else whole
    return SAME_VERB.get(word, word)


# of these one verb stands for all in the daily run
FAMILIES = {
    "artifact", "builder", "buildx", "checkpoint", "compose", "config", "context", "farm", "kube",
    "machine", "network", "node", "plugin", "pod", "quadlet", "secret", "service", "stack", "swarm",
    "trust",
}  # fmt: skip


def family_of(verb: str) -> str:
    """The verb, or the group that it stands for."""
    first = verb.split(" ")[0]
    return first if first in FAMILIES else verb


def commands_of(line: str) -> list[list[str]]:
    """The words of each command in a line of the shell that is one of the tool's."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&`")
    lexer.whitespace_split = True
    lexer.commenters = ""
    found: list[list[str]] = []
    inside = False
    for word in _split(lexer):
        if inside and word in ("podman", "docker"):
            found[-1].append(word)  # as in `network inspect podman`
        elif word in ("podman", "docker") or word.endswith(("$(podman", "$(docker")):
            found.append([word[-6:]])
            inside = True
        elif set(word) & set(";|&()`") and not word.strip(";|&()<>`"):
            inside = False
        elif inside:
            found[-1].append(word)
        if " podman " in word or word.startswith("podman "):  # sh -c, script -c
            found += commands_of(word)
    return found


def _split(lexer: shlex.shlex) -> list[str]:
    try:
        return list(lexer)
    except ValueError:
        return []


TABLES = {
    "ps", "images", "volume ls", "history", "stats", "search", "top", "system df", "network ls",
    "secret ls", "pod ps", "pod stats", "pod top", "mount", "image mount", "auto-update",
    "system connection list", "machine list",
}  # fmt: skip
# what these print is for people only, unless a format is asked for
FOR_PEOPLE = {
    "", "info", "version", "image tree", "login", "logout", "pull", "push", "load", "build", "help",
    "system df", "image trust show", "system prune", "system reset", "events", "manifest push",
    "save", "import", "commit", "completion", "system migrate", "system renumber", "image scp",
    "container runlabel", "image trust", "machine info", "kube play", "generate systemd",
    "generate kube", "generate spec", "unshare",
}  # fmt: skip
# these change nothing that the tools keep
READING = {
    "", "ps", "images", "inspect", "container inspect", "image inspect", "volume inspect", "info",
    "version", "search", "history", "diff", "port", "top", "logs", "volume ls", "network ls",
    "network inspect", "image tree", "image exists", "container exists", "exists",
    "volume exists", "network exists", "secret ls", "secret inspect", "pod ps", "pod inspect",
    "pod exists", "manifest inspect", "manifest exists", "system df", "events", "stats", "help",
    "completion", "image trust show", "generate systemd", "generate kube", "healthcheck run",
    "pod logs", "pod top", "pod stats", "system connection list", "machine list", "save", "export",
    "volume export", "context ls", "login", "logout", "exec", "wait",
}  # fmt: skip
# these change what `observe` does not see
HIDDEN = {
    "cp", "start", "attach", "update", "mount", "umount", "init", "restart", "pause", "unpause",
}  # fmt: skip

FORMAT = re.compile(r"(^|\s)(--format|-f|--pretty)[= ]")


def is_for_people(commands: list[list[str]]) -> bool:
    """Whether all that the commands print is read by a person."""
    for words in commands:
        if verb_of(words) not in FOR_PEOPLE and "--help" not in words:
            return False
        if {"-q", "--quiet"} & set(words):
            return False
        if any(word.startswith(("--format", "--get-login")) or "{{" in word for word in words):
            return False
    return True


def has_table(commands: list[list[str]]) -> bool:
    """Whether a table with a header is expected."""
    if len(commands) != 1 or verb_of(commands[0]) not in TABLES:
        return False
    words = commands[0]
    if {"-q", "--quiet", "--noheading", "-n", "--help", "-aq", "-qa"} & set(words):
        return False
    formats = [word for word in words if "{{" in word or "json" in word]
    return not formats or "table" in formats[0]


def writes(line: str) -> bool:
    """Whether a line that is thought to read changes the inside of a container."""
    return re.search(r"exec.*(touch|mkdir|>)", line) is not None


# ------------------------------------------------- what is never the same twice

MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
CHANGING = [
    (r"\b[0-9a-f]{64}\b", "<id>"),
    (r"\b(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{12}\b", "<short>"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?: ?[+-]\d\d:?\d\d|Z)?(?: [A-Z]{3,4})?",
     "<time>"),
    (rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\w*,? {MONTH} +\d+ [\d:]+(?: [A-Z]+)? \d{{4}}", "<time>"),
    (r"(?:Less than|About)?\s*\b(?:a|an|\d+)\s(?:second|minute|hour|day|week|month|year)s?\b",
     " <span>"),
    (r"\b\d+(?:\.\d+)? ?(?:[kKMGT]i?)?B\b", "<size>"),
    (r"(?<=--> )[0-9a-f]{11}\b", "<short>"),
    # a port that the tool chose
    (r"(?<=[:\"])[3-6]\d{4}\b", "<port>"),
    # what script(1) lets through of the end of its own input
    (r"\x04\x08\x08|\^@|\x00", ""),
]  # fmt: skip
CHANGING_PATTERNS = [(re.compile(pattern), instead) for pattern, instead in CHANGING]
GENERATED = re.compile(r"\b[a-z]{3,20}_[a-z]{3,20}\b")


class Normal:
    """Takes out of text what is never the same twice: ids, times, sizes, paths of the test."""

    def __init__(self, paths: dict[str, str], line: str) -> None:
        # the longest first: some are inside others
        self.paths = sorted(paths.items(), key=lambda item: -len(item[1]))
        self.line = line

    def __call__(self, text: str) -> str:
        """The text without them."""
        for name, path in self.paths:
            text = text.replace(path, f"<{name}>")
        for pattern, instead in CHANGING_PATTERNS:
            text = pattern.sub(instead, text)
        text = GENERATED.sub(self._generated, text)
        return "\n".join(line.rstrip() for line in text.replace("\r\n", "\n").split("\n")).strip()

    def _generated(self, match: re.Match[str]) -> str:
        return match[0] if match[0] in self.line else "<name>"


# ------------------------------------------------- shapes


def fields_of(value: Any, path: str = "") -> dict[str, str]:
    """Every field of a JSON value with its type; elements of an array count as one."""
    if isinstance(value, dict):
        found = {path: "object"} if path else {}
        for name, inner in value.items():
            found.update(fields_of(inner, f"{path}.{name}"))
        return found
    if isinstance(value, list):
        found = {path: "array"} if path else {}
        for inner in value:
            for name, kind in fields_of(inner, path + "[]").items():
                if found.get(name, "null") == "null":
                    found[name] = kind
        return found
    kinds = {bool: "boolean", int: "number", float: "number", str: "string", type(None): "null"}
    return {path or ".": kinds[type(value)]}


def parse_json(text: str) -> tuple[str, Any]:
    """What form of JSON a text is, or "text"."""
    text = text.strip()
    if text[:1] not in ("{", "["):
        return "text", None
    try:
        value = json.loads(text)
    except ValueError:
        pass
    else:
        return ("array" if isinstance(value, list) else "object"), value
    try:
        return "lines", [json.loads(line) for line in text.splitlines()]
    except ValueError:
        return "text", None


def columns_of(text: str) -> list[str]:
    """The names in the header of a table."""
    lines = text.strip().splitlines()
    return re.split(r"\s{2,}|\t", lines[0].strip()) if lines else []


def answer(line: str, raw: dict[str, Any], normal: Normal, effects: State) -> Answer:
    """What is kept of how a line ended."""
    out, err = raw["out"], raw["err"]
    streams = " ".join(name for name, text in (("out", out), ("err", err)) if text.strip())
    commands = commands_of(line)
    form, value = parse_json(out)
    made = Answer(raw["status"], streams or "none", form if out.strip() else "nothing",
                  effects=effects)  # fmt: skip
    if form != "text":
        whole = value if form != "lines" else list(value)
        made.fields = {
            normal(path.removeprefix("[]")): kind for path, kind in fields_of(whole).items()
        }
    elif has_table(commands):
        if out.strip():
            made.form = "table"
            made.columns = columns_of(normal(out))
    elif not is_for_people(commands):
        made.output = normal(out)
    return made
