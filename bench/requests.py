"""The requests of each measured path, with the users and invitations that they need."""

import base64
import http.client
import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from bench.installation import Installation
from bench.measure import send

from latchstring.crypto.keyring import Keyring
from latchstring.crypto.link_tokens import LinkToken, LinkTokens, Purpose
from latchstring.domain.invitation import Channel

GROUP = "readers"
numbers = itertools.count(1)


class Requests:
    """Creates raw requests for an installation."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.call("POST", "/api/groups", {"key": GROUP, "name": "Readers"})
        self.tokens, self.audience = self._read_signing_key(installation.master_key_file)

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Send a request that must succeed. Returns the body of the response."""
        connection = http.client.HTTPConnection("127.0.0.1", self.installation.port)
        headers = {"Authorization": f"Bearer {self.installation.key}", "Content-Type": "application/json"}
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {content[:500]!r}")
        return json.loads(content) if content else None

    def raw(self, method: str, path: str, body: object = None, *, signed: bool = True, headers: str = "") -> str:
        """The bytes of an HTTP request, as text."""
        content = json.dumps(body) if body is not None else ""
        credential = f"Authorization: Bearer {self.installation.key}\r\n" if signed else ""
        content_type = "Content-Type: application/json\r\n" if content else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{credential}{content_type}{headers}"
        return f"{head}Content-Length: {len(content)}\r\n\r\n{content}"

    def create(self, count: int) -> list[str]:
        return [self.raw("POST", "/api/invitations", _invitation(new_email())) for _ in range(count)]

    def create_idempotent(self, count: int) -> list[str]:
        """Create with an Idempotency-Key."""
        keys = (f"Idempotency-Key: bench-{next(numbers)}\r\n" for _ in range(count))
        return [self.raw("POST", "/api/invitations", _invitation(new_email()), headers=key) for key in keys]

    def lookup(self, count: int) -> list[str]:
        emails = [new_email() for _ in range(min(count, 500))]
        tokens = itertools.islice(itertools.cycle(self.invite(emails)), count)
        return [self.raw("POST", "/api/invitations/lookup", {"token": token}, signed=False) for token in tokens]

    def accept(self, count: int) -> list[str]:
        """Accept for an existing account: each request is for another invitation and another user."""
        path = "/api/invitations/accept"
        return [
            self.raw("POST", path, {"token": token}, signed=False) for token in self.invite(self.create_users(count))
        ]

    def create_users(self, count: int) -> list[str]:
        """Create users. Returns their addresses."""
        emails = [new_email() for _ in range(count)]
        users = [{"email": email, "firstName": "Ada", "lastName": "Bench"} for email in emails]
        send(self.installation.port, 8, [self.raw("POST", "/api/users", user) for user in users])
        return emails

    def list_page(self, count: int) -> list[str]:
        return [self.raw("GET", "/api/invitations?limit=25")] * count

    def invite(self, emails: list[str], terms: Callable[[], dict[str, object]] | None = None) -> list[str]:
        """Create invitations. Returns the tokens of their mails; they are signed here, as no worker runs."""
        bodies = [{"inviteEmail": email, **terms()} if terms else _invitation(email) for email in emails]
        requests = [self.raw("POST", "/api/invitations", body) for body in bodies]
        send(self.installation.port, 8, requests)
        addresses, ids_by_email = set(emails), dict[str, str]()
        cursor = ""
        while addresses - ids_by_email.keys():
            page = self.call("GET", f"/api/invitations?limit=200{cursor}")
            ids_by_email |= {item["inviteEmail"]: item["id"] for item in page["items"]}
            cursor = f"&cursor={page['nextCursor']}"
        now = datetime.now(UTC)
        tokens = [LinkToken(UUID(ids_by_email[email]), 1, Channel.MAILED, now, now) for email in emails]
        return [self.tokens.sign(Purpose.INVITATION, token) for token in tokens]

    def _read_signing_key(self, key_file: Path) -> tuple[LinkTokens, UUID]:
        invitation = self.call("POST", "/api/invitations", _invitation(new_email()))
        url = self.call("POST", f"/api/invitations/{invitation['id']}/link")["url"]
        payload = url.partition("token=")[2].split(".")[1]
        audience = UUID(json.loads(base64.urlsafe_b64decode(payload + "=="))["aud"])
        return LinkTokens(Keyring.from_file(key_file), audience), audience


def new_email() -> str:
    return f"bench{next(numbers)}@people.test"


def _invitation(email: str) -> dict[str, object]:
    return {"inviteEmail": email, "role": "customer", "groups": [GROUP]}
