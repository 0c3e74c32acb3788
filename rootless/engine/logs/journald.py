"""The fields of a container's lines in the journal, as docker's and podman's drivers write them.

Source: docker's "Journald logging driver" and "Customize log driver output";
systemd.journal-fields(7).
"""

from __future__ import annotations

from rootless.errors import UsageError

OPTIONS = ("tag", "labels", "env")


def fields(
    given: dict[str, str],
    *,
    identifier: str,
    name: str,
    image: str,
    image_id: str,
    labels: dict[str, str],
    env: list[str],
) -> tuple[str, ...]:
    """Return NAME=VALUE of every line; the monitor adds MESSAGE, PRIORITY,
    CONTAINER_PARTIAL_MESSAGE.

    `given`: the options of --log-opt; the rest is of the container, `image` as it was named.
    Raises UsageError for a tag that cannot be understood.
    """
    tag = _tag(
        given.get("tag") or "",
        {
            "ID": identifier[:12],
            "FullID": identifier,
            "Name": name,
            "ImageName": image,
            "ImageID": image_id[:12],
            "ImageFullID": image_id,
            "DaemonName": "rootless",
        },
    )
    found = {
        "CONTAINER_ID": identifier[:12],
        "CONTAINER_ID_FULL": identifier,
        "CONTAINER_NAME": name,
        "CONTAINER_TAG": tag or identifier[:12],
        "IMAGE_NAME": image,
        # journalctl prints this before each line
        "SYSLOG_IDENTIFIER": tag or name,
    }
    variables = dict(word.partition("=")[::2] for word in env)
    for option, table in (("labels", labels), ("env", variables)):
        for key in filter(None, (given.get(option) or "").split(",")):
            if key in table:
                found.setdefault(_field(key), table[key])
    return tuple(f"{key}={value}" for key, value in found.items())


def _field(name: str) -> str:
    """`com.example.team` -> COM_EXAMPLE_TEAM; the journal keeps leading underscores to itself."""
    word = "".join(c if c.isascii() and c.isalnum() else "_" for c in name.upper()).lstrip("_")
    return ("X_" + word if word[:1].isdigit() else word or "X")[:64]


def _tag(text: str, values: dict[str, str]) -> str:
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
