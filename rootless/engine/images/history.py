"""`history`: the steps in which an image was made."""

from __future__ import annotations

from rootless.engine.common import times
from rootless.engine.images import layer_sizes
from rootless.images.formats import history as format_history
from rootless.images.names import reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.images.local import LocalImages


def history(images: LocalImages, name: str) -> list[Json]:
    """The steps of an image, newest first, in the shape of docker's API.

    Raises ImageNotFound.
    """
    record = images.store.resolve(name)
    known = layer_sizes.of_layers(images, [layer.diff_id for layer in record.layers])
    found: list[Json] = []
    for step in format_history.steps(record):
        size = 0
        if step.layer is not None:
            size = known.get(step.layer.diff_id, step.layer.size)
        found.append(
            {
                "Id": "<missing>" if found else f"sha256:{record.id}",
                "Created": int(times.moment_or_zero(step.created)),
                "CreatedAt": step.created,
                "CreatedBy": step.created_by,
                "Tags": None if found else [reference.parse(one).familiar for one in record.names],
                "Size": size,
                "Comment": step.comment,
            }
        )
    return found


def podman(steps: list[Json]) -> list[Json]:
    """The same steps in the shape of `podman history --format json`."""
    return [
        {
            "id": step["Id"].removeprefix("sha256:"),
            "created": step["CreatedAt"] or "0001-01-01T00:00:00Z",
            "CreatedBy": step["CreatedBy"],
            "size": step["Size"],
            **({"comment": step["Comment"]} if step["Comment"] else {}),
            "Created": step["CreatedAt"] or "0001-01-01T00:00:00Z",
        }
        for step in steps
    ]
