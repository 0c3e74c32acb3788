"""An image as `engine.images` hands it out: its record, and what can be done with it.

The names are those of docker's Python client.
"""

from __future__ import annotations

from rootless.images.record import ImageRecord

Steps = dict[str, "Json"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO, Protocol

    from rootless.documents import Json

    class Images(Protocol):
        """What an image asks of the collection that it is from."""

        def history(self, image: str) -> list[Json]: ...
        def attrs(self, record: ImageRecord) -> Json: ...
        def tag(self, source: str, target: str) -> None: ...
        def remove(self, name: str, force: bool = False) -> list[Json]: ...
        def save(
            self,
            names: str | list[str],
            target: str | BinaryIO,
            *,
            format: str = "docker-archive",
            compress: bool = False,
        ) -> None: ...


class History(list[Steps]):
    """The steps as the image tells them; called, they are told as docker's API does, with sizes,
    newest first."""

    def __init__(self, steps: list[Steps], image: Image) -> None:
        super().__init__(steps)
        self._image = image

    def __call__(self) -> list[Json]:
        """As `engine.images.history`."""
        return self._image.images.history(self._image.id)


class Image(ImageRecord):
    """An image of one engine; what it knows is of the moment when it was asked for."""

    __slots__ = ("images",)

    history: History

    def __init__(self, record: ImageRecord, images: Images) -> None:
        for name in ImageRecord.__slots__:
            setattr(self, name, getattr(record, name))
        self.images = images
        self.history = History(record.history, self)

    @property
    def short_id(self) -> str:
        """The first 12 digits of the id."""
        return self.id[:12]

    @property
    def tags(self) -> list[str]:
        """Its names, as people write them."""
        from rootless.images.names import reference

        return [reference.parse(name).familiar for name in self.names]

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return dict(self.config.get("Labels") or {})

    @property
    def attrs(self) -> Json:
        """The shape of `docker image inspect`."""
        return self.images.attrs(self)

    def __repr__(self) -> str:
        return f"<Image {', '.join(self.tags) or self.short_id}>"

    def save(
        self,
        target: str | BinaryIO | None = None,
        *,
        format: str = "docker-archive",
        compress: bool = False,
    ) -> Iterator[bytes]:
        """Write it, with all its names, to a path or a stream; see images.transfer.save.save.

        Without a target the archive is returned in pieces, as docker's client does.
        """
        names: list[str] = list(self.names) or [self.id]
        if target is None:
            return self._pieces(names, format, compress)
        self.images.save(names, target, format=format, compress=compress)
        return iter(())

    def _pieces(self, names: list[str], format: str, compress: bool) -> Iterator[bytes]:
        import tempfile

        with tempfile.TemporaryFile() as file:
            self.images.save(names, file, format=format, compress=compress)
            file.seek(0)
            while data := file.read(1 << 20):
                yield data

    def tag(self, name: str) -> None:
        """Give it a further name."""
        self.images.tag(self.id, name)

    def remove(self, force: bool = False) -> list[Json]:
        """Remove it and all its names; as `engine.images.remove`."""
        return self.images.remove(self.id, force or len(self.names) > 1)
