"""Which procedure a user means: by its procedure_id or the beginning of it, its accession number or its study UID."""

from __future__ import annotations

import duckdb

from ingest.problems import UserError

CHARACTERS = 8  # of a procedure_id that name a procedure: pages print so many


def procedure_named(connection: duckdb.DuckDBPyConnection, name: str) -> str:
    """Return the procedure_id that a published database has for a name.

    Raises:
        UserError: no procedure, or several, have that name.
    """
    found = [procedure_id for (procedure_id,) in connection.execute(_NAMED, {"name": name}).fetchall()]
    if not found:
        raise UserError(
            f"The publication has no procedure {name!r}: give a procedure_id, its first {CHARACTERS} characters or"
            " more, an accession number or a Study Instance UID, as marts.fct_procedure has them."
        )
    if len(found) > 1:
        raise UserError(f"{name!r} names {len(found)} procedures: {', '.join(found)}; give one of these.")
    return str(found[0])


# A whole identifier wins over what only begins or is named so.
_NAMED = f"""
    select procedure_id
    from marts.fct_procedure
    where
        procedure_id = $name or study_instance_uid = $name or accession_number = $name
        or (length($name) >= {CHARACTERS} and starts_with(procedure_id, $name))
    qualify rank() over (order by procedure_id <> $name) = 1
    order by procedure_id
"""
