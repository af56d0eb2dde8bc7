"""Talking to the official Kling API."""

from __future__ import annotations

import email.utils
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import httpx

from onetake.driver import (
    Balance,
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
    AuthenticationError,
    OnetakeError,
    ProviderUnavailable,
    Refused,
    SubmissionUnknown,
)
from onetake.fitting import FittedRequest
from onetake.http import AtMostOnce, build_client, judge_submission, retry_after
from onetake_kling import errors, wire
from onetake_kling.auth import Signer

_CLOCK_CODES = (1003, 1004)
_MONTH = 30 * 86_400
_PACK_SLOTS = re.compile(r"-(\d+)Con-")


class KlingDriver(Driver):
    """Driver of the official Kling API, both generations, all regions."""

    def __init__(self, context: DriverContext) -> None:
        super().__init__(context)
        self._signer = Signer(context.credentials, context.clock.now)
        transport = AtMostOnce(
            context.transport,
            provider="kling",
            is_submission=lambda request: request.method == "POST",
        )
        self._client = build_client(
            transport,
            timeout=context.read_timeout,
            base_url=context.base_url,
            headers={"Content-Type": "application/json"},
        )

    def prepare(
        self, request: FittedRequest, job_id: str, assets: Sequence[PreparedAsset]
    ) -> Submission:
        """Translate; see `onetake_kling.wire`."""
        return wire.submission(request, job_id, assets, has_api_key=self._signer.has_api_key)

    async def submit(self, submission: Submission, body: bytes) -> Task:
        """POST once and read the answer."""
        response = await self._client.post(
            submission.path,
            content=body,
            headers={**submission.headers, "Authorization": self._signer.header()},
            timeout=self.context.submit_timeout,
        )
        answer = judge_submission(response, "kling")
        code, message = _code(answer), str(answer.get("message", ""))
        if code == 0 and response.is_success:
            task = wire.created_task(answer.get("data"), submission)
            if task is not None:
                return task
        self._refuse(response, code, message)
        raise SubmissionUnknown(
            f"kling answered HTTP {response.status_code} with code {code} ({message}), which is "
            "not documented; a task may exist.",
            provider="kling",
            vendor_code=str(code),
            vendor_message=message,
        )

    def _refuse(self, response: httpx.Response, code: int, message: str) -> None:
        row, error = errors.CODES.get(code), errors.error_of(code, message)
        if row is None or error is None or row.may_exist:
            return
        if code in _CLOCK_CODES and self._synchronised(response):
            raise Refused(error, wait=True)
        if code in _CLOCK_CODES:
            error.hint = (
                f"The server's clock differs from this machine's by {self._signer.skew:+.0f} s; "
                "set the clock."
            )
        asked = retry_after(response, self.context.clock.now())
        if asked is not None:
            error.retry_after = asked  # type: ignore[attr-defined]
        raise Refused(error, wait=row.wait, exists=errors.is_duplicate(code, message))

    def _synchronised(self, response: httpx.Response) -> bool:
        date = response.headers.get("date")
        if date is None:
            return False
        return self._signer.synchronise(email.utils.parsedate_to_datetime(date).timestamp())

    async def look(self, tasks: Sequence[Task]) -> Mapping[str, Snapshot | Missing | LookError]:
        """Ask for up to 20 tasks in one call; one by one where only a JWT is at hand."""
        if self._signer.has_api_key:
            return await self._look_at_many(tasks)
        return {task.id: await self._look_at_one(task) for task in tasks}

    async def _look_at_many(
        self, tasks: Sequence[Task]
    ) -> Mapping[str, Snapshot | Missing | LookError]:
        try:
            data = await self._read("/tasks", {"task_ids": ",".join(task.id for task in tasks)})
        except OnetakeError as error:
            if errors.is_not_found(_as_int(error.vendor_code), error.vendor_message or ""):
                return await self._look_singly(tasks)  # one that is gone must not hide the others
            failed = LookError(error, getattr(error, "retry_after", None))
            return {task.id: failed for task in tasks}
        records = {record.get("id"): record for record in data or ()}
        return {task.id: _answer(records.get(task.id)) for task in tasks}

    async def _look_singly(
        self, tasks: Sequence[Task]
    ) -> Mapping[str, Snapshot | Missing | LookError]:
        if len(tasks) == 1:
            return {tasks[0].id: Missing()}
        answers: dict[str, Snapshot | Missing | LookError] = {}
        for task in tasks:
            answers.update(await self._look_at_many([task]))
        return answers

    async def _look_at_one(self, task: Task) -> Snapshot | Missing | LookError:
        try:
            return _answer(await self._read(f"{task.path}/{task.id}"))
        except OnetakeError as error:
            if errors.is_not_found(_as_int(error.vendor_code), error.vendor_message or ""):
                return Missing()
            return LookError(error, getattr(error, "retry_after", None))

    async def locate(self, lost: LostSubmission) -> Sequence[Task]:
        """Find a task by our id, which the vendor keeps unique in the account."""
        try:
            if self._signer.has_api_key:
                shown = await self._read("/tasks", {"external_task_ids": lost.job_id})
            else:
                shown = await self._read(f"{lost.submission.path}/{lost.job_id}")
        except OnetakeError as error:
            if errors.is_not_found(_as_int(error.vendor_code), error.vendor_message or ""):
                return ()
            raise
        found = wire.found_task(shown, lost.job_id, lost.submission)
        return () if found is None else (found,)

    def read_callback(self, body: bytes) -> str | None:
        """Read the task id from a callback of either generation."""
        return wire.called_task(body)

    async def verify(self) -> None:
        """Read something free, so that a wrong key shows before anything is paid."""
        try:
            if self._signer.has_api_key:
                await self._read("/tasks", {"external_task_ids": "onetake-verify"})
            else:
                query = {"pageNum": "1", "pageSize": "1"}
                await self._read(wire.LEGACY_PATHS["text-to-video"], query)
        except AuthenticationError as error:
            if _as_int(error.vendor_code) not in _CLOCK_CODES:
                if self._signer.has_api_key:
                    error.hint = errors.KEY_HINT  # the vendor's words speak of AK/SK for any key
                error.hint = f"It came from {self.context.credentials.origin}. {error.hint or ''}"
                raise
        except OnetakeError:
            return  # says nothing about the credentials

    def slots(self, submission: Submission) -> Sequence[tuple[str, int]]:
        """The vendor counts unfinished tasks by model version."""
        return [(wire.bucket(submission), 1)]

    async def concurrency(self) -> int | None:
        """Return the largest concurrency among the active packs, which is what counts.

        The number stands in a pack's name only, as ``…-5Con-…`` (seen live by a third party,
        2026-09); a name without it tells nothing.
        """
        told = [_PACK_SLOTS.search(pack["resource_pack_name"]) for pack in await self._packs()]
        return max((int(match[1]) for match in told if match), default=None)

    async def account(self) -> Sequence[Balance]:
        """Return the packs with what is left of them."""
        return [
            Balance(
                name=pack["resource_pack_name"],
                remaining=Decimal(str(pack["remaining_quantity"])),
                unit="units",
                expires_at=pack["invalid_time"] / 1000,
            )
            for pack in await self._packs()
        ]

    async def _packs(self) -> list[Mapping[str, Any]]:
        now = self.context.clock.now()
        query = {
            "start_time": str(int((now - 12 * _MONTH) * 1000)),
            "end_time": str(int(now * 1000)),
        }
        data = await self._read("/account/costs", query) or {}
        return [
            pack
            for pack in data.get("resource_pack_subscribe_infos", ())
            if pack.get("status") in ("online", "toBeOnline")
        ]

    async def _read(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """GET and return ``data``; once more if only the clocks differed.

        Raises:
            OnetakeError: with the vendor's code.
        """
        skew = self._signer.skew
        try:
            return await self._read_once(path, query)
        except AuthenticationError:
            if self._signer.skew == skew:
                raise
            return await self._read_once(path, query)

    async def _read_once(self, path: str, query: Mapping[str, str] | None) -> Any:
        headers = {"Authorization": self._signer.header()}
        response = await self._client.get(path, params=query, headers=headers)
        await response.aread()
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ProviderUnavailable(
                f"kling answered HTTP {response.status_code} without JSON.", provider="kling"
            )
        code, message = _code(answer), str(answer.get("message", ""))
        if code == 0 and response.is_success:
            return answer.get("data")
        if code in _CLOCK_CODES:
            self._synchronised(response)
        error = errors.error_of(code, message) or ProviderUnavailable(
            f"kling: HTTP {response.status_code}, code {code}: {message}.",
            provider="kling",
            vendor_code=str(code),
            vendor_message=message,
        )
        raise error

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.aclose()


def _answer(record: Any) -> Snapshot | Missing | LookError:
    if not isinstance(record, Mapping):
        return Missing()
    try:
        return wire.snapshot(record)
    except OnetakeError as error:
        return LookError(error)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        unreadable = f"kling: a task record could not be read ({error!r})."
        return LookError(ProviderUnavailable(unreadable, provider="kling", retryable=False))


def _code(answer: Mapping[str, Any]) -> int:
    return _as_int(answer.get("code"))


def _as_int(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return -1
