"""Looking changes nothing: the database is the same, row by row, after every GET."""

import time

from tests.blackbox.conftest import Starter
from tests.support.content_calls import OPTIONS, accept, access, article, ask, asked, join, put_access, share
from tests.support.database_dump import dump
from tests.support.installation import House, new_address


def rows(house: House) -> list[str]:
    return sorted(dump(house.database).splitlines())


def settled(house: House) -> list[str]:
    """The rows once nothing moves any more."""
    before = rows(house)
    for _ in range(50):
        time.sleep(0.3)
        after = rows(house)
        if after == before:
            return after
        before = after
    raise AssertionError("the database does not come to rest")


def test_reading_writes_nothing(open_house: Starter) -> None:
    house = open_house(**OPTIONS)
    owner, guest, viewer, group = house.user("host"), house.user(), house.user(), house.group()
    join(house, group, viewer)
    key, public = article(house, owner), article(house, owner)
    put_access(house, public, owner, "PUBLIC")
    share(house, key, owner, (viewer, "VIEWER"), **{group: "EDITOR"})
    made, token = asked(house, key, owner, guest.email)
    short, over = asked(house, key, owner, new_address(), expiresIn="PT1S")
    asked(house, key, owner, new_address())
    house.wait_until_expired(short)
    checks = [{"contentType": "articles", "key": key, "role": "OWNER"}]
    house.delivery(made, "SENT")
    house.restart("--no-worker")  # which tidies what has expired, once a minute
    before = settled(house)
    for person in (owner, guest, viewer, None):
        bearer = person.token if person else None
        for path in (
            f"/content/articles/{key}", f"/content/articles/{public}", f"/content/articles/{key}/access",
            "/content/articles", "/content/articles?role=EDITOR", f"/invitations/{made}", f"/invitations/{made}/events",
            f"/content/articles/invitations/{key}", f"/content/articles/invitations/accept?token={token}", "/users/me",
        ):  # fmt: skip
            for method in ("GET", "HEAD"):
                assert house.call(method, f"/api{path}", token=bearer).status < 500
        for link in (token, over):
            for method in ("GET", "HEAD"):
                page = house.call(method, f"/content/articles/{key}/accept-invitation?token={link}", token=bearer)
                assert page.status < 500
        house.post("/access/check", {"checks": checks}, bearer)
        house.post("/invitations/lookup", {"token": token}, bearer)
        house.post("/invitations/lookup", {"token": over}, bearer)
    assert access(house, key)["visibility"] == "SHARED"
    assert rows(house) == before
    assert accept(house, token, guest).status == 200


def test_refused_answers_write_nothing(open_house: Starter) -> None:
    house = open_house(**OPTIONS)
    owner, guest, other = house.user("host"), house.user(), house.user()
    key, second = article(house, owner), article(house, owner)
    _, token = asked(house, key, owner, guest.email)
    before = settled(house)
    for path, by, more in (
        (f"/content/articles/invitations/{second}", guest, {}),
        (f"/content/articles/invitations/{key}", other, {}),
        ("/content/recipes/invitations/accept", guest, {}),
        ("/content/nothing/invitations/accept", guest, {}),
        ("/content/articles/invitations/accept", guest, {"contentKey": second}),
        ("/content/articles/invitations/accept", guest, {"unknown": 1}),
    ):
        assert accept(house, token, by, path, **more).status >= 400
    for by in (other, guest):
        assert put_access(house, key, by, "PRIVATE").status == 404
        assert ask(house, key, by, new_address()).status == 404
        assert house.delete(f"/content/articles/{key}", by.token).status == 404
    assert ask(house, key, owner, owner.email).status == 409
    assert ask(house, key, owner, guest.email).status == 409
    assert rows(house) == before
