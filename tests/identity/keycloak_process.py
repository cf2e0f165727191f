"""A real Keycloak for tests: a process in memory, its admin API, and logins as a browser makes them."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
import secrets
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.needs import ROOT
from tests.servers import free_port

START_SECONDS = 120
BOSS = "boss"
REDIRECT = "http://127.0.0.1:8080/app/"


class KeycloakProcess:
    """`kc.sh start-dev` on loopback with the realm of the package. Use it as a context manager."""

    def __init__(self, home: Path, directory: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.realm = f"{self.url}/realms/kompass"
        self._home = home
        self._log = directory / "keycloak.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._http = httpx.Client(timeout=60)
        self._token = ""
        self._token_until = 0.0

    def __enter__(self) -> Self:
        try:
            self.start()
            text = (ROOT / "kompass" / "identity" / "realm.json").read_bytes()
            answer = self.admin("POST", "", content=text, headers={"content-type": "application/json"})
            assert answer.status_code == 201, answer.text
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._http.close()

    def start(self) -> None:
        environment = {
            **os.environ,
            "KC_BOOTSTRAP_ADMIN_USERNAME": BOSS,
            "KC_BOOTSTRAP_ADMIN_PASSWORD": BOSS,
            "JAVA_OPTS_KC_HEAP": "-Xms128m -Xmx768m",
            # A third of the processor: it lives too short for what the second compiler would gain.
            "JAVA_OPTS_APPEND": "-XX:TieredStopAtLevel=1",
        }
        command = [
            str(self._home / "bin" / "kc.sh"), "start-dev", "--db=dev-mem", "--http-host=127.0.0.1",
            f"--http-port={self.port}", "--http-management-port=" + str(free_port()),
        ]  # fmt: skip
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(httpx.TransportError):
                if self._http.get(f"{self.url}/realms/master", timeout=5).status_code == 200:
                    return
            time.sleep(0.2)
        self.stop()
        raise RuntimeError(f"Keycloak did not start:\n{self._log.read_text()[-5000:]}")

    def stop(self) -> None:
        if self._process is None:
            return
        # The script starts Java as its child: both are in a group of their own.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None

    # -- its administrator -------------------------------------------------------------------------

    def admin(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A request to the admin API; `path` below `/admin/realms`."""
        if time.monotonic() >= self._token_until:
            form = {"grant_type": "password", "client_id": "admin-cli", "username": BOSS, "password": BOSS}
            answer = self._http.post(f"{self.url}/realms/master/protocol/openid-connect/token", data=form)
            self._token, self._token_until = answer.json()["access_token"], time.monotonic() + 30
        headers = {"authorization": f"Bearer {self._token}", **options.pop("headers", {})}
        url = f"{self.url}/admin/realms{path and '/' + path}"
        answer = self._http.request(method, url, headers=headers, **options)
        answer.raise_for_status()
        return answer

    def client_secret(self) -> str:
        found = self.admin("GET", "kompass/clients", params={"clientId": "kompass-server"}).json()
        secret: str = found[0]["secret"]
        return secret

    def user_id(self, name: str) -> str:
        found = self.admin("GET", "kompass/users", params={"username": name, "exact": "true"}).json()
        user_id: str = found[0]["id"]
        return user_id

    def set_enabled(self, name: str, enabled: bool) -> None:
        self.admin("PUT", f"kompass/users/{self.user_id(name)}", json={"enabled": enabled})

    def change_roles(self, name: str, *, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> None:
        path = f"kompass/users/{self.user_id(name)}/role-mappings/realm"
        for method, roles in (("POST", add), ("DELETE", remove)):
            if roles:
                named = [self.admin("GET", f"kompass/roles/{role}").json() for role in roles]
                headers = {"content-type": "application/json"}
                self.admin(method, path, content=json.dumps(named).encode(), headers=headers)

    def rotate_keys(self) -> None:
        """A new key with the highest priority: tokens are signed with it from now on."""
        realm_id = self.admin("GET", "kompass").json()["id"]
        key = {
            "name": f"rsa-{secrets.token_hex(4)}",
            "providerId": "rsa-generated",
            "providerType": "org.keycloak.keys.KeyProvider",
            "parentId": realm_id,
            "config": {
                "priority": [str(int(time.time()))],
                "enabled": ["true"],
                "active": ["true"],
                "algorithm": ["RS256"],
                "keySize": ["2048"],
            },
        }
        self.admin("POST", "kompass/components", json=key)

    # -- its users ---------------------------------------------------------------------------------

    def log_in(self, name: str, password: str = "kompass-demo", *, verifier: str | None = None) -> str:
        """An access token, by the authorization code flow with PKCE as the page does it."""
        proof = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(proof.encode()).digest()).rstrip(b"=").decode()
        with httpx.Client(timeout=60) as browser:
            page = browser.get(
                f"{self.realm}/protocol/openid-connect/auth",
                params={
                    "client_id": "kompass-pwa",
                    "response_type": "code",
                    "redirect_uri": REDIRECT,
                    "scope": "openid",
                    "code_challenge": challenge,
                    "code_challenge_method": "S256",
                },
            )
            action = re.search(r'action="([^"]+)"', page.text)
            assert action is not None, page.text[:2000]
            # Keycloak marks them as secure: browsers count loopback as that, httpx doesn't.
            given = [each.partition(";")[0] for each in page.headers.get_list("set-cookie")]
            answer = browser.post(
                html.unescape(action[1]),
                data={"username": name, "password": password},
                headers={"cookie": "; ".join(given)},
            )
            assert answer.status_code == 302, "the login was refused"
            code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
            tokens = browser.post(
                f"{self.realm}/protocol/openid-connect/token",
                data={
                    "grant_type": "authorization_code",
                    "client_id": "kompass-pwa",
                    "code": code,
                    "redirect_uri": REDIRECT,
                    "code_verifier": verifier or proof,
                },
            )
            tokens.raise_for_status()
            token: str = tokens.json()["access_token"]
            return token
