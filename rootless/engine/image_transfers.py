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
        """Send an image to a registry or another place; {"Target", "Digest", "Size"}.

        Words: `target`, `all` (a manifest list with its images), `tls_verify`, `format` ("oci",
        "v2s2"), `compression_format` ("gzip", "zstd", "zstd:chunked", "none"),
        `compression_level`, `chunk_size` (bytes).
        """
        from rootless.engine import transfers

        if auth_config:
            words["settings"] = transfers.settings(auth_config)
        name = f"{repository}:{tag}" if tag else repository
        return transfers.push(self.engine, name, words.pop("target", None) or "", words)

    def copy(self, source: str, target: str, **words: Json) -> Json:
        """Copy from a place to another without the store: {"Target", "Digest", "Size"}.

        Words: `all`, `platform`, `preserve_digests`, `format`, `compression_format`,
        `compression_level`, `src_tls_verify`, `dest_tls_verify`.
        """
        from rootless.engine import transfers

        return transfers.copy(self.engine, source, target, words)

    def tags_of(self, name: str) -> Strings:
        """All names with a tag that images here have in the repository of `name`."""
        from rootless.images import reference

        wanted = reference.parse(name).name
        return [
            one
            for record in self.engine.images.list()
            for one in record.names
            if reference.parse(one).name == wanted
        ]
