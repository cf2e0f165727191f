"""Webhooks are signed, called once and quickly, and nowhere they mustn't go."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from kompass.jobs import receivers
from kompass.jobs.calling import MOST_BODY, Caller, is_public
from kompass.jobs.receivers import WebhookError
from kompass.jobs.service import Receiver
from kompass.jobs.store import JobStore

SECRET = receivers.new_secret()


class Receiving:
    """A receiver on loopback: what it got, and what it answers."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b"ok"
        self.sleep = 0.0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                time.sleep(outer.sleep)
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(outer.body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def at(self, host: str = "127.0.0.1", path: str = "/hook") -> Receiver:
        return Receiver(f"http://{host}:{self.port}{path}", SECRET, [], "innen1")


def called(caller: Caller, receiver: Receiver, body: bytes) -> Mapping[str, Any]:
    return caller(receiver, {"job-1": body})["job-1"]


@pytest.fixture
def receiving() -> Iterator[Receiving]:
    one = Receiving()
    yield one
    one.server.shutdown()
    one.server.server_close()


def test_a_receiver_can_check_who_calls(receiving: Receiving) -> None:
    told = called(Caller(["127.0.0.1"]), receiving.at(), b'{"event_type":"offer.sent"}')
    assert told == {"status": 200, "milliseconds": told["milliseconds"], "error": ""}
    ((headers, body),) = receiving.got
    assert (headers["idempotency-key"], headers["webhook-id"]) == ("job-1", "job-1")
    assert headers["content-type"] == "application/json"
    # By the library of Standard Webhooks.
    assert Webhook(SECRET).verify(body, headers) == {"event_type": "offer.sent"}
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body.replace(b"sent", b"lost"), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(receivers.new_secret()).verify(body, headers)


def test_what_is_old_is_not_believed(receiving: Receiving) -> None:
    called(Caller(["127.0.0.1"], now=lambda: time.time() - 600), receiving.at(), b"{}")
    ((headers, body),) = receiving.got
    assert datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC).year >= 2026
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body, headers)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f000001"])
def test_nothing_of_this_machine_is_called(receiving: Receiving, host: str) -> None:
    told = called(Caller(), receiving.at(host), b"{}")
    assert told["error"]
    assert receiving.got == []


def test_a_name_that_leads_inside_is_not_called(
    receiving: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address that was judged is the one that is connected to: the second answer comes too late."""
    answers = iter([["127.0.0.1"], ["93.184.216.34"]])
    asked: list[str] = []

    async def resolving(host: str, port: int) -> list[str]:
        asked.append(host)
        return next(answers)

    monkeypatch.setattr("replication.replicator.hosts.resolve", resolving)
    told = called(Caller(), receiving.at("rebind.example.com"), b"{}")
    assert "not public" in told["error"]
    assert asked == ["rebind.example.com"]
    assert receiving.got == []


def test_one_address_inside_among_others_is_enough(
    receiving: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resolving(host: str, port: int) -> list[str]:
        return ["93.184.216.34", "10.0.0.1"]

    monkeypatch.setattr("replication.replicator.hosts.resolve", resolving)
    assert "not public" in called(Caller(), receiving.at("mixed.example.com"), b"{}")["error"]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("192.0.2.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
        ("192.0.0.192", False),
        ("192.88.99.1", False),
        ("::127.0.0.1", False),
        ("::ffff:0:7f00:1", False),
        ("fec0::1", False),
        ("3fff::1", False),
        ("2001:0:a00:1::1", False),
        ("2001:4860:4860::8888", True),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_redirections_are_not_followed(receiving: Receiving) -> None:
    receiving.status, receiving.headers = 302, {"location": f"http://127.0.0.1:{receiving.port}/other"}
    told = called(Caller(["127.0.0.1"]), receiving.at(), b"{}")
    assert told["status"] == 302
    assert "redirections" in told["error"]
    assert len(receiving.got) == 1


def test_who_is_slow_is_given_up(receiving: Receiving) -> None:
    receiving.sleep = 5
    began = time.monotonic()
    told = called(Caller(["127.0.0.1"], seconds=0.3), receiving.at(), b"{}")
    assert time.monotonic() - began < 3
    assert told["error"] == "no answer within 0.3 seconds"


def test_calls_that_go_together_take_no_longer_than_one(receiving: Receiving) -> None:
    receiving.sleep = 0.3
    bodies = {f"job-{number}": b"%d" % number for number in range(10)}
    began = time.monotonic()
    told = Caller(["127.0.0.1"])(receiving.at(), {**bodies, "job-10": b"x" * (MOST_BODY + 1)})
    assert time.monotonic() - began < 2
    assert {ident: one["error"] for ident, one in told.items() if ident in bodies} == dict.fromkeys(
        bodies, ""
    )
    assert told["job-10"]["never"]
    assert {headers["webhook-id"]: body for headers, body in receiving.got} == bodies
    for headers, body in receiving.got:
        Webhook(SECRET).verify(body, headers)


def test_an_endless_answer_is_not_read(receiving: Receiving) -> None:
    receiving.body = b"x" * 5_000_000
    assert called(Caller(["127.0.0.1"]), receiving.at(), b"{}")["error"] == ""


@pytest.mark.parametrize(("status", "never"), [(500, False), (404, False), (429, False), (410, True)])
def test_what_is_no_success(receiving: Receiving, status: int, never: bool) -> None:
    receiving.status = status
    told = called(Caller(["127.0.0.1"]), receiving.at(), b"{}")
    assert told["error"] == f"it answers {status}"
    assert told.get("never", False) is never


def test_who_is_not_there(receiving: Receiving) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/"
        told = called(Caller(["127.0.0.1"]), Receiver(url, SECRET, [], ""), b"{}")
    assert told["error"].startswith("it can't be reached")
    assert called(Caller(), Receiver("http://no.such.host.invalid/", SECRET, [], ""), b"{}")["error"]
    assert called(Caller(), Receiver(url, SECRET, [], ""), b"x" * (MOST_BODY + 1))["never"]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"name": "../x"}, "name"),
        ({"url": "ftp://example.com/"}, "http or https"),
        ({"url": "http:///x"}, "host"),
        ({"url": "https://me:pw@example.com/"}, "login"),
        ({"url": "https://example.com/ä"}, "ASCII"),
        ({"url": "https://example.com:99999/"}, "can't be read"),
        ({"url": "https://example.com/\r\nX: y"}, "ASCII"),
        ({"events": []}, "name its events"),
        ({"events": ["offer.sold"]}, "offer.sold"),
        ({"fields": ["a.b"]}, "fields"),
        ({"secret": "short"}, "secret"),
        ({"person": ""}, "person"),
    ],
)
def test_what_is_no_webhook(changed: dict[str, object], why: str, data: Path) -> None:
    store = JobStore(data)
    given: dict[str, object] = {
        "name": "n8n",
        "url": "https://example.com/",
        "events": ["offer.sent"],
        "fields": ["status"],
        "person": "innen1",
        **changed,
    }
    with pytest.raises(WebhookError, match=why):
        receivers.put(store, **given)  # type: ignore[arg-type]
    assert receivers.webhooks(store) == []
    store.close()
