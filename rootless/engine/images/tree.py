"""`image tree`: an image's layers, and the images that share them."""

from __future__ import annotations

from rootless.engine.images import layer_sizes
from rootless.images.names import reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.images.local import LocalImages


def tree(images: LocalImages, name: str, *, children: bool = False) -> Json:
    """An image's layers and which images end with them; `children`: images built upon it."""
    record = images.store.resolve(name)
    every = images.store.list()
    chains = {one.id: [layer.diff_id for layer in one.layers] for one in every}
    mine = chains[record.id]
    below = sorted(
        (one for one in every if children and _extends(chains[one.id], mine)),
        key=lambda one: len(one.layers),
    )
    shown = [(record, record.layers)] + [(one, one.layers[len(mine) :]) for one in below]
    known = layer_sizes.of_layers(
        images, [layer.diff_id for _, layers in shown for layer in layers]
    )

    def tops(chain: list[str]) -> list[str]:
        return [
            reference.parse(tag).familiar
            for one in every
            if chains[one.id] == chain
            for tag in one.names
        ]

    rows = []
    for one, layers in shown:
        start = len(one.layers) - len(layers)
        for number, layer in enumerate(layers, start + 1):
            rows.append(
                {
                    "ID": layer.diff_id[7:19],
                    "Size": known.get(layer.diff_id, layer.size),
                    "Top": tops(chains[one.id][:number]),
                    "Depth": 0 if one is record else 1,
                }
            )
    return {
        "ID": record.id,
        "Tags": [reference.parse(tag).familiar for tag in record.names],
        "Size": sum(row["Size"] for row in rows if not row["Depth"]),
        "Layers": rows,
    }


def _extends(longer: list[str], shorter: list[str]) -> bool:
    return len(longer) > len(shorter) and longer[: len(shorter)] == shorter
