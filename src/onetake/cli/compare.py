"""``onetake compare``: the same shot, or a storyboard, at every provider. No key, no network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onetake.cli import formats, options
from onetake.errors import RequestError

if TYPE_CHECKING:
    from onetake.request import GenerationRequest


def compare(
    prompt: options.Prompt = "",
    provider: Annotated[
        list[str] | None, typer.Option("-p", "--provider", help="Only these; repeatable.")
    ] = None,
    model: options.Model = None,
    task: Annotated[str | None, typer.Option(help="Such as image-to-video.")] = None,
    asset: options.Assets = None,
    duration: options.Duration = None,
    aspect_ratio: options.AspectRatio = None,
    resolution: options.Resolution = None,
    mode: options.Mode = None,
    audio: options.Audio = None,
    param: options.Params = None,
    shots: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Compare the shots of a JSON or TOML file instead."),
    ] = None,
    region: options.Region = None,
    form: formats.Form = None,
    out: formats.Out = None,
    as_json: options.Json = False,
) -> None:
    """Compare what the same shot, or a list of shots, costs at every provider."""
    from onetake.settings import load_settings

    settings = load_settings()
    terms = {
        "region": region,
        "prices": settings.prices,
        "price_age": settings.price_age,
        "rates": settings.exchange_rates,
    }
    if shots is not None:
        alone = [prompt, model, task, asset, duration, aspect_ratio, resolution, mode, audio, param]
        if any(alone):
            raise RequestError(
                "--shots: each shot of the file says what it is; leave the rest out."
            )
        report = _storyboard(read_shots(shots), provider or None, terms)
    else:
        request = options.build_request(
            prompt or "…",
            model=model or "",
            generation_type=task or (None if model or asset else "text-to-video"),
            assets=asset,
            params=param,
            duration=duration,
            aspect_ratio=aspect_ratio,
            resolution=resolution,
            mode=mode,
            audio=audio,
        )
        report = _one(request, provider or None, terms)
    formats.show(report, form, out, as_json=as_json)


def _one(
    request: GenerationRequest, providers: list[str] | None, terms: dict[str, Any]
) -> formats.Report:
    from onetake.pricing.compare import compare as compare_prices
    from onetake.reports.comparison import comparison_charts, comparison_tables

    found = compare_prices(request, providers, **terms)
    asked = [f"{name} {value}" for name, value in request.parameters.items()]
    what = request.model or str(request.generation_type)
    return formats.Report(
        title=f"What {what} costs",
        facts=[f"Asked for: {', '.join(asked) or 'nothing but the task'}.", *_facts(terms)],
        tables=comparison_tables(found),
        charts=comparison_charts(found),
        record=found.to_json(),
    )


def _storyboard(
    shots: list[GenerationRequest], providers: list[str] | None, terms: dict[str, Any]
) -> formats.Report:
    from onetake.pricing.storyboard import compare_shots
    from onetake.reports.comparison import storyboard_charts, storyboard_tables

    found = compare_shots(shots, providers, **terms)
    return formats.Report(
        title=f"What a storyboard of {len(shots)} shots costs",
        facts=_facts(terms),
        tables=storyboard_tables(found),
        charts=storyboard_charts(found),
        record=found.to_json(),
    )


def _facts(terms: dict[str, Any]) -> list[str]:
    import datetime

    day = datetime.datetime.now(datetime.UTC).date()
    told = "; ".join(map(str, terms["rates"].rates))
    facts = [f"Prices as known on {day}; each says when and where it was read."]
    return [*facts, f"Exchange rates that you set: {told}."] if told else facts


def read_shots(file: Path) -> list[GenerationRequest]:
    """Read a list of shots: a JSON list of objects, or ``[[shot]]`` tables of TOML.

    Raises:
        RequestError: the file cannot be read, or an entry is no shot.
    """
    import json
    import tomllib

    from onetake.pricing.storyboard import shots_of

    try:
        text = file.read_text("utf-8")
        if file.suffix.lower() == ".toml":
            entries = tomllib.loads(text).get("shot", [])
        else:
            entries = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise RequestError(f"--shots: {file} cannot be read: {error}.") from error
    return shots_of(entries)
