"""The fields of `images`, for a template and for `--sort`; loaded where one is asked for."""

from __future__ import annotations

from rootless.cli import output
from rootless.engine.common import humanize
from rootless.engine.images import summary
from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.listing import Fields
    from rootless.documents import Json
    from rootless.engine.images.collection import Images, Summary
    from rootless.engine.images.image import Image

# of docker's object
DOCKER = (
    "Containers", "CreatedAt", "CreatedSince", "Digest", "ID", "Repository", "SharedSize", "Size",
    "Tag", "UniqueSize", "VirtualSize",
)  # fmt: skip


class Row:
    """One name of an image in the list."""

    def __init__(self, one: Summary, name: tuple[str, str], full: bool, images: Images) -> None:
        self.one = one
        self.repository, self.tag = name
        self.full = full
        self._images = images

    def identifier(self) -> str:
        """The id, shortened where that is wanted."""
        return f"sha256:{self.one.id}" if self.full else self.one.id[:12]

    def size(self) -> str:
        """For people."""
        return output.human_size(self.one.size)

    def since(self) -> str:
        """How long ago it was made."""
        return humanize.ago(self.one.seconds) if self.one.seconds else "N/A"

    def at(self) -> str:
        """When it was made."""
        return humanize.local(self.one.seconds) if self.one.seconds else "N/A"

    def record(self) -> Image:
        """Everything known of it."""
        return self._images.get(self.one.id)

    def listed(self, containers: int) -> Json:
        """As podman lists it."""
        return summary.podman(self.record(), self.one.size, containers=containers)


def rows(found: list[Summary], full: bool, images: Images) -> list[Row]:
    """A row for each name."""
    return [
        Row(one, (repository, tag), full, images)
        for one in found
        for repository, tag in one.shown or [["<none>", "<none>"]]
    ]


FIELDS: Fields = {
    "Containers": ("CONTAINERS", lambda row: "N/A"),
    "Created": ("CREATED", Row.since),
    "CreatedAt": ("CREATED AT", Row.at),
    "CreatedSince": ("CREATED", Row.since),
    "CreatedTime": ("CREATED AT", Row.at),
    "Dangling": ("DANGLING", lambda row: not row.one.names),
    "Digest": ("DIGEST", lambda row: row.one.digest or "<none>"),
    "History": ("HISTORY", lambda row: ", ".join(row.one.names) or "<none>"),
    "ID": ("IMAGE ID", Row.identifier),
    "Id": ("IMAGE ID", lambda row: row.one.id),
    "Labels": ("LABELS", lambda row: summary.labels(row.record()) or {}),
    "Names": ("NAMES", lambda row: list(row.one.names)),
    "ParentId": ("PARENT ID", lambda row: ""),
    "ReadOnly": ("R/O", lambda row: False),
    "RepoDigests": ("REPODIGESTS", lambda row: list(row.record().digests)),
    "RepoTags": ("REPOTAGS", lambda row: [":".join(name) for name in row.one.shown]),
    "Repository": ("REPOSITORY", lambda row: row.repository),
    "SharedSize": ("SHARED SIZE", lambda row: "N/A"),
    "Size": ("SIZE", Row.size),
    "Tag": ("TAG", lambda row: row.tag),
    "UniqueSize": ("UNIQUE SIZE", lambda row: "N/A"),
    "VirtualSize": ("VIRTUAL SIZE", Row.size),
}  # fmt: skip

# podman-images(1)
_SORTS = {
    "created": lambda row: -row.one.seconds,
    "id": lambda row: row.one.id,
    "repository": lambda row: row.repository,
    "size": lambda row: row.one.size,
    "tag": lambda row: row.tag,
}


def sort(found: list[Row], key: str) -> None:
    """Sort as `--sort` says.  Raises UsageError."""
    if key not in _SORTS:
        raise UsageError(f'--sort: images cannot be sorted by "{key}"', hint=", ".join(_SORTS))
    found.sort(key=_SORTS[key])


def podman(found: list[Row], images: Images) -> list[Json]:
    """The array of `podman images --format json`: one element for each name."""
    users = images.users.of_images()
    return [row.listed(len(users.get(row.one.id, ()))) for row in found]
