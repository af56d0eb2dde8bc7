"""Talking to the official Kling API."""

from __future__ import annotations

import email.utils
import re
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from onetake.assets import LoadedAsset
from onetake.catalog import ModelCard
from onetake.driver import (
    Answered,
    Balance,
    Deduction,
    Driver,
    DriverContext,
    LookError,
    LostSubmission,
    Missing,
    PreparedAsset,
    Resource,
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
from onetake.http import AtMostOnce, build_client, dump_json, judge_submission, retry_after
from onetake_kling import books, editing, errors, resources
from onetake_kling.auth import Signer
from onetake_kling.paths import is_paid
from onetake_kling.wire import legacy, records, submitting

_CLOCK_CODES = (1003, 1004)
_PACK_SLOTS = re.compile(r"-(\d+)Con-")


class KlingDriver(Driver):
    """Driver of the official Kling API, both generations, all regions."""

    def __init__(self, context: DriverContext) -> None:
        super().__init__(context)
        self._asked_packs: tuple[float, list[Mapping[str, Any]]] | None = None
        self._signer = Signer(context.credentials, context.clock.now)
        transport = AtMostOnce(
            context.transport,
            provider="kling",
            is_submission=lambda request: request.method == "POST" and is_paid(request.url.path),
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
        has_api_key = self._signer.has_api_key
        return submitting.submission(request, job_id, assets, has_api_key=has_api_key)

    async def prepare_asset(self, asset: LoadedAsset, card: ModelCard) -> PreparedAsset:
        """Keep a URL or an id of the vendor's; else inline as raw base64."""
        if asset.vendor_id is not None:
            return PreparedAsset(asset, asset.vendor_id)
        return await super().prepare_asset(asset, card)

    async def arrange(
        self, request: FittedRequest, assets: Sequence[PreparedAsset]
    ) -> Mapping[str, Any]:
        """Mark what is meant in a video that is to be edited."""
        return await editing.arrange(self._ask, request, assets)

    async def submit(self, submission: Submission, body: bytes) -> Task | Answered:
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
            accepted = _accepted(answer, submission)
            if accepted is not None:
                return accepted
        if errors.is_no_path(answer):
            raise Refused(errors.no_path(str(answer["path"])))
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
        answers: dict[str, Snapshot | Missing | LookError] = {
            task.id: Missing() for task in tasks if _is_over(task)
        }
        asked = [task for task in tasks if not _is_over(task)]
        if not self._signer.has_api_key:
            return answers | {task.id: await self._look_at_one(task) for task in asked}
        for path in ("/tasks", "/solutions"):
            some = [task for task in asked if _list_path(task) == path]
            if some:
                answers.update(await self._look_at_many(some, path))
        return answers

    async def _look_at_many(
        self, tasks: Sequence[Task], path: str
    ) -> Mapping[str, Snapshot | Missing | LookError]:
        try:
            data = await self._read(path, {"task_ids": ",".join(task.id for task in tasks)})
        except OnetakeError as error:
            if _is_gone(error):
                return await self._look_singly(tasks, path)  # it must not hide the others
            failed = _failed(error)
            return {task.id: failed for task in tasks}
        found = {record.get("id"): record for record in data or ()}
        return {task.id: _answer(found.get(task.id), task) for task in tasks}

    async def _look_singly(
        self, tasks: Sequence[Task], path: str
    ) -> Mapping[str, Snapshot | Missing | LookError]:
        if len(tasks) == 1:
            return {tasks[0].id: Missing()}
        answers: dict[str, Snapshot | Missing | LookError] = {}
        for task in tasks:
            answers.update(await self._look_at_many([task], path))
        return answers

    async def _look_at_one(self, task: Task) -> Snapshot | Missing | LookError:
        try:
            return _answer(await self._read(f"{task.path}/{task.id}"), task)
        except OnetakeError as error:
            if _is_gone(error):
                return Missing()
            return _failed(error)

    async def locate(self, lost: LostSubmission) -> Sequence[Task]:
        """Find a task by our id, which the vendor keeps unique in the account."""
        if lost.submission.external_id is None:
            return ()  # a synchronous call: nothing of ours travelled, nothing can be found
        try:
            if self._signer.has_api_key:
                path = "/solutions" if lost.submission.route == "solutions" else "/tasks"
                shown = await self._read(path, {"external_task_ids": lost.job_id})
            else:
                shown = await self._read(f"{lost.submission.path}/{lost.job_id}")
        except OnetakeError as error:
            if _is_gone(error):
                return ()
            raise
        found = records.found_task(shown, lost.job_id, lost.submission)
        return () if found is None else (found,)

    def read_callback(self, body: bytes) -> str | None:
        """Read the task id from a callback of either generation."""
        return records.called_task(body)

    async def verify(self) -> None:
        """Read something free, so that a wrong key shows before anything is paid."""
        try:
            if self._signer.has_api_key:
                await self._read("/tasks", {"external_task_ids": "onetake-verify"})
            else:
                query = {"pageNum": "1", "pageSize": "1"}
                await self._read(legacy.ENDPOINTS["text-to-video"].path, query)
        except AuthenticationError as error:
            if _as_int(error.vendor_code) not in _CLOCK_CODES:
                if self._signer.has_api_key:
                    error.hint = errors.KEY_HINT  # the vendor's words speak of AK/SK for any key
                error.hint = f"It came from {self.context.credentials.origin}. {error.hint or ''}"
                raise
        except OnetakeError:
            return  # says nothing about the credentials

    def slots(self, submission: Submission) -> Sequence[tuple[str, int]]:
        """The vendor counts unfinished tasks by model version and pack."""
        return submitting.slots(submission)

    async def concurrency(self) -> int | None:
        """Return the largest concurrency among the active packs, which is what counts.

        The number stands in a pack's name only, as ``…-5Con-…`` (seen live by a third party,
        2026-09); a name without it tells nothing.
        """
        told = [_PACK_SLOTS.search(pack["resource_pack_name"]) for pack in await self._packs()]
        return max((int(match[1]) for match in told if match), default=None)

    async def account(self) -> Sequence[Balance]:
        """Return the packs with what is left of them."""
        return [books.balance(pack) for pack in await self._packs()]

    async def _packs(self) -> list[Mapping[str, Any]]:
        """Return the packs in use; the vendor wants to be asked once a second at most."""
        now = self.context.clock.now()
        if self._asked_packs is None or not 0 <= now - self._asked_packs[0] < books.PACE:
            data = await self._read("/account/costs", books.query(now)) or {}
            self._asked_packs = (now, books.packs_in_use(data))
        return self._asked_packs[1]

    async def deductions(self, since: float, until: float) -> Sequence[Deduction]:
        """Return what was taken from packs and balance, oldest first."""
        return await books.deductions(self._ask, since, until)

    async def resources(self, kind: str, *, preset: bool = False) -> Sequence[Resource]:
        """Return voices or elements: the account's own, or the vendor's."""
        return await resources.listed(self._read, kind, preset=preset)

    async def delete_resource(self, kind: str, resource_id: str) -> None:
        """Delete a voice or an element of the account's own."""
        await self._ask(*resources.deletion(kind, resource_id))

    async def _ask(self, path: str, body: Mapping[str, Any]) -> Any:
        """POST something that costs nothing and may be repeated; return ``data``.

        Raises:
            OnetakeError: with the vendor's code.
        """
        headers = {"Authorization": self._signer.header()}
        response = await self._client.post(path, content=dump_json(body), headers=headers)
        return self._data_of(response)

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
        return self._data_of(response)

    def _data_of(self, response: httpx.Response) -> Any:
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


def _accepted(answer: Mapping[str, Any], sent: Submission) -> Task | Answered | None:
    """Read the answer to a create, or to a synchronous call; None if it is neither."""
    data = answer.get("data")
    endpoint = legacy.BY_PATH.get(sent.path)
    if endpoint is None or not endpoint.synchronous:
        return records.created_task(data, sent)
    if not isinstance(data, Mapping):
        return None
    task_id = str(data.get("task_id") or answer.get("request_id") or "")
    try:
        return Answered(Task(task_id, sent.route, sent.path), records.answered(data, sent.path))
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        return None


def _is_over(task: Task) -> bool:
    """Say whether a task was a synchronous call, which nobody can ask about."""
    endpoint = legacy.BY_PATH.get(task.path)
    return endpoint is not None and endpoint.synchronous


def _is_gone(error: OnetakeError) -> bool:
    return errors.is_not_found(_as_int(error.vendor_code), error.vendor_message or "")


def _failed(error: OnetakeError) -> LookError:
    return LookError(error, getattr(error, "retry_after", None))


def _list_path(task: Task) -> str:
    return "/solutions" if task.route == "solutions" else "/tasks"


def _answer(record: Any, task: Task) -> Snapshot | Missing | LookError:
    if not isinstance(record, Mapping):
        return Missing()
    try:
        return records.snapshot(record, task.path)
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
