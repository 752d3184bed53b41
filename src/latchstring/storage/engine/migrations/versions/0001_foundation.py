"""The foundation: people, groups, invitations, history, mail"""

import sqlalchemy as sa
from alembic import op

from latchstring.storage.engine import types

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "admins",
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("email_key", types.CanonicalText(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("link_generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("deactivated_at", types.Instant(), nullable=True),
        sa.Column("locale", sa.Text(), nullable=True),
        sa.Column("last_login_at", types.Instant(), nullable=True),
        sa.Column("totp_secret", sa.LargeBinary(), nullable=True),
        sa.Column("totp_confirmed_at", types.Instant(), nullable=True),
        sa.Column("totp_last_step", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admins")),
        sa.UniqueConstraint("email_key", name="uq_admins_email_key"),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", types.Json(), nullable=False),
        sa.Column("may_grant", types.Json(), nullable=False),
        sa.Column("may_grant_groups", types.Json(), nullable=False),
        sa.Column("made_by_type", sa.Text(), nullable=False),
        sa.Column("made_by_id", types.Id(), nullable=True),
        sa.Column("expires_at", types.Instant(), nullable=True),
        sa.Column("revoked_at", types.Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("digest", name="uq_api_keys_digest"),
    )
    op.create_table(
        "content",
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("type", types.CanonicalText(), nullable=False),
        sa.Column("key", types.CanonicalText(), nullable=False),
        sa.Column("owner_id", types.Id(), nullable=False),
        sa.Column("visibility", sa.SmallInteger(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("data", types.Json(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", types.Instant(), nullable=False),
        sa.Column("search_title", types.CanonicalText(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_content")),
        sa.UniqueConstraint("type", "key", name="uq_content_type_key"),
    )
    with op.batch_alter_table("content", schema=None) as batch_op:
        batch_op.create_index("ix_content_owner_id_type_id", ["owner_id", "type", "id"], unique=False)
        batch_op.create_index(
            "ix_content_public",
            ["visibility", "type", "id"],
            unique=False,
            sqlite_where=sa.text("visibility = 2"),
            postgresql_where=sa.text("visibility = 2"),
        )
        batch_op.create_index("ix_content_search_title", ["search_title", "id"], unique=False)
        batch_op.create_index("ix_content_type_id", ["type", "id"], unique=False)
        batch_op.create_index("ix_content_type_search_title_id", ["type", "search_title", "id"], unique=False)

    op.create_table(
        "delivery_attempts",
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("mail_id", types.Id(), nullable=False),
        sa.Column("subject_id", types.Id(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reply", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_attempts")),
    )
    with op.batch_alter_table("delivery_attempts", schema=None) as batch_op:
        batch_op.create_index("ix_delivery_attempts_subject_id_id", ["subject_id", "id"], unique=False)

    op.create_table(
        "events",
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("subject_id", types.Id(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("actor_type", sa.Text(), nullable=False),
        sa.Column("actor_id", types.Id(), nullable=True),
        sa.Column("data", types.Json(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.create_index("ix_events_actor_id_id", ["actor_id", "id"], unique=False)
        batch_op.create_index("ix_events_subject_id_id", ["subject_id", "id"], unique=False)
        batch_op.create_index("ix_events_type_id", ["type", "id"], unique=False)

    op.create_table(
        "figure_cursors",
        sa.Column("source", types.CanonicalText(), nullable=False),
        sa.Column("after_id", types.Id(), nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_figure_cursors")),
    )
    op.create_table(
        "figures",
        sa.Column("day", types.CanonicalText(), nullable=False),
        sa.Column("measure", types.CanonicalText(), nullable=False),
        sa.Column("dimension", types.CanonicalText(), nullable=False),
        sa.Column("key", types.CanonicalText(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "measure", "dimension", "key", name=op.f("pk_figures")),
    )
    op.create_table(
        "groups",
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("key", types.CanonicalText(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("translations", types.Json(), nullable=False),
        sa.Column("search_name", types.CanonicalText(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_groups")),
        sa.UniqueConstraint("key", name="uq_groups_key"),
    )
    with op.batch_alter_table("groups", schema=None) as batch_op:
        batch_op.create_index("ix_groups_search_name", ["search_name", "id"], unique=False)

    op.create_table(
        "idempotency",
        sa.Column("principal_id", types.Id(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("subject_id", types.Id(), nullable=False),
        sa.Column("created_at", types.Instant(), nullable=False),
        sa.PrimaryKeyConstraint("principal_id", "route", "key", name=op.f("pk_idempotency")),
    )
    with op.batch_alter_table("idempotency", schema=None) as batch_op:
        batch_op.create_index("ix_idempotency_created_at", ["created_at"], unique=False)
        batch_op.create_index("ix_idempotency_subject_id", ["subject_id"], unique=False)

    op.create_table(
        "installation",
        sa.Column("one", sa.SmallInteger(), nullable=False),
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("created_at", types.Instant(), nullable=False),
        sa.CheckConstraint("one = 1", name=op.f("ck_installation_single")),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_installation")),
    )
    op.create_table(
        "invitation_templates",
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("key", types.CanonicalText(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("terms", types.Json(), nullable=False),
        sa.Column("updated_at", types.Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitation_templates")),
        sa.UniqueConstraint("key", name="uq_invitation_templates_key"),
    )
    op.create_table(
        "invitations",
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("email_key", types.CanonicalText(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("terms_key", types.Id(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("inviter_type", sa.Text(), nullable=False),
        sa.Column("inviter_id", types.Id(), nullable=True),
        sa.Column("lifetime_seconds", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("link_starts_at", types.Instant(), nullable=False),
        sa.Column("expires_at", types.Instant(), nullable=False),
        sa.Column("sponsor_type", sa.Text(), nullable=False),
        sa.Column("sponsor_id", types.Id(), nullable=True),
        sa.Column("master_key_id", sa.Text(), nullable=False),
        sa.Column("ended_at", types.Instant(), nullable=True),
        sa.Column("accepted_by", types.Id(), nullable=True),
        sa.Column("first_name", sa.Text(), nullable=True),
        sa.Column("last_name", sa.Text(), nullable=True),
        sa.Column("search_name", types.CanonicalText(), nullable=True),
        sa.Column("search_last_name", types.CanonicalText(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("locale", sa.Text(), nullable=True),
        sa.Column("metadata", types.Json(), nullable=True),
        sa.Column("redirect_url", sa.Text(), nullable=True),
        sa.Column("renewals", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("renewed_at", types.Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
    )
    with op.batch_alter_table("invitations", schema=None) as batch_op:
        batch_op.create_index(
            "ix_invitations_accepted",
            ["ended_at", "id"],
            unique=False,
            sqlite_where=sa.text("state = 1"),
            postgresql_where=sa.text("state = 1"),
        )
        batch_op.create_index("ix_invitations_email_key_id", ["email_key", "id"], unique=False)
        batch_op.create_index("ix_invitations_expires_at_id", ["expires_at", "id"], unique=False)
        batch_op.create_index(
            "ix_invitations_expiring",
            ["expires_at"],
            unique=False,
            sqlite_where=sa.text("state = 0"),
            postgresql_where=sa.text("state = 0"),
        )
        batch_op.create_index("ix_invitations_inviter_id_id", ["inviter_id", "id"], unique=False)
        batch_op.create_index("ix_invitations_role_id", ["role", "id"], unique=False)
        batch_op.create_index("ix_invitations_search_last_name", ["search_last_name"], unique=False)
        batch_op.create_index("ix_invitations_search_name", ["search_name"], unique=False)
        batch_op.create_index("ix_invitations_state_id", ["state", "id"], unique=False)
        batch_op.create_index(
            "uq_invitations_pending_terms",
            ["terms_key"],
            unique=True,
            sqlite_where=sa.text("state = 0"),
            postgresql_where=sa.text("state = 0"),
        )

    op.create_table(
        "jobs",
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("actor_type", sa.Text(), nullable=False),
        sa.Column("actor_id", types.Id(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("options", types.Json(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("created", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("due_at", types.Instant(), nullable=True),
        sa.Column("lease_owner", types.Id(), nullable=True),
        sa.Column("finished_at", types.Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.create_index("ix_jobs_actor_id_id", ["actor_id", "id"], unique=False)
        batch_op.create_index(
            "ix_jobs_due_at",
            ["due_at"],
            unique=False,
            sqlite_where=sa.text("due_at IS NOT NULL"),
            postgresql_where=sa.text("due_at IS NOT NULL"),
        )

    op.create_table(
        "master_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", types.Instant(), nullable=False),
        sa.Column("retired_at", types.Instant(), nullable=True),
        sa.Column("compromised_at", types.Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_master_keys")),
    )
    op.create_table(
        "outbox",
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject_id", types.Id(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("due_at", types.Instant(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_owner", types.Id(), nullable=True),
        sa.Column("last_at", types.Instant(), nullable=True),
        sa.Column("last_reply", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        postgresql_with={"autovacuum_vacuum_scale_factor": "0.01"},
    )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index(
            "ix_outbox_due",
            ["priority", "due_at"],
            unique=False,
            sqlite_where=sa.text("due_at IS NOT NULL"),
            postgresql_where=sa.text("due_at IS NOT NULL"),
        )
        batch_op.create_index("ix_outbox_subject_id_id", ["subject_id", "id"], unique=False)
        batch_op.create_index(
            "ix_outbox_suppressed",
            ["id"],
            unique=False,
            sqlite_where=sa.text("state = 'SUPPRESSED'"),
            postgresql_where=sa.text("state = 'SUPPRESSED'"),
        )
        batch_op.create_index(
            "ix_outbox_trouble",
            ["state", "id"],
            unique=False,
            sqlite_where=sa.text("state IN ('BOUNCED', 'DEFERRED', 'FAILED')"),
            postgresql_where=sa.text("state IN ('BOUNCED', 'DEFERRED', 'FAILED')"),
        )

    op.create_table(
        "users",
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("email_key", types.CanonicalText(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("email_verified", sa.Boolean(), nullable=False),
        sa.Column("external_id", types.CanonicalText(), nullable=True),
        sa.Column("first_name", sa.Text(), nullable=False),
        sa.Column("last_name", sa.Text(), nullable=False),
        sa.Column("search_name", types.CanonicalText(), nullable=False),
        sa.Column("search_last_name", types.CanonicalText(), nullable=False),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("locale", sa.Text(), nullable=True),
        sa.Column("blocked", sa.Boolean(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("link_generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("terms_version", sa.Text(), nullable=True),
        sa.Column("terms_accepted_at", types.Instant(), nullable=True),
        sa.Column("last_login_at", types.Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email_key", name="uq_users_email_key"),
        sa.UniqueConstraint("external_id", name="uq_users_external_id"),
    )
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.create_index(
            "ix_users_blocked",
            ["id"],
            unique=False,
            sqlite_where=sa.text("blocked"),
            postgresql_where=sa.text("blocked"),
        )
        batch_op.create_index("ix_users_role_id", ["role", "id"], unique=False)
        batch_op.create_index("ix_users_search_last_name_id", ["search_last_name", "id"], unique=False)
        batch_op.create_index("ix_users_search_name_id", ["search_name", "id"], unique=False)
        batch_op.create_index(
            "ix_users_unverified",
            ["id"],
            unique=False,
            sqlite_where=sa.text("NOT email_verified"),
            postgresql_where=sa.text("NOT email_verified"),
        )

    op.create_table(
        "visits",
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("invitation_id", types.Id(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("last_at", types.Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visits")),
        sa.UniqueConstraint("invitation_id", "generation", name="uq_visits_invitation_id_generation"),
    )
    op.create_table(
        "admin_recovery_codes",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("admin_id", types.Id(), nullable=False),
        sa.Column("used_at", types.Instant(), nullable=True),
        sa.ForeignKeyConstraint(
            ["admin_id"], ["admins.id"], name=op.f("fk_admin_recovery_codes_admin_id_admins"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_admin_recovery_codes")),
    )
    with op.batch_alter_table("admin_recovery_codes", schema=None) as batch_op:
        batch_op.create_index("ix_admin_recovery_codes_admin_id", ["admin_id"], unique=False)

    op.create_table(
        "admin_sessions",
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("admin_id", types.Id(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("awaits_code", sa.Boolean(), nullable=False),
        sa.Column("expires_at", types.Instant(), nullable=False),
        sa.Column("last_seen_at", types.Instant(), nullable=False),
        sa.Column("ended_at", types.Instant(), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("network", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["admin_id"], ["admins.id"], name=op.f("fk_admin_sessions_admin_id_admins"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_sessions")),
        sa.UniqueConstraint("digest", name="uq_admin_sessions_digest"),
    )
    with op.batch_alter_table("admin_sessions", schema=None) as batch_op:
        batch_op.create_index("ix_admin_sessions_admin_id", ["admin_id"], unique=False)
        batch_op.create_index("ix_admin_sessions_expires_at", ["expires_at"], unique=False)

    op.create_table(
        "content_grants",
        sa.Column("content_id", types.Id(), nullable=False),
        sa.Column("subject_id", types.Id(), nullable=False),
        sa.Column("subject_kind", sa.SmallInteger(), nullable=False),
        sa.Column("type", types.CanonicalText(), nullable=False),
        sa.Column("role", sa.SmallInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["content_id"], ["content.id"], name=op.f("fk_content_grants_content_id_content"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("content_id", "subject_id", name=op.f("pk_content_grants")),
    )
    with op.batch_alter_table("content_grants", schema=None) as batch_op:
        batch_op.create_index("ix_content_grants_subject", ["subject_id", "type", "role", "content_id"], unique=False)

    op.create_table(
        "group_members",
        sa.Column("user_id", types.Id(), nullable=False),
        sa.Column("group_id", types.Id(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["groups.id"], name=op.f("fk_group_members_group_id_groups"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_group_members_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "group_id", name=op.f("pk_group_members")),
    )
    with op.batch_alter_table("group_members", schema=None) as batch_op:
        batch_op.create_index("ix_group_members_group_id_user_id", ["group_id", "user_id"], unique=False)

    op.create_table(
        "invitation_grants",
        sa.Column("invitation_id", types.Id(), nullable=False),
        sa.Column("target_id", types.Id(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("target_type", sa.Text(), nullable=True),
        sa.Column("target_key", sa.Text(), nullable=False),
        sa.Column("role", sa.SmallInteger(), nullable=True),
        sa.Column("voided_at", types.Instant(), nullable=True),
        sa.ForeignKeyConstraint(
            ["invitation_id"],
            ["invitations.id"],
            name=op.f("fk_invitation_grants_invitation_id_invitations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("invitation_id", "target_id", name=op.f("pk_invitation_grants")),
    )
    with op.batch_alter_table("invitation_grants", schema=None) as batch_op:
        batch_op.create_index(
            "ix_invitation_grants_content",
            ["target_type", "target_key", "invitation_id"],
            unique=False,
            sqlite_where=sa.text("kind = 2"),
            postgresql_where=sa.text("kind = 2"),
        )
        batch_op.create_index(
            "ix_invitation_grants_target_id_invitation_id", ["target_id", "invitation_id"], unique=False
        )

    op.create_table(
        "job_parts",
        sa.Column("job_id", types.Id(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_parts_job_id_jobs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "part", name=op.f("pk_job_parts")),
    )
    op.create_table(
        "job_rows",
        sa.Column("job_id", types.Id(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("email_key", types.CanonicalText(), nullable=True),
        sa.Column("invitation_id", types.Id(), nullable=True),
        sa.Column("source", types.Json(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_rows_job_id_jobs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "row", name=op.f("pk_job_rows")),
    )
    with op.batch_alter_table("job_rows", schema=None) as batch_op:
        batch_op.create_index("ix_job_rows_email_key", ["email_key"], unique=False)

    op.create_table(
        "saved_views",
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("admin_id", types.Id(), nullable=False),
        sa.Column("page", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["admin_id"], ["admins.id"], name=op.f("fk_saved_views_admin_id_admins"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_views")),
        sa.UniqueConstraint("admin_id", "page", "name", name="uq_saved_views_admin_id_page_name"),
    )
    op.create_table(
        "sessions",
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("user_id", types.Id(), nullable=False),
        sa.Column("expires_at", types.Instant(), nullable=False),
        sa.Column("ended_at", types.Instant(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.create_index("ix_sessions_expires_at", ["expires_at"], unique=False)
        batch_op.create_index("ix_sessions_user_id", ["user_id"], unique=False)

    op.create_table(
        "refresh_tokens",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("session_id", types.Id(), nullable=False),
        sa.Column("used_at", types.Instant(), nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_refresh_tokens_session_id_sessions"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_refresh_tokens")),
    )
    with op.batch_alter_table("refresh_tokens", schema=None) as batch_op:
        batch_op.create_index("ix_refresh_tokens_session_id", ["session_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("refresh_tokens", schema=None) as batch_op:
        batch_op.drop_index("ix_refresh_tokens_session_id")

    op.drop_table("refresh_tokens")
    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.drop_index("ix_sessions_user_id")
        batch_op.drop_index("ix_sessions_expires_at")

    op.drop_table("sessions")
    op.drop_table("saved_views")
    with op.batch_alter_table("job_rows", schema=None) as batch_op:
        batch_op.drop_index("ix_job_rows_email_key")

    op.drop_table("job_rows")
    op.drop_table("job_parts")
    with op.batch_alter_table("invitation_grants", schema=None) as batch_op:
        batch_op.drop_index("ix_invitation_grants_target_id_invitation_id")
        batch_op.drop_index(
            "ix_invitation_grants_content", sqlite_where=sa.text("kind = 2"), postgresql_where=sa.text("kind = 2")
        )

    op.drop_table("invitation_grants")
    with op.batch_alter_table("group_members", schema=None) as batch_op:
        batch_op.drop_index("ix_group_members_group_id_user_id")

    op.drop_table("group_members")
    with op.batch_alter_table("content_grants", schema=None) as batch_op:
        batch_op.drop_index("ix_content_grants_subject")

    op.drop_table("content_grants")
    with op.batch_alter_table("admin_sessions", schema=None) as batch_op:
        batch_op.drop_index("ix_admin_sessions_expires_at")
        batch_op.drop_index("ix_admin_sessions_admin_id")

    op.drop_table("admin_sessions")
    with op.batch_alter_table("admin_recovery_codes", schema=None) as batch_op:
        batch_op.drop_index("ix_admin_recovery_codes_admin_id")

    op.drop_table("admin_recovery_codes")
    op.drop_table("visits")
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_users_unverified",
            sqlite_where=sa.text("NOT email_verified"),
            postgresql_where=sa.text("NOT email_verified"),
        )
        batch_op.drop_index("ix_users_search_name_id")
        batch_op.drop_index("ix_users_search_last_name_id")
        batch_op.drop_index("ix_users_role_id")
        batch_op.drop_index("ix_users_blocked", sqlite_where=sa.text("blocked"), postgresql_where=sa.text("blocked"))

    op.drop_table("users")
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_outbox_trouble",
            sqlite_where=sa.text("state IN ('BOUNCED', 'DEFERRED', 'FAILED')"),
            postgresql_where=sa.text("state IN ('BOUNCED', 'DEFERRED', 'FAILED')"),
        )
        batch_op.drop_index(
            "ix_outbox_suppressed",
            sqlite_where=sa.text("state = 'SUPPRESSED'"),
            postgresql_where=sa.text("state = 'SUPPRESSED'"),
        )
        batch_op.drop_index("ix_outbox_subject_id_id")
        batch_op.drop_index(
            "ix_outbox_due", sqlite_where=sa.text("due_at IS NOT NULL"), postgresql_where=sa.text("due_at IS NOT NULL")
        )

    op.drop_table("outbox")
    op.drop_table("master_keys")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_jobs_due_at", sqlite_where=sa.text("due_at IS NOT NULL"), postgresql_where=sa.text("due_at IS NOT NULL")
        )
        batch_op.drop_index("ix_jobs_actor_id_id")

    op.drop_table("jobs")
    with op.batch_alter_table("invitations", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_invitations_pending_terms", sqlite_where=sa.text("state = 0"), postgresql_where=sa.text("state = 0")
        )
        batch_op.drop_index("ix_invitations_state_id")
        batch_op.drop_index("ix_invitations_search_name")
        batch_op.drop_index("ix_invitations_search_last_name")
        batch_op.drop_index("ix_invitations_role_id")
        batch_op.drop_index("ix_invitations_inviter_id_id")
        batch_op.drop_index(
            "ix_invitations_expiring", sqlite_where=sa.text("state = 0"), postgresql_where=sa.text("state = 0")
        )
        batch_op.drop_index("ix_invitations_expires_at_id")
        batch_op.drop_index("ix_invitations_email_key_id")
        batch_op.drop_index(
            "ix_invitations_accepted", sqlite_where=sa.text("state = 1"), postgresql_where=sa.text("state = 1")
        )

    op.drop_table("invitations")
    op.drop_table("invitation_templates")
    op.drop_table("installation")
    with op.batch_alter_table("idempotency", schema=None) as batch_op:
        batch_op.drop_index("ix_idempotency_subject_id")
        batch_op.drop_index("ix_idempotency_created_at")

    op.drop_table("idempotency")
    with op.batch_alter_table("groups", schema=None) as batch_op:
        batch_op.drop_index("ix_groups_search_name")

    op.drop_table("groups")
    op.drop_table("figures")
    op.drop_table("figure_cursors")
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.drop_index("ix_events_type_id")
        batch_op.drop_index("ix_events_subject_id_id")
        batch_op.drop_index("ix_events_actor_id_id")

    op.drop_table("events")
    with op.batch_alter_table("delivery_attempts", schema=None) as batch_op:
        batch_op.drop_index("ix_delivery_attempts_subject_id_id")

    op.drop_table("delivery_attempts")
    with op.batch_alter_table("content", schema=None) as batch_op:
        batch_op.drop_index("ix_content_type_search_title_id")
        batch_op.drop_index("ix_content_type_id")
        batch_op.drop_index("ix_content_search_title")
        batch_op.drop_index(
            "ix_content_public", sqlite_where=sa.text("visibility = 2"), postgresql_where=sa.text("visibility = 2")
        )
        batch_op.drop_index("ix_content_owner_id_type_id")

    op.drop_table("content")
    op.drop_table("api_keys")
    op.drop_table("admins")
