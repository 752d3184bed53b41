"""Binding the address a server listens on, with a useful word when that is impossible."""

import errno
import socket
import time

from latchstring.bootstrap.database import StartRefused

RETRY_SECONDS = 2.0  # children of a killed server need a moment to notice and let go of the port
RETRY_EVERY_SECONDS = 0.1


def bind(host: str, port: int) -> socket.socket:
    """A bound TCP socket that does not listen yet, so that nobody is let in before everything is ready."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise StartRefused(
            f"The host {host} cannot be found. Try --host 127.0.0.1.", code="failed", status=2
        ) from error
    bound = socket.socket(family, kind, protocol)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        _bind_patiently(bound, address)
    except OSError as error:
        bound.close()
        raise StartRefused(_why(error, host, port), code="address-in-use") from error
    return bound


def url_of(bound: socket.socket) -> str:
    """Where a browser on this machine finds the socket."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _bind_patiently(bound: socket.socket, address: tuple[object, ...]) -> None:
    end = time.monotonic() + RETRY_SECONDS
    while True:
        try:
            bound.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > end:
                raise
            time.sleep(RETRY_EVERY_SECONDS)
        else:
            return


def _why(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use. End the other programme, or choose another port with --port."
    if error.errno == errno.EACCES:
        return f"This user may not use port {port}. Choose one above 1023 with --port, and put a proxy before it."
    return f"{host}:{port} cannot be used: {error.strerror}. Check --host and --port."
