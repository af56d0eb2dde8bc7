"""The contract between onetake and a provider package.

A driver translates and does I/O. It never retries, sleeps, estimates, records money or touches
the ledger: the core does all of that, once, for every provider. What a driver must do and may
rely on is written at each method; `onetake.testing` checks it.

Guaranteed by the core:

- ``prepare`` gets a request that already fits the model card, with its assets read;
- ``submit`` is called at most once per attempt, and only after the intent is on disk;
- no two ``look`` calls of one account run at the same time;
- ``aclose`` is called once, and nothing after it.
"""

from __future__ import annotations

import abc
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx

from onetake.assets import LoadedAsset
from onetake.catalog import ModelCard, ProviderCard
from onetake.clock import Clock
from onetake.credentials import Credentials
from onetake.errors import OnetakeError
from onetake.fitting import FittedRequest
from onetake.job import TaskStatus

__all__ = [
    "Balance",
    "Blob",
    "Charge",
    "Driver",
    "DriverContext",
    "LookError",
    "LostSubmission",
    "Missing",
    "PreparedAsset",
    "RemoteFile",
    "Snapshot",
    "Submission",
    "Task",
]


@dataclass(frozen=True, slots=True)
class Blob:
    """Stands in a body for the bytes of an asset, so that the ledger need not repeat them.

    Attributes:
        sha256: of the bytes.
        encoding: how the bytes are written into the JSON: ``base64`` or ``data_uri``.
        media_type: needed for ``data_uri``.
    """

    sha256: str
    encoding: str = "base64"
    media_type: str = "application/octet-stream"

    def to_json(self) -> dict[str, str]:
        """Return the placeholder as the ledger keeps it."""
        return {"$blob": self.sha256, "encoding": self.encoding, "media_type": self.media_type}


@dataclass(frozen=True, slots=True)
class PreparedAsset:
    """An asset that is ready to stand in a body.

    Attributes:
        asset: what was read.
        value: a URL (given, or uploaded to), or a `Blob`.
    """

    asset: LoadedAsset
    value: str | Blob


@dataclass(frozen=True, slots=True)
class Submission:
    """Exactly what will be sent. Plain data: it is stored with the intent and sent as stored.

    Attributes:
        path: URL path (or endpoint id) of the POST.
        body: JSON with `Blob` placeholders.
        route: path family, chosen by the driver (for example ``legacy`` or ``new``).
        headers: extra headers; never credentials.
        query: query parameters; never credentials.
        external_id: our job id as the vendor will know it, or None.
        notes: what the translation did.
    """

    path: str
    body: Mapping[str, Any]
    route: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    external_id: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """The vendor's side of a job: everything needed to ask for it again, and no secret.

    Attributes:
        id: the vendor's id, opaque.
        route: path family, as in the submission.
        path: where to ask for it.
    """

    id: str
    route: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class LostSubmission:
    """A submission whose answer is missing.

    Attributes:
        job_id: our id.
        submission: what was sent.
        body: the exact bytes that were sent.
        sent_at: when, in seconds since the epoch by this machine's clock.
        took_at_most: seconds after which the vendor had it, or never got it.
    """

    job_id: str
    submission: Submission
    body: bytes = field(repr=False)
    sent_at: float
    took_at_most: float


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """An output file at the vendor.

    Attributes:
        url: where to download it.
        media_type: as the vendor says, or None.
        name: file name, or None.
        bytes: size as the vendor says, or None.
        expires_at: seconds since the epoch, or None.
        vendor_id: the vendor's id of the file, or None.
    """

    url: str
    media_type: str | None = None
    name: str | None = None
    bytes: int | None = None
    expires_at: float | None = None
    vendor_id: str | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """What the vendor says that it charged.

    Attributes:
        units: in the vendor's units, or None.
        amount: in money, or None when only units are known.
        currency: of the amount.
        pack: which pack or balance paid.
    """

    units: Decimal | None = None
    amount: Decimal | None = None
    currency: str | None = None
    pack: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the vendor says of a task now.

    Attributes:
        status: the state; an unknown word must raise, it never reads as "running".
        outputs: files, once it succeeded.
        error: why it failed, once it failed.
        charge: what was charged, when the vendor says so.
        position: place in the queue, 0-based, or None.
        logs: new log lines.
        raw: the vendor's own answer.
    """

    status: TaskStatus
    outputs: tuple[RemoteFile, ...] = ()
    error: OnetakeError | None = None
    charge: Charge | None = None
    position: int | None = None
    logs: tuple[str, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Missing:
    """The vendor does not know the task (any more).

    Attributes:
        final: True when the vendor says that it is gone for good.
    """

    final: bool = False


@dataclass(frozen=True, slots=True)
class LookError:
    """This look failed; it says nothing about the task.

    Attributes:
        error: what happened.
        retry_after: seconds the vendor asked to wait, or None.
    """

    error: OnetakeError
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Balance:
    """One pack or balance of an account.

    Attributes:
        name: as the vendor calls it.
        remaining: amount left, in ``unit``.
        unit: ``USD``, ``CNY`` or the vendor's unit name.
        expires_at: seconds since the epoch, or None.
    """

    name: str
    remaining: Decimal
    unit: str
    expires_at: float | None = None


@dataclass(frozen=True)
class DriverContext:
    """What a driver is given. It holds secrets; it is never stored or logged.

    Attributes:
        card: the provider's card.
        credentials: resolved credentials.
        base_url: API base, such as ``https://api-singapore.klingai.com``.
        transport: to build an `httpx.AsyncClient` on; it reaches the sandbox or the world.
        clock: the time.
        submit_timeout: seconds for one submission.
        read_timeout: seconds for one read.
        options: provider options given to ``get_provider``.
    """

    card: ProviderCard
    credentials: Credentials = field(repr=False)
    base_url: str
    transport: httpx.AsyncBaseTransport = field(repr=False)
    clock: Clock = field(repr=False)
    submit_timeout: float = 120.0
    read_timeout: float = 60.0
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)


class Driver(abc.ABC):
    """All that a provider author implements. Construct with one `DriverContext`."""

    def __init__(self, context: DriverContext) -> None:
        self.context = context

    @abc.abstractmethod
    def prepare(
        self, request: FittedRequest, job_id: str, assets: Sequence[PreparedAsset]
    ) -> Submission:
        """Translate; pure: no I/O, no clock, same input, same output.

        Raises:
            RequestError: whatever this model cannot express. Nothing may be dropped silently.
            AuthenticationError: the credentials are of a kind that this model does not take.
        """

    @abc.abstractmethod
    async def submit(self, submission: Submission, body: bytes) -> Task:
        """POST ``body`` once and return the vendor's task.

        Called at most once per attempt. Must not retry and must not follow redirects.

        Raises:
            NotSent: no byte left (name not resolved, no connection).
            Refused: a documented answer that says no; nothing was created.
            SubmissionUnknown: everything else, above all a lost or unreadable answer.
        """

    @abc.abstractmethod
    async def look(self, tasks: Sequence[Task]) -> Mapping[str, Snapshot | Missing | LookError]:
        """Ask for at most ``card.look_batch`` tasks; return an answer for every id.

        One bad answer must not spoil the others. A task that the vendor leaves out is `Missing`.
        """

    async def prepare_asset(self, asset: LoadedAsset, card: ModelCard) -> PreparedAsset:
        """Make an asset ready: keep its URL, inline it, or upload it. Free and repeatable.

        The default keeps URLs and inlines bytes as raw base64.
        """
        if asset.url is not None:
            return PreparedAsset(asset, asset.url)
        return PreparedAsset(asset, Blob(asset.sha256, "base64", asset.media_type))

    async def locate(self, lost: LostSubmission) -> Sequence[Task]:
        """Find the task of a submission that got no answer.

        Returns:
            Every task that may be it: one where the vendor finds tasks by our id, any number
            where only bodies can be compared, none if the vendor shows none. The core leaves
            out those that belong to other jobs.

        Raises:
            OnetakeError: it cannot be asked; ``retryable`` says whether later.
        """
        return ()

    def task_of(self, submission: Submission, task_id: str) -> Task:
        """Return the reference for a task id that a person or a callback named; pure."""
        return Task(id=task_id, route=submission.route, path=submission.path)

    def read_callback(self, body: bytes) -> str | None:
        """Return the vendor's task id that a callback's body names, or None; pure.

        What it says of the task's state is never used: the truth is fetched.
        """
        return None

    def slots(self, submission: Submission) -> Sequence[tuple[str, int]]:
        """Return (bucket, weight) for what the vendor counts as concurrency; empty: nothing."""
        return ()

    async def concurrency(self) -> int | None:
        """Return how many slots the vendor reports for a bucket; None when it tells none."""
        return None

    async def verify(self) -> None:  # noqa: B027 - optional: not every vendor has a free read
        """Check the credentials with a free read, before anything is paid.

        Raises:
            AuthenticationError: the vendor definitely refuses them. Any other trouble is ignored.
        """

    async def cancel(self, task: Task) -> bool:
        """Ask the vendor to stop a task; True if it took note. The task's state decides."""
        return False

    async def watch(self, task: Task) -> AsyncIterator[Snapshot]:
        """Stream snapshots until the task ended. Optional; pacing by ``look`` always works."""
        raise NotImplementedError
        yield  # pragma: no cover - makes this an async generator

    async def account(self) -> Sequence[Balance]:
        """Return packs and balances; empty when the vendor tells none."""
        return ()

    async def aclose(self) -> None:  # noqa: B027 - optional: a driver may hold nothing open
        """Close everything that was opened."""
