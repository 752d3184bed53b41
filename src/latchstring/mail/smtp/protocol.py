"""Private API of aiosmtplib without public equivalent. `tests/contract/test_private_apis.py` fails when it changes."""

from collections.abc import Callable

import aiosmtplib


async def greet(client: aiosmtplib.SMTP) -> None:
    """Send EHLO, or HELO if the server does not support it, unless already done. Raises SMTPException."""
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
    """Send a message after the server's 354, and return the final reply. on_sent: called when all data is written.

    `client.data()` is no alternative: it has the same timeout for 354 and the final reply, and does not report when the
    message is sent. Raises SMTPServerDisconnected, SMTPReadTimeoutError.
    """
    protocol = client.protocol
    if protocol is None:
        raise aiosmtplib.SMTPServerDisconnected("Connection lost")
    protocol.write(_encode_content(content))
    on_sent()
    return await protocol.read_response(timeout=timeout_seconds)


def _encode_content(content: bytes) -> bytes:
    """Encode a message for DATA: CRLF line ends, leading dots doubled (RFC 5321, section 4.5.2), the final dot."""
    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return b"".join((b"." + line if line.startswith(b".") else line) + b"\r\n" for line in lines) + b".\r\n"
