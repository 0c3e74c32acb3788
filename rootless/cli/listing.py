"""Lists by `--format`: the fields that a template can name, and the JSON of podman and docker.

Scope: what `ps`, `images` and other lists print when they are asked for a format.  Only the fields
that a template names are made; one that does not exist is an error, also when the list is empty.
"""

from __future__ import annotations

from rootless.cli import gotemplate, output
from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from rootless.documents import Json

    # name -> (heading of its column, what makes the cell of a row)
    Fields = dict[str, tuple[str, Callable[[Any], Json]]]


def text(
    found: Sequence[Any],
    format: str,
    fields: Fields,
    *,
    columns: Iterable[str] = (),
    docker: Iterable[str] = (),
    array: Callable[[], Json] | None = None,
    heading: bool = True,
) -> str:
    """A list by `--format`: `table`, `json`, `table TEMPLATE`, or a template.

    `columns`: of a plain table.  `docker`: the fields of docker's own object, by default all.
    `array`: makes podman's, where `--format json` is that.  Raises UsageError.
    """
    titles = {name: title for name, (title, _) in fields.items()}
    if format == "json":
        from rootless import documents
        from rootless.cli import called

        if array is not None and called.lists_arrays():
            return documents.dumps(array(), indent=True) + "\n"
        names = list(docker) or list(fields)
    elif format == "table":
        names = list(columns)
    else:
        source = format.removeprefix("table ").replace("\\t", "\t").replace("\\n", "\n")
        wanted = gotemplate.Template(source).names()
        if wanted is None:
            names = list(docker) or list(fields)
        else:
            # docker's method of a row
            names = ["Labels" if name == "Label" else name for name in sorted(wanted)]
    for name in names:
        if name not in fields:
            raise UsageError(f'there is no field "{name}"', hint=gotemplate.near(name, fields))
    rows = [{name: fields[name][1](one) for name in names} for one in found]
    return output.rows(rows, format, list(columns), titles, heading=heading)
