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
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from onetake.assets import LoadedAsset
from onetake.catalog import ModelCard, ProviderCard
from onetake.clock import Clock
from onetake.credentials import Credentials
from onetake.exchange import (
    Answered,
    Balance,
    Blob,
    Charge,
    Deduction,
    ListPrice,
    LookError,
    LostSubmission,
    Missing,
    PreparedAsset,
    RemoteFile,
    Resource,
    Snapshot,
    Submission,
    Task,
)
from onetake.fitting import FittedRequest

__all__ = [
    "Answered",
    "Balance",
    "Blob",
    "Charge",
    "Deduction",
    "Driver",
    "DriverContext",
    "ListPrice",
    "LookError",
    "LostSubmission",
    "Missing",
    "PreparedAsset",
    "RemoteFile",
    "Resource",
    "Snapshot",
    "Submission",
    "Task",
]


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
        streams: whether the transport hands on an answer while it still grows.
    """

    card: ProviderCard
    credentials: Credentials = field(repr=False)
    base_url: str
    transport: httpx.AsyncBaseTransport = field(repr=False)
    clock: Clock = field(repr=False)
    submit_timeout: float = 120.0
    read_timeout: float = 60.0
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    streams: bool = True


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
    async def submit(self, submission: Submission, body: bytes) -> Task | Answered:
        """POST ``body`` once and return the vendor's task, or the result of a synchronous call.

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

    async def describe(self, vendor_id: str) -> ModelCard | None:
        """Return a card for a model that the catalog does not know, from the vendor's own schema.

        A free read. None: the vendor tells none.

        Raises:
            OnetakeError: it cannot be asked now; the model is then passed on without checks.
        """
        return None

    async def findings(self) -> Sequence[str]:
        """Say in sentences what `doctor` should know of the credentials; free reads only."""
        return ()

    async def arrange(
        self, request: FittedRequest, assets: Sequence[PreparedAsset]
    ) -> Mapping[str, Any]:
        """Make free, repeatable calls that the vendor wants before the paid one.

        Returns:
            Facts that `prepare` finds in ``request.facts["arranged"]``.
        """
        return {}

    async def upload(self, asset: LoadedAsset) -> str:
        """Put a file where anybody can read it by URL; for other providers' sake.

        Raises:
            NotImplementedError: this vendor has no such storage.
        """
        raise NotImplementedError

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

    async def watch(self, task: Task) -> AsyncGenerator[Snapshot, None]:
        """Stream snapshots until the task ended. Optional; pacing by ``look`` always works.

        It may end early, or raise: then the task is looked at again. Used for a few tasks at a
        time, and only where ``context.streams`` is true.

        Raises:
            NotImplementedError: this vendor has no stream.
            OnetakeError: it broke.
        """
        raise NotImplementedError
        yield  # pragma: no cover - makes this an async generator

    async def account(self) -> Sequence[Balance]:
        """Return packs and balances; empty when the vendor tells none."""
        return ()

    async def deductions(self, since: float, until: float) -> Sequence[Deduction]:
        """Return what the vendor took in a span of time, oldest first; empty: it tells nothing."""
        return ()

    async def list_prices(self, vendor_ids: Sequence[str]) -> Sequence[ListPrice]:
        """Return what the vendor's price list says today; empty when it can't be asked."""
        return ()

    async def resources(self, kind: str, *, preset: bool = False) -> Sequence[Resource]:
        """Return the account's own voices or elements, or the vendor's.

        Raises:
            NotImplementedError: this vendor has none.
        """
        raise NotImplementedError

    async def delete_resource(self, kind: str, resource_id: str) -> None:
        """Delete one of the account's own; repeating it must do no harm.

        Raises:
            NotImplementedError: this vendor has none.
        """
        raise NotImplementedError

    async def aclose(self) -> None:  # noqa: B027 - optional: a driver may hold nothing open
        """Close everything that was opened."""
