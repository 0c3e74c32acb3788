"""`engine.manifests`: lists of images for several platforms, under one name.

Scope: words as in podman's Python client; the work is in `images.lists`.
"""

from __future__ import annotations

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.context import Context
    from rootless.images.transfer.manifest_lists import Lists

    Strings = list[str]


class Manifests:
    """The manifest lists of one engine."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    @property
    def lists(self) -> Lists:
        """The image room's lists."""
        from rootless.images.transfer.manifest_lists import Lists

        return Lists(self.ctx.data_dir)

    def create(
        self, name: str, images: str | Strings | None = None, *, amend: bool = False, **words: Json
    ) -> str:
        """Make a list with these images; the digest of its index.  Words as for `add`."""
        from rootless.engine.common import arguments

        members = arguments.words("the images", images)
        self.ctx.prepare()
        lists = self.lists
        there = lists.exists(name)
        lists.create(name, amend=amend)
        try:
            for image in members:
                lists.add(name, image, **words)
        except BaseException:
            if not there:
                lists.remove(name)
            raise
        return self.digest(name)

    def add(self, name: str, image: str, **words: Json) -> Strings:
        """Add an image of this host or of a registry; the digests that came in.

        Words: `all` (every image of an index), `changes` (as for `annotate`), `tls_verify`,
        `settings`.
        """
        return self.lists.add(name, image, **words)

    def annotate(self, name: str, image: str, changes: dict[str, Json]) -> str:
        """Change `os`, `architecture`, `variant`, `os.version`, `os.features`, `features` or
        `annotations` of one image; its digest."""
        return self.lists.annotate(name, image, changes)

    def drop(self, name: str, image: str) -> str:
        """Take an image out of a list; its digest."""
        return self.lists.drop(name, image)

    def remove(self, name: str) -> None:
        """Forget a list; its images stay."""
        self.lists.remove(name)

    def exists(self, name: str) -> bool:
        """Whether there is a list of this name."""
        return self.lists.exists(name)

    def digest(self, name: str) -> str:
        """The digest of the index that a list stands for."""
        import hashlib

        return "sha256:" + hashlib.sha256(self.lists.index(name)).hexdigest()

    def inspect(self, name: str, tls_verify: bool | None = None, settings: Json = None) -> Json:
        """The index of a list, or the manifest or index that a registry has under this name."""
        from rootless import documents
        from rootless.images.formats import manifests
        from rootless.images.transfer import manifest_lists
        from rootless.images.transports import registry as transport_registry

        if self.exists(name) and not name.startswith("docker://"):
            return documents.loads(manifest_lists.Lists(self.ctx.data_dir).index(name).decode())
        source = transport_registry.RegistrySource(
            name.removeprefix("docker://"), tls_verify, settings
        )
        try:
            return manifests.parse(source.top()[0])
        finally:
            source.close()

    def push(self, name: str, target: str = "", **words: Json) -> Json:
        """Send a list to a registry or another place; {"Target", "Digest", "Size"}.

        Words: `all` (with its images, True by default), `format`, `compression_format`,
        `tls_verify`, `settings`.
        """
        from rootless.engine.images import trust as image_trust
        from rootless.images import transports
        from rootless.images.names import reference
        from rootless.images.transfer import copy as transfer_copy
        from rootless.images.transfer import manifest_lists

        canonical = self.lists.get(name)["name"]
        place = transports.parse(target or canonical)
        everything = words.get("all", True)
        if not everything and place.kind != "docker":
            raise UsageError(
                f"a list without its images cannot be written to {target}",
                hint="leave --all=false out",
            )
        home = reference.parse(place.path).registry if place.kind == "docker" else ""
        source = manifest_lists.ListSource(
            self.lists, name, words.get("tls_verify"), words.get("settings"), home=home
        )
        try:
            there = place.target(tls_verify=words.get("tls_verify"), settings=words.get("settings"))
            try:
                copied = transfer_copy.copy(
                    source,
                    there,
                    all=True,
                    bare=not everything,
                    format=words.get("format") or "",
                    compress=words.get("compression_format") or "",
                    progress=self.ctx.progress,
                    trust=image_trust.rules(self.ctx),
                )
            finally:
                there.close()
        finally:
            source.close()
        return {"Target": there.name, "Digest": copied.digest, "Size": copied.size}
