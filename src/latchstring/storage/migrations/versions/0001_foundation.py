"""The foundation: people, groups, invitations, history, mail"""

import sqlalchemy as sa
from alembic import op

from latchstring.storage import types

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
        batch_op.create_index("ix_content_type_id", ["type", "id"], unique=False)

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
        batch_op.create_index("ix_events_subject_id_id", ["subject_id", "id"], unique=False)

    op.create_table(
        "groups",
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("key", types.CanonicalText(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("translations", types.Json(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_groups")),
        sa.UniqueConstraint("key", name="uq_groups_key"),
    )
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
        batch_op.create_index("ix_invitations_email_key_id", ["email_key", "id"], unique=False)
        batch_op.create_index(
            "ix_invitations_expiring",
            ["expires_at"],
            unique=False,
            sqlite_where=sa.text("state = 0"),
            postgresql_where=sa.text("state = 0"),
        )
        batch_op.create_index("ix_invitations_inviter_id_id", ["inviter_id", "id"], unique=False)
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
        batch_op.create_index("ix_users_role_id", ["role", "id"], unique=False)
        batch_op.create_index("ix_users_search_last_name", ["search_last_name"], unique=False)
        batch_op.create_index("ix_users_search_name", ["search_name"], unique=False)

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
            "ix_invitation_grants_target_id_invitation_id", ["target_id", "invitation_id"], unique=False
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
    with op.batch_alter_table("invitation_grants", schema=None) as batch_op:
        batch_op.drop_index("ix_invitation_grants_target_id_invitation_id")

    op.drop_table("invitation_grants")
    with op.batch_alter_table("group_members", schema=None) as batch_op:
        batch_op.drop_index("ix_group_members_group_id_user_id")

    op.drop_table("group_members")
    with op.batch_alter_table("content_grants", schema=None) as batch_op:
        batch_op.drop_index("ix_content_grants_subject")

    op.drop_table("content_grants")
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.drop_index("ix_users_search_name")
        batch_op.drop_index("ix_users_search_last_name")
        batch_op.drop_index("ix_users_role_id")

    op.drop_table("users")
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.drop_index("ix_outbox_subject_id_id")
        batch_op.drop_index(
            "ix_outbox_due", sqlite_where=sa.text("due_at IS NOT NULL"), postgresql_where=sa.text("due_at IS NOT NULL")
        )

    op.drop_table("outbox")
    op.drop_table("master_keys")
    with op.batch_alter_table("invitations", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_invitations_pending_terms", sqlite_where=sa.text("state = 0"), postgresql_where=sa.text("state = 0")
        )
        batch_op.drop_index("ix_invitations_state_id")
        batch_op.drop_index("ix_invitations_search_name")
        batch_op.drop_index("ix_invitations_search_last_name")
        batch_op.drop_index("ix_invitations_inviter_id_id")
        batch_op.drop_index(
            "ix_invitations_expiring", sqlite_where=sa.text("state = 0"), postgresql_where=sa.text("state = 0")
        )
        batch_op.drop_index("ix_invitations_email_key_id")

    op.drop_table("invitations")
    op.drop_table("installation")
    with op.batch_alter_table("idempotency", schema=None) as batch_op:
        batch_op.drop_index("ix_idempotency_subject_id")
        batch_op.drop_index("ix_idempotency_created_at")

    op.drop_table("idempotency")
    op.drop_table("groups")
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.drop_index("ix_events_subject_id_id")

    op.drop_table("events")
    with op.batch_alter_table("content", schema=None) as batch_op:
        batch_op.drop_index("ix_content_type_id")
        batch_op.drop_index(
            "ix_content_public", sqlite_where=sa.text("visibility = 2"), postgresql_where=sa.text("visibility = 2")
        )
        batch_op.drop_index("ix_content_owner_id_type_id")

    op.drop_table("content")
    op.drop_table("api_keys")
    op.drop_table("admins")
