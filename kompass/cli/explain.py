"""`kompass explain`: why somebody sees a document or doesn't, and who would gain or lose by a change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kompass.cli.asking import asking
from kompass.cli.errors import UsableError
from kompass.cli.options import HERE, Json, Password, Server
from kompass.cli.telling import tell_json

if TYPE_CHECKING:
    from kompass.client import Client


def explain(
    user: Annotated[str, typer.Argument(help="Whom: the name he logs in with.")],
    document: Annotated[str, typer.Argument(help="What: a document's id.")],
    owner: Annotated[
        str | None, typer.Option(help="Try it: who would gain and lose if this were the document's owner.")
    ] = None,
    matrix: Annotated[
        Path | None,
        typer.Option(help="Try it: the same for a permission matrix in a JSON file.", dir_okay=False),
    ] = None,
    server: Server = HERE,
    name: Annotated[
        str | None, typer.Option("--user", envvar="KOMPASS_USER", help="Who asks: somebody with GF or ADMIN.")
    ] = None,
    password: Password = None,
    as_json: Json = False,
) -> None:
    """Tell why USER can read DOCUMENT or can't: the rule, the channel, the grant, since when.

    Ends with code 0 if he can, 3 if he can't. With --owner or --matrix nothing is changed: it tells who would
    gain and who would lose how many documents.
    """
    with asking(server, name, password) as client:
        if owner is not None or matrix is not None:
            _try(client, document, owner, matrix, as_json=as_json)
            return
        told = client.get("/access/explain", {"user": user, "doc": document})
    if as_json:
        tell_json(told)
    else:
        for line in lines(told):
            typer.echo(line)
    if not told["visible"]:
        raise typer.Exit(3)


def _try(client: Client, document: str, owner: str | None, matrix: Path | None, *, as_json: bool) -> None:
    if owner is not None and matrix is not None:
        raise UsableError("try one at a time: --owner or --matrix")
    body: dict[str, Any]
    if matrix is not None:
        try:
            body = {"matrix": json.loads(matrix.read_text("utf-8"))}
        except (OSError, ValueError) as error:
            raise UsableError(f"{matrix} can't be read: {error}") from None
    else:
        body = {"changes": {document: {"owner": owner}}}
    effects = client.post("/access/dry-run", body)["effects"]
    if as_json:
        tell_json(effects)
        return
    if not effects:
        typer.echo("Nobody would gain or lose a document.")
    for one in effects:
        typer.echo(f"{one['user']}: would gain {one['gains']}, lose {one['loses']}")
        for docid in one["gained"]:
            typer.echo(f"  + {docid}")
        for docid in one["lost"]:
            typer.echo(f"  - {docid}")


def lines(answer: dict[str, Any]) -> list[str]:
    """The answer for people."""
    user, docid = answer["user"], answer["document"]
    if not answer["exists"]:
        return [f"There is no document {docid}."]
    what = f"{docid} ({answer['type'] or 'of no type'}{', deleted' if answer['deleted'] else ''})"
    if not answer["known"]:
        return [f"{user} can't read {what}: there is no active record of a user of that name."]
    roles = ", ".join(answer["roles"]) or "no role"
    told = [f"{user} ({roles}) {'can' if answer['visible'] else 'can not'} read {what}."]
    rules = answer["rules"]
    if rules is not None:
        told.append(f"Rule: {rules['decision']['rule']}: {rules['decision']['reason']}")
    for grant in answer["grants"]:
        because = f", because of {', '.join(grant['because'])}" if grant["because"] else ""
        told.append(
            f"Channel {grant['channel']}: the document is in it since change {grant['document_since']},"
            f" {user} holds it since change {grant['person_since']}{because}"
        )
    if answer["since"] is not None:
        told.append(f"Since change {answer['since']}.")
    if answer["lost_at"] is not None:
        told.append(f"He could until change {answer['lost_at']}.")
    if answer["refused"]:
        told.append(f"Refused revisions of his: {', '.join(answer['refused'])}")
    if not answer["visible"] and rules is not None:
        told.append("What it would take:")
        for role in rules["roles"]:
            has = "" if role["has"] else " (not his)"
            told += [f"  {role['role']}{has}: {need}" for need in role["needs"]]
    if not answer["agree"]:
        told.append("The stored channels and the rules disagree: that is a defect of the server.")
    return told
