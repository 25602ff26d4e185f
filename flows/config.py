"""Loads the settings and remembers where each one came from.

From weak to strong: the default, the TOML file, the environment. A secret comes from its
variable (``HEADRACE_REDIS__URL``) or from the file that ``HEADRACE_REDIS__URL_FILE`` names;
one in the TOML file is refused. Keys that no variable gives come from the key file, where there is
one (`state.key_file`).
"""

from __future__ import annotations

import argparse
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin

import orjson
from pydantic import BaseModel, BeforeValidator, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from flows.settings.part import duration_ns
from flows.settings.settings import Settings, whole
from state.errors import SettingsError
from state.key_file import key_file

PREFIX = "HEADRACE_"
CONFIG_VARIABLE = "HEADRACE_CONFIG"
"""Names the settings file where ``--config`` does not."""

Key = tuple[str, ...]
"""A setting's place: ``("kafka", "bootstrap")``."""

_KEYS: Key = ("sealing", "keys")

_SECRET_OPTION = re.compile(r"password|secret|token|pem$")
"""Names of librdkafka options that hold a secret."""

_UNITS = (("d", 86_400_000_000_000), ("h", 3_600_000_000_000), ("m", 60_000_000_000))
_SMALL_UNITS = (("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000))


@dataclass(frozen=True)
class Setting:
    """One setting in force; ``value`` is plain JSON, secrets masked."""

    name: str
    value: Any
    origin: str


@dataclass(frozen=True)
class Loaded:
    """Parsed settings, and the origin of each one that is not a default."""

    settings: Settings
    origins: dict[Key, str]

    def listing(self) -> list[Setting]:
        """Return every setting in force, in the order of flows/settings."""
        return [
            Setting(".".join(key), _plain(info, _value(self.settings, key)), self._origin(key))
            for key, info in _leaves(whole())
        ]

    def _origin(self, key: Key) -> str:
        return self.origins.get(key, "default")


@cache
def _given_only() -> type[Settings]:
    """Return the class of all settings without sources: `load` has read the environment."""

    class GivenOnly(whole()):  # type: ignore[misc]  # a class that is only known when it runs
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (init_settings,)

    return GivenOnly


def add_config_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--config FILE`` to a command."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help=f"settings file (TOML); or ${CONFIG_VARIABLE}"
    )


def load_settings(path: Path | None = None) -> Settings:
    """Return the settings of a TOML file and this process's environment.

    Without a path, ``$HEADRACE_CONFIG`` names the file; without that, there is none.
    Raises SettingsError, whose one line names the key and the fix.
    """
    return load(path).settings


def load(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Loaded:
    """Return the settings with the origin of each; see `load_settings`."""
    if path is None and environ.get(CONFIG_VARIABLE):
        path = Path(environ[CONFIG_VARIABLE])
    given: dict[str, Any] = {}
    origins: dict[Key, str] = {}
    if path is not None:
        _read_file(path, given, origins)
    _read_environment(environ, given, origins)
    _read_key_file(environ, given, origins)
    try:
        return Loaded(_given_only()(**given), origins)
    except ValidationError as error:
        raise SettingsError(_sentence(error, origins)) from None


def secrets(settings: Settings) -> list[str]:
    """Return every text that must never be printed: secrets and the passwords inside them."""
    found = []
    for key, info in _leaves(whole()):
        if _is_secret(info):
            text = _value(settings, key).get_secret_value()
            password = re.search(r"://[^/@]*?:([^/@]+)@|password=(\S+)", text)
            if password:
                found += [text, password[1] or password[2]]
            elif text and "://" not in text:
                found.append(text)
    keyring = settings.sealing.keyring()
    found += keyring.secrets() if keyring else []
    options = settings.kafka.options.items()
    return found + [value for name, value in options if value and _SECRET_OPTION.search(name)]


def duration_text(ns: int) -> str:
    """Return nanoseconds as the settings write them: ``250ms``, ``5s``, ``1m``."""
    for unit, length in (*_UNITS, *_SMALL_UNITS):
        if ns and ns % length == 0:
            return f"{ns // length}{unit}"
    return "0s" if ns == 0 else f"{ns}ns"


def _leaves(model: type[BaseModel], prefix: Key = ()) -> Iterator[tuple[Key, FieldInfo]]:
    for name, info in model.model_fields.items():
        part = info.annotation
        if isinstance(part, type) and issubclass(part, BaseModel):
            yield from _leaves(part, (*prefix, name))
        else:
            yield (*prefix, info.alias or name), info


def _value(settings: Settings, key: Key) -> Any:
    found: Any = settings
    for name in key:
        fields = type(found).model_fields
        found = getattr(found, next(n for n, info in fields.items() if name in (n, info.alias)))
    return found


def _is_secret(info: FieldInfo) -> bool:
    return info.annotation is SecretStr


def _is_duration(info: FieldInfo) -> bool:
    inner = [part for arg in get_args(info.annotation) for part in getattr(arg, "__metadata__", ())]
    return any(
        isinstance(part, BeforeValidator) and part.func is duration_ns
        for part in [*info.metadata, *inner]
    )


def _plain(info: FieldInfo, value: Any) -> Any:
    if isinstance(value, SecretStr):
        return "********" if value.get_secret_value() else ""
    if _is_duration(info):
        return (
            [duration_text(v) for v in value] if isinstance(value, tuple) else duration_text(value)
        )
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, dict):
        return {k: "********" if _SECRET_OPTION.search(k) else _shown(v) for k, v in value.items()}
    return str(value) if isinstance(value, Path) else value


def _shown(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


def _read_file(path: Path, given: dict[str, Any], origins: dict[Key, str]) -> None:
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except OSError as error:
        raise SettingsError(f"cannot read the settings file {path}: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} is no TOML: {error}") from None
    lines = _line_numbers(text)
    known = dict(_leaves(whole()))
    for key in _keys(content, known):
        line = lines.get(key)
        origins[key] = f"{path}:{line}" if line else str(path)
        if key in known and _is_secret(known[key]):
            name = PREFIX + "__".join(key).upper()
            raise SettingsError(
                f"{'.'.join(key)} ({origins[key]}) is a secret: take it out of the file and "
                f"set {name} or {name}_FILE"
            )
    kafka = content.get("kafka")
    options = kafka.get("options") if isinstance(kafka, dict) else None
    for name in options if isinstance(options, dict) else ():
        if _SECRET_OPTION.search(name):
            raise SettingsError(
                f"kafka.options {name} ({path}) is a secret: take it out of the file and set it in "
                f"{PREFIX}KAFKA__OPTIONS, or use kafka.sasl_password"
            )
    given.update(content)


def _keys(content: dict[str, Any], known: dict[Key, FieldInfo], prefix: Key = ()) -> Iterator[Key]:
    for name, value in content.items():
        key = (*prefix, name)
        if isinstance(value, dict) and key not in known:
            yield from _keys(value, known, key)
        else:
            yield key


def _line_numbers(text: str) -> dict[Key, int]:
    """Return the line of each key that is written plainly; tomllib does not tell."""
    found: dict[Key, int] = {}
    table: Key = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[([\w.\-]+)\]", line):
            table = tuple(header[1].split("."))
            found.setdefault(table, number)
        elif pair := re.match(r"\s*([\w.\-]+)\s*=", line):
            found.setdefault((*table, *pair[1].split(".")), number)
    return found


def _read_environment(
    environ: Mapping[str, str], given: dict[str, Any], origins: dict[Key, str]
) -> None:
    known = dict(_leaves(whole()))
    names = {PREFIX + "__".join(key).upper(): key for key in known}
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name == CONFIG_VARIABLE:
            continue
        of_file = name.removesuffix("_FILE") if name not in names else name
        key = names.get(of_file)
        if key is None or (of_file != name and not _is_secret(known[key])):
            _refuse_misspelt(name, names)
            continue
        if of_file != name and of_file in environ:
            raise SettingsError(f"{of_file} and {name} are both set: unset one of them")
        value = _secret_file(name, environ[name]) if of_file != name else environ[name]
        _put(given, key, _parse(known[key], name, value))
        origins[key] = name


def _read_key_file(
    environ: Mapping[str, str], given: dict[str, Any], origins: dict[Key, str]
) -> None:
    path = key_file(environ)
    if _KEYS not in origins and path.is_file():
        _put(given, _KEYS, _secret_file(str(path), str(path)))
        origins[_KEYS] = str(path)


def _refuse_misspelt(name: str, names: Mapping[str, Key]) -> None:
    """Raise for a variable that looks like a setting; others are not for us to judge."""
    alike = [good for good in names if re.sub("_+", "_", good) == re.sub("_+", "_", name)]
    if alike:
        raise SettingsError(f"{name} is unknown: write {alike[0]}")
    if "__" in name:
        raise SettingsError(f"{name} is unknown: `headrace config SYSTEM` lists the settings")


def _secret_file(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}: cannot read {path}: {error}") from None


def _parse(info: FieldInfo, name: str, text: str) -> Any:
    if get_origin(info.annotation) not in (tuple, dict):
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise SettingsError(f'{name} must be JSON, such as ["1s", "1m"] or {{"a": 1}}') from None


def _put(given: dict[str, Any], key: Key, value: Any) -> None:
    for name in key[:-1]:
        given = given.setdefault(name, {})
        if not isinstance(given, dict):
            return  # the file has a value where a table belongs; validation says so
    given[key[-1]] = value


def _sentence(error: ValidationError, origins: Mapping[Key, str]) -> str:
    """Return one line for all faults: key, origin and what to write; never the value."""
    parts = []
    for fault in error.errors(include_url=False, include_input=False):
        key = tuple(str(step) for step in fault["loc"])
        origin = next(
            (origins[key[:n]] for n in range(len(key), 0, -1) if key[:n] in origins), None
        )
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            message = "is unknown: `headrace config SYSTEM` lists the settings"
        parts.append(f"{'.'.join(key)}{f' ({origin})' if origin else ''}: {message}")
    return "; ".join(parts)
