"""The sample data of the demo: a group, a member, an article, an administrator, an API key, and a pending invitation.

Their credentials are stored beside the database, readable by its owner only, so that the next start can print them.
"""

import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from latchstring.bootstrap.database import StartRefused
from latchstring.bootstrap.services import open_services
from latchstring.config import Config
from latchstring.content.service import NewObject
from latchstring.domain.account import User
from latchstring.domain.draft import Draft
from latchstring.domain.errors import AlreadyInvited, ContentKeyTaken, EmailTaken, GroupKeyTaken
from latchstring.domain.group import GroupText
from latchstring.domain.principal import OPERATOR_PRINCIPAL
from latchstring.formats.email_address import parse_address
from latchstring.groups.service import GroupTexts
from latchstring.services import Services
from latchstring.users.accounts import NewUser

USER_EMAIL = "ada@larkspur.example"
GROUP = "early-birds"
GROUP_TEXTS = GroupTexts(
    name="Early birds",
    description="Those who saw it first.",
    translations={"de": GroupText("Frühaufsteher", "Wer es zuerst gesehen hat.")},
)
ARTICLE_TYPE, ARTICLE = "articles", "opening-hours"
MESSAGE = "We open the studio on Monday. Come in, look around, and tell us what is missing."


@dataclass(frozen=True, slots=True)
class DemoData:
    """Addresses and credentials of the demo."""

    user_email: str = USER_EMAIL
    admin_email: str = "admin@larkspur.example"
    guest_email: str = "guest@people.example"
    password: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)


async def ensure_samples(config: Config, path: Path) -> DemoData:
    """Create what does not exist yet, and complete what an interrupted start began.

    Raises StartRefused, KeyProblem, StorageUnreachable.
    """
    async with open_services(config, short_lived=True) as services:
        user = await services.users.find_by_address(parse_address(USER_EMAIL))
        stored = _read(path)
        if user is not None and stored is None:
            raise StartRefused(
                f"{path} with the passwords of the demo is missing. Delete its folder to reset the demo.", code="demo"
            )
        samples = stored or DemoData(password=secrets.token_hex(6))
        if user is None or not samples.api_key:
            _store(samples, path)
            samples = await _create_all(services, samples)
            _store(samples, path)
        return samples


async def _create_all(services: Services, samples: DemoData) -> DemoData:
    with suppress(GroupKeyTaken):
        await services.groups.create(GROUP, GROUP_TEXTS, by=OPERATOR_PRINCIPAL)
    with suppress(EmailTaken):
        await services.admins.create(
            address=parse_address(samples.admin_email),
            role="super-admin",
            name="Ada Larkspur",
            password=samples.password,
            by=OPERATOR_PRINCIPAL,
        )
    with suppress(AlreadyInvited):
        user = await _ensure_user(services, samples)
        await _ensure_article(services, user)
        await _invite_guest(services, user, samples)
    created = await services.users.api_keys.create(name="Demo", scopes=["*"], by=OPERATOR_PRINCIPAL)
    return replace(samples, api_key=created.secret)


async def _ensure_user(services: Services, samples: DemoData) -> User:
    address = parse_address(samples.user_email)
    new = NewUser(
        address=address,
        first_name="Ada",
        last_name="Larkspur",
        role="admin",
        groups=(GROUP,),
        password=samples.password,
    )
    user = await services.users.find_by_address(address)
    return user or await services.users.create(new, by=OPERATOR_PRINCIPAL)


async def _ensure_article(services: Services, owner: User) -> None:
    new = NewObject(
        title="Opening hours",
        key=ARTICLE,
        owner_id=owner.id,
        data={"text": "Monday to Friday, nine to five. Ring twice."},
    )
    with suppress(ContentKeyTaken):
        await services.content.create(ARTICLE_TYPE, new, by=OPERATOR_PRINCIPAL)


async def _invite_guest(services: Services, by: User, samples: DemoData) -> None:
    """Create the invitation as a user, so that the mail names an inviter."""
    guest = parse_address(samples.guest_email)
    draft = Draft(
        email=guest.email,
        email_key=guest.email_key,
        role="team",
        groups=(GROUP,),
        content=((ARTICLE_TYPE, ARTICLE, "EDITOR"),),
        first_name="Robin",
        message=MESSAGE,
    )
    await services.invitations.create(draft, by=services.users.principal_of(by))


def _read(path: Path) -> DemoData | None:
    try:
        return DemoData(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _store(samples: DemoData, path: Path) -> None:
    temporary = path.with_suffix(".part")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(asdict(samples), file)
    temporary.replace(path)
