"""Health, metrics, the OpenAPI document, documentation pages, and failures at start."""

import re
import signal
import time

from tests.support.clock import PATIENCE_SECONDS, time_limit
from tests.support.installation import Installation, free_port, new_address
from tests.support.installations import StartInstallation


def test_health_readiness_and_metrics(installation: Installation) -> None:
    assert installation.call("GET", "/healthz").status == 200
    assert installation.call("GET", "/readyz").status == 200
    metrics = installation.call("GET", "/metrics")
    assert metrics.status == 200
    assert b"# TYPE" in metrics.body
    invitation = installation.invite()
    assert invitation["id"].encode() not in installation.call("GET", "/metrics").body


def test_the_api_is_documented_completely(installation: Installation) -> None:
    document = installation.call("GET", "/openapi.json")
    assert document.status == 200
    paths = document.json["paths"]
    assert document.json["openapi"].startswith("3.1")
    assert all(path.startswith(("/api", "/.well-known")) for path in paths)
    expected = {
        "/api/invitations": {"get", "post"},
        "/api/invitations/{}": {"get", "delete"},
        "/api/invitations/{}/events": {"get"},
        "/api/invitations/{}/resend": {"post"},
        "/api/invitations/{}/link": {"post"},
        "/api/invitations/lookup": {"post"},
        "/api/invitations/accept": {"post"},
        "/api/invitations/decline": {"post"},
        "/api/invitations/request-new": {"post"},
        "/api/auth/login": {"post"},
        "/api/auth/refresh": {"post"},
        "/api/auth/logout": {"post"},
        "/api/auth/password/reset-request": {"post"},
        "/api/auth/password/reset": {"post"},
        "/api/auth/email/verify-request": {"post"},
        "/api/auth/email/verify": {"post"},
        "/api/users": {"get", "post"},
        "/api/users/me": {"get", "patch"},
        "/api/users/{}": {"get", "patch", "delete"},
        "/api/roles": {"get"},
        "/api/groups": {"get", "post"},
        "/api/groups/{}": {"get", "put", "delete"},
        "/api/groups/{}/members": {"get"},
        "/api/groups/{}/members/{}": {"post", "delete"},
        "/api/api-keys": {"get", "post"},
        "/api/api-keys/{}": {"delete"},
    }
    documented = {re.sub(r"\{[^}]*\}", "{}", path): set(methods) for path, methods in paths.items()}
    for path, methods in expected.items():
        assert methods <= documented.get(path, set()), path


def test_the_documentation_page_loads_no_external_resources(installation: Installation) -> None:
    page = installation.call("GET", "/docs", headers={"Accept": "text/html"})
    assert page.status == 200
    text = page.body.decode()
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", text)
    assert "default-src" in page.headers["Content-Security-Policy"]


def test_pages_have_a_strict_policy_and_are_not_cached(installation: Installation) -> None:
    _, token = installation.invite_with_token()
    page = installation.call("GET", f"/invitation?token={token}", headers={"Accept": "text/html"})
    assert page.status == 200
    policy = page.headers["Content-Security-Policy"]
    assert "unsafe-inline" not in policy
    assert "unsafe-eval" not in policy
    text = page.body.decode()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", text)
    assert "no-store" in page.headers["Cache-Control"]
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "noindex" in str(page.headers["X-Robots-Tag"]) + text
    assert page.headers["X-Content-Type-Options"] == "nosniff"


def test_user_pages_are_available(installation: Installation) -> None:
    html = {"Accept": "text/html"}
    for path in ("/", "/login", "/password-reset"):
        assert installation.call("GET", path, headers=html).status == 200, path
    for path in ("/profile", "/verify-email"):
        assert installation.call("GET", path, headers=html).status in {200, 303}, path
    assert installation.call("GET", "/invitation", headers=html).status in {200, 400, 401, 404}
    assert installation.call("GET", "/invitation?token=ey.a.b", headers=html).status == 401


def test_every_problem_of_the_configuration_is_listed_at_start(installation: Installation) -> None:
    text = installation.config.read_text()
    try:
        installation.config.write_text(
            text.replace("[limits]", '[limits]\ncolour = "blue"').replace('tls = "none"', 'tls = "maybe"')
        )
        completed = installation.cli("serve", "--port", str(free_port()), status=2)
        output = completed.stdout + completed.stderr
        assert "limits.colour" in output
        assert "mail.smtp.tls" in output
        assert "maybe" in output
    finally:
        installation.config.write_text(text)


def test_the_environment_overrides_the_file(start_installation: StartInstallation) -> None:
    installation = start_installation()
    installation.environment["LATCHSTRING_APP__NAME"] = "Renamed by hand"
    installation.restart()
    _, token = installation.invite_with_token()
    assert installation.post("/invitations/lookup", {"token": token}).json["app"]["name"] == "Renamed by hand"


def test_a_missing_master_key_prevents_the_start(own_installation: Installation) -> None:
    own_installation.stop()
    key = next(own_installation.directory.rglob("master.key"))
    key.rename(key.with_suffix(".away"))
    process = own_installation.start(wait=False)
    assert process.wait(20) != 0
    own_installation.processes.remove(process)


def test_links_and_tokens_are_valid_after_a_restart(own_installation: Installation) -> None:
    invitation, token = own_installation.invite_with_token()
    user = own_installation.user("team")
    own_installation.restart()
    assert own_installation.post("/invitations/lookup", {"token": token}).status == 200
    assert own_installation.get(f"/invitations/{invitation['id']}", user.token).status == 200


def test_the_invite_command_works_like_the_api(installation: Installation) -> None:
    group, address = installation.group(), new_address()
    installation.cli("invite", address, "--role", "team", "--group", group)
    invitation = installation.get(f"/invitations?email={address}", installation.key).json["items"][0]
    assert (invitation["role"], invitation["groups"], invitation["invitedBy"]["type"]) == ("team", [group], "OPERATOR")
    assert installation.mail(address).token


def test_a_server_stops_on_sigterm(own_installation: Installation) -> None:
    process = own_installation.processes[0]
    start = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_SECONDS) == 0
    assert time.monotonic() - start < time_limit(10)
    own_installation.processes.remove(process)
