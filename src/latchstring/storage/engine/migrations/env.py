"""The environment of Alembic. It always uses the connection that `storage.engine.schema` passes."""

from alembic import context
from sqlalchemy.engine import Connection

from latchstring.storage.engine.tables import metadata

connection: Connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite")
with context.begin_transaction():
    context.run_migrations()
