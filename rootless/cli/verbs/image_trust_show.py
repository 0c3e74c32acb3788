"""`rootless image trust show`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag
from rootless.cli.verbs._registry_options import POLICYPATH
from rootless.cli.verbs._shared_options import NOHEADING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "image trust show",
    "[SCOPE]",
    "Show the trust policy",
    (
        flag("-j --json", "Output as JSON"),
        flag("--raw", "Output the policy file unchanged"),
        NOHEADING,
        POLICYPATH,
    ),
    maximum=1,
)


def run(call: Call) -> None:
    """Print the table."""
    from rootless import documents
    from rootless.cli import output
    from rootless.engine.images import trust as image_trust

    given = call.options
    path = given["policypath"] or ""
    if given["raw"]:
        output.line(documents.dumps(image_trust.policy_document(path), indent=True))
        return
    rows = image_trust.policy_rows(path)
    if call.words:
        rows = [row for row in rows if row["name"] == call.words[0]]
    if given["json"]:
        output.line(documents.dumps(rows, indent=True))
        return
    names = ("transport", "name", "type", "id", "store")
    body = [[str(row[name]) for name in names] for row in rows]
    titles = [name.upper() for name in names]
    output.write(output.table(titles, body, heading=not given["noheading"]))
