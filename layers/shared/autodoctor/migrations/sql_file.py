"""What every migration does: run its .sql file as it stands."""

from pathlib import Path

from alembic import op

SQL = Path(__file__).parent.parent / "sql"


def run(name: str) -> None:
    """Execute `sql/<name>.sql` in the current transaction.

    The file goes to the driver as one string without parameters, so that neither a colon nor a per
    cent sign in it means anything, and no parser of SQL but PostgreSQL's own has to understand it.
    """
    driver = op.get_bind().connection.driver_connection
    if driver is None:
        raise RuntimeError("the connection was closed before its migration ran")
    driver.execute((SQL / f"{name}.sql").read_text())
