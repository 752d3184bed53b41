"""Looking changes nothing: the database is the same, row by row, after every GET."""

from tests.support.content_calls import OPTIONS, accept, access, article, ask, asked, join, put_access, share
from tests.support.database_dump import dump
from tests.support.installation import Installation, new_address
from tests.support.installations import StartInstallation


def rows(installation: Installation) -> list[str]:
    """All rows but the counts of opened links, which a server writes down every second."""
    return sorted(line for line in dump(installation.database).splitlines() if not line.startswith("visits: "))


def test_reading_writes_nothing(start_installation: StartInstallation) -> None:
    installation = start_installation(**OPTIONS)
    owner, guest, viewer, group = (
        installation.user("host"),
        installation.user(),
        installation.user(),
        installation.group(),
    )
    join(installation, group, viewer)
    key, public = article(installation, owner), article(installation, owner)
    put_access(installation, public, owner, "PUBLIC")
    share(installation, key, owner, (viewer, "VIEWER"), **{group: "EDITOR"})
    made, token = asked(installation, key, owner, guest.email)
    short, over = asked(installation, key, owner, new_address(), expiresIn="PT1S")
    asked(installation, key, owner, new_address())
    installation.wait_until_expired(short)
    checks = [{"contentType": "articles", "key": key, "role": "OWNER"}]
    installation.delivery(made, "SENT")
    installation.restart("--no-worker")  # which would tidy, count and send at any moment
    before = rows(installation)
    for person in (owner, guest, viewer, None):
        bearer = person.token if person else None
        for path in (
            f"/content/articles/{key}", f"/content/articles/{public}", f"/content/articles/{key}/access",
            "/content/articles", "/content/articles?role=EDITOR", f"/invitations/{made}", f"/invitations/{made}/events",
            f"/content/articles/invitations/{key}", f"/content/articles/invitations/accept?token={token}", "/users/me",
        ):  # fmt: skip
            for method in ("GET", "HEAD"):
                assert installation.call(method, f"/api{path}", token=bearer).status < 500
        for link in (token, over):
            for method in ("GET", "HEAD"):
                page = installation.call(
                    method, f"/content/articles/{key}/accept-invitation?token={link}", token=bearer
                )
                assert page.status < 500
        installation.post("/access/check", {"checks": checks}, bearer)
        installation.post("/invitations/lookup", {"token": token}, bearer)
        installation.post("/invitations/lookup", {"token": over}, bearer)
    assert access(installation, key)["visibility"] == "SHARED"
    assert rows(installation) == before
    assert accept(installation, token, guest).status == 200


def test_refused_answers_write_nothing(start_installation: StartInstallation) -> None:
    installation = start_installation(**OPTIONS)
    owner, guest, other = installation.user("host"), installation.user(), installation.user()
    key, second = article(installation, owner), article(installation, owner)
    _, token = asked(installation, key, owner, guest.email)
    installation.restart("--no-worker")
    before = rows(installation)
    for path, by, more in (
        (f"/content/articles/invitations/{second}", guest, {}),
        (f"/content/articles/invitations/{key}", other, {}),
        ("/content/recipes/invitations/accept", guest, {}),
        ("/content/nothing/invitations/accept", guest, {}),
        ("/content/articles/invitations/accept", guest, {"contentKey": second}),
        ("/content/articles/invitations/accept", guest, {"unknown": 1}),
    ):
        assert accept(installation, token, by, path, **more).status >= 400
    for by in (other, guest):
        assert put_access(installation, key, by, "PRIVATE").status == 404
        assert ask(installation, key, by, new_address()).status == 404
        assert installation.delete(f"/content/articles/{key}", by.token).status == 404
    assert ask(installation, key, owner, owner.email).status == 409
    assert ask(installation, key, owner, guest.email).status == 409
    assert rows(installation) == before
