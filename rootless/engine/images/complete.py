"""Images that were pulled lazily, or lost a blob: the rest of them is fetched."""

from __future__ import annotations

from rootless.engine.images import trust as image_trust
from rootless.errors import RootlessError, StorageError
from rootless.images.transfer import pull as transfer_pull

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.engine.context import Context
    from rootless.images.record import ImageRecord
    from rootless.images.store.store import ImageStore


def complete(
    ctx: Context, store: ImageStore, record: ImageRecord, directories: Callable[[], list[str]]
) -> None:
    """Fetch the blobs of an image that are not here, or not whole.

    `directories`: where unpacked layers are.

    Raises as a pull; the sentence names what is missing, which a pull by hand would not.
    """
    lost = [one.digest for one in record.layers if not store.has_blob(one.digest, one.size)]
    more = f" and {len(lost) - 1} more" if lost[1:] else ""
    missing = (
        f"the layer {''.join(lost[:1])}{more} of the image {record.id[:12]} "
        f"{'are' if more else 'is'} missing"
    )
    if not record.digests:
        raise StorageError(
            f"{missing}, and no registry is known for it",
            hint=f"load, import or commit it again, or remove it: rootless rmi {record.id[:12]}",
        )
    try:
        transfer_pull.pull(
            store, record.digests[0], platform=record.platform,
            progress=ctx.progress, layers=directories,
            trust=image_trust.rules(ctx),
        )  # fmt: skip
    except RootlessError as error:
        raise type(error)(f"{missing}; {error.message}", hint=error.hint) from None
