"""Builds the services of a process and its worker. `application.py` adds the faces."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import structlog

from latchstring.admins.dependencies import AdminDependencies
from latchstring.admins.service import Admins
from latchstring.backoffice.dependencies import BackofficeDependencies
from latchstring.backoffice.service import Backoffice
from latchstring.bootstrap.database import database_url, open_database, open_installation
from latchstring.bootstrap.doctor import Doctor
from latchstring.config import Config
from latchstring.content.dependencies import ContentDependencies
from latchstring.content.service import Content
from latchstring.crypto.access_tokens import AccessTokens
from latchstring.crypto.keyring import Keyring
from latchstring.crypto.link_tokens import LinkTokens
from latchstring.crypto.passwords import Passwords
from latchstring.domain.clock import Clock, system_clock
from latchstring.domain.mail import MailKind
from latchstring.groups.service import Groups
from latchstring.invitations.dependencies import InvitationDependencies
from latchstring.invitations.link_views import LinkViewCounter
from latchstring.invitations.service import Invitations
from latchstring.rate_limits import Limiter, recipient_rates
from latchstring.services import Services
from latchstring.storage.engine.database import Database
from latchstring.users.dependencies import UserDependencies
from latchstring.users.service import Users
from latchstring.worker.loop import WorkerDependencies, listening, run_worker
from latchstring.worker.mail import Loader
from latchstring.worker.sweeps import AnswerPurge, NoticePurge, Sweep
from latchstring.worker.wake_event import WakeEvent

log = structlog.get_logger(__name__)
WORKER_RESTART_SECONDS = 1.0
STATISTICS_INTERVAL = timedelta(seconds=10)
NOTICE_RETENTION = timedelta(days=7)  # of sent resets and notices, so that an operator can look into a missing one


@asynccontextmanager
async def open_services(
    config: Config, *, clock: Clock = system_clock, wake_event: WakeEvent | None = None, short_lived: bool = False
) -> AsyncIterator[Services]:
    """Open the services on a database that is at head and belongs to this master key.

    wake_event: notifies the worker of this process. short_lived: for a command that runs beside a server.
    Raises KeyProblem, StartRefused, StorageUnreachable.
    """
    wake_event = wake_event or WakeEvent()
    async with open_database(config.database, short_lived=short_lived) as db:
        keyring, installation_id = await open_installation(db, config, now=clock())
        services = build_services(
            config, db=db, keyring=keyring, installation_id=installation_id, clock=clock, wake_event=wake_event
        )
        if short_lived:
            yield services
            return
        async with listening(database_url(config.database), wake_event), services.link_views.flushing():
            yield services


def build_services(
    config: Config, *, db: Database, keyring: Keyring, installation_id: UUID, clock: Clock, wake_event: WakeEvent
) -> Services:
    """Create every service with its dependencies."""
    tokens = LinkTokens(keyring, installation_id)
    passwords, limiter = Passwords(), Limiter(config.limits)
    users = Users.build(
        UserDependencies(
            db=db,
            clock=clock,
            access_tokens=AccessTokens(
                keyring, issuer=config.app.public_url, lifetime=config.accounts.access_token_lifetime
            ),
            links=tokens,
            app=config.app,
            roles=config.roles,
            rules=config.accounts,
            passwords=passwords,
            mail_rules=config.mail,
            limiter=limiter,
            wake_worker=wake_event.notify,
        )
    )
    admins = Admins.build(
        AdminDependencies(
            db=db,
            clock=clock,
            keyring=keyring,
            links=tokens,
            app=config.app,
            rules=config.accounts,
            passwords=passwords,
            mail_rules=config.mail,
            limiter=limiter,
            wake_worker=wake_event.notify,
        )
    )
    invitations = Invitations(
        InvitationDependencies(
            db=db,
            clock=clock,
            keyring=keyring,
            app=config.app,
            roles=config.roles,
            rules=config.invitations,
            content_rules=config.content,
            account_rules=config.accounts,
            mail_rules=config.mail,
            users=users,
            passwords=passwords,
            wake_worker=wake_event.notify,
            limiter=limiter,
            limits_enabled=config.limits.enabled,
            templates=config.templates,
            recipient_rates=recipient_rates(config.limits),
        ),
        tokens,
    )
    return Services(
        db=db,
        clock=clock,
        app=config.app,
        roles=config.roles,
        content_rules=config.content,
        invitation_rules=config.invitations,
        account_rules=config.accounts,
        limits=config.limits,
        mail_rules=config.mail,
        keyring=keyring,
        tokens=tokens,
        users=users,
        admins=admins,
        content=Content.build(
            ContentDependencies(
                db=db, clock=clock, rules=config.content, roles=config.roles, find_pending=invitations.find_pending
            )
        ),
        groups=Groups(db=db, clock=clock),
        invitations=invitations,
        installation_id=installation_id,
        wake_worker=wake_event.notify,
        check_client=limiter.check_client,
        link_views=LinkViewCounter(db, clock),
        backoffice=Backoffice(
            BackofficeDependencies(
                db=db,
                clock=clock,
                app=config.app,
                mail_rules=config.mail,
                loaders=_mail_loaders(invitations, users, admins),
                limiter=limiter,
                wake_worker=wake_event.notify,
            )
        ),
        settings=config.settings,
        check_health=Doctor(config, clock),
    )


def _mail_loaders(invitations: Invitations, users: Users, admins: Admins) -> Mapping[MailKind, Loader]:
    """The function that loads the data of a mail, for every kind of mail."""
    return {
        **invitations.mail_loaders,
        MailKind.PASSWORD_RESET: users.recovery.load_password_reset_mail,
        MailKind.EMAIL_VERIFICATION: users.recovery.load_email_verification_mail,
        MailKind.ADMIN_SET_UP: admins.set_up_links.load_mail,
    }


def worker_dependencies(services: Services, wake_event: WakeEvent) -> WorkerDependencies:
    """The dependencies of the worker, with a loader for every kind of mail and all sweeps."""

    async def sweep_invitations() -> bool:
        return await services.invitations.sweep() > 0

    async def purge_sessions() -> bool:
        purged = [await services.users.sessions.purge(), await services.admins.sessions.purge()]
        return any(purged)

    sweeps = (
        Sweep("invitations", sweep_invitations),
        Sweep("jobs", services.invitations.bulk.purge),
        Sweep("sessions", purge_sessions),
        Sweep("stored answers", AnswerPurge(services.db, services.clock)),
        Sweep("notices", NoticePurge(services.db, services.clock, NOTICE_RETENTION)),
        Sweep("figures", services.backoffice.overviews.count_next_batch, every=STATISTICS_INTERVAL),
    )
    return WorkerDependencies(
        db=services.db,
        clock=services.clock,
        mail_rules=services.mail_rules,
        loaders=_mail_loaders(services.invitations, services.users, services.admins),
        sweeps=sweeps,
        wake_event=wake_event,
        job_kinds=services.invitations.job_kinds,
    )


@asynccontextmanager
async def running_worker(services: Services, wake_event: WakeEvent, stop: asyncio.Event) -> AsyncIterator[None]:
    """Run the worker in this process. At the end it finishes its current tasks or releases them."""
    task = asyncio.create_task(run_worker_until(services, wake_event, stop), name="worker")
    try:
        yield
    finally:
        stop.set()
        await task


async def run_worker_until(services: Services, wake_event: WakeEvent, stop: asyncio.Event) -> None:
    """Run the worker until `stop` is set. If it fails it is started again, so that queued mail is still sent."""
    while not stop.is_set():
        try:
            await run_worker(worker_dependencies(services, wake_event), stop)
        except Exception:
            log.exception("worker failed, restarting it")
            await asyncio.sleep(WORKER_RESTART_SECONDS)
