"""Options that several commands share, and putting a request together from them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onetake.errors import RequestError

if TYPE_CHECKING:
    from onetake.assets import Asset
    from onetake.request import GenerationRequest

Prompt = Annotated[str, typer.Argument(help="What to show.", show_default=False)]
ProviderName = Annotated[
    str | None, typer.Option("-p", "--provider", help="Provider: fal, kling, or a plugin's.")
]
Model = Annotated[
    str | None, typer.Option("-m", "--model", help="Neutral model name, or the vendor's own id.")
]
Assets = Annotated[
    list[str] | None,
    typer.Option("-a", "--asset", metavar="[ROLE=]FILE_OR_URL", help="Input file; repeatable."),
]
Duration = Annotated[str | None, typer.Option(help="Seconds.")]
AspectRatio = Annotated[str | None, typer.Option(help="Width to height, such as 16:9.")]
Resolution = Annotated[str | None, typer.Option(help="720p, 1080p or 4k.")]
Mode = Annotated[str | None, typer.Option(help="Tier: std, pro or 4k.")]
Audio = Annotated[str | None, typer.Option(help="Native sound: on or off.")]
NegativePrompt = Annotated[str | None, typer.Option(help="What to avoid.")]
Params = Annotated[
    list[str] | None,
    typer.Option("--param", metavar="K=V", help="Any other parameter; repeatable."),
]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", help="For reports and budgets; repeatable.")
]
Region = Annotated[str | None, typer.Option(help="Provider region, such as cn.")]
Sandbox = Annotated[bool, typer.Option("--sandbox", help="Use the offline sandbox; costs nothing.")]
Out = Annotated[Path | None, typer.Option("-o", "--output", help="Copy the result here.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Let -o replace a file that exists.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]

_ROLE = re.compile(r"^([a-z][a-z0-9_]{1,40})=(.+)$", re.DOTALL)


def build_request(
    prompt: str,
    *,
    model: str = "",
    generation_type: str | None = None,
    assets: list[str] | None = None,
    params: list[str] | None = None,
    key: str | None = None,
    tags: list[str] | None = None,
    negative_prompt: str | None = None,
    **named: Any,
) -> GenerationRequest:
    """Return the request that the options describe."""
    from onetake.request import GenerationRequest

    given = {name: value for name, value in named.items() if value is not None}
    return GenerationRequest(
        prompt=prompt,
        generation_type=generation_type,
        model=model,
        parameters={**given, **parse_params(params or [])},
        reference_assets=[parse_asset(item) for item in assets or []],
        negative_prompt=negative_prompt,
        key=key,
        tags=tags or (),
    )


def parse_asset(text: str) -> Asset:
    """Read ``[ROLE=]FILE_OR_URL``; a file that has such a name wins over a role."""
    from onetake.assets import Asset

    match = _ROLE.match(text)
    if match is None or Path(text).exists():
        return Asset(text)
    return Asset(match.group(2), role=match.group(1))


def parse_params(items: list[str]) -> dict[str, Any]:
    """Read ``K=V`` items; values that are JSON are taken as such, dots make objects."""
    parsed: dict[str, Any] = {}
    for item in items:
        name, separator, text = item.partition("=")
        if not separator or not name:
            raise RequestError(f"--param: {item!r} is not of the form NAME=VALUE.")
        *path, last = name.split(".")
        place = parsed
        for part in path:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise RequestError(
                    f"--param: {name!r} goes into {part!r}, which has a value already."
                )
        place[last] = _value(text)
    return parsed


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def sandbox_argument(chosen: bool) -> bool | str | None:
    """Return ``get_provider``'s argument: the flag, else whatever ``ONETAKE_SANDBOX`` says.

    With both, the variable's URL says which sandbox the flag means.
    """
    import os

    if not chosen:
        return None
    value = os.environ.get("ONETAKE_SANDBOX", "")
    return value if value.startswith("http") else True


def choose_provider(name: str | None, model: str | None) -> str:
    """Return the provider: the named one, or the only one that has the model.

    Raises:
        RequestError: no model is named, or several providers have it.
    """
    from onetake import plugins

    if name is not None:
        return name
    if not model:
        raise RequestError(
            "model: name one with -m.",
            hint="`onetake models list` shows them, `onetake compare` what they cost.",
        )
    having = [
        card for card in sorted(plugins.registry().cards) if plugins.catalog(card).find(model)
    ]
    if len(having) == 1:
        return having[0]
    if having:
        raise RequestError(
            f"provider: {' and '.join(having)} have {model}; choose one with -p.",
            hint="`onetake compare` shows what each charges.",
        )
    raise RequestError(
        f"provider: none has a model {model!r} in its catalog; choose one with -p.",
        hint="`onetake models list` shows what there is.",
    )
