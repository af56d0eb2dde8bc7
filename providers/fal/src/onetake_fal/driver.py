"""Talking to fal.ai through its official client."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Any

import httpx
from fal_client import AsyncRequestHandle

from onetake.assets import LoadedAsset
from onetake.catalog import ModelCard
from onetake.driver import (
    Balance,
    Blob,
    Deduction,
    Driver,
    DriverContext,
    ListPrice,
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
    NotSent,
    OnetakeError,
    ProviderUnavailable,
    RequestError,
    SubmissionUnknown,
)
from onetake.fitting import FittedRequest
from onetake.http import retry_after
from onetake.job import TaskStatus
from onetake_fal import cards, errors, foreign, platform, results, wire
from onetake_fal.client import Client, VendorAnswer, accepted_id, left
from onetake_fal.options import Options

LISTED_PAGES = 20
"""Pages of 100 requests that one search for a lost one reads at most."""

_NOBODY = "00000000-0000-7000-8000-000000000000"
_GONE = (404, 410)


class FalDriver(Driver):
    """Driver of fal.ai: every endpoint of its queue. Runs on asyncio, as fal-client does."""

    def __init__(self, context: DriverContext) -> None:
        super().__init__(context)
        self._options = Options.read(context.options)
        self._shared: dict[str, str] = {}
        self._lines: dict[str, int] = {}
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
        written = wire.submission(request, job_id, assets)
        return dataclasses.replace(written, headers=self._options.headers())

    async def prepare_asset(self, asset: LoadedAsset, card: ModelCard) -> PreparedAsset:
        """Upload to fal's storage, once per job unless told otherwise: so each body is unique."""
        if asset.url is not None:
            return PreparedAsset(asset, asset.url)
        assert asset.data is not None
        if asset.kind == "image" and len(asset.data) < self._options.inline_below:
            return PreparedAsset(asset, Blob(asset.sha256, "data_uri", asset.media_type))
        if not self._options.shared_uploads:
            return PreparedAsset(asset, await self.upload(asset))
        if asset.sha256 not in self._shared:
            self._shared[asset.sha256] = await self.upload(asset)
        return PreparedAsset(asset, self._shared[asset.sha256])

    async def describe(self, vendor_id: str) -> ModelCard | None:
        """Return a card from an endpoint's OpenAPI; None if fal does not list it."""
        query = {"endpoint_id": vendor_id, "expand": "openapi-3.0"}
        answer = await self._platform(platform.MODELS, query)
        with _reading():
            found = [item for item in answer["models"] if item["endpoint_id"] == vendor_id]
            if not found or "openapi" not in found[0]:
                return None
            return foreign.described(vendor_id, found[0])

    async def findings(self) -> Sequence[str]:
        """Tell the key's scope: only one of scope ADMIN may read what was billed."""
        try:
            await self.account()
        except AuthenticationError:
            return (
                "the key has scope API: it generates, but may not read balance and billing events; "
                "a key of scope ADMIN may",
            )
        except OnetakeError as error:
            return (f"whether the key may read the balance could not be told: {error.message}",)
        return ("the key has scope ADMIN: balance and billing events can be read",)

    async def upload(self, asset: LoadedAsset) -> str:
        """Put a file into fal's storage."""
        assert asset.data is not None
        try:
            url = await self._client.upload(
                asset.data,
                asset.media_type,
                wire.plain_name(asset.name),
                lifecycle=self._options.lifecycle,
                repository="fal_v3",
                fallback_repository=["fal"],
            )
        except VendorAnswer as answer:
            raise errors.refusal(answer.response.status_code, answer.payload) from None
        except (KeyError, TypeError, ValueError) as error:
            raise _no_upload(asset, repr(error)) from error
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise _no_upload(asset, f"{url!r:.60} is no URL")
        return url

    async def submit(self, submission: Submission, body: bytes) -> Task:
        """POST once through fal-client; the id is read from the answer before it is parsed."""
        accepted_id.set(None)
        left.set(False)
        arguments = httpx.Response(200, content=body).json()
        try:
            await self._client.submit(
                submission.path,
                arguments,
                webhook_url=submission.query.get("fal_webhook"),
                headers=dict(submission.headers),
                start_timeout=self._options.start_timeout,
            )
        except (KeyError, ValueError, TypeError) as error:
            if not left.get():
                unsent = RequestError(f"fal: nothing could be sent: {error}.", provider="fal")
                raise NotSent(unsent) from error
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
        url = self._handle(task).status_url
        try:
            response = await self._client.http.get(url, params={"logs": "true"})
            return await self._read(task, response.json())
        except VendorAnswer as answer:
            if answer.response.status_code in _GONE:
                return Missing(final=answer.response.status_code == 410)
            return self._look_error(answer)
        except OnetakeError as error:
            return LookError(error)
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
            unreadable = f"fal's answer could not be read ({error!r})."
            return LookError(ProviderUnavailable(unreadable, provider="fal"))

    async def _read(
        self, task: Task, status: Mapping[str, Any], *, whole: bool = True
    ) -> Snapshot | Missing | LookError:
        """Read a status; once completed, the result decides. Logs come whole, or what is new."""
        lines = results.log_lines(status.get("logs"))
        new = tuple(lines[self._lines.get(task.id, 0) :] if whole else lines)
        self._lines[task.id] = self._lines.get(task.id, 0) + len(new)
        if status.get("status") != "COMPLETED":
            return dataclasses.replace(results.waiting(status), logs=new)
        answer = await self._outcome(task, status)
        if not isinstance(answer, Snapshot):
            return answer
        self._lines.pop(task.id, None)
        return dataclasses.replace(answer, logs=new)

    async def _outcome(
        self, task: Task, status: Mapping[str, Any]
    ) -> Snapshot | Missing | LookError:
        kind = status.get("error_type")
        try:
            response = await self._client.http.get(self._handle(task).response_url)
        except VendorAnswer as answer:
            return self._failed(answer, status, cards.our_names(task.path))
        if status.get("error"):
            return Snapshot(
                TaskStatus.FAILED,
                error=errors.task_failure(
                    {"detail": status["error"]}, kind, cards.our_names(task.path)
                ),
                raw=status,
            )
        return results.succeeded(response, task.path)

    def _failed(
        self, answer: VendorAnswer, status: Mapping[str, Any], names: Mapping[str, str]
    ) -> Snapshot | Missing | LookError:
        """Tell a request that failed from an answer that says nothing about it."""
        code, payload = answer.response.status_code, answer.payload
        kind = status.get("error_type") or answer.response.headers.get("x-fal-error-type")
        kind = kind or errors.path_kind(payload)
        if errors.is_not_ready(code, payload):
            return Snapshot(TaskStatus.RUNNING)
        if code in _GONE and not (status.get("error") or kind):
            # the app's own word, or a result that is kept no longer; a gateway's page says nothing
            return Missing(final=isinstance(payload, Mapping))
        if not (status.get("error") or errors.is_verdict(code, payload, kind)):
            return self._look_error(answer)
        error = errors.task_failure(payload, kind, names)
        cancelled = error.vendor_code == errors.CANCELLED
        state = TaskStatus.CANCELLED if cancelled else TaskStatus.FAILED
        return Snapshot(state, error=error, raw=payload if isinstance(payload, Mapping) else {})

    def _look_error(self, answer: VendorAnswer) -> LookError:
        pause = retry_after(answer.response, self.context.clock.now())
        error = errors.refusal(answer.response.status_code, answer.payload, retry_after=pause)
        return LookError(error, pause)

    async def watch(self, task: Task) -> AsyncGenerator[Snapshot, None]:
        """Follow the status stream; the event that says COMPLETED brings the result with it.

        Facts: server-sent events, one per change, closed after COMPLETED (fal docs 2025-12).
        """
        if not (self.context.streams and self._options.stream):
            raise NotImplementedError
        url = self._handle(task).status_url
        whole = True  # the first event brings the log so far, the others what is new
        async for status in self._client.events(f"{url}/stream"):
            answer = await self._read(task, status, whole=whole)
            whole = False
            if not isinstance(answer, Snapshot):
                return
            yield answer

    async def locate(self, lost: LostSubmission) -> Sequence[Task]:
        """Ask fal's platform for requests with exactly this body, sent about then.

        Facts: platform API 2026-08-21. Requests are listed by the time at which they ended;
        whether unfinished ones are is not documented, so an empty answer proves nothing yet.
        """
        if lost.submission.headers.get("X-Fal-Store-IO") == "0":
            raise ProviderUnavailable(
                "fal was told not to store this request (recoverable=False): it cannot be found.",
                provider="fal",
                retryable=False,
            )
        listed = await self._pages(platform.REQUESTS, platform.listing_query(lost), "items")
        return platform.matching(listed, lost)

    async def _pages(
        self, url: str, query: Mapping[str, str], member: str
    ) -> list[Mapping[str, Any]]:
        """Read all pages of a list of fal's platform."""
        listed: list[Mapping[str, Any]] = []
        page = query
        for _ in range(LISTED_PAGES):
            answer = await self._platform(url, page)
            with _reading():
                listed += answer[member]
            if not answer.get("next_cursor"):
                return listed
            page = {**query, "cursor": str(answer["next_cursor"])}
        raise ProviderUnavailable(
            f"fal lists more than {LISTED_PAGES} pages for this; that is too many to be sure.",
            provider="fal",
            retryable=False,
        )

    async def _platform(self, url: str, query: Mapping[str, str]) -> Mapping[str, Any]:
        """Ask fal's platform."""
        try:
            response = await self._client.http.get(url, params=query)
        except VendorAnswer as answer:
            raise errors.platform_refusal(answer.response.status_code, answer.payload) from None
        with _reading():
            told = response.json()
            if not isinstance(told, Mapping):
                raise TypeError(type(told).__name__)
            return told

    async def account(self) -> Sequence[Balance]:
        """Return the account's credits; only a key of scope ADMIN is told them."""
        answer = await self._platform(platform.BILLING, {"expand": "credits"})
        with _reading():
            return platform.balances(answer)

    async def list_prices(self, vendor_ids: Sequence[str]) -> Sequence[ListPrice]:
        """Return fal's live prices: one number per endpoint, without tiers."""
        found: list[ListPrice] = []
        for start in range(0, len(vendor_ids), platform.AT_ONCE):
            some = ",".join(vendor_ids[start : start + platform.AT_ONCE])
            answer = await self._platform(platform.PRICING, {"endpoint_id": some})
            with _reading():
                found += map(platform.list_price, answer["prices"])
        return found

    async def deductions(self, since: float, until: float) -> Sequence[Deduction]:
        """Return billing events, oldest first; fal writes them minutes after a request's end."""
        events: list[Mapping[str, Any]] = []
        for query in platform.events_queries(since, until):
            events += await self._pages(platform.BILLING_EVENTS, query, "billing_events")
        with _reading():
            return sorted(map(platform.deduction, events), key=lambda item: item.at)

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


def _key(context: DriverContext) -> str:
    key = context.credentials.get("api_key")
    if key is not None:
        return key
    return f"{context.credentials.get('key_id')}:{context.credentials.get('key_secret')}"


def _no_upload(asset: LoadedAsset, why: str) -> AssetError:
    return AssetError(
        f"{asset.name}: fal's storage gave an unreadable answer ({why}).",
        provider="fal",
        hint="Nothing was submitted; try again.",
    )


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """Turn what an answer of fal's platform lacks into an error that says so."""
    try:
        yield
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ProviderUnavailable(
            f"an answer of fal's platform could not be read ({error!r}).", provider="fal"
        ) from error
