"""What the files for containers say, and what is asked of every container, whoever starts it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from typer.main import get_command

from kompass.cli.app import app
from kompass.settings import Settings
from kompass.settings_files import SUFFIX, variable_of
from tests.needs import ROOT

FOLDER = ROOT / "compose"
IMAGE = "kompass:0.1.0"
SECRETS = "/run/secrets/"

PINNED = re.compile(r"[a-z0-9./-]+:[A-Za-z0-9._-]*\d[A-Za-z0-9._-]*@sha256:[0-9a-f]{64}")

VARIABLES = {variable_of("KOMPASS_", name): name for name in Settings.model_fields}

SECRET = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}


def read(file: Path) -> Any:
    return yaml.load(file.read_text(), Loader=yaml.CSafeLoader)


def setting_of(variable: str) -> str | None:
    """The setting that a variable of the environment sets, itself or by a file; None if there is none."""
    return VARIABLES.get(variable) or VARIABLES.get(variable.removesuffix(SUFFIX))


def problems_of(environment: dict[str, str], files: set[str], command: str = "") -> list[str]:
    """What is wrong with the settings of a container that finds `files` in itself and runs that command."""
    options = variables_of(command)
    missing = [name for name in options & environment.keys() if environment[name] not in files]
    found = [f"{name} names {environment[name]}, which isn't there" for name in missing]
    for variable, value in environment.items():
        if not variable.startswith("KOMPASS_") or variable in options:
            continue
        setting = setting_of(variable)
        if setting is None:
            found.append(f"{variable} is no setting")
        elif variable.endswith(SUFFIX) and variable not in VARIABLES:
            if value not in files:
                found.append(f"{variable} names {value}, which isn't there")
        elif setting in SECRET:
            found.append(f"{variable} has a secret in the environment")
    return found


def variables_of(command: str) -> set[str]:
    """The variables by which a command takes options that are files."""
    known = get_command(app).commands.get(command)  # type: ignore[attr-defined]
    named = {str(option.envvar) for option in (known.params if known else ())}
    return {name for name in named if name.endswith(SUFFIX)}


def has_command(words: list[str]) -> bool:
    """Whether `kompass` has the command that `words` begin with, and each option they name."""
    command: Any = get_command(app)
    rest = list(words)
    while rest and getattr(command, "commands", None) and not rest[0].startswith("-"):
        command = command.commands.get(rest.pop(0))
        if command is None:
            return False
    options = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
    return all(word.partition("=")[0] in options for word in rest)
