"""`engine.images`, the part that sends images away and asks registries.

Scope: names and words as in docker's Python client; the work is in `transfers`.  Hot: no imports.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.engine import Engine

    Strings = list[str]


class Transfers:
    """Methods of Images."""

    engine: Engine

    def push(
        self,
        repository: str,
        tag: str | None = None,
        auth_config: dict[str, str] | None = None,
        **words: Json,
    ) -> Json:
        """Send an image or a manifest list to a registry or another place; {"Target", "Digest",
        "Size"}.

        Words: `target`, `tls_verify`, `format` ("oci", "v2s2"), `compression_format` ("gzip",
        "zstd", "zstd:chunked", "none"), `compression_level`, `chunk_size` (bytes).
        """
        from rootless.engine.images import transfer as image_transfer

        if auth_config:
            words["settings"] = image_transfer.settings(auth_config)
        name = f"{repository}:{tag}" if tag else repository
        if self.engine.manifests.exists(name):
            return self.engine.manifests.push(name, words.pop("target", None) or "", **words)
        return image_transfer.push(self.engine, name, words.pop("target", None) or "", words)

    def copy(self, source: str, target: str, **words: Json) -> Json:
        """Copy from a place to another without the store: {"Target", "Digest", "Size"}.

        Words: `all`, `platform`, `preserve_digests`, `format`, `compression_format`,
        `compression_level`, `src_tls_verify`, `dest_tls_verify`.
        """
        from rootless.engine.images import transfer as image_transfer

        return image_transfer.copy(self.engine, source, target, words)

    def tags_of(self, name: str) -> Strings:
        """All names with a tag that images here have in the repository of `name`."""
        from rootless.images.names import reference

        wanted = reference.parse(name).name
        return [
            one
            for record in self.engine.images.list()
            for one in record.names
            if reference.parse(one).name == wanted
        ]

    def search(self, term: str, limit: int | None = None, **words: Json) -> list[dict[str, Json]]:
        """Images of registries whose names or descriptions have `term`; `REGISTRY/TERM` asks one.

        Each has `index`, `name`, `description`, `star_count`, `is_official`, `is_automated`.
        Words: `tls_verify`, `settings`.
        """
        from rootless.images.registry import search as registry_search

        return registry_search.search(
            term, limit=registry_search.DEFAULT_LIMIT if limit is None else limit, **words
        )

    def tags(self, name: str, **words: Json) -> Strings:
        """All tags that a registry has for the repository of `name`.  Words as for `search`."""
        from rootless.images.registry import search as registry_search

        return registry_search.tags(name, **words)

    def names_in_registry(self, names: Strings, **words: Json) -> Strings:
        """Every tag of each of these repositories, as names.  Words as for `search`."""
        from rootless.images.names import reference

        return [
            f"{reference.parse(name).name}:{tag}"
            for name in names
            for tag in self.tags(name, **words)
        ]

    def referrers(self, name: str, artifact_type: str = "", **words: Json) -> list[dict[str, Json]]:
        """Descriptors of what a registry has that refers to an image: signatures, attestations.

        Words as for `search`.
        """
        from rootless.images.registry import client as registry_client
        from rootless.images.registry import referrers as registry_referrers

        server = registry_client.connect(name, **words)
        try:
            wanted = server.reference
            digest = wanted.digest or server.manifest_digest(wanted.tag)
            digest = digest or server.manifest(wanted.tag)[2]
            return registry_referrers.listed(server, digest, artifact_type)
        finally:
            server.close()
