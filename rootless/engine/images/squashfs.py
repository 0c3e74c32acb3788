"""`run ./image.sqfs`, `save --format squashfs`: images that are one file, mounted, not unpacked."""

from __future__ import annotations

import os

from rootless.engine.images import trust as image_trust
from rootless.errors import HostError, StorageError, UsageError
from rootless.storage.drivers import squashfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.context import Context
    from rootless.engine.images.local import LocalImages

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# what singularity and apptainer do before the command, as far as it is in the image itself
_SIF_ENTRY = (
    'for one in /.singularity.d/env/*.sh; do [ -r "$one" ] && . "$one"; done; '
    '[ $# -gt 0 ] && exec "$@"; '
    "[ -x /.singularity.d/runscript ] && exec /.singularity.d/runscript; exec /bin/sh"
)


def find(ctx: Context, path: str) -> tuple[squashfs.SingleFile, Json]:
    """An image that is a file, and its configuration.  Raises as squashfs.read, RegistryError."""
    found = squashfs.read(path)
    image_trust.of_file(ctx, found.kind, path)
    return found, _config(found)


def _config(image: squashfs.SingleFile) -> Json:
    if image.kind == "sif":
        return {"Env": [_PATH], "Entrypoint": ["/bin/sh", "-c", _SIF_ENTRY, "sif"]}
    config = image.document.get("image")
    if not isinstance(config, dict):
        return {"Env": [_PATH], "Cmd": ["/bin/sh"]}
    from rootless.images.formats import manifests

    # checked as the configuration of any image is
    return manifests.record("", "sha256:" + "0" * 64, [], config).config


def save(images: LocalImages, names: list[str], target: object) -> None:
    """Write an image to the file `target` as a squashfs with its configuration.

    The same image gives the same bytes.  Raises UsageError, HostError, StorageError.
    """
    import shutil
    import tempfile

    from rootless import host
    from rootless.engine.common import times
    from rootless.images.formats import manifests
    from rootless.userns import calls

    if len(names) != 1:
        raise UsageError("a squashfs holds one image", hint="save each to a file of its own")
    if not isinstance(target, str):
        raise UsageError("a squashfs cannot be written to a pipe", hint="name a file with -o")
    program = host.current().program("mksquashfs")
    if not program:
        raise HostError(
            "mksquashfs is not installed",
            hint="ask for the package squashfs-tools (as root: apt install squashfs-tools)",
        )
    ctx = images.ctx
    record = images.store.resolve(names[0])
    lowers = images.unpack(record, ctx.maps)
    document = {
        "names": record.names,
        "digests": record.digests,
        "image": manifests.parse(images.store.read_blob(record.config_digest)),
    }
    target = os.path.abspath(target)
    work = tempfile.mkdtemp(prefix=".squashfs-", dir=ctx.data_dir)
    temporary = f"{target}.{os.getpid()}.tmp"
    try:
        for name in ("merged", "empty"):
            os.mkdir(os.path.join(work, name), 0o755)
        # made here, so that the namespace's other ids need not be able to write
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        calls.call(
            "rootless.storage.drivers.squashfs:pack_worker",
            {
                "lowers": lowers,
                "base": os.path.join(ctx.data_dir, "layers"),
                "directory": work,
                "target": temporary,
                "program": program,
                "time": max(0, int(times.moment_or_zero(record.created))),
            },
            maps=ctx.maps,
            mount_namespace=True,
        )
        squashfs.append(temporary, document)
        os.rename(temporary, target)
    except OSError as error:
        raise StorageError(
            f"cannot write {target}: {error.strerror}", hint="check the path and the free space"
        ) from None
    finally:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        shutil.rmtree(work, ignore_errors=True)
