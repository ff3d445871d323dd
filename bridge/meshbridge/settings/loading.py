"""Reads a configuration file into :class:`Settings`, or says everything that is wrong with it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

from pydantic import BaseModel

from meshbridge.adapter import NamesDomain
from meshbridge.errors import ConfigurationError
from meshbridge.outlet import TakesNames
from meshbridge.plugins import load_adapter, load_outlet
from meshbridge.publish.registry import Registry
from meshbridge.publish.rules import PublishRules
from meshbridge.settings.document import Place, Plain, read_document, show_place
from meshbridge.settings.faults import keys_of, section_or, show_value
from meshbridge.settings.guard import GuardOptions
from meshbridge.settings.interpolation import interpolate
from meshbridge.settings.model import (
    KeepingOptions,
    OutletSettings,
    RegistryHead,
    RegistrySettings,
    Settings,
    StatusOptions,
)
from meshbridge.settings.validation import Validation
from meshbridge.settings.values import Surroundings

_LATER = {"routing": "routing documents"}
_VERSION = 1


def load_settings(path: Path, environ: Mapping[str, str]) -> Settings:
    """Return the configuration that stands in the file.

    Loads the adapters and outlets it names, and nothing else; reads no registry. Raises
    ConfigurationError with one line for each fault.
    """
    document = read_document(path)
    folder = path.parent
    interpolated = interpolate(document, environ, folder)
    surroundings = Surroundings(folder)
    validation = Validation(document, interpolated, surroundings)
    if not isinstance(interpolated.root, dict):
        found = show_value(document.root, ())
        raise ConfigurationError(
            f"{path}: holds {found}; it must hold at least version, registries and outlets"
        )
    top = interpolated.root
    known = {"version", "registries", "outlets", "status", *keys_of(KeepingOptions)}
    validation.refuse_unknown(top, (), known, _LATER)
    _check_version(top, validation)
    registries = _registries(top, validation)
    outlets = _outlets(top, validation)
    status = _status(top, validation)
    kept = {key: top[key] for key in keys_of(KeepingOptions) if key in top}
    keeping = validation.model(KeepingOptions, kept, ())
    validation.finish()
    names = any(_takes_names(each.options) for each in outlets)
    return Settings(
        path,
        tuple(
            replace(
                each,
                publish=replace(each.publish, names=names),
                files=_files(each.options, surroundings),
            )
            for each in registries
        ),
        tuple(replace(each, files=_files(each.options, surroundings)) for each in outlets),
        status,
        keeping or KeepingOptions(),
        frozenset(interpolated.files | surroundings.read.keys()),
    )


def _files(value: object, surroundings: Surroundings) -> dict[Path, str]:
    """Return the files that were read for these options, however deep in them they are named."""
    if isinstance(value, Path):
        digest = surroundings.read.get(value)
        return {} if digest is None else {value: digest}
    inner: Iterable[object] = ()
    if isinstance(value, BaseModel):
        inner = [each for _, each in value]
    elif isinstance(value, (list, tuple, set, frozenset)):
        inner = cast("Iterable[object]", value)
    elif isinstance(value, dict):
        inner = cast("dict[object, object]", value).values()
    found: dict[Path, str] = {}
    for each in inner:
        found |= _files(each, surroundings)
    return found


def _check_version(top: dict[str, Plain], validation: Validation) -> None:
    place: Place = ("version",)
    if "version" not in top:
        validation.fault(place, "missing; write version: 1")
    elif top["version"] is True or top["version"] != _VERSION:
        found = show_value(top["version"], place)
        validation.fault(place, f"found {found}; this version reads 1")


def _takes_names(options: BaseModel) -> bool:
    return isinstance(options, TakesNames) and options.takes_names


def _registries(top: dict[str, Plain], validation: Validation) -> tuple[RegistrySettings, ...]:
    entries = top.get("registries")
    if not isinstance(entries, list) or not entries:
        text = "must be a list of at least one registry, like [{name: shop, adapter: nacos}]"
        validation.fault(("registries",), text if "registries" in top else f"missing; it {text}")
        return ()
    read: list[RegistrySettings] = []
    first: dict[str, int] = {}
    for index, entry in enumerate(entries):
        place: Place = ("registries", index)
        section = validation.keys(entry, place)
        if entry is not None and not isinstance(entry, dict):
            continue
        name = section.get("name")
        if isinstance(name, str) and first.setdefault(name, index) != index:
            taken = show_place(("registries", first[name]))
            text = f"found {show_value(name, place)}, which is the name of {taken} too"
            validation.fault((*place, "name"), f"{text}; give each registry a name of its own")
        registry = _registry(section, place, validation)
        if registry is not None:
            read.append(registry)
    return tuple(read)


def _registry(
    section: dict[str, Plain], place: Place, validation: Validation
) -> RegistrySettings | None:
    common = set(keys_of(RegistryHead))
    head_part = {key: value for key, value in section.items() if key in common}
    head = validation.model(RegistryHead, head_part, place)
    rules_place = (*place, "publish")
    rules_part = validation.keys(section.get("publish"), rules_place)
    rules = validation.model(PublishRules, rules_part, rules_place)
    guard_place = (*place, "guard")
    guard_part = validation.keys(section.get("guard"), guard_place)
    guard = validation.model(GuardOptions, guard_part, guard_place)
    adapter = section.get("adapter")
    if not isinstance(adapter, str):
        return None
    try:
        adapter_type = load_adapter(adapter)
    except ConfigurationError as error:
        validation.fault((*place, "adapter"), str(error))
        return None
    common |= {"publish", "guard"}
    options = validation.options(adapter_type.Options, section, place, common, {})
    if head is None or rules is None or guard is None or options is None:
        return None
    domain = adapter_type.domain if isinstance(adapter_type, NamesDomain) else adapter
    try:
        publish = Registry(head.name, int(place[-1]), rules).with_domain(domain)
    except ValueError as error:
        validation.fault(rules_place, str(error))
        return None
    return RegistrySettings(
        head.name, adapter, adapter_type, options, head.required, publish, guard
    )


def _outlets(top: dict[str, Plain], validation: Validation) -> tuple[OutletSettings, ...]:
    place: Place = ("outlets",)
    if "outlets" not in top:
        return ()
    read: list[OutletSettings] = []
    for name, value in validation.keys(top["outlets"], place).items():
        try:
            outlet_type = load_outlet(name)
        except ConfigurationError as error:
            validation.fault((*place, name), str(error))
            continue
        section = validation.keys(value, (*place, name))
        options = validation.options(outlet_type.Options, section, (*place, name), set(), {})
        if options is not None:
            read.append(OutletSettings(name, outlet_type, options))
    return tuple(read)


def _status(top: dict[str, Plain], validation: Validation) -> StatusOptions | None:
    if top.get("status") == "none":
        return None
    allowed = section_or(keys_of(StatusOptions), '"none"')
    section = validation.keys(top.get("status"), ("status",), allowed)
    return validation.model(StatusOptions, section, ("status",))
