"""What every test gets: a home of its own, no keys, no network but loopback."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from onetake.cli import app
from onetake.cli.output import guarded
from onetake.settings import Settings
from onetake.testing import SandboxServer, sandbox_server
from onetake.testing.suite import sample_picture


class OutsideNetwork(BaseException):
    """A test tried to leave this machine; not an Exception, so that nothing swallows it."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--media``."""
    parser.addoption("--media", choices=("fast", "full"), default="fast", help="frames per film")


_SECRETS = ("FAL_", "KLING", "Kling_", "PAINTBOX")
_OWN = ("ONETAKE_HOME", "ONETAKE_LEDGER", "ONETAKE_SANDBOX", "ONETAKE_PLUGINS", "ONETAKE_ACCOUNT")


@pytest.fixture(autouse=True)
def clean_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """No keys from outside, and a fresh ``ONETAKE_HOME``."""
    for name in list(os.environ):
        if name.startswith(_SECRETS) or name in _OWN:
            monkeypatch.delenv(name)
    monkeypatch.setenv("ONETAKE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ONETAKE_SANDBOX_MEDIA", request.config.getoption("--media"))
    monkeypatch.setenv("ONETAKE_SANDBOX_SECONDS_PER_JOB", "0")
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that would leave the machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else "127.0.0.1"
        if host not in ("127.0.0.1", "::1", "localhost"):
            raise OutsideNetwork(f"a test tried to reach {host}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture
def inside(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line as its own process would; starting one takes longer than the command."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["onetake", *arguments])
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        code = guarded(app)
        told = capsys.readouterr()
        return subprocess.CompletedProcess(list(arguments), code, told.out, told.err)

    return run


@pytest.fixture(scope="session")
def one_server() -> Iterator[SandboxServer]:
    """One sandbox server for all tests that can share it."""
    with sandbox_server() as server:
        yield server


@pytest.fixture
def server(one_server: SandboxServer) -> SandboxServer:
    """The shared server, empty."""
    one_server.reset()
    return one_server


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with little patience."""
    return Settings(home=tmp_path / "home", submit_patience=1.0, sandbox_seconds_per_job=0.0)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a real PostgreSQL server that this test run starts itself."""
    from tests.postgres import postgres_server

    with postgres_server() as url:
        yield url


@pytest.fixture
def postgres_database(postgres: str) -> Iterator[str]:
    """URL of an empty database on it."""
    name = f"ledger_{secrets.token_hex(6)}"
    engine = sa.create_engine(
        postgres.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    yield postgres.removesuffix("/postgres") + f"/{name}"
    with engine.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A JPEG of 640×360 pixels."""
    path = tmp_path / "picture.jpg"
    path.write_bytes(sample_picture())
    return path
