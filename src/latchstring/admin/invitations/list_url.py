"""The address of the list of invitations as a value: what is looked for, in which order, and how it is shown.

Everything about a list stands in its address, so it can be shared, saved under a name and opened again. What nobody
could have meant is left out, as are the defaults, so that one view has one address.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from latchstring.admin.pagination import LONGEST_SEARCH, NOBODY, id_in
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
YEARS = range(1970, 9000)  # before and after there are no instants that both databases keep
MOST_VALUES = 8  # of one filter
LONGEST_WORD = 200  # a key of a role, group or object


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).year in YEARS
    except ValueError:
        return False


def _is_word(text: str) -> bool:
    return 0 < len(text) <= LONGEST_WORD and text.isprintable()


# Every parameter with what may stand in it, in the order of the address.
_KNOWN: Mapping[str, Callable[[str], bool]] = {
    "q": lambda text: 0 < len(text) <= LONGEST_SEARCH and "\x00" not in text,
    "state": lambda text: text in State.__members__,
    "role": _is_word,
    "group": _is_word,
    "contentType": _is_word,
    "key": _is_word,
    "inviter": lambda text: text == ME or id_in(text) != NOBODY,
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
SHOWING = ("sort", "size", "col")
FILTERS = tuple(name for name in _KNOWN if name not in SHOWING)
SEVERAL = ("state", "role", "group", "inviter", "delivery", "col")
Pairs = Sequence[tuple[str, str]]


def _most_of(name: str) -> int:
    if name == "col":
        return len(COLUMNS)
    return MOST_VALUES if name in SEVERAL else 1


@dataclass(frozen=True, slots=True)
class ListUrl:
    """A list by its address. pairs: the query, as one writes it who leaves out what says nothing."""

    pairs: tuple[tuple[str, str], ...]

    def one(self, name: str) -> str:
        """The value of a parameter, or nothing."""
        return next((value for key, value in self.pairs if key == name), "")

    def all(self, name: str) -> tuple[str, ...]:
        return tuple(value for key, value in self.pairs if key == name)

    @property
    def filters(self) -> Pairs:
        return tuple((name, value) for name, value in self.pairs if name in FILTERS)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns beside the address, in their own order."""
        return self.all("col") or COLUMNS

    @property
    def size(self) -> int:
        return int(self.one("size") or SIZES[0])

    @property
    def order(self) -> SortOrder:
        """As asked for; else what runs out is sorted by that, all other lists by age."""
        runs_out = any(self.one(name) for name in ("expiresWithin", "expiresFrom", "expiresTo"))
        text = self.one("sort") or (SOONEST_FIRST if runs_out else NEWEST_FIRST)
        return SortOrder.parse(text)

    @property
    def query(self) -> str:
        return urlencode(self.pairs)

    @property
    def address(self) -> str:
        return f"{LIST}?{self.query}" if self.pairs else LIST

    def at(self, path: str, **more: str) -> str:
        """Another page about the same list."""
        query = urlencode([*self.pairs, *more.items()])
        return f"{path}?{query}" if query else path

    def without(self, name: str, value: str | None = None) -> "ListUrl":
        """Without a parameter, or without one of its values. An object's key says nothing without its type."""
        gone = {name, "key"} if name == "contentType" else {name}
        return replace(
            self, pairs=tuple(pair for pair in self.pairs if pair[0] not in gone or (value and pair != (name, value)))
        )

    def sorted_by(self, by: str, *, first_descending: bool) -> "ListUrl":
        """Sorted by another column, or by the same one the other way round."""
        order = self.order
        descending = not order.descending if order.by == by else first_descending
        return view_of([*self.without("sort").pairs, ("sort", f"{'-' * descending}{by}")])

    @property
    def unfiltered(self) -> "ListUrl":
        return replace(self, pairs=tuple(pair for pair in self.pairs if pair[0] in SHOWING))

    def shows_like(self, other: "ListUrl") -> bool:
        """Whether both find the same invitations in the same order, however they are shown."""
        return (self.filters, self.order) == (other.filters, other.order)


def view_of(pairs: Pairs) -> ListUrl:
    """The view that a query asks for."""
    found: list[tuple[str, str]] = []
    for name, is_good in _KNOWN.items():
        values = dict.fromkeys(value.strip() for key, value in pairs if key == name)
        good = [value for value in values if is_good(value)]
        found += [(name, value) for value in good[: _most_of(name)]]
    view = ListUrl(tuple(found))
    if set(view.all("col")) == set(COLUMNS):
        view = view.without("col")
    if not view.one("contentType"):
        view = view.without("key")
    columns = [pair for pair in view.pairs if pair[0] == "col"]
    in_order = sorted(columns, key=lambda pair: COLUMNS.index(pair[1]))
    view = ListUrl((*(pair for pair in view.pairs if pair[0] != "col"), *in_order))
    default = view.without("sort").order
    return view.without("sort") if view.one("sort") and view.order == default else view


def view_in(query: str) -> ListUrl:
    """The view of a query as text, as forms carry it along."""
    return view_of(parse_qsl(query))


def group_keys(view: ListUrl) -> tuple[str, ...]:
    return view.all("group")


def inviter_ids(view: ListUrl, me: UUID) -> list[UUID]:
    return [me if text == ME else id_in(text) for text in view.all("inviter")]


def filter_of(view: ListUrl, *, groups: Mapping[str, UUID], me: UUID, now: datetime) -> InvitationFilter:
    """Which invitations a view shows. groups: the ids of its keys; at: the instant that "within" counts from.

    Only what is pending can run out: a list of what does within days leaves out the rest, unless states are chosen.
    """
    states = [State[name] for name in view.all("state")]
    within = view.one("expiresWithin")
    made, out = _range(view, "made"), _range(view, "expires")
    since = [made[0], now - SPANS[view.one("madeWithin")] if view.one("madeWithin") else None]
    return InvitationFilter(
        states=states or ([State.PENDING] if within else []),
        roles=view.all("role"),
        group_ids=[groups.get(key, NOBODY) for key in group_keys(view)],
        content_type=view.one("contentType") or None,
        content_key=view.one("key") or None,
        inviter_ids=inviter_ids(view, me),
        deliveries=view.all("delivery"),
        created_after=max(filter(None, since), default=None),
        created_before=made[1],
        expires_after=max(filter(None, [out[0], now if within else None]), default=None),
        expires_before=min(filter(None, [out[1], now + SPANS[within] if within else None]), default=None),
        q=view.one("q") or None,
    )


def _range(view: ListUrl, name: str) -> tuple[datetime | None, datetime | None]:
    """From the beginning of the first day to the end of the last, in UTC."""
    first, last = view.one(f"{name}From"), view.one(f"{name}To")
    return _day(first) if first else None, _day(last) + timedelta(days=1) if last else None


def _day(text: str) -> datetime:
    return datetime.combine(date.fromisoformat(text), time(), UTC)
