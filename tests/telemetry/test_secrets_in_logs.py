"""The log of a running server at the debug level contains no secrets."""

import pytest
from tests.support.installation import PASSWORD, PROFILE, new_address, open_installation

pytestmark = pytest.mark.slow


def test_no_secret_reaches_the_log(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("installation")
    database = f"sqlite+aiosqlite:///{home}/latchstring.db"
    with open_installation(home, database, "--log-level", "debug") as installation:
        invitation, token = installation.invite_with_token(new_address())
        page = installation.call("GET", f"/invitation?token={token}", headers={"Accept": "text/html"})
        installation.call("GET", f"/no-such-page/{token}")
        accepted = installation.accept(token, **PROFILE).json
        person = installation.login(invitation["inviteEmail"], PROFILE["password"])
        installation.post("/auth/refresh", {"refreshToken": person.refresh_token})
        installation.post("/auth/login", {"email": person.email, "password": "not " + PASSWORD})
        installation.post("/auth/password/reset-request", {"email": person.email})
        reset = installation.mail(person.email, 2).token
        installation.call("GET", f"/password-reset?token={reset}", headers={"Accept": "text/html"})
        secrets = {
            "invitation token": token,
            "its signature": token.rpartition(".")[2],
            "reset token": reset,
            "API key": installation.key,
            "access token": person.token,
            "refresh token": person.refresh_token,
            "first access token": accepted["accessToken"],
            "first refresh token": accepted["refreshToken"],
            "password": PASSWORD,
            "master key": next(home.rglob("master.key")).read_text().partition(":")[2].strip(),
        }
        installation.stop()
        log = installation.log
    assert page.status == 200
    assert '"event":"request"' in log
    assert [name for name, secret in secrets.items() if secret in log] == []
