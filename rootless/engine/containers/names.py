"""Ids and names of containers, and how a name is taken so that only one can win."""

from __future__ import annotations

import os

from rootless import documents
from rootless.errors import Conflict, ContainerNotFound, UsageError

_ADJECTIVES = """
able amber ample apt bold brave brisk calm civil clear clever cosy crisp daring deft eager
early fair fast fine firm fleet fond frank free fresh gentle glad good grand happy hardy
honest humble jolly keen kind lively loyal lucky mellow merry mild modest neat nimble
noble patient plain polite proud quick quiet ready robust royal sage sane serene sharp
smart snug sober solid sound spry stable steady still stout sturdy subtle sunny sure swift
tame tidy true trusty upbeat vivid warm wise witty young zesty
""".split()
_NOUNS = """
acorn alder anchor anvil arrow aspen badger basil beacon beech birch bison bramble brook
cairn canoe cedar clover comet compass coral crane creek curlew dingo dolphin dune eagle
ember falcon fern finch fjord gecko ginger glade grove harbor hazel heron ibis iris ivy
jasper juniper kayak kelp kestrel lagoon lantern larch laurel lemur lichen linden lotus
lynx magpie maple marten meadow mesa moss nectar oak ocelot olive orchid osprey otter owl
pebble pine plover poppy puffin quail quartz raven reed robin rowan saffron sage sparrow
spruce swift tern thistle topaz tulip walnut willow wren
""".split()

_ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


def new_id() -> str:
    """64 hexadecimal digits from the kernel's random source."""
    return os.urandom(32).hex()


def is_valid(name: str) -> bool:
    """Whether a name follows docker's rule."""
    return bool(name) and name[0] not in "_.-" and set(name) <= _ALLOWED


def check(name: str) -> str:
    """Raises UsageError unless `name` follows docker's rule for names."""
    if not is_valid(name):
        raise UsageError(
            f'invalid container name "{name}"',
            hint="use a-z A-Z 0-9 _ . - and begin with a letter or digit",
        )
    return name


def check_hostname(name: str) -> None:
    """Raises UsageError unless `name` can be a host name (RFC 1123, sethostname(2))."""
    labels = name.removesuffix(".").split(".")
    if len(name) > 64 or not all(
        label and label[0] != "-" and label[-1] != "-" and set(label) <= _ALLOWED - {"."}
        for label in labels
    ):
        raise UsageError(
            f'invalid --hostname "{name}"', hint="letters, digits, - and dots, at most 64"
        )


def take(containers: str, name: str, identifier: str) -> str:
    """Reserve `name` (or, if empty, a free invented one) for the container; returns it.

    A symbolic link is made: the file system lets exactly one of many succeed.  Raises Conflict.
    """
    directory = os.path.join(containers, "names")
    invented = not name
    for attempt in range(100):
        if invented:
            number = int.from_bytes(os.urandom(4), "little")
            name = f"{_ADJECTIVES[number % len(_ADJECTIVES)]}_{_NOUNS[number // 256 % len(_NOUNS)]}"
            if attempt > 4:
                name += str(number % 1000)
        try:
            os.symlink(identifier, os.path.join(directory, name))
            return name
        except FileNotFoundError:
            os.makedirs(directory, 0o711, exist_ok=True)
        except FileExistsError:
            holder = _holder(containers, name)
            if holder is None:
                continue
            if not invented:
                raise Conflict(
                    f'the container name "{name}" is already in use by container {holder[:12]}',
                    hint=f"remove it (rootless rm {name}), choose another name, or use --replace",
                ) from None
    raise Conflict(f'the container name "{name}" could not be taken')


def _holder(containers: str, name: str) -> str | None:
    """Who holds a name; a name whose holder is gone is freed and None returned."""
    path = os.path.join(containers, "names", name)
    try:
        holder = os.readlink(path)
    except OSError:
        return None
    directory = os.path.join(containers, holder)
    try:
        os.stat(directory)
        return holder
    except FileNotFoundError:
        # the directory is made before the name is taken, so this holder was removed; if two see
        # this at once both unlink, and one of the two links made afterwards wins
        release(containers, name, holder)
        return None


def release(containers: str, name: str, identifier: str) -> None:
    """Give a name back, if it is still this container's."""
    path = os.path.join(containers, "names", name)
    try:
        if os.readlink(path) == identifier:
            os.unlink(path)
    except FileNotFoundError:
        pass


def resolve(containers: str, text: str) -> str:
    """The id meant by a name, an id, or the unique beginning of one.  Raises ContainerNotFound."""
    text = text.removeprefix("/")
    if text and "/" not in text:
        try:
            identifier = os.readlink(os.path.join(containers, "names", text))
            if len(identifier) == 64 and os.path.isdir(os.path.join(containers, identifier)):
                return identifier
        except OSError:
            pass
    if text and set(text) <= set("0123456789abcdef"):
        found = [
            one for one in documents.names_in(containers) if one.startswith(text) and len(one) == 64
        ]
        if len(found) == 1:
            return found[0]
        if found:
            raise ContainerNotFound(
                f'"{text}" could be any of {len(found)} containers',
                hint="give more digits of the id",
            )
    raise ContainerNotFound(
        f'no such container: "{text}"', hint="rootless ps -a lists the containers there are"
    )
