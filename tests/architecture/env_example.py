"""Writes ``.env.example`` from the settings classes: ``make env-example``."""

from __future__ import annotations

import importlib
import pkgutil
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

import tapestream
from tapestream.common.settings import SUPERSEDED, Settings
from tapestream.common.supervisor.settings import SupervisorSettings

_FIRST = {Settings: "Every process", SupervisorSettings: "make run"}
_HEAD = """\
# Every setting, with its default and what is allowed. Copy this file to .env and change what you need,
# set a variable in the environment, or name it on the command line: make run FEED=binance PORT=8001.
"""


def settings_classes() -> list[type[BaseSettings]]:
    """Every settings class of the installed ``tapestream`` packages, the shared ones first."""
    for module in _settings_modules():
        importlib.import_module(module)
    found = [each for each in _below(BaseSettings) if each.__module__.startswith("tapestream.")]
    rest = [each for each in dict.fromkeys(found) if each not in _FIRST]
    return [*_FIRST, *sorted(rest, key=lambda each: each.__module__)]


def _settings_modules() -> Iterator[str]:
    """Modules called ``settings``, found without importing what stands beside them."""
    folders = [(Path(folder), "tapestream") for folder in tapestream.__path__]
    while folders:
        folder, package = folders.pop()
        for each in pkgutil.iter_modules([str(folder)]):
            if each.ispkg:
                folders.append((folder / each.name, f"{package}.{each.name}"))
            elif each.name == "settings":
                yield f"{package}.{each.name}"


def _below(parent: type[BaseSettings]) -> Iterator[type[BaseSettings]]:
    for each in parent.__subclasses__():
        yield each
        yield from _below(each)


def variable(name: str, field: FieldInfo) -> str:
    """The environment variable of a field."""
    alias = field.validation_alias
    return (alias if isinstance(alias, str) else name).upper()


def render() -> str:
    """The text of ``.env.example``."""
    parts = [_HEAD]
    written: set[str] = set()
    for each in settings_classes():
        lines: list[str] = []
        for name, field in each.model_fields.items():
            key = variable(name, field)
            if key not in written:
                written.add(key)
                lines.append(f"# {_about(field)}\n#{key}={_default(field)}")
        if lines:
            parts.append(f"# --- {_title(each)} ---\n\n" + "\n".join(lines) + "\n")
    replaced = "\n".join(f"# {name}: {instead}" for name, instead in SUPERSEDED.items())
    parts.append(f"# --- accepted with a warning, and not used ---\n\n{replaced}\n")
    return "\n".join(parts)


def _title(settings: type[BaseSettings]) -> str:
    return _FIRST.get(settings) or settings.__module__.removeprefix("tapestream.").removesuffix(".settings")


def _about(field: FieldInfo) -> str:
    choices = _choices(field.annotation)
    limits = _limits(field)
    allowed = " | ".join(choices) or limits
    text = " ".join((field.description or "").split())
    return f"{text} ({allowed})" if text and allowed else text or allowed or "…"


def _choices(annotation: Any) -> list[str]:
    if typing.get_origin(annotation) is typing.Literal:
        return [str(choice) for choice in typing.get_args(annotation)]
    return ["true", "false"] if annotation is bool else []


def _limits(field: FieldInfo) -> str:
    words = []
    for rule in field.metadata:
        for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<")):
            if getattr(rule, name, None) is not None:
                words.append(f"{sign} {getattr(rule, name)}")
    return ", ".join(words)


def _default(field: FieldInfo) -> str:
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value is PydanticUndefined:
        return ""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple, set, frozenset)):
        return ",".join(str(item) for item in value)
    return str(value)


if __name__ == "__main__":
    print(render(), end="")
