"""Talking to fal.ai through its official client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import httpx
from fal_client import AsyncRequestHandle

from onetake.assets import LoadedAsset
from onetake.catalog import ModelCard
from onetake.driver import (
    Charge,
    Driver,
    DriverContext,
    LookError,
    LostSubmission,
    Missing,
    PreparedAsset,
    Snapshot,
    Submission,
    Task,
)
from onetake.errors import (
    AssetError,
    AuthenticationError,
    ConfigurationError,
    OnetakeError,
    ProviderUnavailable,
    SubmissionUnknown,
)
from onetake.fitting import FittedRequest
from onetake.job import TaskStatus
from onetake_fal import errors, wire
from onetake_fal.client import Client, VendorAnswer, accepted_id

START_TIMEOUT = 3600.0
"""Seconds that a request may wait in fal's queue before it is given up there, unbilled."""

LISTED_PAGES = 20
"""Pages of 100 requests that one search for a lost one reads at most."""

_NOBODY = "00000000-0000-7000-8000-000000000000"
_GONE = (404, 410)


class FalDriver(Driver):
    """Driver of fal.ai: every endpoint of its queue. Runs on asyncio, as fal-client does."""

    def __init__(self, context: DriverContext) -> None:
        super().__init__(context)
        self._start_timeout = _start_timeout(context)
        self._client = Client(
            _key(context),
            context.transport,
            context.clock,
            timeout=context.read_timeout,
            submit_timeout=context.submit_timeout,
        )

    def prepare(
        self, request: FittedRequest, job_id: str, assets: Sequence[PreparedAsset]
    ) -> Submission:
        """Translate; see `onetake_fal.wire`."""
        return wire.submission(request, job_id, assets)

    async def prepare_asset(self, asset: LoadedAsset, card: ModelCard) -> PreparedAsset:
        """Upload to fal's storage, once per job, so that each body is unique."""
        if asset.url is not None:
            return PreparedAsset(asset, asset.url)
        return PreparedAsset(asset, await self.upload(asset))

    async def upload(self, asset: LoadedAsset) -> str:
        """Put a file into fal's storage."""
        assert asset.data is not None
        try:
            url = await self._client.upload(
                asset.data,
                asset.media_type,
                asset.name,
                repository="fal_v3",
                fallback_repository=[],  # the fallback sends the key to whatever host it is told
            )
        except VendorAnswer as answer:
            raise errors.refusal(answer.response.status_code, answer.payload) from None
        except (KeyError, ValueError) as error:
            raise AssetError(
                f"{asset.name}: fal's storage gave an unreadable answer ({error!r}).",
                provider="fal",
                hint="Nothing was submitted; try again.",
            ) from error
        return str(url)

    async def submit(self, submission: Submission, body: bytes) -> Task:
        """POST once through fal-client; the id is read from the answer before it is parsed."""
        accepted_id.set(None)
        arguments = httpx.Response(200, content=body).json()
        try:
            await self._client.submit(
                submission.path,
                arguments,
                webhook_url=submission.query.get("fal_webhook"),
                headers=dict(submission.headers),
                start_timeout=self._start_timeout,
            )
        except (KeyError, ValueError, TypeError) as error:
            if accepted_id.get() is None:
                raise SubmissionUnknown(
                    f"fal's answer to the submission is unreadable ({error!r}).", provider="fal"
                ) from error
        request_id = accepted_id.get()
        assert request_id is not None
        return Task(id=request_id, route=submission.route, path=submission.path)

    def _handle(self, task: Task) -> AsyncRequestHandle:
        """Rebuild the handle from endpoint and id; URLs in replies are not trusted."""
        return AsyncRequestHandle.from_request_id(self._client.http, task.path, task.id)

    async def look(self, tasks: Sequence[Task]) -> Mapping[str, Snapshot | Missing | LookError]:
        """Ask for the status of each; once completed, fetch the result, which decides."""
        return {task.id: await self._look_at(task) for task in tasks}

    async def _look_at(self, task: Task) -> Snapshot | Missing | LookError:
        handle = self._handle(task)
        try:
            response = await self._client.http.get(handle.status_url, params={"logs": "false"})
            status = response.json()
            if status.get("status") == "COMPLETED":
                return await self._outcome(handle, status)
            return _waiting(status)
        except VendorAnswer as answer:
            if answer.response.status_code in _GONE:
                return Missing()
            error = errors.refusal(answer.response.status_code, answer.payload)
            return LookError(error, getattr(error, "retry_after", None))
        except OnetakeError as error:
            return LookError(error)
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
            unreadable = f"fal's answer could not be read ({error!r})."
            return LookError(ProviderUnavailable(unreadable, provider="fal"))

    async def _outcome(
        self, handle: AsyncRequestHandle, status: Mapping[str, Any]
    ) -> Snapshot | Missing | LookError:
        kind = status.get("error_type")
        try:
            response = await self._client.http.get(handle.response_url)
        except VendorAnswer as answer:
            code = answer.response.status_code
            found = kind or answer.response.headers.get("x-fal-error-type")
            if code in _GONE and not status.get("error"):
                return Missing()  # undocumented, and a gateway may say it too: no verdict
            if not (status.get("error") or found or errors.is_verdict(code, answer.payload)):
                error = errors.refusal(code, answer.payload)
                return LookError(error, getattr(error, "retry_after", None))
            error = errors.task_failure(answer.payload, found)
            cancelled = error.vendor_code == errors.CANCELLED
            state = TaskStatus.CANCELLED if cancelled else TaskStatus.FAILED
            return Snapshot(state, error=error)
        payload = response.json()
        if status.get("error"):
            return Snapshot(
                TaskStatus.FAILED,
                error=errors.task_failure({"detail": status["error"]}, kind),
                raw=status,
            )
        return Snapshot(
            TaskStatus.SUCCEEDED,
            outputs=wire.outputs(payload),
            charge=_charge(response),
            raw=payload if isinstance(payload, dict) else {"result": payload},
        )

    async def locate(self, lost: LostSubmission) -> Sequence[Task]:
        """Ask fal's platform for requests with exactly this body, sent about then.

        Facts: platform API 2026-08-21. Requests are listed by the time at which they ended;
        whether unfinished ones are is not documented, so an empty answer proves nothing yet.
        """
        listed: list[Mapping[str, Any]] = []
        cursor: str | None = None
        try:
            for _ in range(LISTED_PAGES):
                query = wire.listing_query(lost, cursor)
                response = await self._client.http.get(wire.LISTING_URL, params=query)
                answer = response.json()
                listed += answer["items"]
                cursor = answer.get("next_cursor")
                if not cursor:
                    return wire.matching(listed, lost)
        except VendorAnswer as answer:
            raise errors.platform_refusal(answer.response.status_code, answer.payload) from None
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            unreadable = f"fal's list of requests could not be read ({error!r})."
            raise ProviderUnavailable(unreadable, provider="fal") from error
        raise ProviderUnavailable(
            f"fal lists more than {100 * LISTED_PAGES} requests since then; that is too many to be "
            "sure of the right one.",
            provider="fal",
            retryable=False,
        )

    def read_callback(self, body: bytes) -> str | None:
        """Read the request id from a webhook's body."""
        return wire.called_request(body)

    async def cancel(self, task: Task) -> bool:
        """Ask fal to remove or stop a request; False if it had finished."""
        try:
            await self._handle(task).cancel()
        except VendorAnswer as answer:
            if answer.response.status_code in (400, *_GONE):
                return False
            raise errors.refusal(answer.response.status_code, answer.payload) from None
        return True

    async def verify(self) -> None:
        """Ask for a request that does not exist; only the key's refusal means anything."""
        handle = self._handle(Task(_NOBODY, path="fal-ai/kling-video"))
        try:
            await self._client.http.get(handle.status_url, params={"logs": "false"})
        except VendorAnswer as answer:
            if answer.response.status_code == 401:
                error = errors.refusal(401, answer.payload)
                assert isinstance(error, AuthenticationError)
                error.hint = f"It came from {self.context.credentials.origin}. {error.hint}"
                raise error from None
        except OnetakeError:
            return  # says nothing about the key

    async def aclose(self) -> None:
        """Close the clients."""
        await self._client.aclose()


def _start_timeout(context: DriverContext) -> float:
    value = context.options.get("start_timeout", START_TIMEOUT)
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 1:
        raise ConfigurationError(
            f"start_timeout: {value!r} is not a number of seconds above 1, as fal demands."
        )
    return float(value)


def _key(context: DriverContext) -> str:
    key = context.credentials.get("api_key")
    if key is not None:
        return key
    return f"{context.credentials.get('key_id')}:{context.credentials.get('key_secret')}"


def _waiting(status: Mapping[str, Any]) -> Snapshot:
    word = status.get("status")
    if word == "IN_QUEUE":
        return Snapshot(TaskStatus.QUEUED, position=status.get("queue_position"), raw=status)
    if word == "IN_PROGRESS":
        return Snapshot(TaskStatus.RUNNING, raw=status)
    raise ProviderUnavailable(
        f"fal: the status {word!r} is not known to this version of onetake-fal.",
        provider="fal",
        task_state="exists",
        billed="unknown",
        retryable=False,
    )


def _charge(response: httpx.Response) -> Charge | None:
    """Read the billable units that fal states with a result."""
    units = response.headers.get("x-fal-billable-units")
    if units is None:
        return None
    try:
        return Charge(units=Decimal(units))
    except InvalidOperation:
        return None
