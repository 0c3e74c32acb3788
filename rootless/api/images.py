"""Images: list, inspect, history, tag, remove, prune, commit; what registries are asked."""

from __future__ import annotations

from rootless.api import passwords
from rootless.api.exchange import ApiError
from rootless.errors import Conflict, RegistryError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.api.exchange import Exchange
    from rootless.api.shared import Service
    from rootless.documents import Json


def list_(service: Service, exchange: Exchange, _: str) -> None:
    """GET /images/json."""
    engine = service.engine()
    filters = exchange.filters()
    if exchange.query.get("filter"):
        filters.setdefault("reference", []).append(exchange.query["filter"])
    records = {one.id: one for one in engine.images.list()}
    shared = exchange.flag("shared-size")
    made = []
    for one in engine.images.summaries(filters or None):
        record = records.get(one.id)
        if record is None:
            continue  # removed meanwhile
        made.append(
            {
                "Id": f"sha256:{one.id}",
                "ParentId": "",
                "RepoTags": _tags(":".join(pair) for pair in one.shown if pair[1] != "<none>"),
                "RepoDigests": list(record.digests),
                "Created": int(one.seconds),
                "Size": one.size,
                "SharedSize": 0 if shared else -1,
                **({"VirtualSize": one.size} if exchange.version < (1, 44) else {}),
                "Labels": record.config.get("Labels") or None,
                "Containers": -1,
            }
        )
    exchange.json(made)


def _tags(found: object) -> list[str]:
    return list(found)  # type: ignore[call-overload, no-any-return]


def of_df(one: Json) -> Json:
    """An image of GET /system/df."""
    made = {**one, "ParentId": "", "Labels": one["Labels"] or None, "VirtualSize": one["Size"]}
    del made["BlobSize"]
    return made


def inspect(service: Service, exchange: Exchange, name: str) -> None:
    """GET /images/{name}/json."""
    engine = service.engine()
    found = engine.images.get(name)
    attrs = found.attrs
    config = attrs["Config"]
    made: Json = {
        key: attrs[key]
        for key in (
            "Id", "RepoTags", "RepoDigests", "Parent", "Comment", "DockerVersion",
            "Author", "Architecture", "Os", "Size", "RootFS", "Metadata",
        )
    }  # fmt: skip
    made["Created"] = attrs["Created"] or "0001-01-01T00:00:00Z"
    made["GraphDriver"] = {"Name": attrs["GraphDriver"]["Name"], "Data": None}
    if attrs["Variant"]:
        made["Variant"] = attrs["Variant"]
    if exchange.version < (1, 44):
        made["VirtualSize"] = attrs["VirtualSize"]
    made["Config"] = {
        "Hostname": "", "Domainname": "", "AttachStdin": False, "AttachStdout": False,
        "AttachStderr": False, "Tty": False, "OpenStdin": False, "StdinOnce": False, "Image": "",
        "OnBuild": None,
        **config,
        "Cmd": config["Cmd"] or None, "Entrypoint": config["Entrypoint"] or None,
        "Volumes": config["Volumes"] or None, "Labels": config["Labels"] or None,
        "Env": config["Env"] or None,
    }  # fmt: skip
    if not made["Config"]["ExposedPorts"]:
        del made["Config"]["ExposedPorts"]
    exchange.json(made)


def history(service: Service, exchange: Exchange, name: str) -> None:
    """GET /images/{name}/history."""
    exchange.json(
        [
            {key: one[key] for key in ("Id", "Created", "CreatedBy", "Tags", "Size", "Comment")}
            for one in service.engine().images.history(name)
        ]
    )


def tag(service: Service, exchange: Exchange, name: str) -> None:
    """POST /images/{name}/tag."""
    repository, word = exchange.query.get("repo", ""), exchange.query.get("tag", "")
    if not repository:
        raise UsageError("invalid reference format: repository name must not be empty")
    service.engine().images.tag(name, f"{repository}:{word or 'latest'}")
    exchange.send(201)


def remove(service: Service, exchange: Exchange, name: str) -> None:
    """DELETE /images/{name}."""
    try:
        exchange.json(service.engine().images.remove(name, exchange.flag("force")))
    except Conflict as error:
        raise ApiError(409, f"conflict: {error.message}") from None


def prune(service: Service, exchange: Exchange, _: str) -> None:
    """POST /images/prune."""
    filters = exchange.filters()
    everything = filters.pop("dangling", ["true"])[0].lower() in ("false", "0")
    for key in filters:
        if key not in ("label", "label!", "until"):
            raise UsageError(f"invalid filter '{key}'")
    found = service.engine().images.prune(everything, filters)
    exchange.json({**found, "ImagesDeleted": found["ImagesDeleted"] or None})


def search(service: Service, exchange: Exchange, _: str) -> None:
    """GET /images/search."""
    term = exchange.query.get("term", "")
    if not term:
        raise UsageError("no term was given")
    found = service.engine().images.search(term, exchange.integer("limit"))
    keys = ("name", "description", "star_count", "is_official", "is_automated")
    filters = exchange.filters()
    rows = [{key: one[key] for key in keys} for one in found]
    for key, values in filters.items():
        if key in ("is-official", "is-automated"):
            wanted = values[0].lower() in ("true", "1")
            rows = [one for one in rows if one[key.replace("-", "_")] == wanted]
        elif key == "stars":
            rows = [one for one in rows if int(one["star_count"] or 0) >= int(values[0])]
        else:
            raise UsageError(f"invalid filter '{key}'")
    exchange.json(rows)


def distribution(service: Service, exchange: Exchange, name: str) -> None:
    """GET /distribution/{name}/json."""
    try:
        exchange.json(service.engine().images.distribution(name, passwords.credentials(exchange)))
    except RegistryError as error:
        raise ApiError(403 if "denied" in error.message else 404, error.message) from None


def commit(service: Service, exchange: Exchange, _: str) -> None:
    """POST /commit."""
    query = exchange.query
    body = exchange.body.json()
    engine = service.engine()
    container = engine.containers.get(query.get("container", ""))
    repository, word = query.get("repo", ""), query.get("tag", "")
    name = f"{repository}:{word or 'latest'}" if repository else ""
    made = container.commit(
        name,
        changes=[*_of_config(body), *lines(exchange.queries.get("changes", []))],
        author=query.get("author", ""),
        message=query.get("comment", ""),
        pause=None if exchange.flag("pause", True) else False,
        format="docker",
    )
    exchange.json({"Id": f"sha256:{made.id}"}, 201)


def lines(found: list[str]) -> list[str]:
    """Instructions of a Dockerfile, each by itself."""
    return [one for text in found for one in text.split("\n") if one.strip()]


def _of_config(body: Json) -> list[str]:
    """The Dockerfile's instructions that a body with a container's Config comes to."""
    from rootless import documents

    made = [f"ENV {documents.dumps(one)}" for one in body.get("Env") or () if "=" not in one]
    if made:
        raise UsageError("Env of a commit has a name without a value")
    for one in body.get("Env") or ():
        name, _, value = one.partition("=")
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        made.append(f'ENV {name}="{quoted}"')
    if body.get("Cmd"):
        made.append(f"CMD {documents.dumps(body['Cmd'])}")
    if body.get("Entrypoint"):
        made.append(f"ENTRYPOINT {documents.dumps(body['Entrypoint'])}")
    for name, value in (body.get("Labels") or {}).items():
        made.append(f"LABEL {documents.dumps(name)}={documents.dumps(value)}")
    if body.get("WorkingDir"):
        made.append(f"WORKDIR {body['WorkingDir']}")
    if body.get("User"):
        made.append(f"USER {body['User']}")
    made += [f"EXPOSE {one}" for one in body.get("ExposedPorts") or ()]
    made += [f"VOLUME {documents.dumps([one])}" for one in body.get("Volumes") or ()]
    return made
