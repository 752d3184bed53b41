"""The private APIs of libraries that we use still behave as we rely on.

After a failure, check the one function that uses the API.
"""

import asyncio
import inspect
import os
import signal
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import aiosmtplib
import pytest
import uvicorn
from sqlalchemy import Column, Integer, MetaData, Table, Text, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeDecorator
from starlette.types import Receive, Scope, Send

from latchstring.bootstrap.server_process import Server
from latchstring.mail.smtp.protocol import greet, send_content
from latchstring.storage.engine.private_api import bind_processor, list_result_columns, result_processor
from latchstring.storage.engine.types import CanonicalText, Id, Instant, ListOf

ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
DIALECTS = [postgresql.dialect(), sqlite.dialect()]  # type: ignore[no-untyped-call]
PEOPLE = Table("people", MetaData(), Column("id", Id()), Column("name", Text()), Column("visits", Integer()))


def compile_statement(statement: Executable, dialect: Dialect) -> SQLCompiler:
    compiler = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
    assert isinstance(compiler, SQLCompiler)
    return compiler


# ---- SQLAlchemy ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_columns_of_select_and_returning_are_listed_in_order(dialect: Dialect) -> None:
    for statement in (
        select(PEOPLE.c.id, (PEOPLE.c.visits + 1).label("next")),
        insert(PEOPLE).values(id=ID).returning(PEOPLE.c.id, PEOPLE.c.visits.label("next")),
        update(PEOPLE).values(visits=1).returning(PEOPLE.c.id, PEOPLE.c.visits.label("next")),
    ):
        columns = list_result_columns(compile_statement(statement, dialect))
        assert [column.name for column in columns] == ["id", "next"]
        assert isinstance(columns[0].type, Id)
        assert isinstance(columns[1].type, Integer)
    assert list_result_columns(compile_statement(update(PEOPLE).values(visits=1), dialect)) == []


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_processors_convert_both_ways_and_are_cached(dialect: Dialect) -> None:
    kind, instant = Instant(), datetime(2026, 3, 1, 12, tzinfo=UTC)
    bind, result = bind_processor(kind, dialect), result_processor(kind, dialect)
    stored = instant if bind is None else bind(instant)
    assert (stored if result is None else result(stored)) == instant
    assert bind_processor(kind, dialect) is bind
    assert result_processor(kind, dialect) is result
    assert bind_processor(Integer(), dialect) is None


def test_a_list_converts_its_items_only_if_their_type_does() -> None:
    dialect = sqlite.dialect()
    assert CanonicalText.process_bind_param is TypeDecorator.process_bind_param
    as_text, as_ids = bind_processor(ListOf(CanonicalText), dialect), bind_processor(ListOf(Id), dialect)
    assert as_text is not None
    assert as_ids is not None
    assert as_text(["a"]) == '["a"]'
    assert ID.hex in as_ids([ID]).replace("-", "")


# ---- aiosmtplib ------------------------------------------------------------------------------------------------------


class ScriptedServer:
    """An SMTP server that records every line and sends replies from a list."""

    def __init__(self, *replies: str) -> None:
        self.lines: list[bytes] = []
        self.replies = list(replies)
        self.port = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        in_content = False
        while line := await reader.readline():
            self.lines.append(line)
            in_content = in_content and line != b".\r\n"
            if not in_content and self.replies:
                reply = self.replies.pop(0)
                in_content = reply.startswith("354")
                writer.write(reply.encode() + b"\r\n")
        writer.close()


@pytest.fixture
async def scripted_server() -> AsyncIterator[ScriptedServer]:
    scripted_server = ScriptedServer()
    server = await asyncio.start_server(scripted_server.answer, "127.0.0.1", 0)
    scripted_server.port = server.sockets[0].getsockname()[1]
    yield scripted_server
    server.close()


async def connect(scripted_server: ScriptedServer, *replies: str) -> aiosmtplib.SMTP:
    scripted_server.replies = list(replies)
    client = aiosmtplib.SMTP(
        hostname="127.0.0.1", port=scripted_server.port, use_tls=False, start_tls=False, local_hostname="us", timeout=5
    )
    await client.connect()
    return client


async def test_a_server_is_greeted_once(scripted_server: ScriptedServer) -> None:
    client = await connect(scripted_server, "250 SMTPUTF8")
    await greet(client)
    await greet(client)
    assert scripted_server.lines == [b"EHLO us\r\n"]
    client.close()


async def test_a_server_without_ehlo_is_greeted_with_helo(scripted_server: ScriptedServer) -> None:
    client = await connect(scripted_server, "502 unknown", "250 fine")
    await greet(client)
    assert scripted_server.lines == [b"EHLO us\r\n", b"HELO us\r\n"]
    client.close()


async def test_a_message_is_written_completely_before_its_reply_is_awaited(scripted_server: ScriptedServer) -> None:
    client = await connect(scripted_server, "250 fine", "354 go on", "250 taken")
    await greet(client)
    assert (await client.execute_command(b"DATA")).code == 354
    sent: list[bool] = []
    reply = await send_content(client, b"a\n.b\r\nc", on_sent=lambda: sent.append(True), timeout_seconds=5)
    assert (reply.code, reply.message, sent) == (250, "taken", [True])
    assert scripted_server.lines[-4:] == [b"a\r\n", b"..b\r\n", b"c\r\n", b".\r\n"]
    client.close()


async def test_a_reply_that_does_not_come_is_a_timeout(scripted_server: ScriptedServer) -> None:
    client = await connect(scripted_server, "250 fine", "354 go on")
    await greet(client)
    await client.execute_command(b"DATA")
    with pytest.raises(aiosmtplib.SMTPReadTimeoutError):
        await send_content(client, b"a", on_sent=lambda: None, timeout_seconds=0.05)
    client.close()
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await send_content(client, b"a", on_sent=lambda: None, timeout_seconds=0.05)


# ---- uvicorn ---------------------------------------------------------------------------------------------------------


async def start_and_stop(scope: Scope, receive: Receive, send: Send) -> None:
    """An ASGI application that only starts and stops."""
    assert scope["type"] == "lifespan"
    for state in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{state}.complete"})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stopped_server_does_not_raise_the_signal_again(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "latchstring.bootstrap.server_process.tune_garbage_collection", lambda: None
    )  # it is for whole processes
    calls: list[str] = []
    before = signal.getsignal(number)
    server = Server(start_and_stop, on_ready=lambda: calls.append("ready"), on_drain=lambda: calls.append("drain"))  # type: ignore[arg-type]
    with socket.create_server(("127.0.0.1", 0)) as bound:
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        async with asyncio.timeout(5):
            while not server.started:  # noqa: ASYNC110  # uvicorn has no event for it
                await asyncio.sleep(0.01)
            os.kill(os.getpid(), number)
            await serving
    assert calls == ["ready", "drain"]
    assert signal.getsignal(number) is before


def test_the_overridden_methods_have_the_expected_parameters() -> None:
    for name in ("startup", "shutdown"):
        assert list(inspect.signature(getattr(uvicorn.Server, name)).parameters) == ["self", "sockets"]
    assert list(inspect.signature(uvicorn.Server.capture_signals).parameters) == ["self"]
    assert list(inspect.signature(uvicorn.Server.handle_exit).parameters) == ["self", "sig", "frame"]
