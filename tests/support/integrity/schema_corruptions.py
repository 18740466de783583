"""At least one way to corrupt the schema of a database for every check of verify that looks at it."""

from typing import Final

type SchemaCorruption = tuple[str, ...]

SCHEMA: Final[dict[str, list[SchemaCorruption]]] = {
    "schema_revision": [("DELETE FROM schema_migrations WHERE name > '0001'",), ("DROP TABLE schema_migrations",)],
    "schema_missing": [
        ("DROP FUNCTION requeue_poison()",),
        ("DROP TRIGGER sessions_consistent ON sessions",),
        ("ALTER TABLE payout_reversals DROP CONSTRAINT payout_reversals_once",),
        ("DROP INDEX uq_active_session_per_customer",),
        ("ALTER TABLE session_summaries DROP COLUMN told_version",),
    ],
    "schema_changed": [
        ("CREATE OR REPLACE FUNCTION min_billable_seconds() RETURNS integer LANGUAGE sql STABLE AS 'SELECT 1'",),
        ("ALTER TABLE sessions DISABLE TRIGGER sessions_guard",),
        (
            "ALTER TABLE sessions DROP CONSTRAINT sessions_completed_iff_long_enough",
            "ALTER TABLE sessions ADD CONSTRAINT sessions_completed_iff_long_enough CHECK (status <> 'none')",
        ),
        ("ALTER FUNCTION sessions_guard() SECURITY INVOKER",),
        ("ALTER TABLE intakes ALTER COLUMN concern DROP NOT NULL",),
    ],
    "schema_foreign": [
        (
            "CREATE FUNCTION public.meddle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
            "CREATE TRIGGER meddle BEFORE UPDATE ON payouts FOR EACH ROW EXECUTE FUNCTION public.meddle()",
        ),
    ],
    "schema_privileges": [
        ("GRANT TRUNCATE, UPDATE, DELETE ON ledger_transfer TO autodoctor_app",),
        ("GRANT SELECT ON customers TO PUBLIC",),
        ("GRANT UPDATE (amount) ON ledger_transfer TO autodoctor_app",),
        ("REVOKE INSERT (key) ON ledger_transfer FROM autodoctor_app",),
        ("GRANT EXECUTE ON FUNCTION erase_customer(uuid, text) TO autodoctor_app",),
        ("GRANT SELECT ON ledger_transfer TO autodoctor_app WITH GRANT OPTION",),
        ("GRANT CREATE ON SCHEMA public TO PUBLIC",),
        ("GRANT ALL ON SEQUENCE event_sequence TO PUBLIC",),
    ],
    "schema_owner": [
        ("ALTER TABLE ledger_transfer OWNER TO autodoctor_app",),
        ("ALTER TABLE sessions OWNER TO postgres",),
        ("ALTER FUNCTION sessions_guard() OWNER TO autodoctor_app",),
    ],
}
