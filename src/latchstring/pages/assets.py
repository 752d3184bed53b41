"""Styles, icons and scripts: read once, versioned by content, and cached by browsers for a year."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.types import ASGIApp

from latchstring.domain.errors import NotFound
from latchstring.http.responses import Answer
from latchstring.http.routing import get
from latchstring.http.scope import find_header

PREFIX = "/assets"
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_CACHE_YEAR = b"public, max-age=31536000, immutable"
_CACHE_MINUTE = b"public, max-age=60"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file to serve, plain and compressed."""

    name: str
    version: str
    media_type: str
    body: bytes
    zipped: bytes

    @property
    def url(self) -> str:
        return f"{PREFIX}/{self.version}/{self.name}"


@cache
def assets() -> Mapping[str, Asset]:
    """All assets by file name."""
    folder = files("latchstring.pages") / "static"
    return {entry.name: _asset(entry.name, entry.read_bytes()) for entry in folder.iterdir() if entry.is_file()}


def asset_url(name: str) -> str:
    """The URL of the file; it changes with the content. Raises KeyError for an unknown name."""
    return assets()[name].url


def _asset(name: str, body: bytes) -> Asset:
    version = hashlib.sha256(body).hexdigest()[:16]
    return Asset(name, version, _MEDIA_TYPES[name[name.rindex(".") :]], body, gzip.compress(body, mtime=0))


@get(f"{PREFIX}/{{version}}/{{name}}")
async def serve_asset(request: Request) -> ASGIApp:
    """Serve the current file for any version: during an upgrade, two releases serve the same page."""
    parameters = request.path_params
    asset = assets().get(parameters["name"])
    if asset is None:
        raise NotFound("There is no such file.")
    headers = [
        (b"content-type", asset.media_type.encode()),
        (b"cache-control", _CACHE_YEAR if parameters["version"] == asset.version else _CACHE_MINUTE),
        (b"vary", b"Accept-Encoding"),
    ]
    if b"gzip" in (find_header(request.scope, b"accept-encoding") or b""):
        return Answer(200, asset.zipped, [*headers, (b"content-encoding", b"gzip")])
    return Answer(200, asset.body, headers)
