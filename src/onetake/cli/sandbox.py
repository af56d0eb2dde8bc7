"""``onetake sandbox``: the emulator as a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onetake.errors import ConfigurationError

app = typer.Typer(
    help="The offline emulator of the vendors' APIs.", no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def sandbox() -> None:
    """The offline emulator of the vendors' APIs."""


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Loopback address.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 chooses a free one.")] = 8787,
    seconds_per_job: Annotated[
        float, typer.Option(min=0, help="Run time of each job, in seconds.")
    ] = 2.0,
    media: Annotated[
        str, typer.Option(help="full draws every frame, fast a few (load tests).")
    ] = "full",
    concurrency: Annotated[
        int, typer.Option(min=1, help="Slots per model where the vendor counts them.")
    ] = 5,
    units: Annotated[float, typer.Option(min=0, help="Balance of a Kling pack.")] = 100_000.0,
    validate: Annotated[
        str, typer.Option(help="When fal refuses bad input: result (as observed) or submit.")
    ] = "result",
    strict_paths: Annotated[
        bool, typer.Option("--strict-paths", help="Answer fal's requests at their own URLs only.")
    ] = False,
    allow_discontinued: Annotated[
        bool, typer.Option("--allow-discontinued", help="Accept switched-off models.")
    ] = False,
    webhook_secret: Annotated[
        str | None, typer.Option(metavar="whsec_…", help="Sign Kling's callbacks with this.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="Folder for its state; a temporary one if not given.")
    ] = None,
) -> None:
    """Serve the sandbox on loopback; prints its base URLs as one JSON line."""
    import anyio

    try:
        from onetake.sandbox import Sandbox, SandboxSettings
        from onetake.sandbox import server as serving
    except ImportError as error:
        raise ConfigurationError(
            f"the sandbox needs packages that are not installed ({error.name}); "
            "install them with `pip install 'onetake[sandbox]'`."
        ) from error
    _check("media", media, ("full", "fast"))
    _check("validate", validate, ("result", "submit"))
    plain = serving.listen(host, port)
    settings = SandboxSettings(
        seconds_per_job=seconds_per_job,
        media="fast" if media == "fast" else "full",
        concurrency=concurrency,
        units=units,
        validate="submit" if validate == "submit" else "result",
        strict_paths=strict_paths,
        allow_discontinued=allow_discontinued,
        webhook_secret=_secret(webhook_secret),
        folder=state,
    )

    async def work() -> None:
        await serving.serve(Sandbox(settings), plain, ready=serving.print_urls)

    anyio.run(work)


def _check(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigurationError(f"--{name}: {value!r} is not {' or '.join(allowed)}.")


def _secret(text: str | None) -> str | None:
    """Check a secret of Standard Webhooks: base64 behind its prefix."""
    import base64
    import binascii

    if text is None:
        return None
    try:
        base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise ConfigurationError(
            "--webhook-secret: it must be base64, with or without whsec_ before it."
        ) from None
    return text
