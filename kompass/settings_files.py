"""Settings from files: `KOMPASS_ADMIN_FILE=/run/secrets/admin` has the file's text as `admin`.

For secrets, which everybody who may look at a process reads in its environment. Works for every setting.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

SUFFIX = "_FILE"
MAX_BYTES = 64 * 1024
"""More is no setting: somebody named the wrong file."""


class FilesSource(PydanticBaseSettingsSource):
    """Values of settings whose variable with `_FILE` behind it names a file.

    Raises `ValueError` that names variable and path, and never says what is in the file.
    """

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        variable = variable_of(self.config.get("env_prefix", ""), field_name)
        path = os.environ.get(variable + SUFFIX)
        if not path:
            return None, field_name, False
        if os.environ.get(variable):
            raise ValueError(f"{variable} and {variable + SUFFIX} are both set: which one is right?")
        return content(variable + SUFFIX, Path(path)), field_name, False

    def __call__(self) -> dict[str, Any]:
        found = (self.get_field_value(field, name) for name, field in self.settings_cls.model_fields.items())
        return {name: value for value, name, _ in found if value is not None}


def variable_of(prefix: str, setting: str) -> str:
    """The environment variable of a setting."""
    return f"{prefix}{setting}".upper()


def merged(environment: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """`environment` with what is given on top, which also takes the place of a file named for it."""
    kept = {name: value for name, value in environment.items() if name.removesuffix(SUFFIX) not in given}
    return {**kept, **given}


def content(variable: str, path: Path) -> str:
    """The text of a file that `variable` names, without one newline at its end. Raises `ValueError`, which
    names both and quotes nothing.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{variable} names {path}, which can't be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise ValueError(f"{variable} names {path}, which has more than {MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{variable} names {path}, which is no text in UTF-8") from None
    return text.removesuffix("\n").removesuffix("\r")
