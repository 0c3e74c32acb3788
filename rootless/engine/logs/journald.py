"""The fields of a container's lines in the journal, as docker's and podman's drivers write them.

Source: docker's "Journald logging driver" and "Customize log driver output";
systemd.journal-fields(7).
"""

from __future__ import annotations

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.containers.create import Draft

OPTIONS = ("tag", "labels", "env")


def fields(draft: Draft, labels: dict[str, str]) -> tuple[str, ...]:
    """Return NAME=VALUE of every line; the monitor adds MESSAGE, PRIORITY,
    CONTAINER_PARTIAL_MESSAGE.

    `labels` are the container's.  Raises UsageError for a tag that cannot be understood.
    """
    given = dict(word.partition("=")[::2] for word in draft.options.log_opt)
    tag = _tag(given.get("tag") or "", draft)
    found = {
        "CONTAINER_ID": draft.identifier[:12],
        "CONTAINER_ID_FULL": draft.identifier,
        "CONTAINER_NAME": draft.name,
        "CONTAINER_TAG": tag or draft.identifier[:12],
        "IMAGE_NAME": draft.options.image,
        # journalctl prints this before each line
        "SYSLOG_IDENTIFIER": tag or draft.name,
    }
    variables = dict(word.partition("=")[::2] for word in draft.env)
    for option, table in (("labels", labels), ("env", variables)):
        for name in filter(None, (given.get(option) or "").split(",")):
            if name in table:
                found.setdefault(_field(name), table[name])
    return tuple(f"{name}={value}" for name, value in found.items())


def _field(name: str) -> str:
    """`com.example.team` -> COM_EXAMPLE_TEAM; the journal keeps leading underscores to itself."""
    word = "".join(c if c.isascii() and c.isalnum() else "_" for c in name.upper()).lstrip("_")
    return ("X_" + word if word[:1].isdigit() else word or "X")[:64]


def _tag(text: str, draft: Draft) -> str:
    image = draft.image.id if draft.image is not None else ""
    values = {
        "ID": draft.identifier[:12],
        "FullID": draft.identifier,
        "Name": draft.name,
        "ImageName": draft.options.image,
        "ImageID": image[:12],
        "ImageFullID": image,
        "DaemonName": "rootless",
    }
    made, rest = "", text
    while "{{" in rest:
        before, _, rest = rest.partition("{{")
        word, closed, rest = rest.partition("}}")
        name = word.strip().removeprefix(".")
        if not closed or name not in values:
            raise UsageError(
                f'invalid --log-opt tag "{text}"',
                hint="{{.ID}}, " + ", ".join(sorted(set(values) - {"ID"})),
            )
        made += before + values[name]
    return made + rest
