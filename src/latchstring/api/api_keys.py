"""API keys of backends."""

from datetime import datetime
from uuid import UUID

import msgspec

from latchstring.api.pagination import CreatedQuery, answer_page, parse_cursor
from latchstring.domain.api_key import ApiKey
from latchstring.domain.errors import ApiKeyNotFound, GrantNotAllowed
from latchstring.formats.field_types import Flag, Instant, Line
from latchstring.formats.fields import Body, Query, Reading
from latchstring.http.authentication import Caller
from latchstring.http.responses import Answer, View, empty_answer, json_answer
from latchstring.rest.pagination import PageView
from latchstring.rest.route import operation
from latchstring.services import Services
from latchstring.users.api_keys import CreatedApiKey

TAG = "API keys"
WRITE = "api-keys:write"


class NewApiKeyBody(Body):
    """An API key to create. mayGrant: roles, or `*`. A key with scope `*` may by default grant what its creator may."""

    name: Line
    scopes: tuple[str, ...]
    may_grant: tuple[str, ...] | None = None
    may_grant_groups: tuple[str, ...] | None = None
    expires_at: Instant | None = None


class RevocationQuery(Query):
    """Whether the open invitations of the key end too."""

    end_invitations: Flag = False


class ApiKeyView(View):
    """An API key, without its secret."""

    id: UUID
    name: str
    scopes: list[str]
    may_grant: list[str]
    may_grant_groups: list[str]
    created_at: datetime
    expires_at: datetime | None


class CreatedApiKeyView(ApiKeyView):
    """A new API key. key: the secret, shown only once."""

    key: str


def api_key_view(key: ApiKey) -> ApiKeyView:
    return ApiKeyView(
        id=key.id,
        name=key.name,
        scopes=sorted(key.scopes),
        may_grant=sorted(key.may_grant),
        may_grant_groups=sorted(key.may_grant_groups),
        created_at=key.created_at,
        expires_at=key.expires_at,
    )


def created_view(created: CreatedApiKey) -> CreatedApiKeyView:
    return CreatedApiKeyView(**msgspec.structs.asdict(api_key_view(created.key)), key=created.secret)


@operation("GET", "/api/api-keys", "List API keys", tag=TAG, permission=WRITE, answers={200: PageView[ApiKeyView]})
async def list_api_keys(services: Services, query: CreatedQuery) -> Answer:
    """Lists the keys that are not revoked, without their secrets."""
    list_id = f"api-keys:{query.sort}"
    cursor = parse_cursor(services, list_id, query.cursor)
    page = await services.users.api_keys.list_page(order=query.order, cursor=cursor, limit=query.limit)
    return answer_page(services, list_id, page, api_key_view)


@operation(
    "POST",
    "/api/api-keys",
    "Create an API key",
    tag=TAG,
    permission=WRITE,
    answers={201: CreatedApiKeyView},
    problems=[GrantNotAllowed],
)
async def create_api_key(services: Services, caller: Caller, reading: Reading[NewApiKeyBody]) -> Answer:
    """A key can do and grant no more than its creator. The secret is only in this response."""
    if not reading.problems:
        reading.problems += services.users.api_keys.find_problems(
            scopes=reading.get("scopes"),
            may_grant=reading.get("may_grant") or (),
            expires_at=reading.get("expires_at"),
        )
    body = reading.finish()
    created = await services.users.api_keys.create(
        name=body.name,
        scopes=body.scopes,
        may_grant=body.may_grant,
        may_grant_groups=body.may_grant_groups,
        expires_at=body.expires_at,
        by=caller.require(),
    )
    return json_answer(created_view(created), 201)


@operation(
    "DELETE",
    "/api/api-keys/{key_id:uuid}",
    "Revoke an API key",
    tag=TAG,
    permission=WRITE,
    answers={204: None},
    problems=[ApiKeyNotFound],
)
async def revoke_api_key(services: Services, caller: Caller, key_id: UUID, query: RevocationQuery) -> Answer:
    """The key stops working at once. Its invitations stay open, unless `endInvitations=true`."""
    await services.users.api_keys.revoke(key_id, end_invitations=query.end_invitations, by=caller.require())
    return empty_answer()


routes = [list_api_keys, create_api_key, revoke_api_key]
