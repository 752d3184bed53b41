"""The list of the panel with 10,000 and a million invitations: its cost must not grow with the table or the offset.

PostgreSQL only, with complete requests: session, queries, page. The ratio is the median at the larger size divided by
that at the smaller size.
"""

import asyncio
import http.client
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID

import asyncpg
from bench.installation import COMMAND, Installation, running_installation
from bench.measure import percentiles, send
from bench.panel_rows import write_rows_at
from rich.console import Console
from rich.table import Table

from latchstring.crypto.cursors import make_cursor
from latchstring.crypto.keyring import Keyring
from latchstring.domain.pagination import Cursor

SMALL, LARGE = 10_000, 1_000_000
REQUESTS = 60  # of each path
WARM_UP_REQUESTS = 12  # each database connection of the server plans its statements once
EMAIL, PASSWORD = "bench@panel.test", "correct horse 9 Battery"  # of a temporary database
LIST = "/admin/invitations"
QUERIES: Mapping[str, Mapping[str, object]] = {
    "list": {},
    "list of 200": {"size": 200},
    "by address": {"sort": "inviteEmail"},
    "by expiry": {"sort": "expiresAt"},
    "by acceptance": {"sort": "-acceptedAt"},
    "pending": {"state": "PENDING"},
    "pending, by address": {"state": "PENDING", "sort": "inviteEmail"},
    "declined or revoked": {"state": ["DECLINED", "REVOKED"]},
    "a role of six in ten": {"role": "customer"},
    "a role of one in a thousand": {"role": "partner"},
    "a group of half": {"group": "group-1"},
    "an object": {"contentType": "articles", "key": "object-7"},
    "bounced mail": {"delivery": "BOUNCED"},
    "expires within a week": {"expiresWithin": "7d"},
    "created in a month": {"madeWithin": "30d"},
    "search: jonas": {"q": "jonas"},
    "search: jonas name77": {"q": "jonas name77"},
    "search: nobody": {"q": "zzz"},
    "six filters": {
        "state": ["PENDING", "EXPIRED"],
        "role": ["team", "customer"],
        "group": "group-1",
        "delivery": "SENT",
        "madeWithin": "30d",
        "q": "j",
    },
    "filters without matches": {"state": "REVOKED", "delivery": "QUEUED", "role": "team"},
}


@dataclass(frozen=True)
class PanelLine:
    """A page at one size, in milliseconds."""

    path: str
    stored: int
    p50_ms: float
    p99_ms: float

    def as_json(self) -> dict[str, object]:
        return {"path": self.path, "stored": self.stored, "p50_ms": self.p50_ms, "p99_ms": self.p99_ms}


def measure_all(scale: float) -> list[PanelLine]:
    """Measure every path at both sizes, each in an installation of its own."""
    results = list[PanelLine]()
    for stored in (int(SMALL * min(scale, 1)), int(LARGE * min(scale, 1))):
        with running_installation("PostgreSQL") as installation:
            write_rows_at(_database_url(installation), stored)
            cookie = _sign_in(installation)
            for name, path in _paths(installation, stored).items():
                request = _request(installation, path, cookie)
                results.append(_measure(installation, name, request, stored, max(20, int(REQUESTS * scale))))
    return results


def _database_url(installation: Installation) -> str:
    return installation.database.replace("postgresql+asyncpg", "postgresql")


def _paths(installation: Installation, stored: int) -> dict[str, str]:
    paths = {name: f"{LIST}?{urlencode(query, doseq=True)}" for name, query in QUERIES.items()}
    middle_id = asyncio.run(_find_middle_id(installation))
    keyring = Keyring.from_file(installation.master_key_file)
    forward_cursor = make_cursor(keyring, "panel:invitations:-createdAt", Cursor((middle_id,), rows_before=stored // 2))
    backward_cursor = make_cursor(
        keyring, "panel:invitations:-createdAt", Cursor((middle_id,), is_backward=True, rows_before=stored // 2)
    )
    day = (datetime.now(UTC) - timedelta(days=45)).date().isoformat()
    return paths | {
        "middle": f"{LIST}?after={forward_cursor}",
        "middle, backward": f"{LIST}?before={backward_cursor}",
        "middle, pending or revoked": f"{LIST}?state=PENDING&state=REVOKED&after={forward_cursor}",
        "created until the middle": f"{LIST}?madeTo={day}",
        "one entry": f"{LIST}/{middle_id}",
    }


async def _find_middle_id(installation: Installation) -> UUID:
    connection = await asyncpg.connect(_database_url(installation))
    try:
        statement = "SELECT id FROM invitations WHERE id < $1 ORDER BY id DESC LIMIT 1"
        instant = datetime.now(UTC) - timedelta(days=45)
        return UUID(str(await connection.fetchval(statement, UUID(int=int(instant.timestamp() * 1000) << 80))))
    finally:
        await connection.close()


def _sign_in(installation: Installation) -> str:
    """Create an administrator and sign in. Returns the session cookie."""
    command = [COMMAND, "admin", "create", "--email", EMAIL, "--password-stdin"]
    subprocess.run(command, cwd=installation.directory, input=PASSWORD, text=True, check=True, capture_output=True)
    connection = http.client.HTTPConnection("127.0.0.1", installation.port)
    connection.request("GET", "/admin/login")
    page = connection.getresponse()
    pre_session_cookie = (page.getheader("Set-Cookie") or "").partition(";")[0]
    token = re.search(r'name="csrf" value="(\w+)"', page.read().decode())
    form = urlencode({"csrf": token[1] if token else "", "email": EMAIL, "password": PASSWORD})
    headers = {"Cookie": pre_session_cookie, "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/admin/login", form, headers)
    response = connection.getresponse()
    response.read()
    cookies = [value.partition(";")[0] for key, value in response.getheaders() if key.lower() == "set-cookie"]
    connection.close()
    return next(cookie for cookie in cookies if "admin" in cookie and not cookie.endswith("="))


def _request(installation: Installation, path: str, cookie: str) -> str:
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{installation.port}\r\nCookie: {cookie}\r\nContent-Length: 0\r\n\r\n"
    )


def _measure(installation: Installation, name: str, request: str, stored: int, count: int) -> PanelLine:
    send(installation.port, 1, [request] * WARM_UP_REQUESTS)
    _, latencies = send(installation.port, 1, [request] * count)
    p50, p99 = percentiles(latencies)
    return PanelLine(name, stored, p50, p99)


def show(results: list[PanelLine]) -> None:
    small, large = sorted({line.stored for line in results})
    by_path = {(line.path, line.stored): line for line in results}
    table = Table(title="Pages of the panel on PostgreSQL, one after the other")
    table.add_column("page")
    for stored in (small, large):
        table.add_column(f"p50 ms\nof {stored:,}", justify="right")
        table.add_column("p99 ms", justify="right")
    table.add_column("ratio", justify="right")
    for path in dict.fromkeys(line.path for line in results):
        at_small, at_large = by_path[path, small], by_path[path, large]
        cells = (f"{at_small.p50_ms:.1f}", f"{at_small.p99_ms:.1f}", f"{at_large.p50_ms:.1f}", f"{at_large.p99_ms:.1f}")
        table.add_row(path, *cells, f"{at_large.p50_ms / at_small.p50_ms:.2f}")
    Console(width=max(110, Console().width)).print(table)
