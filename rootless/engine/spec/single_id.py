"""What programs of an image need in a container that has a single id.

The seccomp filter answers what can only fail (`runtime.seccomp.single_id_filter`).  apt is not
content with the answer: it becomes the user _apt to fetch, and then looks whether it has.  Its
configuration is the only way to spare it that which holds for whoever starts it (a variable of the
environment ends at sudo, cron and `env -i`), and a file beside the others the only one that keeps
nobody from editing or removing these, as a bind mount would.
"""

from __future__ import annotations

from rootless.runtime import operations as plan_operations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.runtime.plan_format import Record
    from rootless.userns.idmap import IdMaps

_APT = "/etc/apt/apt.conf.d/00rootless-single-id"

_APT_TEXT = """\
// A container with a single id has no user _apt to fetch packages as.
// rootless makes this file whenever such a container starts; it is in no image, archive or diff.
APT::Sandbox::User "root";
"""


def operations() -> list[Record]:
    """What a plan does below the image's root, before anything is mounted there."""
    return [plan_operations.file(_APT, _APT_TEXT)]


def files(maps: IdMaps) -> set[str]:
    """Paths that are not the doing of a container with these ids."""
    return {_APT} if maps.single else set()
