"""Where a page of granted objects starts, as the cursor in the URL holds it. Pages of users and of groups have one."""

from collections.abc import Sequence
from uuid import UUID

from latchstring.domain.views.content import HeldPlace


def place_from_cursor(values: Sequence[object] | None) -> HeldPlace | None:
    if values is None:
        return None
    type_, role, id_ = values
    return HeldPlace(str(type_), int(str(role)), UUID(str(id_)))


def cursor_values(place: HeldPlace | None) -> list[object] | None:
    return None if place is None else [place.type, place.role, str(place.id)]
