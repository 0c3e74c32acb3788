"""`run --platform`: whether the image that is here is for the platform that was asked for."""

from __future__ import annotations

from rootless.errors import RootlessError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.engine import Engine
    from rootless.engine.images.collection import Images
    from rootless.images.store.record import ImageRecord


def fit(images: Images, record: ImageRecord, name: str, platform: str, policy: str) -> ImageRecord:
    """`record` if it suits, else the one that the registry has for the platform.

    Raises UsageError when the policy is never to fetch, or as `pull`.
    """
    from rootless.images.formats import platforms

    wanted = platforms.parse(platform)
    here = platforms.Platform(record.os, record.architecture, record.variant)
    if wanted.runs(here):
        return record
    mismatch = f"the image {name} here is for {here}, not for {wanted}"
    if policy == "never" or not record.names:
        raise UsageError(mismatch, hint="leave --platform out, or fetch the other image")
    try:
        return images.pull(name, platform)
    except RootlessError as error:
        raise type(error)(f"{mismatch}; {error.message}", hint=error.hint) from None


def tell(engine: Engine, record: ImageRecord) -> None:
    """Say so when an image is for other machines: it may still run, by binfmt_misc and qemu."""
    from rootless.images.formats import platforms

    here = platforms.host()
    there = platforms.Platform(record.os, record.architecture, record.variant)
    if not here.runs(there):
        engine.notice("", f"the image is for {there}, and this host is {here}", always=True)
