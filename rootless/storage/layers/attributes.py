"""Whose an unpacked file is: owner, mode and attributes, given or noted."""

from __future__ import annotations

import os
import stat

from rootless import kernel
from rootless.errors import StorageError
from rootless.storage.layers import layer_view

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.storage.layers.tar import Member


class Owners:
    """Gives the members of one archive to their owners.  `single`, `layer` and `owner`: see
    `unpack.Unpacker`; `noted`: whether owners were refused, and are kept in attributes."""

    def __init__(self, *, single: bool, layer: bool, owner: tuple[int, int] | None) -> None:
        self._single = single
        self._layer = layer
        self._owner = owner
        self.noted = False

    def wanted(self, entry: Member) -> tuple[int, int] | None:
        """Who is to have it; None: whoever makes it."""
        return None if self._single else self._owner or (entry.uid, entry.gid)

    def give(self, fd: int, name: str, entry: Member, *, root: bool = False) -> None:
        """Owner, mode and extended attributes; with `name` of a link or fifo in that directory."""
        wanted = self.wanted(entry)
        if wanted is not None:
            try:
                if name:
                    os.chown(name, *wanted, dir_fd=fd, follow_symlinks=False)
                else:
                    found = os.fstat(fd)
                    # some refuse even what changes nothing
                    if (found.st_uid, found.st_gid) != wanted:
                        os.fchown(fd, *wanted)
            except PermissionError:
                if not name:
                    self._note_owner(fd, entry)
                    return
                # links have no attributes of a person's own: they stay root's
                if not self._layer:
                    raise _refused(entry) from None
            except OSError:
                raise not_mapped(entry) from None
        if name:
            kernel.calls.utimensat(fd, name, entry.time, entry.time)
            return
        # after the owner, because changing that clears the setuid bit
        os.fchmod(fd, entry.mode)
        if not root:
            self._attributes(fd, entry)

    def _note_owner(self, fd: int, entry: Member) -> None:
        """Where a server of files (NFS) refuses other ids: in an attribute, as fuse-overlayfs reads
        it under xattr_permissions.  The file itself is the person's, and theirs to read."""
        if not self._layer:
            raise _refused(entry)
        try:
            text = f"{entry.uid}:{entry.gid}:{entry.mode:o}"
            os.setxattr(fd, layer_view.OWNERS[0], text.encode())
        except OSError:
            raise _refused(entry) from None
        directory = stat.S_ISDIR(os.fstat(fd).st_mode)
        os.fchmod(fd, entry.mode & 0o777 | (0o700 if directory else 0o600))
        self._attributes(fd, entry)
        self.noted = True

    def _attributes(self, fd: int, entry: Member) -> None:
        for attribute, value in entry.attributes.items():
            if not attribute.startswith(("user.", "security.capability")):
                continue
            if attribute.startswith(layer_view.HIDDEN):
                continue  # an image must not speak to the overlay file system
            try:
                os.setxattr(fd, attribute, value)
            except OSError:
                continue  # this file system has none, or the id is not the capability's

    def finish(self, root: int) -> None:
        """After the last member: fuse-overlayfs knows by a note at a layer's top that it has such
        notes, and then reads no file or directory there without one."""
        if not self.noted:
            return
        for _, _, names, directory in os.fwalk(".", dir_fd=root, follow_symlinks=False):
            _note_as_it_is(directory, ".", 0o700)
            for name in names:
                if stat.S_ISREG(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
                    _note_as_it_is(directory, name, 0o600)


def _note_as_it_is(directory: int, name: str, least: int) -> None:
    found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    mode = stat.S_IMODE(found.st_mode)
    # nobody else works in a layer that is being unpacked, so no link takes the place of the file
    if mode & least != least:
        os.chmod(name, mode | least, dir_fd=directory)
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        if layer_view.noted(fd) is None:
            text = f"{found.st_uid}:{found.st_gid}:{mode:o}"
            os.setxattr(fd, layer_view.OWNERS[0], text.encode())
    finally:
        os.close(fd)


def not_mapped(entry: Member) -> StorageError:
    """The error for an id that the namespace does not have."""
    return StorageError(
        f'"{entry.name}" belongs to {entry.uid}:{entry.gid}, which is not mapped here',
        hint="more subordinate ids are needed: see subuid(5), or use --userns single",
    )


def _refused(entry: Member) -> StorageError:
    return StorageError(
        f'"{entry.name}" belongs to {entry.uid}:{entry.gid}, which this file system refuses',
        hint="set ROOTLESS_DATA_DIR to a directory on a local disk, or use --userns single",
    )
