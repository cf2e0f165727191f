from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from kompass.settings import Settings
from tests.needs import ROOT


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"KOMPASS_{name.upper()}", raising=False)
    monkeypatch.delenv("KOMPASS_CONFIG", raising=False)


def test_defaults() -> None:
    settings = Settings()
    assert (settings.host, settings.port, settings.directory) == ("127.0.0.1", 8080, Path("data"))


def test_environment_beats_file_and_arguments_beat_both(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "kompass.toml").write_text('port = 1\nhost = "::1"\nlog_level = "debug"\n')
    monkeypatch.setenv("KOMPASS_PORT", "2")
    monkeypatch.setenv("KOMPASS_HOST", "localhost")
    settings = Settings(port=3)
    assert (settings.port, settings.host, settings.log_level) == (3, "localhost", "debug")


def test_another_file_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text('cors_origins = ["https://a.example"]\n')
    monkeypatch.setenv("KOMPASS_CONFIG", str(tmp_path / "other.toml"))
    assert Settings().cors_origins == ("https://a.example",)


def test_a_named_file_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOMPASS_CONFIG", "missing.toml")
    with pytest.raises(FileNotFoundError, match=r"missing\.toml"):
        Settings()


def test_a_misspelt_setting_in_the_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "kompass.toml").write_text("prot = 1\n")
    with pytest.raises(ValidationError, match="prot"):
        Settings()


def test_origins_are_comma_separated_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOMPASS_CORS_ORIGINS", "https://a.example, https://b.example,")
    assert Settings().cors_origins == ("https://a.example", "https://b.example")


def test_demo_has_its_own_directory_unless_one_is_named() -> None:
    assert Settings(demo=True).directory == Path("data/demo")
    assert Settings(demo=True, data=Path("elsewhere")).directory == Path("elsewhere")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_demo_on_loopback(host: str) -> None:
    assert Settings(demo=True, host=host).demo


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.10", "example.com", ""])
def test_demo_is_refused_elsewhere(host: str) -> None:
    with pytest.raises(ValidationError, match="loopback"):
        Settings(demo=True, host=host)


def _shown(default: object) -> str:
    if isinstance(default, tuple):
        return ", ".join(default)
    return str(default).lower() if isinstance(default, bool) else str(default)


def test_every_setting_is_documented_with_its_variable_and_default() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| `(\w+)` \| (.*?) \| (.*?) \|$", (ROOT / "docs/settings.md").read_text(), re.MULTILINE
    )
    documented = {name: (variable, default, text) for name, variable, default, text in rows}
    expected = {}
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = "" if default in (None, ()) else f"`{_shown(default)}`"
        expected[name] = (f"KOMPASS_{name.upper()}", shown, field.description)
    assert documented == expected
