"""Binds the address that a server listens on, with a helpful message if that fails."""

import errno
import socket
import time

from latchstring.bootstrap.database import StartRefused

RETRY_SECONDS = 2.0  # child processes of a killed server release the port after a moment
RETRY_INTERVAL_SECONDS = 0.1


def bind_socket(host: str, port: int) -> socket.socket:
    """A bound TCP socket that does not listen yet, so that no connection is accepted before the server is ready.

    Raises StartRefused.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise StartRefused(
            f"The host {host} cannot be found. Try --host 127.0.0.1.", code="failed", status=2
        ) from error
    server_socket = socket.socket(family, kind, protocol)
    server_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        _bind_with_retries(server_socket, address)
    except OSError as error:
        server_socket.close()
        raise StartRefused(_explain(error, host, port), code="address-in-use") from error
    return server_socket


def socket_url(server_socket: socket.socket) -> str:
    """The URL of the socket for a browser on this machine."""
    host, port = server_socket.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _bind_with_retries(server_socket: socket.socket, address: tuple[object, ...]) -> None:
    deadline = time.monotonic() + RETRY_SECONDS
    while True:
        try:
            server_socket.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise
            time.sleep(RETRY_INTERVAL_SECONDS)
        else:
            return


def _explain(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use. End the other program, or choose another port with --port."
    if error.errno == errno.EACCES:
        return f"This user may not use port {port}. Choose one above 1023 with --port, and put a proxy before it."
    return f"{host}:{port} cannot be used: {error.strerror}. Check --host and --port."
