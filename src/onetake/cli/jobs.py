"""``onetake jobs``: what the ledger knows, and going on with it."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from onetake.cli import generate, options, output
from onetake.errors import OnetakeError, RequestError

if TYPE_CHECKING:
    import sqlalchemy as sa

    from onetake.job import Job
    from onetake.ledger.records import JobRecord

T = TypeVar("T")
app = typer.Typer(
    help="List, show and go on with jobs.", no_args_is_help=True, rich_markup_mode=None
)
JobId = Annotated[str, typer.Argument(metavar="ID", help="Job id, or the beginning of it.")]


@app.command("list")
def list_jobs(
    open_only: Annotated[
        bool, typer.Option("--open", help="Only jobs that have not ended.")
    ] = False,
    limit: Annotated[int, typer.Option(help="How many at most.")] = 50,
    as_json: options.Json = False,
) -> None:
    """List jobs, newest first."""
    from onetake.ledger import store

    records = _ask(lambda connection: store.listed(connection, open_only=open_only, limit=limit))
    if as_json:
        output.print_json([record.job().to_json() for record in records])
        return
    rows = [
        (record.id, record.model, record.state.value, _place(record), _when(record.created_at))
        for record in records
    ]
    output.table(("job", "model", "state", "where", "made"), rows)


@app.command()
def show(job_id: JobId, as_json: options.Json = False) -> None:
    """Show one job with its history."""
    from onetake.ledger import store

    record = _find(job_id)
    if as_json:
        output.print_json(record.job().to_json())
        return
    job = record.job()
    facts: list[tuple[str, Any]] = [
        ("job", job.id),
        ("state", job.state.value),
        ("where", _place(record)),
        ("model", job.model),
        ("task", job.task_id),
        ("key", job.key),
        ("prompt", record.request.get("prompt")),
        ("estimate", _amount(job.estimate, "expected")),
        ("charged", _amount(job.actual, "amount")),
        ("error", None if job.error is None else job.error.get("message")),
    ]
    facts += [("file", artifact["path"]) for artifact in job.artifacts]
    facts += [("note", note) for note in job.notes]
    for name, value in facts:
        if value is not None:
            output.say(f"{name:9} {value}")
    history = _ask(lambda connection: store.history(connection, record.id))
    for event in history:
        output.say(f"{_when(event['at'])}  {event['event']}")


@app.command()
def wait(
    job_id: JobId,
    timeout: Annotated[float | None, typer.Option(help="Seconds to wait.")] = None,
    as_json: options.Json = False,
) -> int:
    """Wait for a job and fetch its file."""
    import anyio

    from onetake.opening import provider_of

    record = _find(job_id)
    latest = record.job()

    async def work() -> None:
        nonlocal latest
        with generate.progress(as_json) as show_progress:
            async with provider_of(record.account) as provider:
                result = await provider.wait(record.id, timeout=timeout, on_update=show_progress)
                latest = result.job

    try:
        anyio.run(work)
    except OnetakeError as error:
        if as_json:
            output.print_json(generate.failure(error, _find(record.id).job()))
        output.complain(error)
        return output.exit_code(error)
    except KeyboardInterrupt:
        output.hint(f"\nonetake: stopped waiting; job {record.id} goes on.")
        return output.INTERRUPTED
    if as_json:
        output.print_json(latest.to_json())
    else:
        generate.report(latest.to_json())
    return output.DONE


@app.command()
def resume(
    job_id: Annotated[str | None, typer.Argument(metavar="[ID]")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every open job.")] = False,
    as_json: options.Json = False,
) -> int:
    """Go on with jobs after a crash or an interruption."""
    from onetake.ledger import store

    if job_id is not None:
        return wait(job_id, None, as_json)
    if not everything:
        raise RequestError("ID: name a job, or say --all.")
    records = _ask(lambda connection: store.listed(connection, open_only=True))
    accounts = {record.account for record in records}
    for account in sorted(accounts, key=str):
        _resume_account(account)
    ended = [_find(record.id).job() for record in records]
    if as_json:
        output.print_json([job.to_json() for job in ended])
    else:
        rows = [(job.id, job.model, job.state.value) for job in ended]
        output.table(("job", "model", "state"), rows)
    return _worst(ended)


def _worst(ended: list[Job]) -> int:
    """Say what is not settled; return the exit code of the worst job."""
    codes = [output.DONE]
    for job in ended:
        if job.error is not None:
            error = OnetakeError.from_record(job.error)
            output.complain(error)
            codes.append(output.exit_code(error))
    return max(codes)


def _resume_account(account: Any) -> None:
    import anyio

    from onetake.opening import provider_of

    async def work() -> None:
        async with provider_of(account) as provider:
            await provider.resume()

    anyio.run(work)


@app.command()
def cancel(job_id: JobId, as_json: options.Json = False) -> int:
    """Ask the vendor to stop a job."""
    import anyio

    from onetake.opening import provider_of

    record = _find(job_id)
    if record.task_id is None:
        raise RequestError(
            f"job {record.id} is {record.state.value}: the vendor's id is not known, so it cannot "
            "be cancelled."
        )

    async def work() -> bool:
        async with provider_of(record.account) as provider:
            return await provider.cancel(record.id)

    taken = anyio.run(work)
    if as_json:
        output.print_json(_find(record.id).job().to_json())
    elif taken:
        output.say(f"{record.account.provider} was asked to stop job {record.id}.")
    else:
        output.say(
            f"{record.account.provider} did not stop job {record.id}: it has ended, or this "
            "vendor cannot cancel; it goes on and is paid."
        )
    return output.DONE if taken else output.FAILED


def _ask(question: Callable[[sa.Connection], T]) -> T:
    """Ask the ledger something, without an event loop."""
    from onetake.ledger.store import Ledger
    from onetake.settings import load_settings

    ledger = Ledger(load_settings().ledger_url)
    try:
        return ledger.run_blocking(question)
    finally:
        ledger.close()


def _find(job_id: str) -> JobRecord:
    from onetake.ledger import store

    return _ask(lambda connection: store.find(connection, job_id))


def _when(seconds: float) -> str:
    local = datetime.datetime.fromtimestamp(seconds, datetime.UTC).astimezone()
    return local.strftime("%Y-%m-%d %H:%M:%S")


def _place(record: JobRecord) -> str:
    account = record.account
    return f"{account.provider} {account.host if account.environment == 'live' else 'sandbox'}"


def _amount(record: Any, field: str) -> str | None:
    if not record or record.get(field) is None:
        return None
    return f"{record['currency']} {record[field]}"
