"""The pages of content objects: access, pending invitations, owner, deletion."""

import pytest
from tests.support.page_client import PageClient

from latchstring.content.service import NewAccess
from latchstring.domain.access import ContentObject, Visibility
from latchstring.domain.grant import ContentRole
from latchstring.domain.principal import OPERATOR_PRINCIPAL, Principal

SCRIPT = "<script>alert(1)</script>"
PATH = "/admin/content/articles/tide-tables"


async def create_shared_object(page_client: PageClient) -> tuple[Principal, ContentObject]:
    """Create an object of Mira that a group may edit, with a pending invitation."""
    owner = await page_client.inviter()
    await page_client.group("spring")
    article = await page_client.object(owner=owner, url="https://app.test/x", data={"body": "High water"})
    access = NewAccess(visibility=Visibility.SHARED, groups={"spring": ContentRole.EDITOR})
    await page_client.services.content.replace_access(article, access, by=OPERATOR_PRINCIPAL)
    await page_client.share(article, by=owner)
    return owner, article


async def read_access(page_client: PageClient) -> tuple[ContentObject, dict[str, str]]:
    """The object, and the role of each user and group."""
    article = await page_client.services.content.operations.get("articles", "tide-tables", by=OPERATOR_PRINCIPAL)
    details = await page_client.services.content.get_access(article)
    people = {user.email: user.role.name for user in details.holders.users}
    return article, people | {key: role.name for key, role in details.holders.groups.items()}


async def test_the_access_page_shows_owner_grants_and_pending_invitations(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="manager")
    await create_shared_object(page_client)
    seen = await page_client.get(PATH)
    assert "Mira Okafor mira@people.test Owner" in seen.words
    assert "Spring cohort spring" in seen.words
    assert "jonas@people.test Expires in 7 days Editor" in seen.words
    assert 'data-testid="private-effect" data-grants="1" data-invitations="1"' in seen.html
    assert 'value="articles/tide-tables:EDITOR"' in seen.html
    details = await page_client.get(f"{PATH}/details")
    assert "High water" in details.words
    assert 'data-event="content.access_changed"' in details.html


async def test_a_viewer_sees_access_without_forms(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="viewer")
    await create_shared_object(page_client)
    seen = await page_client.get(PATH)
    assert "Spring cohort" in seen.words
    assert "Shared" in seen.words
    assert seen.html.count("<form") == 1  # to sign out


async def test_users_and_groups_are_found_and_given_access(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="manager")
    await create_shared_object(page_client)
    ada = await page_client.user()
    await page_client.group("adults", "Adults")
    matches = await page_client.get(f"{PATH}?find=ad")
    assert "ada@people.test" in matches.words
    assert "Adults" in matches.words
    gave = await page_client.send(f"{PATH}/share", {"user": str(ada.id), "role": "MAINTAINER"})
    assert await page_client.flash(gave) == "access-shared"
    await page_client.send(f"{PATH}/share", {"group": "adults", "role": "VIEWER"})
    _, roles = await read_access(page_client)
    assert roles == {"ada@people.test": "MAINTAINER", "spring": "EDITOR", "adults": "VIEWER"}


async def test_saving_changes_only_what_was_changed_in_the_form(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="manager")
    await create_shared_object(page_client)
    ada = await page_client.user()
    await page_client.send(f"{PATH}/share", {"user": str(ada.id), "role": "MAINTAINER"})
    fields = {
        "wasVisibility": "SHARED",
        "visibility": "PUBLIC",
        "wasUser": f"{ada.id}:MAINTAINER",
        "user": f"{ada.id}:VIEWER",
        "wasGroup": "spring:VIEWER",  # another administrator has changed it to EDITOR
        "group": "spring:VIEWER",
    }
    assert await page_client.flash(await page_client.send(PATH, fields)) == "access-saved"
    article, roles = await read_access(page_client)
    assert article.visibility is Visibility.PUBLIC
    assert roles == {"ada@people.test": "VIEWER", "spring": "EDITOR"}


async def test_making_private_needs_a_confirmation_and_removes_grants(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="manager")
    owner, article = await create_shared_object(page_client)
    confirmation = await page_client.send(PATH, {"wasVisibility": "SHARED", "visibility": "PRIVATE"})
    assert confirmation.target == f"{PATH}/private"
    words = (await page_client.get(confirmation.target)).words
    assert "1 grant is removed" in words
    assert "1 pending invitation no longer leads here" in words
    assert await page_client.flash(await page_client.send(f"{PATH}/private")) == "access-private"
    changed, roles = await read_access(page_client)
    assert (changed.visibility, roles) == (Visibility.PRIVATE, {})
    assert await page_client.services.content.operations.list_pending(article, by=OPERATOR_PRINCIPAL) == ([], False)
    assert owner.id == changed.owner_id


async def test_removing_the_last_grant_makes_the_object_private(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="manager")
    await create_shared_object(page_client)
    group = await page_client.services.groups.get("spring", by=OPERATOR_PRINCIPAL)
    assert (
        await page_client.flash(await page_client.send(f"{PATH}/remove", {"subject": str(group.id)})) == "access-saved"
    )
    article, roles = await read_access(page_client)
    assert (article.visibility, roles) == (Visibility.PRIVATE, {})
    again = await page_client.send(f"{PATH}/remove", {"subject": str(group.id)})
    assert await page_client.flash(again) == "access-gone"
    alone = await page_client.send(PATH, {"wasVisibility": "PRIVATE", "visibility": "SHARED"})
    assert await page_client.flash(alone) == "access-shared-with-nobody"


async def test_owners_and_deleted_users_get_no_grant(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="manager")
    owner, _ = await create_shared_object(page_client)
    own = await page_client.send(f"{PATH}/share", {"user": str(owner.id), "role": "VIEWER"})
    assert await page_client.flash(own) == "access-of-owner"
    gone = {"user": "00000000-0000-0000-0000-000000000001", "role": "VIEWER"}
    assert await page_client.flash(await page_client.send(f"{PATH}/share", gone)) == "user-gone"
    assert (
        await page_client.flash(await page_client.send(f"{PATH}/share", {"group": "nowhere", "role": "VIEWER"}))
        == "group-gone"
    )
    assert (await read_access(page_client))[1] == {"spring": "EDITOR"}


async def test_pending_invitations_are_resent_and_withdrawn(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="manager")
    owner, article = await create_shared_object(page_client)
    other = await page_client.object("Knots", owner=owner)
    both = await page_client.share(article, other, by=owner, email="both@people.test")
    (first,) = (
        p
        for p in (await page_client.services.content.get_access(article)).invitations
        if p.email == "jonas@people.test"
    )
    sent = await page_client.send(f"{PATH}/invitations/resend", {"invitation": str(first.id)})
    assert await page_client.flash(sent) == "invitation-resent-to"
    gone = await page_client.send(f"{PATH}/invitations/withdraw", {"invitation": str(both.id)})
    assert await page_client.flash(gone) == "object-invitation-withdrawn"
    left = await page_client.services.invitations.get(both.id, by=OPERATOR_PRINCIPAL)
    assert [grant.target_key for grant in left.invitation.bundle.live] == ["knots"]
    for action in ("withdraw", "resend"):
        await page_client.send(f"{PATH}/invitations/withdraw", {"invitation": str(first.id)})
        late = await page_client.send(f"{PATH}/invitations/{action}", {"invitation": str(first.id)})
        assert await page_client.flash(late) == "invitation-ended"


async def test_the_owner_is_changed(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="manager")
    await create_shared_object(page_client)
    new_owner = await page_client.user("heir@people.test", first_name="Hani", last_name="Eren")
    assert "heir@people.test" in (await page_client.get(f"{PATH}/owner?find=hani")).words
    confirmation = await page_client.get(f"{PATH}/owner?to={new_owner.id}")
    assert confirmation.hidden["newOwner"] == str(new_owner.id)
    done = await page_client.send(f"{PATH}/owner", {"newOwner": str(new_owner.id)})
    assert await page_client.flash(done) == "owner-changed"
    article, roles = await read_access(page_client)
    assert article.owner_id == new_owner.id
    assert roles == {"mira@people.test": "MAINTAINER", "spring": "EDITOR"}
    events = (await page_client.services.users.operations.list_history(article.id, by=OPERATOR_PRINCIPAL)).items
    assert events[0].event.data["to"] == str(new_owner.id)


async def test_deleting_is_refused_after_a_concurrent_change(page_client: PageClient) -> None:
    await page_client.sign_in_admin(role="manager")
    _, article = await create_shared_object(page_client)
    seen = (await page_client.get(f"{PATH}/delete")).hidden["shownVersion"]
    await page_client.services.content.change(
        article, {"title": "Tides"}, is_expected=lambda _object: True, by=OPERATOR_PRINCIPAL
    )
    assert await page_client.flash(await page_client.send(f"{PATH}/delete", {"shownVersion": seen})) == "object-changed"
    seen = (await page_client.get(f"{PATH}/delete")).hidden["shownVersion"]
    gone = await page_client.send(f"{PATH}/delete", {"shownVersion": seen})
    assert gone.target == "/admin/content?type=articles"
    assert (await page_client.get(PATH)).code == "content-not-found"


@pytest.mark.parametrize("q", ["tide", "TIDE T", "tide-"])
async def test_objects_are_searched_by_prefix_of_title_or_key(page_client: PageClient, q: str) -> None:
    await page_client.sign_in_admin(role="viewer")
    owner = await page_client.inviter()
    await page_client.object(owner=owner)
    await page_client.object("Knots", owner=owner)
    await page_client.object("Tide and time", owner=owner, type_="tables")
    words = (await page_client.get("/admin/content", params={"type": "articles", "q": q})).words
    assert "Tide tables tide-tables" in words
    assert "Knots" not in words
    assert "Tide and time" not in words


@pytest.mark.parametrize("sort", ["title", "-title", "createdAt", "-createdAt"])
async def test_pages_in_every_order_list_each_object_once(page_client: PageClient, sort: str) -> None:
    await page_client.sign_in_admin(role="viewer")
    owner = await page_client.inviter()
    for number in range(30):
        await page_client.object("Same" if number % 2 else "Other", owner=owner, key=f"k{number:02}")
    first = await page_client.get(f"/admin/content?sort={sort}")
    following = first.html.split('rel="next"')[0].rpartition('href="')[2].partition('"')[0]
    second = await page_client.get(following.replace("&amp;", "&"))
    keys = [part[:3] for page in (first, second) for part in page.html.split('class="table__sub" dir="ltr">')[1:]]
    assert len(keys) == len(set(keys)) == 30


@pytest.mark.parametrize(
    "path", ["/admin/content/nothing/x", "/admin/content/articles/none", "/admin/content/articles/%C3%A4"]
)
async def test_an_unknown_object_is_a_404_page(page_client: PageClient, path: str) -> None:
    await page_client.sign_in_admin()
    seen = await page_client.get(path)
    assert (seen.status, seen.code) == (404, "content-not-found")


async def test_texts_of_the_app_are_escaped_on_every_page(page_client: PageClient) -> None:
    await page_client.sign_in_admin()
    owner = await page_client.inviter()
    await page_client.object(SCRIPT, owner=owner, key="x", url="javascript:alert(1)", data={"a": SCRIPT, SCRIPT: "b"})
    for path in ("", "/x", "/x/details", "/x/private", "/x/owner", "/x/delete", f"/x?find={SCRIPT}"):
        base = "/admin/content/articles" if path else "/admin/content"
        seen = await page_client.get(f"{base}{path}")
        assert seen.status == 200
        assert SCRIPT not in seen.html
        assert 'href="javascript' not in seen.html
        assert "alert(1)" in seen.html
