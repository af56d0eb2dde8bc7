"""Job: one generation, from the intent to the delivered file.

The truth about a job is three columns, each with its own legal steps; `JobState` is computed
from them and never stored.

::

    submission  intent → sending → accepted | refused | unknown
                intent → abandoned                   given up before anything was sent
                sending → intent                     provably not sent, to be tried again
                unknown → accepted                   located, or `jobs attach`
                unknown → sending                    only where the vendor keeps our id unique
                unknown → abandoned                  `jobs abandon`
    task        queued ⇄ running → succeeded | failed | cancelled
    delivery    pending → delivered | lost
"""

from __future__ import annotations

import base64
import enum
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from onetake.errors import Billed, ConfigurationError


class Submission(enum.StrEnum):
    """What became of the POST."""

    INTENT = "intent"
    SENDING = "sending"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    ABANDONED = "abandoned"


class TaskStatus(enum.StrEnum):
    """What the vendor says of its task."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Delivery(enum.StrEnum):
    """What became of the file."""

    PENDING = "pending"
    DELIVERED = "delivered"
    LOST = "lost"


class JobState(enum.StrEnum):
    """The state of a job, as one word."""

    DRAFT = "draft"
    SENDING = "sending"
    UNKNOWN = "unknown"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    DELIVERED = "delivered"
    FAILED = "failed"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    LOST = "lost"
    ABANDONED = "abandoned"

    @property
    def ended(self) -> bool:
        """Nothing more will happen by itself."""
        return self in _ENDED


_ENDED = frozenset(
    {
        JobState.DELIVERED,
        JobState.FAILED,
        JobState.REFUSED,
        JobState.CANCELLED,
        JobState.LOST,
        JobState.ABANDONED,
    }
)

SUBMISSION_STEPS: Mapping[Submission, frozenset[Submission]] = {
    Submission.INTENT: frozenset({Submission.SENDING, Submission.REFUSED, Submission.ABANDONED}),
    Submission.SENDING: frozenset(
        {Submission.INTENT, Submission.ACCEPTED, Submission.REFUSED, Submission.UNKNOWN}
    ),
    Submission.UNKNOWN: frozenset(
        {Submission.ACCEPTED, Submission.SENDING, Submission.ABANDONED, Submission.REFUSED}
    ),
    Submission.ACCEPTED: frozenset(),
    Submission.REFUSED: frozenset(),
    Submission.ABANDONED: frozenset(),
}

_RUNNING_STEPS = frozenset(TaskStatus)
TASK_STEPS: Mapping[TaskStatus, frozenset[TaskStatus]] = {
    TaskStatus.QUEUED: _RUNNING_STEPS,
    TaskStatus.RUNNING: _RUNNING_STEPS,
    TaskStatus.SUCCEEDED: frozenset(),
    TaskStatus.FAILED: frozenset(),
    TaskStatus.CANCELLED: frozenset(),
}

DELIVERY_STEPS: Mapping[Delivery, frozenset[Delivery]] = {
    Delivery.PENDING: frozenset({Delivery.DELIVERED, Delivery.LOST}),
    Delivery.DELIVERED: frozenset(),
    Delivery.LOST: frozenset(),
}


def job_state(submission: Submission, task: TaskStatus | None, delivery: Delivery) -> JobState:
    """Compute the one-word state from the three columns."""
    if submission is not Submission.ACCEPTED:
        return _BEFORE_ACCEPTANCE[submission]
    if task is TaskStatus.SUCCEEDED:
        return _AFTER_SUCCESS[delivery]
    return JobState((task or TaskStatus.QUEUED).value)


_BEFORE_ACCEPTANCE = {
    Submission.INTENT: JobState.DRAFT,
    Submission.SENDING: JobState.SENDING,
    Submission.UNKNOWN: JobState.UNKNOWN,
    Submission.REFUSED: JobState.REFUSED,
    Submission.ABANDONED: JobState.ABANDONED,
}
_AFTER_SUCCESS = {
    Delivery.PENDING: JobState.SUCCEEDED,
    Delivery.DELIVERED: JobState.DELIVERED,
    Delivery.LOST: JobState.LOST,
}


_NEVER_SENT = (JobState.DRAFT, JobState.REFUSED)


def billed_word(
    state: JobState,
    sent_at: float | None,
    actual: Mapping[str, Any] | None,
    error: Mapping[str, Any] | None,
) -> Billed:
    """Say whether the vendor charged for a job, as far as that is certain.

    Args:
        state: the job's.
        sent_at: when it was sent, or None.
        actual: what the vendor says that it took, or None.
        error: the job's error as plain JSON, or None.
    """
    for figure in ("amount", "units"):
        if actual is not None and actual.get(figure) is not None:
            return "yes" if Decimal(actual[figure]) else "no"
    if state in _NEVER_SENT or (state is JobState.ABANDONED and sent_at is None):
        return "no"
    if state in (JobState.SUCCEEDED, JobState.DELIVERED, JobState.LOST):
        return "yes"
    told = (error or {}).get("billed")
    if state is JobState.FAILED and told in ("yes", "no"):
        return "yes" if told == "yes" else "no"
    return "unknown"


@dataclass(frozen=True, slots=True)
class Job:
    """A snapshot of one job, as the ledger has it.

    Attributes:
        id: our id (UUIDv7 text).
        provider: provider name.
        model: neutral model name, or the vendor's id for models outside the catalog.
        state: the state in one word.
        task_id: the vendor's id, or None before acceptance.
        token: portable text to go on with on another machine, or None before anything was sent.
        key: the caller's idempotency key, or None.
        created_at: seconds since the epoch.
        updated_at: seconds since the epoch.
        notes: what was translated, converted or is worth knowing.
        estimate: the estimate as plain JSON, or None.
        actual: ``{"amount", "currency", "units"}`` as the vendor charged, or None.
        artifacts: delivered files as plain JSON.
        error: the error as plain JSON, or None.
        position: place in the vendor's queue, or None.
        facts: what the vendor told beside files, such as the id of a voice or the faces it found.
        logs: new lines of the vendor's log; only for ``on_update``, they are not kept.
        billed: ``yes``, ``no`` or ``unknown``: whether the vendor charged for it.
        tags: the caller's words for reports and budgets.
        run: name of the run that made it, or None.
    """

    id: str
    provider: str
    model: str
    state: JobState
    task_id: str | None = None
    token: str | None = None
    key: str | None = None
    created_at: float = 0.0
    updated_at: float = 0.0
    notes: tuple[str, ...] = ()
    estimate: Mapping[str, Any] | None = None
    actual: Mapping[str, Any] | None = None
    artifacts: tuple[Mapping[str, Any], ...] = ()
    error: Mapping[str, Any] | None = None
    position: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    logs: tuple[str, ...] = ()
    billed: Billed = "unknown"
    tags: tuple[str, ...] = ()
    run: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the documented JSON object (the one of ``onetake generate --json``)."""
        return {
            "job_id": self.id,
            "provider": self.provider,
            "model": self.model,
            "task_id": self.task_id,
            "state": self.state.value,
            "artifacts": [dict(item) for item in self.artifacts],
            "estimate": None if self.estimate is None else dict(self.estimate),
            "actual": None if self.actual is None else dict(self.actual),
            "notes": list(self.notes),
            "error": None if self.error is None else dict(self.error),
            **({"facts": dict(self.facts)} if self.facts else {}),
            **({"billed": self.billed} if self.error is not None else {}),
            **({"tags": list(self.tags)} if self.tags else {}),
        }


def new_job_id(now: float) -> str:
    """Return a UUIDv7: sortable by time, unguessable, made here and not by a vendor."""
    milliseconds = int(now * 1000) & ((1 << 48) - 1)
    random = secrets.randbits(74)
    value = (milliseconds << 80) | (0x7 << 76) | ((random >> 62) << 64)
    value |= (0b10 << 62) | (random & ((1 << 62) - 1))
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def new_run() -> str:
    """Return the name of a run to which nobody gave one."""
    return f"auto-{secrets.token_hex(8)}"


def is_named(run: str) -> bool:
    """Say whether somebody gave a run its name."""
    return re.fullmatch("auto-[0-9a-f]{16}", run) is None


_TOKEN_PREFIX = "onetake1."  # noqa: S105 - a format tag, not a secret


@dataclass(frozen=True, slots=True)
class JobToken:
    """What a portable job token says. It holds no secret.

    Attributes:
        provider: provider name.
        host: API host that knows the task, with ``@sandbox…`` if it is on one; going on elsewhere
            is refused.
        route: the vendor's path family of the task.
        task_id: the vendor's id; empty while it is not known.
        job_id: our id.
        model: model name.
        task: whatever the driver needs to find the task again, as plain JSON.
    """

    provider: str
    host: str
    route: str
    task_id: str
    job_id: str
    model: str
    task: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        fields = (self.provider, self.host, self.route, self.task_id, self.job_id, self.model)
        body = json.dumps([*fields, dict(self.task)], separators=(",", ":")).encode()
        return _TOKEN_PREFIX + base64.urlsafe_b64encode(body).decode().rstrip("=")


def is_token(text: str) -> bool:
    """Say whether a text is a job token, of any version, rather than an id."""
    return text.strip().startswith("onetake") and "." in text


def parse_token(token: str) -> JobToken:
    """Read a job token.

    Raises:
        ConfigurationError: it is not a token, or of a newer version.
    """
    text = token.strip()
    if not text.startswith(_TOKEN_PREFIX):
        raise ConfigurationError(
            f"{token[:24]!r} is not a job token of this version; it starts with {_TOKEN_PREFIX!r}."
        )
    payload = text.removeprefix(_TOKEN_PREFIX)
    try:
        raw = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        *texts, task = json.loads(raw)
        provider, host, route, task_id, job_id, model = texts
    except (ValueError, TypeError):
        raise ConfigurationError("the job token is damaged; copy it whole.") from None
    if not (_is_plain(texts, task) and _JOB_ID.fullmatch(job_id) and task.get("id", "") == task_id):
        raise ConfigurationError("the job token is damaged; copy it whole.")
    return JobToken(provider, host, route, task_id, job_id, model, task)


_JOB_ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TASK_FIELDS = {"id", "route", "path"}


def _is_plain(texts: list[Any], task: Any) -> bool:
    """Say whether a token holds texts alone, and a task that the contract can express."""
    if not isinstance(task, dict) or (task and set(task) != _TASK_FIELDS):
        return False
    return all(isinstance(value, str) for value in [*texts, *task.values()])
