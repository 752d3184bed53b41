"""The panel's list at 10,000 and a million stored invitations: no page may grow with the table, or with its depth.

PostgreSQL only, through the whole server: session, queries, page. `ratio` is the median at the larger size to that at
the smaller.
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
from bench.installation import COMMAND, Installation, running
from bench.measure import send, summed_up
from bench.panel_rows import write_rows_at
from rich.console import Console
from rich.table import Table

from latchstring.crypto.cursors import make_cursor
from latchstring.crypto.keyring import Keyring
from latchstring.domain.pagination import Cursor

SMALL, LARGE = 10_000, 1_000_000
COUNT = 60  # requests of each path
WARM_UP = 12  # each of the server's connections plans its statements once
EMAIL, PASSWORD = "bench@panel.test", "correct horse 9 Battery"  # of a database that lives for a minute
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
    "made in a month": {"madeWithin": "30d"},
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
    "filters that never meet": {"state": "REVOKED", "delivery": "QUEUED", "role": "team"},
}


@dataclass(frozen=True)
class PanelLine:
    """A page at one size. Milliseconds."""

    path: str
    stored: int
    p50_ms: float
    p99_ms: float

    def as_json(self) -> dict[str, object]:
        return {"path": self.path, "stored": self.stored, "p50_ms": self.p50_ms, "p99_ms": self.p99_ms}


def measure_all(scale: float) -> list[PanelLine]:
    """Every path at both sizes, each in an installation of its own."""
    found = list[PanelLine]()
    for stored in (int(SMALL * min(scale, 1)), int(LARGE * min(scale, 1))):
        with running("PostgreSQL") as installation:
            write_rows_at(_plain(installation), stored)
            cookie = _sign_in(installation)
            for name, path in _paths(installation, stored).items():
                request = _request(installation, path, cookie)
                found.append(_measure(installation, name, request, stored, max(20, int(COUNT * scale))))
    return found


def _plain(at: Installation) -> str:
    return at.database.replace("postgresql+asyncpg", "postgresql")


def _paths(at: Installation, stored: int) -> dict[str, str]:
    paths = {name: f"{LIST}?{urlencode(query, doseq=True)}" for name, query in QUERIES.items()}
    middle = asyncio.run(_id_in_the_middle(at))
    keyring = Keyring.from_file(at.master_key_file)
    cursor = make_cursor(keyring, "panel:invitations:-createdAt", Cursor((middle,), rows_before=stored // 2))
    back = make_cursor(
        keyring, "panel:invitations:-createdAt", Cursor((middle,), is_backward=True, rows_before=stored // 2)
    )
    day = (datetime.now(UTC) - timedelta(days=45)).date().isoformat()
    return paths | {
        "half way down": f"{LIST}?after={cursor}",
        "half way down, going back": f"{LIST}?before={back}",
        "half way down, pending or revoked": f"{LIST}?state=PENDING&state=REVOKED&after={cursor}",
        "made until half way": f"{LIST}?madeTo={day}",
        "one entry": f"{LIST}/{middle}",
    }


async def _id_in_the_middle(at: Installation) -> UUID:
    connection = await asyncpg.connect(_plain(at))
    try:
        statement = "SELECT id FROM invitations WHERE id < $1 ORDER BY id DESC LIMIT 1"
        days = datetime.now(UTC) - timedelta(days=45)
        return UUID(str(await connection.fetchval(statement, UUID(int=int(days.timestamp() * 1000) << 80))))
    finally:
        await connection.close()


def _sign_in(at: Installation) -> str:
    """Make an administrator, and the cookie of a session."""
    command = [COMMAND, "admin", "create", "--email", EMAIL, "--password-stdin"]
    subprocess.run(command, cwd=at.directory, input=PASSWORD, text=True, check=True, capture_output=True)
    connection = http.client.HTTPConnection("127.0.0.1", at.port)
    connection.request("GET", "/admin/login")
    page = connection.getresponse()
    gate = (page.getheader("Set-Cookie") or "").partition(";")[0]
    token = re.search(r'name="csrf" value="(\w+)"', page.read().decode())
    form = urlencode({"csrf": token[1] if token else "", "email": EMAIL, "password": PASSWORD})
    headers = {"Cookie": gate, "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/admin/login", form, headers)
    answer = connection.getresponse()
    answer.read()
    cookies = [value.partition(";")[0] for key, value in answer.getheaders() if key.lower() == "set-cookie"]
    connection.close()
    return next(cookie for cookie in cookies if "admin" in cookie and not cookie.endswith("="))


def _request(at: Installation, path: str, cookie: str) -> str:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{at.port}\r\nCookie: {cookie}\r\nContent-Length: 0\r\n\r\n"


def _measure(at: Installation, name: str, request: str, stored: int, count: int) -> PanelLine:
    send(at.port, 1, [request] * WARM_UP)
    _, latencies = send(at.port, 1, [request] * count)
    p50, p99 = summed_up(latencies)
    return PanelLine(name, stored, p50, p99)


def show(found: list[PanelLine]) -> None:
    small, large = sorted({line.stored for line in found})
    by_path = {(line.path, line.stored): line for line in found}
    table = Table(title="Pages of the panel on PostgreSQL, one after the other")
    table.add_column("page")
    for stored in (small, large):
        table.add_column(f"p50 ms\nof {stored:,}", justify="right")
        table.add_column("p99 ms", justify="right")
    table.add_column("ratio", justify="right")
    for path in dict.fromkeys(line.path for line in found):
        few, many = by_path[path, small], by_path[path, large]
        cells = (f"{few.p50_ms:.1f}", f"{few.p99_ms:.1f}", f"{many.p50_ms:.1f}", f"{many.p99_ms:.1f}")
        table.add_row(path, *cells, f"{many.p50_ms / few.p50_ms:.2f}")
    Console(width=max(110, Console().width)).print(table)
