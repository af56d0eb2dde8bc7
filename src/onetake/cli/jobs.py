"""``onetake jobs``: what the ledger knows, and going on with it."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from onetake.cli import generate, options, output
from onetake.cli.ledger import ask
from onetake.errors import ConfigurationError, OnetakeError, RequestError

if TYPE_CHECKING:
    from onetake.job import Job
    from onetake.ledger.records import Account, JobRecord
    from onetake.provider import Provider

T = TypeVar("T")
app = typer.Typer(
    help="List, show and go on with jobs.", no_args_is_help=True, rich_markup_mode=None
)
JobOrToken = Annotated[
    str, typer.Argument(metavar="ID", help="Job id, the beginning of it, or a job's token.")
]
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

    records = ask(lambda connection: store.listed(connection, open_only=open_only, limit=limit))
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
    history = ask(lambda connection: store.history(connection, record.id))
    for event in history:
        output.say(f"{_when(event['at'])}  {event['event']}")


@app.command()
def wait(
    job_id: JobOrToken,
    timeout: Annotated[float | None, typer.Option(min=0, help="Seconds to wait.")] = None,
    out: options.Out = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> int:
    """Wait for a job and fetch its file; a job that was not sent yet is sent."""
    from onetake.cli import interrupt

    generate.check_target(out, overwrite)
    provider, job_id = _opened(job_id)
    latest: Job | None = None

    async def work() -> None:
        nonlocal latest
        with generate.progress(as_json) as show_progress:
            async with provider:
                result = await provider.wait(job_id, timeout=timeout, on_update=show_progress)
                latest = result.job

    try:
        interrupt.run(work)
        assert latest is not None
        record = latest.to_json()
        if out is not None:
            generate.copy_to(record["artifacts"], out)
    except OnetakeError as error:
        if as_json:
            output.print_json(generate.failure(error, _job_of(job_id)))
        output.complain(error)
        return output.exit_code(error)
    except KeyboardInterrupt:
        output.hint(f"onetake: stopped waiting; come back with `onetake jobs wait {job_id}`.")
        return output.INTERRUPTED
    if as_json:
        output.print_json(record)
    else:
        generate.report(record)
    return output.DONE


def _opened(job_or_token: str) -> tuple[Provider, str]:
    """Return the provider that knows a job, and the job's id, or its token if it is new here."""
    from onetake.job import is_token
    from onetake.opening import open_job, provider_of

    if is_token(job_or_token):
        return open_job(job_or_token).provider, job_or_token
    record = _find(job_or_token)
    return provider_of(record.account), record.id


def _job_of(job_or_token: str) -> Job | None:
    from onetake.job import is_token, parse_token

    known = parse_token(job_or_token).job_id if is_token(job_or_token) else job_or_token
    try:
        return _find(known).job()
    except RequestError:
        return None


@app.command()
def resume(
    job_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Job id, the beginning of it, or token.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every open job.")] = False,
    out: options.Out = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> int:
    """Go on with jobs after a crash or an interruption."""
    from onetake.ledger import store

    if job_id is not None:
        return wait(job_id, None, out, overwrite, as_json)
    if not everything:
        raise RequestError("ID: name a job, or say --all.")
    records = ask(lambda connection: store.listed(connection, open_only=True))
    codes = [_resume_account(account) for account in sorted({r.account for r in records}, key=str)]
    ended = [_find(record.id).job() for record in records]
    if as_json:
        output.print_json([job.to_json() for job in ended])
    else:
        rows = [(job.id, job.model, job.state.value) for job in ended]
        output.table(("job", "model", "state"), rows)
    return max([*codes, _worst(ended), _not_recorded()])


def _worst(ended: list[Job]) -> int:
    """Say what is not settled; return the exit code of the worst job."""
    codes = [output.DONE]
    for job in ended:
        if job.error is not None:
            error = OnetakeError.from_record(job.error)
            output.complain(error)
            codes.append(output.exit_code(error))
        elif not job.state.ended:
            output.hint(
                f"onetake: job {job.id} is still {job.state.value}; `onetake jobs wait {job.id}` "
                "says why."
            )
            codes.append(output.FAILED)
    return max(codes)


def _not_recorded() -> int:
    """Say which paid tasks still stand in emergency files only."""
    from onetake.settings import load_settings

    files = sorted((load_settings().home / "emergency").glob("*.json"))
    for file in files:
        output.hint(f"onetake: {file} names a paid task that belongs to no open job; look at it.")
    return output.UNKNOWN if files else output.DONE


def _resume_account(account: Account) -> int:
    """Resume the jobs of one account; another one's trouble must not hold it up."""
    from onetake.cli import interrupt
    from onetake.opening import provider_of

    async def work() -> None:
        async with provider_of(account) as provider:
            await provider.resume()

    try:
        interrupt.run(work)
    except (OnetakeError, ConfigurationError) as error:
        output.complain(error)
        return output.exit_code(error)
    return output.DONE


@app.command()
def cancel(job_id: JobId, as_json: options.Json = False) -> int:
    """Ask the vendor to stop a job."""
    record = _find(job_id)
    if record.task_id is None:
        raise RequestError(
            f"job {record.id} is {record.state.value}: the vendor's id is not known, so it cannot "
            "be cancelled.",
            hint=f"`onetake jobs abandon {record.id}` gives up a job that was not sent.",
        )
    taken = _with_provider(record, lambda provider: provider.cancel(record.id))
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


@app.command()
def attach(
    job_id: JobId,
    task: Annotated[str, typer.Option("--task", help="The vendor's id, from its own list.")],
    as_json: options.Json = False,
) -> int:
    """Give a job whose outcome is unknown the task that you found for it."""
    record = _find(job_id)
    job = _with_provider(record, lambda provider: provider.attach(record.id, task))
    return _settled(job, as_json, f"has the task {task} now; `onetake jobs wait {record.id}`.")


@app.command()
def abandon(job_id: JobId, as_json: options.Json = False) -> int:
    """Give up a job that was not sent, or whose outcome is unknown."""
    record = _find(job_id)
    job = _with_provider(record, lambda provider: provider.abandon(record.id))
    return _settled(job, as_json, "is abandoned; nothing was told the vendor.")


@app.command()
def resubmit(
    job_id: JobId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: options.Json = False,
) -> int:
    """Send a job whose outcome is unknown once more, as a new job; asks, it may cost twice."""
    record = _find(job_id)
    price = _amount(record.job().estimate, "expected") or "an unknown amount"
    question = (
        f"{record.account.provider} may have job {record.id} already. Send it once more, for up "
        f"to another {price}?"
    )
    if not yes and not _agreed(question):
        output.hint("onetake: nothing was sent.")
        return output.FAILED
    job = _with_provider(record, lambda provider: provider.resubmit(record.id))
    return _settled(job, as_json, f"takes its place; `onetake jobs wait {job.id}` sends it.")


@app.command()
def prune(
    older_than: Annotated[
        float, typer.Option(min=0, help="Days since a job ended; younger ones are left alone.")
    ] = 30.0,
    media: Annotated[bool, typer.Option("--media", help="Delete delivered files too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> int:
    """Forget prompts and input files of old jobs. What was paid for what stays known."""
    import time

    from onetake.ledger.store import Ledger
    from onetake.pruning import prune as let_go
    from onetake.settings import load_settings

    settings, now = load_settings(), time.time()
    ledger = Ledger(settings.ledger_url, settings.ledger_timeout)
    try:
        before = now - older_than * 86_400
        plan = let_go(ledger, settings, before, now, media=media, really=False)
        said = f"the inputs of {len(plan.jobs)} jobs and {len(plan.files)} files ({plan.bytes} B)"
        if dry_run:
            output.say(f"would go: {said}")
            return output.DONE
        if not yes and not _agreed(f"Let go of {said}?"):
            return output.FAILED
        let_go(ledger, settings, before, now, media=media, really=True)
    finally:
        ledger.close()
    output.say(f"gone: {said}")
    return output.DONE


def _agreed(question: str) -> bool:
    """Ask a person.

    Raises:
        RequestError: nobody is there to answer.
    """
    if not sys.stdin.isatty():
        raise RequestError(f"--yes: {question} Nobody is there to answer; say --yes.")
    return typer.confirm(question)


def _with_provider(record: JobRecord, act: Callable[[Provider], Awaitable[T]]) -> T:
    """Do something with the provider of a job."""
    import anyio

    from onetake.opening import provider_of

    async def work() -> T:
        async with provider_of(record.account) as provider:
            return await act(provider)

    return anyio.run(work)


def _settled(job: Job, as_json: bool, what: str) -> int:
    if as_json:
        output.print_json(job.to_json())
    else:
        output.say(f"job {job.id} {what}")
    return output.DONE


def _find(job_id: str) -> JobRecord:
    from onetake.ledger import store

    return ask(lambda connection: store.find(connection, job_id))


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
