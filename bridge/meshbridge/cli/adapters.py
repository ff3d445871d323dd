"""Lists the installed adapters and outlets, and the options each of them takes."""

import json
from collections.abc import Iterator, Mapping
from typing import cast

from pydantic import BaseModel, TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic_core import PydanticSerializationError

from meshbridge.cli.ending import Exit, complain, say
from meshbridge.errors import ConfigurationError
from meshbridge.plugins import Group, Plugin, installed, load
from meshbridge.settings.secret import Secret
from meshbridge.settings.section import kebab

Schema = Mapping[str, object]
_WORDS = {
    "string": "text",
    "integer": "whole number",
    "boolean": "true or false",
    "null": "nothing",
    "object": "keys with values",
}


def list_plugins() -> Exit:
    """Print every installed plug-in with its options.

    The answer is no when one of them cannot be loaded, or shares its name with another.
    """
    code = Exit.FINE
    blocks: list[str] = []
    groups: tuple[Group, Group] = ("adapters", "outlets")
    for group in groups:
        plugins = installed(group)
        if not plugins:
            blocks.append(f"{group}: none installed")
        for plugin in plugins:
            try:
                rows = list(_options(load(plugin).Options))
            except ConfigurationError as error:
                complain(str(error))
                code, rows = Exit.NO, []
            if sum(other.name == plugin.name for other in plugins) > 1:
                complain(f"{plugin} shares its name with another; uninstall one of them")
                code = Exit.NO
            blocks.append("\n".join([_heading(plugin), *_table(rows)]))
    say("\n\n".join(blocks))
    return code


def _heading(plugin: Plugin) -> str:
    origin = "built in" if plugin.builtin else "third party"
    return f"{plugin.singular} {plugin.name}  ({origin}: {plugin.distribution} {plugin.version})"


def _table(rows: list[tuple[str, str, str, str]]) -> Iterator[str]:
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True))
        yield f"  {'  '.join((*cells, row[3]))}".rstrip()


def _options(model: type[BaseModel]) -> Iterator[tuple[str, str, str, str]]:
    """Yield key, type, default and description of each option."""
    try:
        schema: Schema = model.model_json_schema(by_alias=True)
    except PydanticInvalidForJsonSchema:
        schema = {}  # a stranger's own type; its name must do
    properties = _mapping(schema.get("properties"))
    for name, field in model.model_fields.items():
        alias = field.alias or name
        known = _mapping(properties.get(alias))
        words = _words(known, _mapping(schema.get("$defs"))) if known else str(field.annotation)
        default = "required" if field.is_required() else _default(model, name)
        described = (
            kind.model_fields[name].description
            for kind in model.__mro__
            if issubclass(kind, BaseModel) and name in kind.model_fields
        )
        description = " ".join(next(filter(None, described), "").split())
        yield (field.alias or kebab(name)), words, default, description


def _default(model: type[BaseModel], name: str) -> str:
    """Return a default as one would write it in YAML."""
    field = model.model_fields[name]
    if field.default_factory_takes_validated_data:
        return "depends on the others"
    value: object = field.get_default(call_default_factory=True)
    if value is None or (isinstance(value, Secret) and not value):
        return "-"
    try:
        shown: object = TypeAdapter(field.rebuild_annotation()).dump_python(
            value, mode="json", by_alias=True
        )
    except PydanticSerializationError:
        return str(value)
    return shown if isinstance(shown, str) and shown else json.dumps(shown, ensure_ascii=False)


def _words(schema: Schema, shared: Schema) -> str:
    """Return a JSON schema as people say it."""
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return _words(_mapping(shared.get(reference.rpartition("/")[2])), shared)
    branches = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    if isinstance(branches, list):
        words = [_words(_mapping(branch), shared) for branch in cast("list[object]", branches)]
        return " or ".join(dict.fromkeys(word for word in words if word != "nothing"))
    allowed = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if isinstance(allowed, list):
        return " or ".join(str(each) for each in cast("list[object]", allowed))
    kind = str(schema.get("type", "any value"))
    if kind == "array":
        items = _mapping(schema.get("items"))
        return f"list of {_words(items, shared)}" if items else "list"
    if properties := _mapping(schema.get("properties")):
        return f"{{{', '.join(properties)}}}"
    return str(schema.get("format") or _WORDS.get(kind, kind))


def _mapping(value: object) -> Schema:
    return cast("Schema", value) if isinstance(value, Mapping) else {}
