"""A PostgreSQL of its own, for what only a real one can be: up, reachable, and read-only."""

import asyncio
import os
import pathlib
import shutil
import subprocess
import time

from proxies import end
from stage import free_ports


class Postgres:
    """One cluster in `folder`. It refuses to run as root, so it runs as the user postgres then."""

    def __init__(self, folder):
        self.folder, self.process = folder, None
        (self.port,) = free_ports(1)
        programs = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
        self.programs = programs[-1] if programs else pathlib.Path("/usr/bin")
        # exec'd away by setpriv, so that the process that is started is the server itself
        self.as_owner = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"] if os.geteuid() == 0 else []

    async def start(self):
        self.folder.mkdir(parents=True)
        if self.as_owner:
            shutil.chown(self.folder, "postgres", "postgres")
        await self.run("initdb", "--auth=trust", "--username=app", "--no-sync", "--pgdata", self.folder / "data")
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.folder, "fsync": "off", "shared_buffers": "16MB"}
        flags = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        with open(self.folder / "log", "ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.as_owner, self.programs / "postgres", "-D", self.folder / "data", *flags, stdout=log, stderr=log, start_new_session=True, cwd="/")
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if await self.sql("SELECT 1"):
                return
            await asyncio.sleep(0.05)
        raise RuntimeError(f"PostgreSQL does not answer: {self.folder}/log")

    def check(self):
        return (f'{{ kind = "postgres", address = "127.0.0.1:{self.port}", user = "app", password = "none", '
                f'database = "postgres", expect = "writable" }}')

    async def read_only(self, wanted):
        await self.sql(f"ALTER SYSTEM SET default_transaction_read_only = {'on' if wanted else 'off'}", "SELECT pg_reload_conf()")

    async def sql(self, *statements):
        commands = [word for statement in statements for word in ("-c", statement)]
        address = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "app", "-d", "postgres"]
        return await self.run("psql", "-q", *address, "-c", "SET default_transaction_read_only = off", *commands, check=False)

    async def run(self, program, *arguments, check=True):
        done = await asyncio.create_subprocess_exec(
            *self.as_owner, self.programs / program, *map(str, arguments), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/")
        _, trouble = await done.communicate()
        if check and done.returncode:
            raise RuntimeError(f"{program}: {trouble.decode()}")
        return done.returncode == 0

    async def stop(self):
        if self.process:
            await end(self.process, patience=5)
