"""Every cell of the table in domain/access.py."""

from datetime import UTC, datetime
from itertools import product

import pytest

from latchstring.domain.access import ANONYMOUS, Access, Level, Subject, Visibility, combine_level, compute_level
from latchstring.domain.grant import ContentRole
from latchstring.domain.ids import new_id

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
OWNER, USER, OTHER = new_id(NOW), new_id(NOW), new_id(NOW)
GROUP, SECOND_GROUP = new_id(NOW), new_id(NOW)
PRIVATE, SHARED, PUBLIC = Visibility.PRIVATE, Visibility.SHARED, Visibility.PUBLIC
VIEWER, EDITOR, MAINTAINER = ContentRole.VIEWER, ContentRole.EDITOR, ContentRole.MAINTAINER

SUBJECTS = {
    "owner": Subject(OWNER),
    "content:write": Subject(OTHER, reads_all=True, writes_all=True),
    "a key with content:write": Subject(writes_all=True),
    "content:read": Subject(OTHER, reads_all=True),
    "a key with content:read": Subject(reads_all=True),
    "another user": Subject(OTHER),
    "a member of another group": Subject(OTHER, frozenset({SECOND_GROUP})),
    "a key without either": Subject(),
    "anonymous": ANONYMOUS,
}
TABLE = {
    "owner": (Level.OWNER, Level.OWNER, Level.OWNER),
    "content:write": (Level.MAINTAINER, Level.MAINTAINER, Level.MAINTAINER),
    "a key with content:write": (Level.MAINTAINER, Level.MAINTAINER, Level.MAINTAINER),
    "content:read": (Level.VIEWER, Level.VIEWER, Level.VIEWER),
    "a key with content:read": (Level.VIEWER, Level.VIEWER, Level.VIEWER),
    "another user": (Level.NONE, Level.NONE, Level.VIEWER),
    "a member of another group": (Level.NONE, Level.NONE, Level.VIEWER),
    "a key without either": (Level.NONE, Level.NONE, Level.VIEWER),
    "anonymous": (Level.NONE, Level.NONE, Level.VIEWER),
}


@pytest.mark.parametrize("subject", TABLE)
@pytest.mark.parametrize("visibility", Visibility)
def test_level_without_a_grant_follows_the_table(subject: str, visibility: Visibility) -> None:
    access = Access(OWNER, visibility, {USER: MAINTAINER, GROUP: MAINTAINER})
    assert compute_level(SUBJECTS[subject], access) is TABLE[subject][visibility]


@pytest.mark.parametrize("role", ContentRole)
@pytest.mark.parametrize("holder", [USER, GROUP])
def test_a_grant_counts_unless_the_object_is_private(role: ContentRole, holder: object) -> None:
    subject = Subject(USER, frozenset({GROUP}))
    levels = [compute_level(subject, Access(OWNER, visibility, {holder: role})) for visibility in Visibility]  # type: ignore[dict-item]
    assert levels == [Level.NONE, Level(role), Level(role)]


@pytest.mark.parametrize(("own", "first", "second"), [*product([None, *ContentRole], repeat=3)])
def test_the_highest_granted_role_counts(
    own: ContentRole | None, first: ContentRole | None, second: ContentRole | None
) -> None:
    grants = {
        subject_id: role
        for subject_id, role in ((USER, own), (GROUP, first), (SECOND_GROUP, second))
        if role is not None
    }
    subject = Subject(USER, frozenset({GROUP, SECOND_GROUP}))
    assert compute_level(subject, Access(OWNER, SHARED, grants)) == max(grants.values(), default=Level.NONE)


@pytest.mark.parametrize("role", ContentRole)
def test_a_permission_never_lowers_what_a_grant_gives(role: ContentRole) -> None:
    access = Access(OWNER, SHARED, {USER: role})
    assert compute_level(Subject(USER, reads_all=True), access) == role
    assert compute_level(Subject(USER, writes_all=True), access) is Level.MAINTAINER


@pytest.mark.parametrize("visibility", Visibility)
def test_a_grant_to_the_owner_does_not_lower_the_level(visibility: Visibility) -> None:
    subject = Subject(OWNER, frozenset({GROUP}), writes_all=True)
    assert compute_level(subject, Access(OWNER, visibility, {OWNER: VIEWER, GROUP: EDITOR})) is Level.OWNER


@pytest.mark.parametrize(("level", "visibility"), [*product(Level, Visibility)])
def test_only_permissions_and_public_visibility_raise_a_granted_level(level: Level, visibility: Visibility) -> None:
    floor = Level.VIEWER if visibility is PUBLIC else Level.NONE
    assert combine_level(Subject(USER), visibility, level) is max(level, floor)
    assert combine_level(Subject(USER, reads_all=True), visibility, level) is max(level, Level.VIEWER)
    assert combine_level(Subject(USER, writes_all=True), visibility, level) is max(level, Level.MAINTAINER)


def test_levels_and_roles_have_the_same_order() -> None:
    assert [Level(role).name for role in ContentRole] == [role.name for role in ContentRole]
    assert Level.NONE < Level.VIEWER < Level.EDITOR < Level.MAINTAINER < Level.OWNER
    assert (PRIVATE, SHARED, PUBLIC) == (0, 1, 2)
    assert VIEWER < EDITOR < MAINTAINER
