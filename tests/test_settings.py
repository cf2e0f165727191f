from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from kompass.settings import Settings
from kompass.settings_files import merged
from tests.needs import ROOT


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"KOMPASS_{name.upper()}", raising=False)
        monkeypatch.delenv(f"KOMPASS_{name.upper()}_FILE", raising=False)
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
        shown = "" if default in (None, (), "") else f"`{_shown(default)}`"
        expected[name] = (f"KOMPASS_{name.upper()}", shown, field.description)
    assert documented == expected


def test_a_setting_can_be_the_text_of_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, text in (
        ("admin", "boss:pass word\n"),
        ("port", "9000\r\n"),
        ("mail_from", "A <a@b.example>\n\n"),
    ):
        (tmp_path / name).write_bytes(text.encode())
        monkeypatch.setenv(f"KOMPASS_{name.upper()}_FILE", str(tmp_path / name))
    (tmp_path / "kompass.toml").write_text("port = 1\n")
    settings = Settings()
    # One newline is the editor's; another one would be the value's own.
    assert (settings.admins, settings.port, settings.mail_from) == (
        {"boss": "pass word"},
        9000,
        "A <a@b.example>\n",
    )
    assert Settings(port=2).port == 2


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file or directory"),
        (b"", "give NAME:PASSWORD"),
        (b"s3cret-without-colon", "give NAME:PASSWORD"),
        (b"boss:s3cret\xff", "UTF-8"),
        (b"boss:s3cret" + bytes(70_000), "more than 65536 bytes"),
    ],
)
def test_a_file_that_is_no_setting_is_named_and_not_quoted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, why: str
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("KOMPASS_ADMIN_FILE", str(file))
    with pytest.raises(ValueError, match=r"(?i)admin") as caught:
        Settings()
    assert why in str(caught.value)
    assert "s3cret" not in str(caught.value)
    if "NAME:PASSWORD" not in why:
        assert str(file) in str(caught.value)


def test_a_directory_is_no_file_of_a_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KOMPASS_PROXY_SECRET_FILE", str(tmp_path))
    with pytest.raises(ValueError, match=r"KOMPASS_PROXY_SECRET_FILE names .* Is a directory"):
        Settings()


def test_a_variable_and_its_file_are_not_both_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "port").write_text("1")
    monkeypatch.setenv("KOMPASS_PORT_FILE", str(tmp_path / "port"))
    monkeypatch.setenv("KOMPASS_PORT", "2")
    with pytest.raises(ValueError, match="KOMPASS_PORT and KOMPASS_PORT_FILE are both set"):
        Settings()


def test_a_child_gets_a_secret_in_place_of_the_file_that_the_server_was_given() -> None:
    environment = {
        "KOMPASS_FEED_SECRET_FILE": "/run/feed",
        "KOMPASS_ADMIN_FILE": "/run/admin",
        "PATH": "/bin",
    }
    assert merged(environment, {"KOMPASS_FEED_SECRET": "x"}) == {
        "KOMPASS_ADMIN_FILE": "/run/admin",
        "PATH": "/bin",
        "KOMPASS_FEED_SECRET": "x",
    }


def test_no_setting_is_called_as_the_file_of_another_one() -> None:
    names = Settings.model_fields.keys()
    assert not {f"{name}_file" for name in names} & names


def test_an_error_quotes_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOMPASS_FEED_SECRET", "too-short-s3cret")
    with pytest.raises(ValidationError, match="feed_secret") as caught:
        Settings()
    assert "s3cret" not in str(caught.value)


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "port").write_text("1")
    monkeypatch.setenv("KOMPASS_PORT_FILE", str(tmp_path / "port"))
    for name in ("KOMPASS_PORT", "KOMPASS_MEILISEARCH_URL", "KOMPASS_ADMIN_FILE"):
        monkeypatch.setenv(name, "")
    settings = Settings()
    assert (settings.port, settings.meilisearch_url, settings.admin) == (1, None, None)
