"""`run --platform`: whether the image that is here is for the platform that was asked for."""

from __future__ import annotations

from rootless.errors import RootlessError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.engine.context import Context
    from rootless.images.record import ImageRecord


def fit(
    record: ImageRecord,
    name: str,
    platform: str,
    policy: str,
    pull: Callable[[str, str], ImageRecord],
) -> ImageRecord:
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
        return pull(name, platform)
    except RootlessError as error:
        raise type(error)(f"{mismatch}; {error.message}", hint=error.hint) from None


def report_foreign(ctx: Context, record: ImageRecord) -> None:
    """Report an image for other machines: it may still run, by binfmt_misc and qemu."""
    from rootless.images.formats import platforms

    here = platforms.host()
    there = platforms.Platform(record.os, record.architecture, record.variant)
    if not here.runs(there):
        ctx.notice("", f"the image is for {there}, and this host is {here}", always=True)
