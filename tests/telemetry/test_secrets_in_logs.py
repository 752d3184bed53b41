"""A running server on its most talkative level: nothing that opens a door is in its log."""

import pytest
from tests.blackbox.conftest import opened
from tests.support.installation import PASSWORD, PROFILE, new_address

pytestmark = pytest.mark.slow


def test_no_secret_reaches_the_log(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("house")
    database = f"sqlite+aiosqlite:///{home}/latchstring.db"
    with opened(home, database, "--log-level", "debug") as house:
        made, token = house.invited(new_address())
        page = house.call("GET", f"/invitation?token={token}", headers={"Accept": "text/html"})
        house.call("GET", f"/no-such-page/{token}")
        accepted = house.accept(token, **PROFILE).json
        person = house.login(made["inviteEmail"], PROFILE["password"])
        house.post("/auth/refresh", {"refreshToken": person.refresh_token})
        house.post("/auth/login", {"email": person.email, "password": "not " + PASSWORD})
        house.post("/auth/password/reset-request", {"email": person.email})
        reset = house.mail(person.email, 2).token
        house.call("GET", f"/password-reset?token={reset}", headers={"Accept": "text/html"})
        secrets = {
            "invitation token": token,
            "its signature": token.rpartition(".")[2],
            "reset token": reset,
            "API key": house.key,
            "access token": person.token,
            "refresh token": person.refresh_token,
            "first access token": accepted["accessToken"],
            "first refresh token": accepted["refreshToken"],
            "password": PASSWORD,
            "master key": next(home.rglob("master.key")).read_text().partition(":")[2].strip(),
        }
        house.stop()
        log = house.log
    assert page.status == 200
    assert '"event":"request"' in log
    assert [name for name, secret in secrets.items() if secret in log] == []
