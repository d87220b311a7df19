"""Schema files: a JSON object that has, for each field, its type, or an object of its type and its options.

    {
      "name": {"type": "string", "primary_key": true, "max_length": 100},
      "age": "integer"
    }

Types and options are those of the stored form of a schema, which docs/reference/schema.md has the words of.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

from minidb.exceptions import CorruptionError, UsageError
from minidb.schema import Schema


def write(schema: Schema) -> str:
    """Return the text of a schema file."""
    fields = cast("list[dict[str, object]]", schema.to_document()["fields"])
    lines = []
    for field in fields:
        options = {option: value for option, value in field.items() if option not in ("id", "name")}
        said = options["type"] if options.keys() == {"type"} else options
        lines.append(f"  {_json(field['name'])}: {_json(said)}")
    return "{\n" + ",\n".join(lines) + "\n}"


def read(path: Path) -> Schema:
    """Return the schema in a file. Raises ``UsageError`` if there is none in it."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path} is no JSON: {error}") from error
    if not isinstance(said, dict):
        raise UsageError(f"{path} is no schema file", hint='write {"name": "string", "age": "integer"}')
    fields = [
        {"id": number, "name": name, **(options if isinstance(options, dict) else {"type": options})}
        for number, (name, options) in enumerate(said.items(), start=1)
    ]
    for field in fields:  # one by one, so that the message can say which
        _read_field({"format": 1, "fields": [{**field, "id": 1}]}, path)
    return Schema.from_document({"format": 1, "fields": fields})


def _read_field(document: dict[str, object], path: Path) -> None:
    try:
        Schema.from_document(document)
    except CorruptionError as error:
        name = cast("list[dict[str, object]]", document["fields"])[0]["name"]
        cause = error.__cause__
        reason = str(cause) if cause is not None else error.message.replace("A stored schema has", "it has")
        raise UsageError(
            f"The field {name!r} in {path} cannot be: {reason}",
            hint="minidb schema infer FILE shows what a schema file looks like",
        ) from error


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
