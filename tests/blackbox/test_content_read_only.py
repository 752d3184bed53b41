"""Reads and refused requests do not write: the database has the same rows afterwards."""

from tests.support.content_calls import (
    CONTENT_OPTIONS,
    accept,
    add_members,
    create_invitation,
    create_object,
    get_access,
    post_invitation,
    put_access,
    share,
)
from tests.support.database_dump import dump
from tests.support.installation import Installation, new_address
from tests.support.installations import StartInstallation


def dump_rows(installation: Installation) -> list[str]:
    """Return all rows except the counts of link views, which a server writes every second."""
    return sorted(line for line in dump(installation.database).splitlines() if not line.startswith("visits: "))


def test_reads_do_not_write(start_installation: StartInstallation) -> None:
    installation = start_installation(**CONTENT_OPTIONS)
    owner, guest, viewer, group = (
        installation.user("host"),
        installation.user(),
        installation.user(),
        installation.group(),
    )
    add_members(installation, group, viewer)
    key, public = create_object(installation, owner), create_object(installation, owner)
    put_access(installation, public, owner, "PUBLIC")
    share(installation, key, owner, (viewer, "VIEWER"), **{group: "EDITOR"})
    invitation_id, token = create_invitation(installation, key, owner, guest.email)
    expired_id, expired_token = create_invitation(installation, key, owner, new_address(), expiresIn="PT1S")
    create_invitation(installation, key, owner, new_address())
    installation.wait_until_expired(expired_id)
    checks = [{"contentType": "articles", "key": key, "role": "OWNER"}]
    installation.delivery(invitation_id, "SENT")
    installation.restart("--no-worker")  # a worker would write at any moment
    rows_before = dump_rows(installation)
    for user in (owner, guest, viewer, None):
        bearer = user.token if user else None
        for path in (
            f"/content/articles/{key}", f"/content/articles/{public}", f"/content/articles/{key}/access",
            "/content/articles", "/content/articles?role=EDITOR", "/users/me",
            f"/invitations/{invitation_id}", f"/invitations/{invitation_id}/events",
            f"/content/articles/invitations/{key}", f"/content/articles/invitations/accept?token={token}",
        ):  # fmt: skip
            for method in ("GET", "HEAD"):
                assert installation.call(method, f"/api{path}", token=bearer).status < 500
        for link in (token, expired_token):
            for method in ("GET", "HEAD"):
                page = installation.call(
                    method, f"/content/articles/{key}/accept-invitation?token={link}", token=bearer
                )
                assert page.status < 500
        installation.post("/access/check", {"checks": checks}, bearer)
        installation.post("/invitations/lookup", {"token": token}, bearer)
        installation.post("/invitations/lookup", {"token": expired_token}, bearer)
    assert get_access(installation, key)["visibility"] == "SHARED"
    assert dump_rows(installation) == rows_before
    assert accept(installation, token, guest).status == 200


def test_refused_requests_do_not_write(start_installation: StartInstallation) -> None:
    installation = start_installation(**CONTENT_OPTIONS)
    owner, guest, other = installation.user("host"), installation.user(), installation.user()
    key, second = create_object(installation, owner), create_object(installation, owner)
    _, token = create_invitation(installation, key, owner, guest.email)
    installation.restart("--no-worker")
    rows_before = dump_rows(installation)
    for path, by, fields in (
        (f"/content/articles/invitations/{second}", guest, {}),
        (f"/content/articles/invitations/{key}", other, {}),
        ("/content/recipes/invitations/accept", guest, {}),
        ("/content/nothing/invitations/accept", guest, {}),
        ("/content/articles/invitations/accept", guest, {"contentKey": second}),
        ("/content/articles/invitations/accept", guest, {"unknown": 1}),
    ):
        assert accept(installation, token, by, path, **fields).status >= 400
    for by in (other, guest):
        assert put_access(installation, key, by, "PRIVATE").status == 404
        assert post_invitation(installation, key, by, new_address()).status == 404
        assert installation.delete(f"/content/articles/{key}", by.token).status == 404
    assert post_invitation(installation, key, owner, owner.email).status == 409
    assert post_invitation(installation, key, owner, guest.email).status == 409
    assert dump_rows(installation) == rows_before
