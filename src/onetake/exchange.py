"""What core and drivers exchange: plain values, documented where they are defined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from onetake.assets import LoadedAsset
from onetake.errors import OnetakeError
from onetake.job import TaskStatus


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
        facts: plain JSON that callers and later steps need beside the files; kept in the ledger.
        raw: the vendor's own answer.
    """

    status: TaskStatus
    outputs: tuple[RemoteFile, ...] = ()
    error: OnetakeError | None = None
    charge: Charge | None = None
    position: int | None = None
    logs: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a synchronous call: the task is over when it is accepted.

    Attributes:
        task: its id may be ours where the vendor gives none; it cannot be looked at again.
        snapshot: how it ended.
    """

    task: Task
    snapshot: Snapshot


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


@dataclass(frozen=True, slots=True)
class Deduction:
    """What the vendor took for one task, from its own books.

    Attributes:
        at: seconds since the epoch.
        task_id: the vendor's id.
        model: as the vendor names it.
        amount: in ``unit``.
        unit: ``units``, or a currency.
        source: which pack or balance.
        pack: kind of units, as the price book calls it; None for money.
        detail: everything else that the vendor tells.
    """

    at: float
    task_id: str
    model: str
    amount: Decimal
    unit: str
    source: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    pack: str | None = None


@dataclass(frozen=True, slots=True)
class ListPrice:
    """What the vendor's own price list says of a model today; a hint beside the price book.

    Attributes:
        vendor_id: the model.
        unit: what is counted, in the vendor's words.
        amount: of one unit.
        currency: ISO 4217 code.
    """

    vendor_id: str
    unit: str
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Resource:
    """Something at the vendor that requests refer to by its id: a voice, an element.

    Attributes:
        kind: ``voice`` or ``element``.
        id: the vendor's id.
        name: as it was called.
        owner: ``own``, or the vendor's name for its own library.
        url: a sample, or None.
        detail: everything else that the vendor tells.
    """

    kind: str
    id: str
    name: str
    owner: str = "own"
    url: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
