"""How far an erasure is elsewhere, and what is in the way, is told to whoever asks the server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attack.writes_world import attacked, some, text

PATH = "/api/v1/privacy"


@pytest.mark.slow
async def test_who_waits_for_what_is_in_notes_figures_and_lists(tmp_path: Path) -> None:
    async with attacked(tmp_path) as attack:
        contact = some("contact")
        await attack.put(contact, text("contact", "adm1", lastName="Behn", customerId=some("customer")))
        assert (await attack.ask("admin1", "PUT", f"{PATH}/consumers/elsewhere")).status_code == 200
        wish = {"reason": "asked for by herself"}
        done = await attack.ask("gf1", "POST", f"{PATH}/subjects/{contact}/erasure", json=wish)
        assert done.json()["waitingFor"] == ["elsewhere"], "it isn't through yet"
        assert "notes" not in (await attack.client.get("/readyz")).json()

        hindrance = attack.product.sync.erasures.hindrance
        assert hindrance.tell("elsewhere", "node 3 is away")
        assert not hindrance.tell("elsewhere", "node 3 is away")
        (note,) = (await attack.client.get("/readyz")).json()["notes"]
        assert "elsewhere" in note
        assert "node 3" not in note, "anybody may read it"
        (told,) = (await attack.ask("gf1", "GET", f"{PATH}/consumers")).json()["consumers"]
        assert (told["open"], told["why"]) == (1, "node 3 is away")
        figures = (await attack.ask("chef", "GET", "/metrics")).text
        assert 'kompass_privacy_open_tickets{consumer="elsewhere"} 1' in figures
        assert 'kompass_privacy_oldest_ticket_seconds{consumer="elsewhere"} ' in figures

        numbers = {"tickets": [done.json()["ticket"]]}
        await attack.ask("admin1", "POST", f"{PATH}/consumers/elsewhere/tickets", json=numbers)
        assert hindrance.tell("elsewhere", None)
        assert "notes" not in (await attack.client.get("/readyz")).json()
        figures = (await attack.ask("chef", "GET", "/metrics")).text
        assert 'kompass_privacy_open_tickets{consumer="elsewhere"} 0' in figures
