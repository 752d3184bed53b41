"""The URL of the list of invitations as a value: filters, order and display.

The URL holds everything about a list, so it can be shared, saved under a name and opened again. Invalid values and
defaults are left out, so that one view has one URL.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from latchstring.admin.pagination import MAX_SEARCH_LENGTH, parse_id
from latchstring.domain.ids import NIL_ID
from latchstring.domain.invitation import State
from latchstring.domain.invitation_list import InvitationFilter
from latchstring.domain.mail import DeliveryState
from latchstring.domain.pagination import SortOrder

LIST = "/admin/invitations"
ME = "me"
SPANS: Mapping[str, timedelta] = {
    "24h": timedelta(days=1),
    "3d": timedelta(days=3),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
}
COLUMNS = ("state", "role", "groups", "content", "delivery", "inviter", "created", "expires", "accepted")
SORTS = ("inviteEmail", "createdAt", "expiresAt", "acceptedAt")
SIZES = (25, 50, 100, 200)
NEWEST_FIRST = "-createdAt"
SOONEST_FIRST = "expiresAt"
YEARS = range(1970, 9000)  # instants outside are not stored by both databases
MAX_VALUES = 8  # of one filter
MAX_KEY_LENGTH = 200  # a key of a role, group or object


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).year in YEARS
    except ValueError:
        return False


def _is_key_text(text: str) -> bool:
    return 0 < len(text) <= MAX_KEY_LENGTH and text.isprintable()


# Every parameter with its validation, in the order of the URL.
_KNOWN: Mapping[str, Callable[[str], bool]] = {
    "q": lambda text: 0 < len(text) <= MAX_SEARCH_LENGTH and "\x00" not in text,
    "state": lambda text: text in State.__members__,
    "role": _is_key_text,
    "group": _is_key_text,
    "contentType": _is_key_text,
    "key": _is_key_text,
    "inviter": lambda text: text == ME or parse_id(text) != NIL_ID,
    "delivery": lambda text: text in DeliveryState.__members__,
    "madeWithin": lambda text: text in SPANS,
    "madeFrom": _is_day,
    "madeTo": _is_day,
    "expiresWithin": lambda text: text in SPANS,
    "expiresFrom": _is_day,
    "expiresTo": _is_day,
    "sort": lambda text: text.removeprefix("-") in SORTS,
    "size": lambda text: text in {str(size) for size in SIZES[1:]},
    "col": lambda text: text in COLUMNS,
}
DISPLAY = ("sort", "size", "col")
FILTERS = tuple(name for name in _KNOWN if name not in DISPLAY)
REPEATABLE = ("state", "role", "group", "inviter", "delivery", "col")
Pairs = Sequence[tuple[str, str]]


def _max_values(name: str) -> int:
    if name == "col":
        return len(COLUMNS)
    return MAX_VALUES if name in REPEATABLE else 1


@dataclass(frozen=True, slots=True)
class ListUrl:
    """The URL of a list. pairs: the query, without invalid values and defaults."""

    pairs: tuple[tuple[str, str], ...]

    def value(self, name: str) -> str:
        """The value of a parameter, or an empty text."""
        return next((value for key, value in self.pairs if key == name), "")

    def values(self, name: str) -> tuple[str, ...]:
        return tuple(value for key, value in self.pairs if key == name)

    @property
    def filters(self) -> Pairs:
        return tuple((name, value) for name, value in self.pairs if name in FILTERS)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns besides the e-mail address, in their fixed order."""
        return self.values("col") or COLUMNS

    @property
    def size(self) -> int:
        return int(self.value("size") or SIZES[0])

    @property
    def order(self) -> SortOrder:
        """The requested order; by default a list filtered by expiry is sorted by expiry, all others by age."""
        filters_by_expiry = any(self.value(name) for name in ("expiresWithin", "expiresFrom", "expiresTo"))
        text = self.value("sort") or (SOONEST_FIRST if filters_by_expiry else NEWEST_FIRST)
        return SortOrder.parse(text)

    @property
    def query(self) -> str:
        return urlencode(self.pairs)

    @property
    def address(self) -> str:
        return f"{LIST}?{self.query}" if self.pairs else LIST

    def url_for(self, path: str, **more: str) -> str:
        """The URL of another page for the same list."""
        query = urlencode([*self.pairs, *more.items()])
        return f"{path}?{query}" if query else path

    def without(self, name: str, value: str | None = None) -> "ListUrl":
        """Without a parameter, or without one of its values. The key of an object is removed with its type."""
        names = {name, "key"} if name == "contentType" else {name}
        return replace(
            self, pairs=tuple(pair for pair in self.pairs if pair[0] not in names or (value and pair != (name, value)))
        )

    def sorted_by(self, by: str, *, first_descending: bool) -> "ListUrl":
        """Sorted by another column, or by the same one in the other direction."""
        order = self.order
        descending = not order.descending if order.by == by else first_descending
        return clean_list_url([*self.without("sort").pairs, ("sort", f"{'-' * descending}{by}")])

    @property
    def unfiltered(self) -> "ListUrl":
        return replace(self, pairs=tuple(pair for pair in self.pairs if pair[0] in DISPLAY))

    def finds_same(self, other: "ListUrl") -> bool:
        """Whether both list the same invitations in the same order, whatever the display."""
        return (self.filters, self.order) == (other.filters, other.order)


def clean_list_url(pairs: Pairs) -> ListUrl:
    """The view of a query, without invalid values and defaults."""
    known_pairs: list[tuple[str, str]] = []
    for name, is_valid in _KNOWN.items():
        values = dict.fromkeys(value.strip() for key, value in pairs if key == name)
        valid = [value for value in values if is_valid(value)]
        known_pairs += [(name, value) for value in valid[: _max_values(name)]]
    view = ListUrl(tuple(known_pairs))
    if set(view.values("col")) == set(COLUMNS):
        view = view.without("col")
    if not view.value("contentType"):
        view = view.without("key")
    columns = [pair for pair in view.pairs if pair[0] == "col"]
    in_order = sorted(columns, key=lambda pair: COLUMNS.index(pair[1]))
    view = ListUrl((*(pair for pair in view.pairs if pair[0] != "col"), *in_order))
    default = view.without("sort").order
    return view.without("sort") if view.value("sort") and view.order == default else view


def parse_list_url(query: str) -> ListUrl:
    """The view of a query string, as forms send it."""
    return clean_list_url(parse_qsl(query))


def group_keys(view: ListUrl) -> tuple[str, ...]:
    return view.values("group")


def inviter_ids(view: ListUrl, me: UUID) -> list[UUID]:
    return [me if text == ME else parse_id(text) for text in view.values("inviter")]


def filter_of(view: ListUrl, *, groups: Mapping[str, UUID], me: UUID, now: datetime) -> InvitationFilter:
    """The filter of a view. groups: ids by key. now: the instant that "within" counts from.

    Only pending invitations can expire, so a filter by expiry implies the state PENDING unless states are chosen.
    """
    states = [State[name] for name in view.values("state")]
    within = view.value("expiresWithin")
    created, expires = _range(view, "made"), _range(view, "expires")
    since = [created[0], now - SPANS[view.value("madeWithin")] if view.value("madeWithin") else None]
    return InvitationFilter(
        states=states or ([State.PENDING] if within else []),
        roles=view.values("role"),
        group_ids=[groups.get(key, NIL_ID) for key in group_keys(view)],
        content_type=view.value("contentType") or None,
        content_key=view.value("key") or None,
        inviter_ids=inviter_ids(view, me),
        deliveries=view.values("delivery"),
        created_after=max(filter(None, since), default=None),
        created_before=created[1],
        expires_after=max(filter(None, [expires[0], now if within else None]), default=None),
        expires_before=min(filter(None, [expires[1], now + SPANS[within] if within else None]), default=None),
        q=view.value("q") or None,
    )


def _range(view: ListUrl, name: str) -> tuple[datetime | None, datetime | None]:
    """From the start of the first day to the end of the last, in UTC."""
    first, last = view.value(f"{name}From"), view.value(f"{name}To")
    return _day(first) if first else None, _day(last) + timedelta(days=1) if last else None


def _day(text: str) -> datetime:
    return datetime.combine(date.fromisoformat(text), time(), UTC)
