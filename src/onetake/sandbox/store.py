"""What the sandbox remembers: tasks, files, requests. On disk when it lives in other processes."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from onetake.files import write_atomic
from onetake.sandbox.tasks import SandboxTask

_metadata = sa.MetaData()
_tasks = sa.Table(
    "tasks",
    _metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String, unique=True, nullable=False),
    sa.Column("provider", sa.String, nullable=False),
    sa.Column("external_id", sa.String),
    sa.Column("bucket", sa.String),
    sa.Column("weight", sa.Integer, nullable=False),
    sa.Column("pack", sa.String),
    sa.Column("units", sa.Float, nullable=False),
    sa.Column("ends_at", sa.Float, nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
    sa.UniqueConstraint("provider", "external_id"),
    sa.Index("tasks_at_work", "provider", "bucket", "ends_at", "weight"),
    sa.Index("tasks_paid", "provider", "pack", "ends_at", "units"),
)
_files = sa.Table(
    "files",
    _metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("media_type", sa.String, nullable=False),
    sa.Column("name", sa.String, nullable=False),
)
_requests = sa.Table(
    "requests",
    _metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("data", sa.JSON, nullable=False),
)
_values = sa.Table(
    "values",
    _metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("value", sa.JSON, nullable=False),
)
KEPT_REQUESTS = 20_000

# Statements are made once: making them is dearer than running them.
_given = sa.bindparam
_BY_ID = sa.select(_tasks.c.data).where(
    _tasks.c.provider == _given("provider"), _tasks.c.id == _given("wanted")
)
_BY_EXTERNAL_ID = sa.select(_tasks.c.data).where(
    _tasks.c.provider == _given("provider"), _tasks.c.external_id == _given("wanted")
)
_RUNNING = sa.select(sa.func.coalesce(sa.func.sum(_tasks.c.weight), 0)).where(
    _tasks.c.provider == _given("provider"),
    _tasks.c.bucket == _given("bucket"),
    _tasks.c.ends_at > _given("now"),
)
_SPENT = sa.select(sa.func.coalesce(sa.func.sum(_tasks.c.units), 0.0)).where(
    _tasks.c.provider == _given("provider"),
    _tasks.c.pack == _given("pack"),
    _tasks.c.ends_at <= _given("now"),
)
_CHANGE = (
    _tasks.update()
    .where(_tasks.c.id == _given("wanted"))
    .values(data=_given("data"), ends_at=_given("ends_at"), units=_given("units"))
)
_VALUE = sa.select(_values.c.value).where(_values.c.name == _given("wanted"))


class DuplicateExternalId(Exception):
    """The vendor keeps external ids unique, and this one is taken."""


class SandboxStore:
    """The memory of one sandbox.

    Args:
        folder: where it lives; tasks and requests are shared by all processes that use it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._engine = sa.create_engine(
            f"sqlite:///{folder / 'sandbox-2.sqlite3'}",
            connect_args={"check_same_thread": False, "timeout": 30},
            poolclass=sa.pool.StaticPool,
        )
        with self._lock, self._engine.begin() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            connection.exec_driver_sql("PRAGMA synchronous = OFF")  # an emulator may forget
            _metadata.create_all(connection)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._engine.dispose()

    def add_task(self, task: SandboxTask) -> None:
        """Remember an accepted task.

        Raises:
            DuplicateExternalId: its external id is taken.
        """
        row = {
            "id": task.id,
            "provider": task.provider,
            "external_id": task.external_id,
            "bucket": task.bucket,
            "weight": task.weight,
            "pack": task.pack,
            "units": _deducted(task),
            "ends_at": task.ends_at,
            "data": task.to_json(),
        }
        try:
            with self._lock, self._engine.begin() as connection:
                connection.execute(_tasks.insert(), row)
        except sa.exc.IntegrityError:
            raise DuplicateExternalId(task.external_id) from None

    def change_task(self, task: SandboxTask) -> None:
        """Remember a changed task."""
        row = {
            "wanted": task.id,
            "data": task.to_json(),
            "ends_at": task.ends_at,
            "units": _deducted(task),
        }
        with self._lock, self._engine.begin() as connection:
            connection.execute(_CHANGE, row)

    def task(self, provider: str, task_id: str) -> SandboxTask | None:
        """Return a task by the vendor's id."""
        return self._one(_BY_ID, provider, task_id)

    def task_by_external_id(self, provider: str, external_id: str) -> SandboxTask | None:
        """Return a task by the caller's id."""
        return self._one(_BY_EXTERNAL_ID, provider, external_id)

    def _one(self, wanted: sa.Select[Any], provider: str, name: str) -> SandboxTask | None:
        data = self._scalar(wanted, provider=provider, wanted=name)
        return None if data is None else SandboxTask(**data)

    def _scalar(self, statement: sa.Select[Any], **given: Any) -> Any:
        with self._lock, self._engine.connect() as connection:
            return connection.execute(statement, given).scalar()

    def tasks(self, provider: str | None = None) -> list[SandboxTask]:
        """Return all tasks in order of acceptance."""
        wanted = sa.select(_tasks.c.data).order_by(_tasks.c.number)
        if provider is not None:
            wanted = wanted.where(_tasks.c.provider == provider)
        with self._lock, self._engine.begin() as connection:
            return [SandboxTask(**data) for data in connection.execute(wanted).scalars()]

    def running(self, provider: str, bucket: str, now: float) -> int:
        """Return the slots that unfinished tasks take in a bucket."""
        return int(self._scalar(_RUNNING, provider=provider, bucket=bucket, now=now))

    def units_spent(self, provider: str, pack: str, now: float) -> float:
        """Return the units of a pack's tasks that have succeeded."""
        return float(self._scalar(_SPENT, provider=provider, pack=pack, now=now))

    def add_file(self, file_id: str, data: bytes, media_type: str, name: str) -> None:
        """Keep an uploaded or inlined file."""
        write_atomic(self.folder / "files" / file_id, data)
        with self._lock, self._engine.begin() as connection:
            known = connection.execute(sa.select(_files).where(_files.c.id == file_id)).first()
            if known is None:
                row = {"id": file_id, "media_type": media_type, "name": name}
                connection.execute(_files.insert().values(**row))

    def file(self, file_id: str) -> tuple[Path, str, str] | None:
        """Return path, media type and name of a kept file."""
        with self._lock, self._engine.begin() as connection:
            row = connection.execute(sa.select(_files).where(_files.c.id == file_id)).first()
        if row is None:
            return None
        return self.folder / "files" / file_id, row.media_type, row.name

    def read_file(self, file_id: str) -> bytes:
        """Return the content of a kept file."""
        return (self.folder / "files" / file_id).read_bytes()

    def record(self, request: Mapping[str, Any]) -> None:
        """Remember a request."""
        with self._lock, self._engine.begin() as connection:
            number = connection.execute(_requests.insert(), {"data": dict(request)})
            last = number.inserted_primary_key
            if last is not None and last[0] % 1000 == 0:
                old = _requests.c.number <= last[0] - KEPT_REQUESTS
                connection.execute(_requests.delete().where(old))

    def requests(self) -> list[dict[str, Any]]:
        """Return the remembered requests in order."""
        wanted = sa.select(_requests.c.data).order_by(_requests.c.number)
        with self._lock, self._engine.begin() as connection:
            return list(connection.execute(wanted).scalars())

    def value(self, name: str, default: Any = None) -> Any:
        """Return a small remembered value."""
        found = self._scalar(_VALUE, wanted=name)
        return default if found is None else found

    def set_value(self, name: str, value: Any) -> None:
        """Remember a small value."""
        with self._lock, self._engine.begin() as connection:
            connection.execute(_values.delete().where(_values.c.name == name))
            connection.execute(_values.insert().values(name=name, value=value))

    def reset(self) -> None:
        """Forget everything."""
        with self._lock, self._engine.begin() as connection:
            for table in _metadata.sorted_tables:
                connection.execute(table.delete())


def _deducted(task: SandboxTask) -> float:
    """Return the units that a task takes from its pack when its time is over."""
    good = task.outcome == "succeeded" and task.cancelled_at is None
    return float(task.units or 0) if good else 0.0
