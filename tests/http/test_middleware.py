"""Security headers, CORS for allowed origins only, HEAD, OPTIONS, 405 and unexpected errors."""

from typing import Any

import httpx2
import pytest
from tests.support.sample_app import AS_KEY, AS_USER, ORIGIN, application, open_client

from latchstring.domain.settings import App
from latchstring.services import Services

EVIL = "https://evil.example"


@pytest.mark.parametrize("path", ["/api/things", "/api/nowhere", "/nowhere", "/docs", "/problems/not-found"])
async def test_every_response_has_security_headers(client: httpx2.AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "noindex" in headers["x-robots-tag"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["strict-transport-security"]
    assert headers["x-request-id"]


async def test_plain_http_has_no_strict_transport_security(services: Services) -> None:
    async with open_client(application(services, App(public_url="http://127.0.0.1:8080"))) as client:
        assert "strict-transport-security" not in (await client.get("/docs")).headers


async def test_an_allowed_origin_may_read_with_credentials(client: httpx2.AsyncClient) -> None:
    headers = (await client.get("/api/things", headers={"Origin": ORIGIN})).headers
    assert headers["access-control-allow-origin"] == ORIGIN
    assert headers["access-control-allow-credentials"] == "true"
    assert "Location" in headers["access-control-expose-headers"]
    assert headers["vary"] == "Origin"


async def test_errors_can_be_read_by_an_allowed_origin(client: httpx2.AsyncClient) -> None:
    response = await client.post(
        "/api/things", content=b"{", headers={"Origin": ORIGIN, "Content-Type": "application/json"}
    )
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (400, ORIGIN)


@pytest.mark.parametrize("origin", [EVIL, "null", ORIGIN + ".evil.example", ORIGIN.upper(), "http://app.example.org"])
async def test_no_other_origin_may_read(client: httpx2.AsyncClient, origin: str) -> None:
    for answer in (
        await client.get("/api/things", headers={"Origin": origin}),
        await client.options("/api/things", headers={"Origin": origin, "Access-Control-Request-Method": "POST"}),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["vary"] == "Origin"


async def test_pages_have_no_cors_headers(client: httpx2.AsyncClient) -> None:
    headers = (await client.get("/docs", headers={"Origin": ORIGIN})).headers
    assert "access-control-allow-origin" not in headers


async def test_a_preflight_of_an_allowed_origin_passes(client: httpx2.AsyncClient) -> None:
    response = await client.options(
        "/api/things",
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "content-type,idempotency-key",
        },
    )
    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert "PATCH" in response.headers["access-control-allow-methods"]
    assert {"Content-Type", "X-CSRF-Token", "Idempotency-Key", "Authorization"} <= set(
        response.headers["access-control-allow-headers"].split(", ")
    )


async def test_head_is_get_without_a_body(client: httpx2.AsyncClient) -> None:
    get_response, head = await client.get("/api/things?limit=1"), await client.head("/api/things?limit=1")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get_response.headers["content-length"]
    assert (await client.head("/api/things/x")).status_code == 401
    assert (await client.head("/api/optional")).status_code == 405


async def test_the_server_sees_head_while_the_route_sees_get(services: Services) -> None:
    scope: dict[str, Any] = {
        "type": "http", "method": "HEAD", "path": "/openapi.json", "query_string": b"", "headers": [], "client": None,
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await application(services)(scope, receive, send)
    assert (scope["method"], scope["path_template"]) == ("HEAD", "/openapi.json")
    assert [message.get("body", b"") for message in sent] == [b"", b""]


async def test_options_lists_every_method(client: httpx2.AsyncClient) -> None:
    response = await client.options("/api/things")
    assert (response.status_code, response.headers["allow"], response.content) == (204, "GET, HEAD, OPTIONS, POST", b"")
    assert (await client.options("/api/nowhere")).status_code == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"])
async def test_another_method_is_405_with_the_allowed_ones(client: httpx2.AsyncClient, method: str) -> None:
    response = await client.request(method, "/api/things", headers=AS_KEY)
    assert (response.status_code, response.json()["code"]) == (405, "method-not-allowed")
    assert response.headers["allow"] == "GET, HEAD, OPTIONS, POST"


@pytest.mark.parametrize(
    "path", ["/api/things/%00", "/api/things/a%0ab", "/api/things/%e2%80%ae", "/api/things/%ff%00"]
)
async def test_a_path_with_control_characters_is_404(client: httpx2.AsyncClient, path: str) -> None:
    response = await client.get(path, headers=AS_USER)
    assert (response.status_code, response.json()["code"]) == (404, "not-found")


@pytest.mark.parametrize("thing_id", ["x", "1", "01890a5d-ac96-774b-bcce-b302099a805", "01890a5d%2Fac96"])
async def test_a_malformed_id_is_not_found(client: httpx2.AsyncClient, thing_id: str) -> None:
    response = await client.patch(f"/api/things/{thing_id}", json={}, headers=AS_USER)
    assert response.status_code in {404, 405}
    assert response.headers["content-type"] == "application/problem+json"


async def test_an_unexpected_error_is_500_without_details(client: httpx2.AsyncClient) -> None:
    response = await client.get("/api/things/broken", headers=AS_USER)
    assert (response.status_code, response.json()["code"]) == (500, "internal-error")
    assert "a bug of ours" not in response.text
    assert response.json()["instance"] == f"urn:uuid:{response.headers['x-request-id']}"


async def test_a_problem_has_every_member(client: httpx2.AsyncClient) -> None:
    response = await client.get("/api/things/x", headers=AS_USER)
    assert response.json() == {
        "type": "/problems/group-not-found",
        "title": "Group not found",
        "status": 404,
        "detail": "There is no thing with this key.",
        "instance": f"urn:uuid:{response.headers['x-request-id']}",
        "code": "group-not-found",
    }


@pytest.mark.parametrize("host", ["evil.example", "evil.example:1234", "x" * 300])
async def test_no_response_contains_the_host_header(client: httpx2.AsyncClient, host: str) -> None:
    headers = AS_KEY | {"Host": host, "X-Forwarded-Host": host, "Forwarded": f"host={host}"}
    response = await client.post("/api/things", json={"name": "x"}, headers=headers)
    assert host not in response.text + str(response.headers)
