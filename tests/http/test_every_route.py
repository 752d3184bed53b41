"""OPTIONS, HEAD and 405 of every route of the server."""

import re

import httpx2

from latchstring.bootstrap.application import build_app
from latchstring.config import Config

ID = "01890a5d-ac96-774b-bcce-b302099a8057"
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"}


def list_methods_by_path(server_config: Config) -> dict[str, set[str]]:
    """List the methods of each path, with a UUID for each parameter."""
    result: dict[str, set[str]] = {}
    for route in build_app(server_config).routes:
        for path in route.paths:
            result.setdefault(re.sub(r"\{\w+(:\w+)?\}", ID, path), set()).add(route.method)
    return result


def format_allow(methods: set[str]) -> str:
    return ", ".join(sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))


async def test_options_lists_the_methods_of_every_path(
    server_client: httpx2.AsyncClient, server_config: Config
) -> None:
    for path, methods in list_methods_by_path(server_config).items():
        answer = await server_client.options(path)
        assert (answer.status_code, answer.headers["allow"], answer.content) == (204, format_allow(methods), b""), path


async def test_any_other_method_of_every_path_is_405_with_the_allowed_ones(
    server_client: httpx2.AsyncClient, server_config: Config
) -> None:
    for path, methods in list_methods_by_path(server_config).items():
        for method in METHODS - methods:
            answer = await server_client.request(method, path)
            assert (answer.status_code, answer.json()["code"]) == (405, "method-not-allowed"), (method, path)
            assert answer.headers["allow"] == format_allow(methods)


async def test_head_of_every_path_is_get_without_a_body(
    server_client: httpx2.AsyncClient, server_config: Config
) -> None:
    for path, methods in list_methods_by_path(server_config).items():
        if "GET" not in methods:
            assert (await server_client.head(path)).status_code == 405
            continue
        response, head = await server_client.get(path), await server_client.head(path)
        assert (head.status_code, head.content) == (response.status_code, b""), path
        assert head.headers.get("content-type") == response.headers.get("content-type"), path
