"""A real PostgreSQL for tests and measurements, on a socket and port of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa


def postgresql_programs() -> Path | None:
    """The folder of PostgreSQL's programs; None where it is not installed."""
    return next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)


@contextmanager
def running_postgresql(programs: Path) -> Iterator[str]:
    """The URL of a new server, without a database's name; it is gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="tetraview-postgresql-"))
    # PostgreSQL refuses to run as root.
    user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    if user:
        shutil.chown(folder, "postgres")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder}"
    cluster = folder / "cluster"

    def run(program: str, *arguments: str) -> None:
        command = [*user, str(programs / program), "-D", str(cluster), *arguments]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    run("initdb", "--auth=trust", "--username=tetraview")
    run("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield f"postgresql+psycopg://tetraview@127.0.0.1:{port}"
    finally:
        run("pg_ctl", "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder)


def new_database(server: str, name: str) -> str:
    """The URL of a fresh, empty database."""
    engine = sa.create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return f"{server}/{name}"


def postgresql_processes(database_url: str) -> list[int]:
    """Every process of the server of a database."""
    engine = sa.create_engine(database_url)
    with engine.connect() as connection:
        folder = Path(str(connection.exec_driver_sql("SHOW data_directory").scalar_one()))
    engine.dispose()
    first = int((folder / "postmaster.pid").read_text().splitlines()[0])
    children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    return [first, *map(int, children)]
