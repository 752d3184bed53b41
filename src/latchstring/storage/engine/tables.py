"""The tables. Every uniqueness and reference is a constraint."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from latchstring.storage.engine.types import CanonicalText, Id, Instant, Json

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

PENDING = text("state = 0")
ACCEPTED = text("state = 1")
PUBLIC = text("visibility = 2")
BLOCKED = text("blocked")  # queries must repeat these two word for word, as SQLite compares texts
UNVERIFIED = text("NOT email_verified")
CONTENT = text("kind = 2")
SUPPRESSED = text("state = 'SUPPRESSED'")
IN_TROUBLE = text("state IN ('BOUNCED', 'DEFERRED', 'FAILED')")  # queries must repeat it word for word

installation = Table(
    "installation",
    metadata,
    Column("one", SmallInteger, primary_key=True),
    Column("id", Id, nullable=False),  # the audience of every token
    Column("created_at", Instant, nullable=False),
    CheckConstraint("one = 1", name="single"),
)

# Fingerprints of the master keys this database was used with. The server does not start with any other key.
master_keys = Table(
    "master_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("retired_at", Instant),
    Column("compromised_at", Instant),
)

users = Table(
    "users",
    metadata,
    Column("id", Id, primary_key=True),
    Column("email_key", CanonicalText, nullable=False),
    Column("email", Text, nullable=False),
    Column("email_verified", Boolean, nullable=False),
    Column("external_id", CanonicalText),
    Column("first_name", Text, nullable=False),
    Column("last_name", Text, nullable=False),
    Column("search_name", CanonicalText, nullable=False),  # "first last", case folded: prefix search
    Column("search_last_name", CanonicalText, nullable=False),
    Column("role", Text),
    Column("locale", Text),
    Column("blocked", Boolean, nullable=False),
    Column("password_hash", Text),
    Column("link_generation", Integer, nullable=False, server_default="1"),  # part of reset and verification links
    Column("terms_version", Text),
    Column("terms_accepted_at", Instant),
    Column("last_login_at", Instant),
    UniqueConstraint("email_key", name="uq_users_email_key"),
    UniqueConstraint("external_id", name="uq_users_external_id"),
    Index("ix_users_search_name_id", "search_name", "id"),
    Index("ix_users_search_last_name_id", "search_last_name", "id"),
    Index("ix_users_role_id", "role", "id"),
    Index("ix_users_blocked", "id", sqlite_where=BLOCKED, postgresql_where=BLOCKED),
    Index("ix_users_unverified", "id", sqlite_where=UNVERIFIED, postgresql_where=UNVERIFIED),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Index("ix_sessions_user_id", "user_id"),
    Index("ix_sessions_expires_at", "expires_at"),
)

# The refresh tokens of a session. Each can be used once; reuse ends the session.
refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("session_id", Id, ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    Column("used_at", Instant),
    Index("ix_refresh_tokens_session_id", "session_id"),
)

admins = Table(
    "admins",
    metadata,
    Column("id", Id, primary_key=True),
    Column("email_key", CanonicalText, nullable=False),
    Column("email", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("password_hash", Text),
    Column("link_generation", Integer, nullable=False, server_default="1"),
    Column("deactivated_at", Instant),
    Column("locale", Text),
    Column("last_login_at", Instant),
    # sealed with the master key: the database alone does not reveal the second factor
    Column("totp_secret", LargeBinary),
    Column("totp_confirmed_at", Instant),
    Column("totp_last_step", BigInteger),  # RFC 6238: a code is accepted once
    UniqueConstraint("email_key", name="uq_admins_email_key"),
)

admin_recovery_codes = Table(
    "admin_recovery_codes",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("admin_id", Id, ForeignKey("admins.id", ondelete="CASCADE"), nullable=False),
    Column("used_at", Instant),
    Index("ix_admin_recovery_codes_admin_id", "admin_id"),
)

# awaits_code: the password was correct, the second factor is missing. Such a session gives no other access.
admin_sessions = Table(
    "admin_sessions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("admin_id", Id, ForeignKey("admins.id", ondelete="CASCADE"), nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("awaits_code", Boolean, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("last_seen_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("user_agent", Text),
    Column("network", Text),
    UniqueConstraint("digest", name="uq_admin_sessions_digest"),
    Index("ix_admin_sessions_admin_id", "admin_id"),
    Index("ix_admin_sessions_expires_at", "expires_at"),
)

# A list of the panel with its filters, saved under a name by an administrator.
saved_views = Table(
    "saved_views",
    metadata,
    Column("id", Id, primary_key=True),
    Column("admin_id", Id, ForeignKey("admins.id", ondelete="CASCADE"), nullable=False),
    Column("page", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("query", Text, nullable=False),
    UniqueConstraint("admin_id", "page", "name", name="uq_saved_views_admin_id_page_name"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("scopes", Json, nullable=False),
    Column("may_grant", Json, nullable=False),
    Column("may_grant_groups", Json, nullable=False),
    Column("made_by_type", Text, nullable=False),
    Column("made_by_id", Id),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    UniqueConstraint("digest", name="uq_api_keys_digest"),
)

groups = Table(
    "groups",
    metadata,
    Column("id", Id, primary_key=True),
    Column("key", CanonicalText, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("translations", Json, nullable=False),
    Column("search_name", CanonicalText, nullable=False, server_default=""),  # case folded: prefix search
    UniqueConstraint("key", name="uq_groups_key"),
    Index("ix_groups_search_name", "search_name", "id"),
)

group_members = Table(
    "group_members",
    metadata,
    Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("group_id", Id, ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True),
    Index("ix_group_members_group_id_user_id", "group_id", "user_id"),
)

# visibility: 0 PRIVATE, 1 SHARED, 2 PUBLIC. version counts changes of title, url and data, for ETag.
content = Table(
    "content",
    metadata,
    Column("id", Id, primary_key=True),
    Column("type", CanonicalText, nullable=False),
    Column("key", CanonicalText, nullable=False),
    Column("owner_id", Id, nullable=False),
    Column("visibility", SmallInteger, nullable=False),
    Column("title", Text, nullable=False),
    Column("url", Text),
    Column("data", Json),
    Column("version", Integer, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("search_title", CanonicalText, nullable=False, server_default=""),  # case folded: prefix search
    UniqueConstraint("type", "key", name="uq_content_type_key"),
    Index("ix_content_search_title", "search_title", "id"),
    Index("ix_content_type_search_title_id", "type", "search_title", "id"),
    Index("ix_content_owner_id_type_id", "owner_id", "type", "id"),
    Index("ix_content_type_id", "type", "id"),
    # visibility is constant here and comes first, so that SQLite, without statistics, prefers it to the index above
    Index("ix_content_public", "visibility", "type", "id", sqlite_where=PUBLIC, postgresql_where=PUBLIC),
)

# subject_id: a user or a group. type repeats the type of the object, so that one index lists what a subject may see:
# with the role before the id, each role of each subject is ordered by id, and a page reads at most its own length of
# each. A PRIVATE object has no grants.
content_grants = Table(
    "content_grants",
    metadata,
    Column("content_id", Id, ForeignKey("content.id", ondelete="CASCADE"), primary_key=True),
    Column("subject_id", Id, primary_key=True),
    Column("subject_kind", SmallInteger, nullable=False),
    Column("type", CanonicalText, nullable=False),
    Column("role", SmallInteger, nullable=False),
    Index("ix_content_grants_subject", "subject_id", "type", "role", "content_id"),
)

invitations = Table(
    "invitations",
    metadata,
    Column("id", Id, primary_key=True),
    Column("email_key", CanonicalText, nullable=False),
    Column("email", Text, nullable=False),
    Column("terms_key", Id, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("role", Text),
    Column("inviter_type", Text, nullable=False),
    Column("inviter_id", Id),
    Column("lifetime_seconds", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("link_starts_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("sponsor_type", Text, nullable=False),
    Column("sponsor_id", Id),
    Column("master_key_id", Text, nullable=False),
    Column("ended_at", Instant),
    Column("accepted_by", Id),
    Column("first_name", Text),
    Column("last_name", Text),
    Column("search_name", CanonicalText),
    Column("search_last_name", CanonicalText),
    Column("message", Text),
    Column("locale", Text),
    Column("metadata", Json),
    Column("redirect_url", Text),
    Column("renewals", SmallInteger, nullable=False, server_default="0"),
    Column("renewed_at", Instant),
    Index("uq_invitations_pending_terms", "terms_key", unique=True, sqlite_where=PENDING, postgresql_where=PENDING),
    Index("ix_invitations_email_key_id", "email_key", "id"),
    Index("ix_invitations_state_id", "state", "id"),
    Index("ix_invitations_inviter_id_id", "inviter_id", "id"),
    Index("ix_invitations_expiring", "expires_at", sqlite_where=PENDING, postgresql_where=PENDING),
    Index("ix_invitations_search_name", "search_name"),
    Index("ix_invitations_search_last_name", "search_last_name"),
    Index("ix_invitations_expires_at_id", "expires_at", "id"),
    Index("ix_invitations_role_id", "role", "id"),
    Index("ix_invitations_accepted", "ended_at", "id", sqlite_where=ACCEPTED, postgresql_where=ACCEPTED),
)

# Targets have no foreign key: ids are never reused, and the join at acceptance detects a deleted target.
invitation_grants = Table(
    "invitation_grants",
    metadata,
    Column("invitation_id", Id, ForeignKey("invitations.id", ondelete="CASCADE"), primary_key=True),
    Column("target_id", Id, primary_key=True),
    Column("kind", SmallInteger, nullable=False),
    Column("target_type", Text),
    Column("target_key", Text, nullable=False),
    Column("role", SmallInteger),
    Column("voided_at", Instant),
    Index("ix_invitation_grants_target_id_invitation_id", "target_id", "invitation_id"),
    # by type and key, which also identify deleted objects
    Index(
        "ix_invitation_grants_content",
        "target_type",
        "target_key",
        "invitation_id",
        sqlite_where=CONTENT,
        postgresql_where=CONTENT,
    ),
)

events = Table(
    "events",
    metadata,
    Column("id", Id, primary_key=True),
    Column("subject_id", Id, nullable=False),
    Column("type", Text, nullable=False),
    Column("actor_type", Text, nullable=False),
    Column("actor_id", Id),
    Column("data", Json, nullable=False),
    Index("ix_events_subject_id_id", "subject_id", "id"),
    Index("ix_events_type_id", "type", "id"),
    Index("ix_events_actor_id_id", "actor_id", "id"),
)

# A row is also the delivery record. due_at is null when nothing remains to be done.
outbox = Table(
    "outbox",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("subject_id", Id, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("locale", Text),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("due_at", Instant),
    Column("attempts", Integer, nullable=False),
    Column("lease_owner", Id),
    Column("last_at", Instant),
    Column("last_reply", Text),
    Index(
        "ix_outbox_due",
        "priority",
        "due_at",
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
    Index("ix_outbox_subject_id_id", "subject_id", "id"),
    Index("ix_outbox_trouble", "state", "id", sqlite_where=IN_TROUBLE, postgresql_where=IN_TROUBLE),
    Index("ix_outbox_suppressed", "id", sqlite_where=SUPPRESSED, postgresql_where=SUPPRESSED),
    postgresql_with={"autovacuum_vacuum_scale_factor": "0.01"},
)

# Responses to requests with an Idempotency-Key, for 24 hours. Erasure finds them by subject_id.
idempotency = Table(
    "idempotency",
    metadata,
    Column("principal_id", Id, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("location", Text),
    Column("body", LargeBinary, nullable=False),
    Column("subject_id", Id, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index("ix_idempotency_created_at", "created_at"),
    Index("ix_idempotency_subject_id", "subject_id"),
)

# One row per delivery attempt, for the timeline. mail_id: the outbox row; subject_id: the subject of that row.
delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("mail_id", Id, nullable=False),
    Column("subject_id", Id, nullable=False),
    Column("state", Text, nullable=False),
    Column("reply", Text),
    Index("ix_delivery_attempts_subject_id_id", "subject_id", "id"),
)

# How often a link was opened, possibly by a scanner. No decision depends on it: opening is not accepting.
# id: created at the first view, so it contains that instant.
link_views = Table(
    "visits",
    metadata,
    Column("id", Id, primary_key=True),
    Column("invitation_id", Id, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("times", Integer, nullable=False),
    Column("last_at", Instant, nullable=False),
    UniqueConstraint("invitation_id", "generation", name="uq_visits_invitation_id_generation"),
)

# Counts for the overview. A sweep adds the rows behind the cursor of each source, so that no page counts rows.
# day: ISO date of the invitation's creation or of the occurrence, depending on the measure.
figures = Table(
    "figures",
    metadata,
    Column("day", CanonicalText, primary_key=True),
    Column("measure", CanonicalText, primary_key=True),
    Column("dimension", CanonicalText, primary_key=True),
    Column("key", CanonicalText, primary_key=True),
    Column("count", BigInteger, nullable=False),
)

figure_cursors = Table(
    "figure_cursors",
    metadata,
    Column("source", CanonicalText, primary_key=True),
    Column("after_id", Id, nullable=False),
)

# Bulk jobs. The upload stays in job_parts until the job ends. done counts the processed rows, so that a job whose
# process died continues there. due_at and lease_owner work as in the outbox.
jobs = Table(
    "jobs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("actor_type", Text, nullable=False),
    Column("actor_id", Id),
    Column("name", Text),
    Column("media_type", Text, nullable=False),
    Column("options", Json, nullable=False),
    Column("total", Integer),
    Column("done", Integer, nullable=False),
    Column("created", Integer, nullable=False),
    Column("skipped", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("cause", Text),
    Column("due_at", Instant),
    Column("lease_owner", Id),
    Column("finished_at", Instant),
    Index(
        "ix_jobs_due_at", "due_at", sqlite_where=text("due_at IS NOT NULL"), postgresql_where=text("due_at IS NOT NULL")
    ),
    Index("ix_jobs_actor_id_id", "actor_id", "id"),
)

job_parts = Table(
    "job_parts",
    metadata,
    Column("job_id", Id, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

# The result of each row. source: the input row, stored for refused rows so that they can be corrected.
job_rows = Table(
    "job_rows",
    metadata,
    Column("job_id", Id, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("row", Integer, primary_key=True),
    Column("status", Text, nullable=False),
    Column("code", Text),
    Column("detail", Text),
    Column("email", Text),
    Column("email_key", CanonicalText),
    Column("invitation_id", Id),
    Column("source", Json),
    Index("ix_job_rows_email_key", "email_key"),
)

# Named sets of terms, created in the panel. Those of the configuration are not stored here.
invitation_templates = Table(
    "invitation_templates",
    metadata,
    Column("id", Id, primary_key=True),
    Column("key", CanonicalText, nullable=False),
    Column("name", Text, nullable=False),
    Column("terms", Json, nullable=False),
    Column("updated_at", Instant, nullable=False),
    UniqueConstraint("key", name="uq_invitation_templates_key"),
)
