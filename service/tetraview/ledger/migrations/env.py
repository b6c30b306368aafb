"""Alembic's entry: migrates over the connection that `tetraview.ledger.database.migrate` hands over."""

from alembic import context

from tetraview.ledger.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
