"""`rootless secret inspect`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, output_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "secret inspect",
    "NAME...",
    "Display detailed information on secrets",
    (
        output_format("{{.Spec.Name}}", short=True),
        flag("--pretty", "Print lines for people"),
    ),
    minimum=1,
    text="The content of a secret is never shown.",
)


def run(call: Call) -> int:
    """Print an array of all that were found, or a line for each by the template."""
    from rootless import documents
    from rootless.cli import output
    from rootless.engine.containers import secrets
    from rootless.errors import RootlessError

    store = secrets.Secrets(call.engine().context.data_dir)
    code, found = 0, []
    for word in call.words:
        try:
            found.append(store.get(word))
        except RootlessError as error:
            output.tell(error)
            code = error.exit_code
    template = call.options["format"]
    if call.options["pretty"]:
        for one in found:
            output.line(f"ID:         {one['ID']}\nName:       {one['Name']}\n"
                        f"Driver:     file\nCreated at: {one['CreatedAt']}")  # fmt: skip
    elif not template or template == "json":
        output.line(documents.dumps(found, indent=True))
    else:
        for one in found:
            output.write(output.document(one, template))
    return code
