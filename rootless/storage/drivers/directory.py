"""`--rootfs`: a directory of the host as it is, with no layers and nothing to mount.

No driver to choose: a container has it because it was made of a directory.
"""

from __future__ import annotations

from rootless.storage.drivers.driver import Driver


class Directory(Driver):
    """The root file system is there already."""

    name = "directory"
    layered = False
    of_image = False


DRIVER = Directory()
