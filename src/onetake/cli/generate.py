"""``onetake generate``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onetake.cli import options, output
from onetake.errors import ConfigurationError, OnetakeError, RequestError

if TYPE_CHECKING:
    from onetake.engine.watching import OnUpdate
    from onetake.job import Job
    from onetake.provider import Provider
    from onetake.request import GenerationRequest


def generate(
    prompt: options.Prompt = "",
    provider: options.ProviderName = None,
    model: options.Model = None,
    asset: options.Assets = None,
    out: options.Out = None,
    overwrite: options.Overwrite = False,
    duration: options.Duration = None,
    aspect_ratio: options.AspectRatio = None,
    resolution: options.Resolution = None,
    mode: options.Mode = None,
    audio: options.Audio = None,
    negative_prompt: options.NegativePrompt = None,
    param: options.Params = None,
    max_cost: Annotated[
        str | None, typer.Option(help="Refuse when the estimate is above this, or unknown.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Idempotency key: the same key is the same job.")
    ] = None,
    reuse: Annotated[
        bool, typer.Option("--reuse", help="Return a delivered job that asked for the same.")
    ] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Start anew if the key's job failed.")
    ] = False,
    tag: options.Tags = None,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Return as soon as the vendor has accepted it.")
    ] = False,
    timeout: Annotated[
        float | None, typer.Option(min=0, help="Seconds to wait; the job outlives them.")
    ] = None,
    region: options.Region = None,
    sandbox: options.Sandbox = False,
    as_json: options.Json = False,
) -> int:
    """Generate one video or image, and pay for it once."""
    from onetake.cli import interrupt
    from onetake.opening import get_provider

    run = _Run(as_json)
    try:
        request = options.build_request(
            prompt,
            model=model or "",
            assets=asset,
            params=param,
            key=key,
            tags=tag,
            negative_prompt=negative_prompt,
            duration=duration,
            aspect_ratio=aspect_ratio,
            resolution=resolution,
            mode=mode,
            audio=audio,
        )
        check_target(out, overwrite)
        chosen: Provider = get_provider(
            options.choose_provider(provider, model),
            region=region,
            sandbox=options.sandbox_argument(sandbox),
        )
        arguments = {"max_cost": _limit(max_cost), "reuse": reuse, "retry": retry}
        interrupt.run(run.work, chosen, request, arguments, None if no_wait else timeout, no_wait)
    except KeyboardInterrupt:
        return run.interrupted()
    except (OnetakeError, ConfigurationError) as error:
        return run.failed(error)
    return run.finished(out)


class _Run:
    """One run of the command: what happened, and how to tell it."""

    def __init__(self, as_json: bool) -> None:
        self._json = as_json
        self._job: Job | None = None

    async def work(
        self,
        provider: Provider,
        request: GenerationRequest,
        arguments: dict[str, Any],
        timeout: float | None,
        no_wait: bool,
    ) -> None:
        """Submit and, unless told not to, wait; keeps the newest state of the job."""
        with progress(self._json) as show:

            def note(job: Job) -> None:
                self._job = job
                show(job)

            async with provider:
                job = await provider.submit(request, timeout=timeout, on_update=note, **arguments)
                self._job = job
                if not no_wait:
                    result = await provider.wait(job, timeout=timeout, on_update=note)
                    self._job = result.job

    def finished(self, out: Path | None) -> int:
        """Copy the result to its place and report it."""
        assert self._job is not None
        record = self._job.to_json()
        if out is not None and record["artifacts"]:
            try:
                copy_to(record["artifacts"], out)
            except OnetakeError as error:
                return self.failed(error)
        if self._json:
            output.print_json(record)
        else:
            report(record)
        return output.DONE

    def failed(self, error: Exception) -> int:
        """Report an error; the JSON object carries it too."""
        if self._json:
            output.print_json(failure(error, self._job))
        output.complain(error)
        return output.exit_code(error)

    def interrupted(self) -> int:
        """Say that the job goes on, and how to come back."""
        job = self._job
        if self._json and job is not None:
            output.print_json(job.to_json())
        if job is None:
            output.hint("onetake: interrupted; nothing was sent.")
        elif job.state.value == "draft":
            output.hint(
                f"onetake: interrupted; job {job.id} is written down but was not sent. `onetake "
                f"jobs wait {job.id}` sends it, `onetake jobs abandon {job.id}` gives it up."
            )
        else:
            output.hint(
                f"\nonetake: stopped waiting. Job {job.id} is {job.state.value} and goes on; "
                f"come back with `onetake jobs wait {job.id}`."
            )
        return output.INTERRUPTED


def failure(error: Exception, job: Job | None) -> dict[str, Any]:
    """Return the documented JSON object for a generation that failed."""
    from onetake.job import Job, JobState

    record = (job or Job("", "", "", JobState.DRAFT)).to_json()
    if job is None:
        record.update(job_id=None, provider=None, model=None, state=None)
    record["provider"] = record["provider"] or getattr(error, "provider", None)
    record["error"] = output.to_record(error)
    return record


def _limit(text: str | None) -> Any:
    from onetake.pricing.budget import amount_of

    return None if text is None else amount_of("--max-cost", text)


def check_target(out: Path | None, overwrite: bool) -> None:
    """Refuse a place that cannot take the result, before anything is paid."""
    if out is None:
        return
    folder = out if out.is_dir() else out.parent
    if not folder.is_dir():
        raise RequestError(f"-o: the folder {folder} does not exist.")
    if not os.access(folder, os.W_OK):
        raise RequestError(f"-o: the folder {folder} cannot be written to.")
    if out.is_file() and not overwrite:
        raise RequestError(f"-o: {out} exists.", hint="Choose another name, or add --overwrite.")


def copy_to(artifacts: list[dict[str, Any]], out: Path) -> None:
    """Copy delivered files to where the user wants them; the records then name the copies.

    Raises:
        OnetakeError: a copy cannot be written; the delivered files are untouched.
    """
    from onetake.result import Artifact

    for number, record in enumerate(artifacts):
        place = out
        if number and not out.is_dir():
            place = out.with_name(f"{out.stem}-{number + 1}{out.suffix}")
        record["path"] = str(Artifact.from_json(record).save(place))


def report(record: dict[str, Any]) -> None:
    """Print a delivered (or submitted) job for people."""
    for artifact in record["artifacts"]:
        output.say(artifact["path"])
    details = [f"{record['provider']} {record['model']}", record["state"], _cost(record)]
    facts = [fact for fact in details if fact]
    if not record["artifacts"]:
        facts.append(f"job {record['job_id']}")
    output.hint("  ".join(facts))
    for note in record["notes"]:
        output.hint(f"note: {note}")


def _cost(record: dict[str, Any]) -> str | None:
    actual, estimate = record["actual"], record["estimate"]
    if actual and actual["amount"] is not None:
        return f"charged {actual['currency']} {_cents(actual['amount'])}"
    if estimate and estimate["expected"] is not None:
        return f"estimated {estimate['currency']} {_cents(estimate['expected'])}"
    return "price unknown"


def _cents(amount: str) -> str:
    from decimal import Decimal

    from onetake.money import plain

    return plain(Decimal(amount))


@contextmanager
def progress(quiet: bool) -> Iterator[OnUpdate]:
    """Show a live line on a terminal, a line per change in a pipe, nothing when quiet."""
    if quiet:
        yield lambda job: None
        return
    if not sys.stderr.isatty():
        yield lambda job: output.hint(_line(job))
        return
    from rich.console import Console

    with Console(stderr=True).status("preparing …") as status:
        yield lambda job: status.update(_line(job))


def _line(job: Job) -> str:
    place = "" if job.position is None else f", place {job.position + 1} in the queue"
    return f"{job.provider} {job.model}: {job.state.value}{place}"
