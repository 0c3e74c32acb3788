"""Search registries: images by a term, tags of a repository.

Scope: asking.  The search of docker's registry is version 1 of its API, which some others have as
well; the rest have the catalog of version 2, which knows names only.
Source: OCI distribution specification 1.1, "Listing Tags"; the distribution project's catalog.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

from rootless.errors import ImageNotFound, RegistryError, UsageError
from rootless.images.formats import manifests
from rootless.images.names import reference, registries
from rootless.images.names.reference import DEFAULT_REGISTRY, Reference
from rootless.images.registry.client import Registry
from rootless.images.registry.http import Settings, follow
from rootless.images.registry.referrers import next_page

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

_PAGES = 1000
_PAGE = 1000
DEFAULT_LIMIT = 25


def search(
    term: str,
    *,
    limit: int = DEFAULT_LIMIT,
    tls_verify: bool | None = None,
    settings: Settings | None = None,
) -> list[dict[str, Json]]:
    """Return images whose names or descriptions have `term`, at most `limit` of each registry
    asked.

    `REGISTRY/TERM` asks one registry; otherwise those that registries.conf says, or docker.io.
    Each has `index`, `name`, `description`, `star_count`, `is_official`, `is_automated`.
    Raises RegistryError, UsageError.
    """
    if limit < 1:
        raise UsageError(f"cannot search for {limit} images", hint="--limit 25")
    first, slash, rest = term.partition("/")
    asked = registries.configuration().search or [DEFAULT_REGISTRY]
    if slash and ("." in first or ":" in first or first == "localhost"):
        asked, term = [first], rest
    found: list[dict[str, Json]] = []
    refusal: RegistryError | None = None
    for host in asked:
        try:
            found += _one(host, term, limit, tls_verify, settings)
        except RegistryError as error:
            refusal = error
    if refusal is not None and not found:
        raise refusal
    return found


def tags(
    name: str, *, tls_verify: bool | None = None, settings: Settings | None = None
) -> list[str]:
    """Return all tags of a repository, sorted.  Raises ImageNotFound, RegistryError."""
    wanted = reference.parse(name.removeprefix("docker://"))
    endpoint = registries.endpoints(wanted, tls_verify=tls_verify)[-1]
    server = Registry(wanted, endpoint, settings)
    try:
        return sorted(_listed(server, f"tags/list?n={_PAGE}", "tags", 1 << 30))
    except ImageNotFound:
        raise ImageNotFound(
            f"{endpoint.host} has no repository {wanted.familiar_name}",
            hint="check the spelling of the name",
        ) from None
    finally:
        server.close()


def _one(
    host: str, term: str, limit: int, tls_verify: bool | None, settings: Settings | None
) -> list[dict[str, Json]]:
    endpoint = registries.server(host, tls_verify=tls_verify)
    if endpoint.registry == DEFAULT_REGISTRY:
        endpoint.host = "index.docker.io"
    server = Registry(Reference(endpoint.registry, term or "*"), endpoint, settings)
    try:
        found = _version_1(server, term, limit) if term else None
        if found is None:
            names = _listed(server, f"/v2/_catalog?n={_PAGE}", "repositories", 1 << 30)
            found = [{"name": name} for name in names if term in name][:limit]
    finally:
        server.close()
    return [
        {
            "index": endpoint.registry,
            "name": str(one.get("name", "")),
            "description": str(one.get("description") or ""),
            "star_count": one.get("star_count") if isinstance(one.get("star_count"), int) else 0,
            "is_official": one.get("is_official") is True,
            "is_automated": one.get("is_automated") is True,
        }
        for one in found
    ]


def _version_1(server: Registry, term: str, limit: int) -> list[dict[str, Json]] | None:
    """None where the registry has no such search."""
    found: list[dict[str, Json]] = []
    for page in range(1, _PAGES):
        query = urlencode({"q": term, "n": min(limit, 100), "page": page}, quote_via=quote)
        reply = server.send("GET", f"/v1/search?{query}", {"Accept": "application/json"})
        if reply.status != 200:
            reply.close()
            return None if page == 1 else found
        answer = manifests.parse(server.body(reply))
        results = answer.get("results")
        if not isinstance(results, list):
            return None
        found += [one for one in results if isinstance(one, dict)]
        pages = answer.get("num_pages")
        if len(found) >= limit or not results or not isinstance(pages, int) or page >= pages:
            break
    return found[:limit]


def _listed(server: Registry, path: str, key: str, most: int) -> list[str]:
    """A list that comes in pages."""
    found: list[str] = []
    for _ in range(_PAGES):
        reply = server.send("GET", path, {"Accept": "application/json"})
        server.check(reply, (200,))
        following = next_page(reply.headers.get("Link", ""))
        here = reply.url
        names = manifests.parse(server.body(reply)).get(key)
        found += [one for one in names if isinstance(one, str)] if isinstance(names, list) else []
        if not following or len(found) >= most:
            break
        path = follow(here, following)
        if not server.ours(path):
            raise RegistryError(
                f"{server.endpoint.host} continues its list at {path}",
                hint="nothing was sent there; the registry is misconfigured or hostile",
            )
    return found
