"""The database roles: one owns the tables, one serves and owns nothing, two more see across tenants on purpose."""

OWNER = "assay_owner"
APPLICATION = "assay_app"
DIRECTORY = "assay_directory"
TIMETABLE = "assay_timetable"
DATABASE = "assay"


def statements() -> str:
    """SQL for psql that an administrator runs before the first migration, and may run again.

    Passwords are theirs to set. No attribute is named that a managed PostgreSQL reserves for its superuser: a new role
    has none of them, and the application refuses to start with one.
    """
    return f"""\
{_role(OWNER, "LOGIN")}
{_role(APPLICATION, "LOGIN")}
{_role(DIRECTORY, "NOLOGIN")}
{_role(TIMETABLE, "NOLOGIN")}
-- Not inherited: the application sees across tenants only where it says SET LOCAL ROLE.
GRANT {DIRECTORY}, {TIMETABLE} TO {APPLICATION} WITH INHERIT FALSE, SET TRUE;
-- A session that names no tenant sees nothing, instead of failing on an unknown setting.
ALTER ROLE {APPLICATION} SET app.tenant_id = '0';
-- Only a member of a role may give it a database.
GRANT {OWNER} TO CURRENT_USER;
SELECT 'CREATE DATABASE {DATABASE} OWNER {OWNER}'
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{DATABASE}') \\gexec
REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE {DATABASE} TO {APPLICATION};
"""  # noqa: S608 # names from this file


def _role(name: str, attributes: str) -> str:
    return f"""\
SELECT 'CREATE ROLE {name}' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') \\gexec
ALTER ROLE {name} {attributes};"""  # noqa: S608 # names from this file
