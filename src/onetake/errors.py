"""Every exception of onetake.

::

    OnetakeError
    ├── RequestError (also ValueError)   the request cannot be expressed; nothing was sent
    │   ├── UnknownModel
    │   ├── UnsupportedParameter
    │   ├── AssetError
    │   └── KeyConflict
    ├── AuthenticationError              the credentials are missing, wrong or of the wrong kind
    ├── InsufficientCredits              the account cannot pay
    ├── RateLimited                      too many requests; ``retry_after`` in seconds or None
    ├── ConcurrencyExceeded              too many unfinished jobs in this account
    ├── ContentRejected                  the vendor's content policy said no
    ├── ProviderUnavailable              the vendor could not be reached, or answered with a fault
    ├── SubmissionUnknown                the POST may have created a job; never re-sent blindly
    ├── JobFailed                        the vendor accepted the job and it failed
    ├── JobTimeout                       our patience ended; the job goes on
    ├── DeliveryError                    paid and finished, but the file is not here yet
    ├── BudgetExceeded                   the estimate is above what was allowed
    └── LedgerError                      the ledger cannot be read or written

    ConfigurationError                   outside the tree on purpose: ``except OnetakeError`` around
                                         a job must not hide a mistake in the set-up

    DriverSignal                         what a driver's ``submit`` may raise; the core turns it
    ├── NotSent                          into one of the errors above, callers never see it
    └── Refused
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

TaskState = Literal["not_created", "may_exist", "exists"]
Billed = Literal["yes", "no", "unknown"]


class OnetakeError(Exception):
    """Base of everything that can go wrong with a request or a job.

    ``str(error)`` is one sentence for people, followed by what to do next.

    Attributes:
        provider: name of the provider, or None before one is chosen.
        job_id: our id of the job, or None when there is no job.
        token: portable job token (see `onetake.open_job`), or None.
        vendor_code: the vendor's own code as text, or None.
        vendor_message: the vendor's own words, or None.
        task_state: whether a paid task exists at the vendor.
        billed: whether the vendor charges for it, as far as is known.
        hint: what to do next, or None.
        retryable: the same request may succeed later without a change.
        payload: the vendor's own answer as JSON, without long texts, or None.
    """

    default_hint: ClassVar[str | None] = None
    default_retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        provider: str | None = None,
        job_id: str | None = None,
        token: str | None = None,
        vendor_code: str | None = None,
        vendor_message: str | None = None,
        task_state: TaskState = "not_created",
        billed: Billed = "no",
        hint: str | None = None,
        retryable: bool | None = None,
        payload: Any = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.provider = provider
        self.job_id = job_id
        self.token = token
        self.vendor_code = vendor_code
        self.vendor_message = vendor_message
        self.task_state: TaskState = task_state
        self.billed: Billed = billed
        self.hint = hint if hint is not None else self.default_hint
        self.retryable = self.default_retryable if retryable is None else retryable
        self.payload = payload

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message

    def to_record(self) -> dict[str, Any]:
        """Return the error as plain JSON, for the ledger and for ``--json``."""
        return {"type": type(self).__name__, **{name: getattr(self, name) for name in _FIELDS}}

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> OnetakeError:
        """Rebuild an error that `to_record` wrote."""
        kind = _by_name().get(str(record.get("type")), OnetakeError)
        fields = {name: record[name] for name in _FIELDS if name in record}
        error = kind.__new__(kind)
        OnetakeError.__init__(error, fields.pop("message", ""), **fields)
        if isinstance(error, ContentRejected):
            error.side = record.get("side")
        return error


_FIELDS = (
    "message",
    "provider",
    "job_id",
    "token",
    "vendor_code",
    "vendor_message",
    "task_state",
    "billed",
    "hint",
    "retryable",
    "payload",
)


class RequestError(OnetakeError, ValueError):
    """The request cannot be expressed as asked. Nothing was sent, nothing is billed."""


class UnknownModel(RequestError):
    """No model of that name; the message lists its neighbours."""


class UnsupportedParameter(RequestError):
    """A parameter or value that the model does not have; the message lists what it has."""


class AssetError(RequestError):
    """An input file is missing, unreadable, or not what the model takes."""


class KeyConflict(RequestError):
    """The idempotency key was used before, for another request."""


class AuthenticationError(OnetakeError):
    """Credentials are missing, wrong, or of a kind that this call does not take."""


class InsufficientCredits(OnetakeError):
    """The account has no pack, balance or credit left for this product."""


class RateLimited(OnetakeError):
    """Too many requests.

    Attributes:
        retry_after: seconds that the vendor asked to wait, or None.
    """

    default_retryable = True
    retry_after: float | None = None

    def __init__(self, message: str, *, retry_after: float | None = None, **fields: Any) -> None:
        super().__init__(message, **fields)
        self.retry_after = retry_after


class ConcurrencyExceeded(RateLimited):
    """The account runs as many jobs as it may; a finished one makes room."""


class ContentRejected(OnetakeError):
    """The vendor's content policy refused the prompt, an input, or the output.

    Attributes:
        side: ``prompt``, ``input``, ``output``, or None when the vendor does not say.
    """

    side: Literal["prompt", "input", "output"] | None = None

    def __init__(
        self,
        message: str,
        *,
        side: Literal["prompt", "input", "output"] | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(message, **fields)
        self.side = side

    def to_record(self) -> dict[str, Any]:
        """Return the error as plain JSON."""
        return {**super().to_record(), "side": self.side}


class ProviderUnavailable(OnetakeError):
    """The vendor could not be reached or answered with a fault of its own."""

    default_retryable = True


class SubmissionUnknown(OnetakeError):
    """The submission got no usable answer: a paid job may or may not exist at the vendor."""

    def __init__(self, message: str, **fields: Any) -> None:
        fields.setdefault("task_state", "may_exist")
        fields.setdefault("billed", "unknown")
        super().__init__(message, **fields)


class JobFailed(OnetakeError):
    """The vendor accepted the job, and the job failed there."""

    def __init__(self, message: str, **fields: Any) -> None:
        fields.setdefault("task_state", "exists")
        fields.setdefault("billed", "unknown")
        super().__init__(message, **fields)


class JobTimeout(OnetakeError, TimeoutError):
    """The caller's patience ended. The job goes on at the vendor and can be resumed."""

    def __init__(self, message: str, **fields: Any) -> None:
        fields.setdefault("task_state", "exists")
        fields.setdefault("billed", "unknown")
        super().__init__(message, **fields)


class DeliveryError(OnetakeError):
    """The job is finished and paid, but its file could not be stored yet. It can be resumed."""

    default_retryable = True

    def __init__(self, message: str, **fields: Any) -> None:
        fields.setdefault("task_state", "exists")
        fields.setdefault("billed", "yes")
        super().__init__(message, **fields)


class BudgetExceeded(OnetakeError):
    """The estimate is above the limit, or unknown while a limit is set. Nothing was sent."""


class LedgerError(OnetakeError):
    """The ledger cannot be opened, read or written. Nothing is paid without a ledger."""


class ConfigurationError(Exception):
    """A mistake in the set-up: an unknown provider or region, a missing extra, a forbidden call."""


class DriverSignal(Exception):
    """Base of what a driver's ``submit`` may raise besides `SubmissionUnknown`."""


class NotSent(DriverSignal):
    """No byte of the request reached the vendor. It is safe to send it again.

    Attributes:
        error: what to tell the caller if sending again does not help.
    """

    def __init__(self, error: OnetakeError) -> None:
        super().__init__(str(error))
        self.error = error


class Refused(DriverSignal):
    """The vendor gave a definite, documented no; no task was created.

    Attributes:
        error: the neutral error for the caller.
        wait: True if the same request may be sent again after a pause
            (too many requests, no free slot); never for anything else.
        exists: True if the vendor refused because a task with our id exists already,
            which is then to be located, not an error.
    """

    def __init__(self, error: OnetakeError, *, wait: bool = False, exists: bool = False) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait = wait
        self.exists = exists


def _by_name() -> dict[str, type[OnetakeError]]:
    found: dict[str, type[OnetakeError]] = {}
    pending: list[type[OnetakeError]] = [OnetakeError]
    while pending:
        kind = pending.pop()
        found[kind.__name__] = kind
        pending.extend(kind.__subclasses__())
    return found
