"""A real PostgreSQL server of the tests' own. It refuses to run as root; then it is `postgres`."""

import glob
import os
import pathlib
import shutil
import subprocess
import tempfile

from support import Program, free_port


class Server:
    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="postgres-"))
        self.port = free_port()
        data = self.directory / "data"
        if os.geteuid() == 0:
            shutil.chown(self.directory, "postgres", "postgres")
        self.run(
            "initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8",
            "--no-sync", "--no-instructions", f"--pgdata={data}",
        )
        self.program = Program(
            as_somebody(
                "postgres", "-D", data, "-p", self.port, "-k", self.directory,
                "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "full_page_writes=off",
            ),
            port=self.port,
        )
        self.program.wait_for(lambda: "ready to accept connections" in "\n".join(self.program.lines))

    def run(self, *arguments):
        subprocess.run(as_somebody(*arguments), check=True, stdout=subprocess.DEVNULL)

    def new_database(self, name):
        self.run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", name)

    def structure(self, name):
        """The definitions of the project's tables."""
        done = subprocess.run(
            as_somebody(
                "pg_dump", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres", "--schema-only",
                *(f"--table={pattern}" for pattern in ("auth_*", "django_*", "polls_*", "members_*")),
                name,
            ),
            text=True, stdout=subprocess.PIPE, check=True,
        )
        # A word that is another in each dump.
        lines = done.stdout.splitlines()
        return [line for line in lines if not line.startswith(("\\restrict", "\\unrestrict"))]

    def stop(self):
        self.program.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


def as_somebody(name, *arguments):
    """A program of the server's, as a user that it accepts."""
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    assert found, f"there is no {name}; tests/run installs it"
    command = [found[-1], *map(str, arguments)]
    if os.geteuid() == 0:
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--", *command]
    return command
