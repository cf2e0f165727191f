"""`kompass export`: lists as files, with the rights of whoever asks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from kompass.cli.asking import asking
from kompass.cli.errors import UsableError
from kompass.cli.fetching import archived, refuse_existing, write_pieces
from kompass.cli.options import HERE, DryRun, Json, Password, Server, User
from kompass.cli.telling import tell_json

LEFT_OUT = 3
"""Exit code: the file is there, without documents that don't fit."""
GOBD = "gobd"
TOLD = 20
"""Problems that are told on the terminal; `--json` tells more."""


class _Asked(NamedTuple):
    path: str
    params: dict[str, str | int | bool]


def export(
    what: Annotated[
        str, typer.Argument(help="A list, as customers, a profile, as lexware-contracts, or gobd.")
    ],
    form: Annotated[
        str | None,
        typer.Option("--format", help="csv, xlsx, json, ndjson or parquet.", show_default="csv"),
    ] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", "-f", help="As rating=A or createdAt.gte=2026-01-01; several times."),
    ] = None,
    fields: Annotated[
        str | None, typer.Option(help="Columns, separated by commas.", show_default="all")
    ] = None,
    sort: Annotated[
        str | None, typer.Option(help="A field, with - in front descending.", show_default="createdAt")
    ] = None,
    first: Annotated[str | None, typer.Option("--from", help="First day, of gobd alone.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day, of gobd alone.")] = None,
    german: Annotated[bool, typer.Option("--german", help="Headings in German.")] = False,
    output: Annotated[
        Path | None, typer.Option(help="The file to write.", show_default="the server's name for it")
    ] = None,
    dry_run: DryRun = False,
    server: Server = HERE,
    name: User = None,
    password: Password = None,
    as_json: Json = False,
) -> None:
    """Write what --user may read of a list as a file, with a manifest beside it.

    `kompass export gobd --from 2026-01-01 --to 2026-12-31` writes a directory for a tax audit instead:
    tables, the chain of writes and their index.

    Exits with 3 if documents were left out because they don't fit the profile.
    """
    if what == GOBD:
        if dry_run or german or any((form, filters, fields, sort)):
            raise UsableError("gobd has --from, --to and --output alone: what is in it is prescribed")
        _gobd(server, name, password, first, last, output, as_json=as_json)
        return
    if first is not None or last is not None:
        raise UsableError(
            "--from and --to are of gobd alone: of a list say --filter createdAt.gte=2026-01-01"
        )
    asked = _asked(what, form, filters or [], fields, sort)
    if output is not None and not dry_run:
        refuse_existing(output, _manifest(output))
    language = "de" if german else "en"
    with asking(server, name, password) as client:
        if dry_run:
            params = {**asked.params, "dry_run": "true"}
            told = client.send("GET", asked.path, params=params, headers={"accept-language": language})
            _tell(told, None, as_json=as_json)
        else:
            params = {**asked.params, "package": "true"}
            with archived(client, asked.path, params, language, quiet=as_json) as archive:
                told = archive.manifest
                target = output or Path(Path(told["file"]).name)
                refuse_existing(target, _manifest(target))
                archive.write(told["file"], target, told["sha256"])
            _note(target, told)
            _tell({**told, "file": str(target)}, target, as_json=as_json)
    if told["left_out"]:
        raise typer.Exit(LEFT_OUT)


def _asked(what: str, form: str | None, filters: list[str], fields: str | None, sort: str | None) -> _Asked:
    # Imported here: other commands don't need the models.
    from kompass.accounting.catalogue import PACKAGED, profile
    from kompass.resources.catalogue import RESOURCES, plural

    given = {"format": form, "fields": fields, "sort": sort}
    params: dict[str, str | int | bool] = {key: value for key, value in given.items() if value}
    for one in filters:
        member, sign, value = one.partition("=")
        if not sign:
            raise UsableError(f"{one} is no filter: write field=value or field.operator=value")
        if member in params:
            raise UsableError(f"{member} is given twice")
        params[member] = value
    resource = what if what in RESOURCES else plural(what)
    if what in PACKAGED:
        found = profile(what)
        if found.type is None or found.direction == "in":
            raise UsableError(
                f"{what} is no profile whose rows are documents, so none can be exported by it."
            )
        resource = plural(found.type)
        params["profile"] = what
    if resource not in RESOURCES:
        profiles = ", ".join(name for name in PACKAGED if profile(name).type)
        raise UsableError(f"There is no list {what!r}. There are: {', '.join(RESOURCES)}; {profiles}")
    return _Asked(f"/{resource}/export", params)


def _gobd(
    server: str,
    name: str | None,
    password: str | None,
    first: str | None,
    last: str | None,
    output: Path | None,
    *,
    as_json: bool,
) -> None:
    if first is None or last is None:
        raise UsableError("say which days it is about: --from 2026-01-01 --to 2026-12-31")
    target = output or Path(f"gobd_{first}_{last}")
    refuse_existing(target)  # before the chain of writes says that it was taken out
    params = {"from": first, "to": last}
    with (
        asking(server, name, password) as client,
        archived(client, "/gobd/export", params, "en", quiet=as_json) as archive,
    ):
        archive.write_all(target)
        told = archive.manifest
    if as_json:
        tell_json(told)
        return
    typer.echo(f"{len(told['files'])} tables in {target}")


def _manifest(target: Path) -> Path:
    return target.with_name(f"{target.name}.manifest.json")


def _note(target: Path, told: dict[str, Any]) -> None:
    kept = {key: value for key, value in told.items() if key not in ("problems", "notes")}
    text = json.dumps({**kept, "file": target.name}, indent=2, ensure_ascii=False)
    write_pieces(_manifest(target), iter([text.encode() + b"\n"]))


def _tell(told: dict[str, Any], target: Path | None, *, as_json: bool) -> None:
    if as_json:
        tell_json(told)
        return
    for one in [*told["problems"], *told["notes"]][:TOLD]:
        typer.echo(f"document {one['row']}, {one['column']}: {one['reason']}: {one['value']}", err=True)
    left_out = f", {told['left_out']} left out" if told["left_out"] else ""
    typer.echo(f"{told['rows']} rows{left_out}" + ("" if target is None else f" in {target}"))
