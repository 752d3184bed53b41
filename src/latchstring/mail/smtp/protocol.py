"""What aiosmtplib has no public word for. `tests/contract/test_private_apis.py` fails when it changes."""

from collections.abc import Callable

import aiosmtplib


async def greet(client: aiosmtplib.SMTP) -> None:
    """Say EHLO, or HELO to a server that knows no better, unless the client has done so. Raises SMTPException."""
    if not client.is_ehlo_or_helo_needed:
        return
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError:
        if not client.is_connected:
            raise
        await client.helo()


async def send_content(
    client: aiosmtplib.SMTP, content: bytes, *, on_sent: Callable[[], None], timeout_seconds: float
) -> aiosmtplib.SMTPResponse:
    """Send a message after the server's 354, and return its last reply. on_sent: called once all is written.

    Not `client.data()`: it waits as long for 354 as for the last reply, and does not tell when the message is out.
    Raises SMTPServerDisconnected, SMTPReadTimeoutError.
    """
    protocol = client.protocol
    if protocol is None:
        raise aiosmtplib.SMTPServerDisconnected("Connection lost")
    protocol.write(_encode_content(content))
    on_sent()
    return await protocol.read_response(timeout=timeout_seconds)


def _encode_content(content: bytes) -> bytes:
    """The message as DATA takes it: CRLF ends, leading dots doubled (RFC 5321, section 4.5.2), the final dot."""
    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return b"".join((b"." + line if line.startswith(b".") else line) + b"\r\n" for line in lines) + b".\r\n"
