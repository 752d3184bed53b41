"""The configuration and how it is read: from the file, the environment and the built-in defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from latchstring.config import values
from latchstring.config.database import SQLITE, DatabaseSettings, database_url, mask_password, sqlite_path
from latchstring.config.problems import ConfigProblem, ConfigProblems
from latchstring.config.roles import read_roles
from latchstring.config.sources import MASK, Table, apply_environment, read_file
from latchstring.config.templates import read_templates
from latchstring.domain.principal import Role
from latchstring.domain.settings import (
    AccountRules,
    App,
    ContentRules,
    ContentType,
    InvitationRules,
    Limits,
    MailRules,
    PaceRules,
    RetryRules,
    SmtpSettings,
)
from latchstring.domain.template import InvitationTemplate
from latchstring.domain.views.settings import SettingView

DEFAULT_FILE = "latchstring.toml"
DEFAULT_DATABASE = f"{SQLITE}:///var/latchstring.db"
SMTP_PORTS = {"starttls": 587, "tls": 465, "none": 25}
MAX_BODY_BYTES = 1_048_576  # the limit of JSON request bodies


@dataclass(frozen=True, slots=True)
class Secrets:
    """The source of the master keys: a file that is created on first start, or the keys as text."""

    master_key_file: Path
    master_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration of an installation.

    source: the file, if there is one. settings: every value and its source, with secrets masked.
    """

    app: App
    database: DatabaseSettings
    mail: MailRules
    invitations: InvitationRules
    content: ContentRules
    accounts: AccountRules
    roles: Mapping[str, Role]
    templates: Mapping[str, InvitationTemplate]
    limits: Limits
    secrets: Secrets
    source: Path | None = None
    settings: tuple[SettingView, ...] = ()


def load_config(path: Path | None, env: Mapping[str, str], *, folder: Path | None = None) -> Config:
    """Read the configuration. The environment overrides the file, and the file overrides the defaults.

    path: None means `latchstring.toml` in the folder, if it exists. folder: the working directory. Relative paths in
    values are resolved against the folder of the file, or against the working directory without a file.
    Raises ConfigProblems with all problems.
    """
    directory = folder or Path.cwd()
    source = directory / path if path else directory / DEFAULT_FILE
    problems: list[ConfigProblem] = []
    tree = read_file(source, problems) if path or source.exists() else {}
    readable = not problems
    apply_environment(tree, env, problems)
    root = Table("", tree, problems, source)
    config = _read(root, source.parent, source if source.exists() else None)
    root.report_unknown()
    if problems:
        raise ConfigProblems(problems if readable else problems[:1], str(path or DEFAULT_FILE))
    return replace(config, settings=tuple(root.settings()))


def _read(root: Table, folder: Path, source: Path | None) -> Config:
    invitations = _read_invitations(root.table("invitations"))
    roles = read_roles(root.table("roles"))
    app, content = _read_app(root.table("app")), _read_content(root.table("content"), invitations)
    return Config(
        app=app,
        database=_read_database(root.table("database"), folder),
        mail=_read_mail(root.table("mail"), folder),
        invitations=invitations,
        content=content,
        accounts=_read_accounts(root.table("accounts"), roles),
        roles=roles,
        templates=read_templates(root.table("templates"), roles, content, invitations, app),
        limits=_read_limits(root.table("limits")),
        secrets=_read_secrets(root.table("secrets"), folder),
        source=source,
    )


def _read_app(table: Table) -> App:
    default = App()
    return App(
        name=table.get("name", values.text, default.name),
        public_url=table.get("public-url", values.public_url, default.public_url),
        default_locale=table.get("default-locale", values.locale, default.default_locale),
        terms_url=table.get("terms-url", values.optional(values.web_url), None),
        terms_version=table.get("terms-version", values.optional(values.text), None),
        support_email=table.get("support-email", values.optional(values.address), None),
        allowed_origins=table.get("allowed-origins", values.list_of(values.origin), ()),
    )


def _read_database(table: Table, folder: Path) -> DatabaseSettings:
    url = table.get_secret("url", database_url, DEFAULT_DATABASE, mask=mask_password)
    return DatabaseSettings(
        url=url,
        sqlite_path=sqlite_path(url, folder),
        pool_size=table.get("pool-size", values.integer(2, 200), 12),
        statement_cache=table.get("statement-cache", values.integer(0, 10_000), 512),
    )


def _read_mail(table: Table, folder: Path) -> MailRules:
    default = MailRules()
    templates = table.get("templates-directory", values.optional(values.text), None)
    return MailRules(
        transport=table.get("transport", values.one_of("smtp", "mailbox", "off"), default.transport),
        sender=table.get("from", values.mailbox, default.sender),
        reply_to_inviter=table.get("reply-to-inviter", values.flag, default.reply_to_inviter),
        mailbox_directory=str(folder / table.get("mailbox-directory", values.text, default.mailbox_directory)),
        templates_directory=str(folder / templates) if templates else None,
        retry=_read_retry(table.table("retry")),
        pace=_read_pace(table.table("pace")),
        smtp=_read_smtp(table.table("smtp")),
    )


def _read_retry(table: Table) -> RetryRules:
    default = RetryRules()
    return RetryRules(
        first=table.get("first", values.duration, default.first),
        factor=table.get("factor", values.factor, default.factor),
        maximum=table.get("maximum", values.duration, default.maximum),
        give_up=table.get("give-up", values.duration, default.give_up),
    )


def _read_pace(table: Table) -> PaceRules:
    default = PaceRules()
    return PaceRules(
        at_once=table.get("at-once", values.integer(1, 12), default.at_once),
        per_minute=table.get("per-minute", values.integer(0, 1_000_000), default.per_minute),
        domains=dict(table.get("domains", values.list_of(values.domain_rate), ())),
    )


def _read_smtp(table: Table) -> SmtpSettings:
    default = SmtpSettings()
    tls = table.get("tls", values.one_of("starttls", "tls", "none"), default.tls)
    username = table.get("username", values.optional(values.text), None)
    password = table.get_secret("password", values.optional(values.secret), None)
    if password is not None and username is None:
        table.report("username", None, "A password is given without a user name. Add mail.smtp.username.")
    return SmtpSettings(
        host=table.get("host", values.host, default.host),
        port=table.get("port", values.integer(1, 65_535), SMTP_PORTS[tls]),
        username=username,
        password=password,
        tls=tls,
        timeout=table.get("timeout", values.seconds_or_duration, default.timeout),
    )


def _read_invitations(table: Table) -> InvitationRules:
    default = InvitationRules()
    minimum = table.get("minimum-lifetime", values.duration, default.minimum_lifetime)
    maximum = table.get("maximum-lifetime", values.duration, max(default.maximum_lifetime, minimum))
    if minimum > maximum:
        table.report("minimum-lifetime", None, "It is longer than maximum-lifetime. Make it shorter, or that longer.")
        minimum = maximum
    return InvitationRules(
        lifetime=_lifetime(table, default.lifetime, minimum, maximum),
        minimum_lifetime=minimum,
        maximum_lifetime=maximum,
        accept_url=table.get("accept-url", values.link_template("publicUrl"), default.accept_url),
        retention=table.get("retention", values.duration, default.retention),
        redirect_origins=table.get("redirect-origins", values.list_of(values.origin), ()),
    )


def _lifetime(table: Table, default: timedelta, minimum: timedelta, maximum: timedelta) -> timedelta:
    """Read a lifetime. A configured one must be within the bounds; the default is adjusted to them."""
    lifetime = table.get("lifetime", values.duration, min(max(default, minimum), maximum))
    if not minimum <= lifetime <= maximum:
        table.report("lifetime", str(lifetime), "It is outside invitations.minimum-lifetime and maximum-lifetime.")
    return lifetime


def _read_content(table: Table, bounds: InvitationRules) -> ContentRules:
    default = ContentRules()
    table.parse_inline_table("types")
    invitations = table.table("invitations")
    template = values.link_template("publicUrl", "contentType", "contentKey")
    return ContentRules(
        types=_read_content_types(table.table("types")),
        data_limit=table.get("data-limit", values.integer(2, MAX_BODY_BYTES), default.data_limit),
        accept_url=invitations.get("accept-url", template, default.accept_url),
        allow_unregistered_users=invitations.get(
            "allow-unregistered-users", values.flag, default.allow_unregistered_users
        ),
        lifetime=_lifetime(invitations, default.lifetime, bounds.minimum_lifetime, bounds.maximum_lifetime),
    )


def _read_content_types(table: Table) -> Mapping[str, ContentType]:
    types: dict[str, ContentType] = {}
    used_by: dict[str, str] = {}
    for key, entry in table.tables():
        singular = entry.get("singular", values.optional(values.key), None)
        types[key] = ContentType(key, entry.get("name", values.text, key), singular)
        for word in dict.fromkeys((key, singular or key)):
            _check_type_word(table, word, key, used_by)
    return types


def _check_type_word(table: Table, word: str, key: str, used_by: dict[str, str]) -> None:
    """Check a type name or singular. All of them share the namespace of the paths `/api/content/<word>`."""
    try:
        values.key(word)
    except values.InvalidValue as error:
        table.report(key, None, str(error))
    if word == "invitations":
        table.report(key, None, 'No type can be named "invitations": /api/content/invitations is a path of its own.')
    elif used_by.setdefault(word, key) != key:
        table.report(key, word, f"The name is taken by content.types.{used_by[word]}. Choose another.")


def _read_accounts(table: Table, roles: Mapping[str, Role]) -> AccountRules:
    default = AccountRules()
    role = table.get("default-role", values.optional(values.key), None)
    if role is not None and role not in roles:
        known = ", ".join(roles) or "none"
        table.report("default-role", role, f"There is no role {role}. Defined under [roles]: {known}.")
    access = table.get("access-token-lifetime", values.duration, default.access_token_lifetime)
    refresh = table.get("refresh-token-lifetime", values.duration, max(default.refresh_token_lifetime, access))
    if refresh < access:
        table.report("refresh-token-lifetime", str(refresh), "It is shorter than access-token-lifetime.")
    return AccountRules(
        password_minimum=table.get("password-minimum", values.integer(8, 128), default.password_minimum),
        access_token_lifetime=access,
        refresh_token_lifetime=refresh,
        default_role=role,
    )


def _read_limits(table: Table) -> Limits:
    default = Limits()
    return Limits(
        enabled=table.get("enabled", values.flag, default.enabled),
        per_inviter=table.get("per-inviter", values.rate, default.per_inviter),
        per_recipient=table.get("per-recipient", values.rate, default.per_recipient),
        per_address_prefix=table.get("per-address-prefix", values.rate, default.per_address_prefix),
        login_per_account=table.get("login-per-account", values.rate, default.login_per_account),
        trusted_proxies=table.get("trusted-proxies", values.list_of(values.network), ()),
    )


def _read_secrets(table: Table, folder: Path) -> Secrets:
    """Read the master key settings. The key file need not exist yet: the first start creates it."""
    key_file = table.get("master-key-file", values.text, "var/master.key")
    key = table.get("master-key", values.secret, None, mask=lambda _: MASK)
    return Secrets(folder / key_file, key or None)
