"""The ledger as an object: opening it, and the few questions and changes that there are.

Functions that take a connection run inside the writer's transaction; compose them with
`Ledger.run`. Every change of state is a compare-and-set (`move`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from onetake.errors import LedgerError, RequestError
from onetake.job import (
    DELIVERY_STEPS,
    SUBMISSION_STEPS,
    TASK_STEPS,
    Delivery,
    Submission,
    TaskStatus,
)
from onetake.ledger import connecting
from onetake.ledger.migrations.upgrade import upgrade
from onetake.ledger.records import _ACCOUNT_COLUMNS, Account, JobRecord, record_of
from onetake.ledger.tables import accounts, events, jobs
from onetake.ledger.writer import Writer, as_ledger_error, finished

T = TypeVar("T")


class Ledger:
    """An open ledger.

    Args:
        url: SQLAlchemy URL; SQLite files are created on first use.
        timeout: seconds to wait while another program keeps it locked.
    """

    def __init__(self, url: str, timeout: float = 30.0) -> None:
        self.url = url
        self._timeout = timeout
        self._writer = Writer(self._connect)
        self._engine: sa.Engine | None = None

    @property
    def label(self) -> str:
        """The ledger's place for messages, without a password."""
        return sa.make_url(self.url).render_as_string(hide_password=True)

    async def run(self, work: Callable[[sa.Connection], T], *, urgent: bool = False) -> T:
        """Run work in the ledger's thread and transaction; return once it is on disk.

        However much is waiting, what is urgent comes next.

        Raises:
            LedgerError: the ledger cannot be used; nothing of ``work`` was kept.
        """
        return await finished(self._writer.submit(work, urgent=urgent))

    def run_blocking(self, work: Callable[[sa.Connection], T]) -> T:
        """The same without an event loop."""
        return self._writer.submit(work).result()

    def close(self) -> None:
        """Close it; what was queued is written first."""
        self._writer.close()
        if self._engine is not None:
            self._engine.dispose()

    def _connect(self) -> sa.Connection:
        url = sa.make_url(self.url)
        try:
            if url.get_backend_name() == "sqlite":
                self._engine = connecting.sqlite_engine(url, self._timeout)
            else:
                self._engine = connecting.server_engine(url, self._timeout)
            connection = self._engine.connect()
            try:
                with connection.begin():
                    upgrade(connection, self.label)
            except BaseException:
                connection.close()
                self._engine.dispose()
                raise
        except ImportError as error:
            raise LedgerError(
                f"the ledger {self.label} needs a driver that is not installed ({error}).",
                hint="Install it with `pip install 'onetake[postgres]'`.",
            ) from error
        except (sa.exc.SQLAlchemyError, OSError) as error:
            raise _cannot_open(self.label, error) from error
        return connection


def _cannot_open(label: str, error: Exception) -> LedgerError:
    reason = as_ledger_error(error)
    text = reason.message if isinstance(reason, LedgerError) else str(error)
    return LedgerError(
        f"{label}: {text}",
        hint="Nothing was sent. Choose another ledger with ONETAKE_LEDGER, or repair this one.",
    )


AT_ONCE = 500
"""Ids in one statement: SQLite and PostgreSQL limit a statement's parameters."""

joined = sa.select(
    jobs, *(accounts.c[name].label(f"of_{name}") for name in _ACCOUNT_COLUMNS)
).join_from(jobs, accounts)


def account_id(connection: sa.Connection, account: Account) -> int:
    """Return the id of an account, creating it on first use."""
    values = {name: getattr(account, name) for name in _ACCOUNT_COLUMNS}
    wanted = sa.select(accounts.c.id).filter_by(**values)
    known = connection.execute(wanted).scalar()
    if known is None:
        with contextlib.suppress(sa.exc.IntegrityError), connection.begin_nested():
            # another process may do the same at this moment
            connection.execute(accounts.insert().values(**values))
        known = connection.execute(wanted).scalar_one()
    return int(known)


def lock_account(connection: sa.Connection, account: int) -> None:
    """Let no other process count this account's jobs until the transaction ends.

    SQLite's transactions exclude each other anyway. The lock does not exclude those that foreign
    keys take, or every insert of one process would wait for the other's.
    """
    wanted = sa.select(accounts.c.id).filter_by(id=account)
    connection.execute(wanted.with_for_update(key_share=True))


def lock_environment(connection: sa.Connection, environment: str) -> None:
    """Let no other process count the jobs of an environment until the transaction ends."""
    wanted = sa.select(accounts.c.id).filter_by(environment=environment).order_by(accounts.c.id)
    connection.execute(wanted.with_for_update(key_share=True)).all()


def get(connection: sa.Connection, job_id: str) -> JobRecord | None:
    """Return a job by our id."""
    row = connection.execute(joined.where(jobs.c.id == job_id)).mappings().first()
    return None if row is None else record_of(row)


def newest(connection: sa.Connection, job_id: str) -> JobRecord | None:
    """Return a job, or the child that was sent in its place with the same callback address."""
    record = get(connection, job_id)
    while record is not None:
        same = jobs.c.parent_id == record.id, jobs.c.proof == record.proof
        row = connection.execute(joined.where(*same)).mappings().first()
        if row is None:
            break
        record = record_of(row)
    return record


def find(connection: sa.Connection, job_id: str) -> JobRecord:
    """Return the job with an id, or with the only id that begins so.

    Raises:
        RequestError: there is none, or more than one.
    """
    wanted = joined.where(jobs.c.id.startswith(job_id, autoescape=True)).limit(2)
    found = [record_of(row) for row in connection.execute(wanted).mappings()]
    if len(found) == 1:
        return found[0]
    raise RequestError(
        f"job {job_id}: {'several jobs begin with' if found else 'no job has'} that id.",
        hint="`onetake jobs list` shows what there is.",
    )


def by_key(connection: sa.Connection, account: int, key: str) -> JobRecord | None:
    """Return the job that holds an idempotency key now."""
    wanted = joined.where(jobs.c.account_id == account, jobs.c.key == key, jobs.c.key_current)
    row = connection.execute(wanted).mappings().first()
    return None if row is None else record_of(row)


def by_fingerprint(connection: sa.Connection, account: int, fingerprint: str) -> list[JobRecord]:
    """Return jobs of an account that asked for exactly the same, newest first."""
    wanted = joined.where(jobs.c.account_id == account, jobs.c.fingerprint == fingerprint).order_by(
        jobs.c.id.desc()
    )
    return [record_of(row) for row in connection.execute(wanted).mappings()]


def holders(connection: sa.Connection, account: int, task_ids: Sequence[str]) -> set[str]:
    """Return those of the vendor's task ids that belong to a job already.

    The name of an account is ours: two names may stand for one account at the vendor.
    """
    wanted = sa.select(jobs.c.task_id).where(
        jobs.c.account_id.in_(same_place(account)), jobs.c.task_id.in_(task_ids)
    )
    return set(connection.execute(wanted).scalars())


def check_free(connection: sa.Connection, record: JobRecord, task_id: str) -> None:
    """Refuse to give a job a task that another one has.

    Raises:
        RequestError: naming the other job.
    """
    lock_account(connection, record.account_id)
    wanted = sa.select(jobs.c.id).where(
        jobs.c.account_id.in_(same_place(record.account_id)),
        jobs.c.task_id == task_id,
        jobs.c.id != record.id,
    )
    other = connection.execute(wanted).scalar()
    if other is not None:
        raise RequestError(f"task {task_id} belongs to job {other} already.", job_id=other)


def same_place(account: int) -> sa.Select[tuple[int]]:
    """Return the accounts that are at the same place as this one, under whatever name."""
    this, other = accounts.alias(), accounts.alias()
    same = [this.c[name] == other.c[name] for name in ("provider", "host", "environment")]
    return sa.select(other.c.id).join_from(this, other, sa.and_(*same)).where(this.c.id == account)


def unknown_twins(connection: sa.Connection, record: JobRecord, window: float) -> list[str]:
    """Return other jobs whose equal body was sent about then, and whose outcome is unknown too."""
    sent = record.sent_at or 0.0
    wanted = sa.select(jobs.c.id).where(
        jobs.c.account_id.in_(same_place(record.account_id)),
        jobs.c.body_sha256 == record.body_sha256,
        jobs.c.id != record.id,
        jobs.c.submission.in_((Submission.SENDING.value, Submission.UNKNOWN.value)),
        jobs.c.sent_at.between(sent - window, sent + window),
    )
    return list(connection.execute(wanted).scalars())


def listed(
    connection: sa.Connection,
    *,
    account: Account | None = None,
    open_only: bool = False,
    limit: int | None = None,
) -> list[JobRecord]:
    """Return jobs, newest first."""
    wanted = joined.order_by(jobs.c.id.desc())
    if account is not None:
        wanted = wanted.where(*(accounts.c[n] == getattr(account, n) for n in _ACCOUNT_COLUMNS))
    if open_only:
        wanted = wanted.where(jobs.c.ended_at.is_(None))
    if limit is not None:
        wanted = wanted.limit(limit)
    return [record_of(row) for row in connection.execute(wanted).mappings()]


def insert(connection: sa.Connection, values: Mapping[str, Any]) -> bool:
    """Write the intent; False if another process holds its key since a moment ago."""
    try:
        with connection.begin_nested():
            connection.execute(jobs.insert().values(**values))
    except sa.exc.IntegrityError:
        if values.get("key") is None:
            raise
        return False
    return True


def bind_key(connection: sa.Connection, job_id: str, key: str) -> bool:
    """Let a key stand for a job that has none; False if another job got it since a moment ago."""
    wanted = jobs.update().where(jobs.c.id == job_id, jobs.c.key.is_(None))
    try:
        with connection.begin_nested():
            changed = connection.execute(wanted.values(key=key, key_current=True))
    except sa.exc.IntegrityError:
        return False
    return changed.rowcount == 1


def release_key(connection: sa.Connection, seen: JobRecord) -> bool:
    """Let a child job take over the key of a job; False if that has changed since it was seen."""
    changed = connection.execute(
        jobs.update().where(*_as_seen(seen), jobs.c.key_current).values(key_current=False)
    )
    return changed.rowcount == 1


def move(connection: sa.Connection, seen: JobRecord, values: Mapping[str, Any]) -> JobRecord | None:
    """Change a job if it is still as it was seen: its three columns and its owner.

    Returns it as it is then, or None if it has changed.

    Raises:
        LedgerError: the step is not legal; a mistake in the program, nothing is changed.
    """
    _check_steps(seen, values)
    plain = {key: getattr(value, "value", value) for key, value in values.items()}
    changed = connection.execute(
        jobs.update()
        .where(
            *_as_seen(seen),
            jobs.c.owner.is_(None) if seen.owner is None else jobs.c.owner == seen.owner,
        )
        .values(**plain)
        .returning(jobs)
    )
    row = changed.mappings().first()
    return None if row is None else record_of(row, seen.account)


def _as_seen(seen: JobRecord) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        jobs.c.id == seen.id,
        jobs.c.submission == seen.submission.value,
        jobs.c.task.is_(None) if seen.task is None else jobs.c.task == seen.task.value,
        jobs.c.delivery == seen.delivery.value,
    )


def _check_steps(seen: JobRecord, values: Mapping[str, Any]) -> None:
    steps: list[tuple[Any, Any, Any]] = []
    if "submission" in values:
        allowed = SUBMISSION_STEPS[seen.submission]
        steps.append((seen.submission, Submission(values["submission"]), allowed))
    if values.get("task") is not None:
        to = TaskStatus(values["task"])
        start = TASK_STEPS[seen.task] if seen.task else frozenset(TaskStatus)
        steps.append((seen.task, to, start))
    if "delivery" in values:
        to_delivery = Delivery(values["delivery"])
        steps.append((seen.delivery, to_delivery, DELIVERY_STEPS[seen.delivery]))
    for start, to, allowed in steps:
        if to not in allowed and to != start:
            raise LedgerError(f"job {seen.id}: {start} → {to} is not a legal step.")


def _no_shorter(owner: str, until: float) -> sa.ColumnElement[float]:
    """A sign of life never shortens the lease that a POST in flight has."""
    longer = sa.and_(jobs.c.owner == owner, jobs.c.lease_until > until)
    return sa.case((longer, jobs.c.lease_until), else_=until)


def claim(
    connection: sa.Connection, job_id: str, owner: str, now: float, lease: float
) -> JobRecord | None:
    """Become the owner of a job that is free, ours, or whose owner went silent."""
    free = sa.or_(jobs.c.owner.is_(None), jobs.c.owner == owner, jobs.c.lease_until < now)
    connection.execute(
        jobs.update()
        .where(jobs.c.id == job_id, free)
        .values(owner=owner, lease_until=_no_shorter(owner, now + lease))
    )
    record = get(connection, job_id)
    return record if record is not None and record.owner == owner else None


def renew(connection: sa.Connection, job_ids: Sequence[str], owner: str, until: float) -> None:
    """Give a sign of life for jobs that are ours."""
    for start in range(0, len(job_ids), AT_ONCE):
        some = job_ids[start : start + AT_ONCE]
        connection.execute(
            jobs.update()
            .where(jobs.c.id.in_(some), jobs.c.owner == owner)
            .values(lease_until=_no_shorter(owner, until))
        )


def release(connection: sa.Connection, job_id: str, owner: str) -> None:
    """Stop owning a job."""
    connection.execute(
        jobs.update()
        .where(jobs.c.id == job_id, jobs.c.owner == owner)
        .values(owner=None, lease_until=None)
    )


def note(connection: sa.Connection, job_id: str, at: float, event: str, detail: Any) -> None:
    """Append to the audit trail."""
    connection.execute(events.insert().values(job_id=job_id, at=at, event=event, detail=detail))


def history(connection: sa.Connection, job_id: str) -> list[dict[str, Any]]:
    """Return the audit trail of a job, oldest first."""
    wanted = sa.select(events).where(events.c.job_id == job_id).order_by(events.c.id)
    return [dict(row) for row in connection.execute(wanted).mappings()]
