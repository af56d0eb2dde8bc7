"""Chains: a generation whose own job needs the outcome of paid steps before it.

Each step is a job of its own, paid once: asking for the same chain again takes the steps that are
delivered already, and joins those under way. Which steps a model has stands in its card.
"""

from __future__ import annotations

from dataclasses import replace

from onetake.assets import Asset, LoadedAsset, load
from onetake.catalog import ChainStep
from onetake.filling import check_asset
from onetake.fitting import FittedRequest
from onetake.request import GenerationRequest
from onetake.result import GenerationResult


def steps(fitted: FittedRequest) -> list[tuple[str, ChainStep, GenerationRequest]]:
    """Return the steps that a request calls for, in order, with what each is asked."""
    found = []
    for name, step in fitted.card.steps.items():
        if not step.is_wanted(fitted.parameters):
            continue
        given = fitted.parameters
        request = GenerationRequest(
            prompt=str(given[step.when]) if step.when is not None else "",
            model=step.model,
            parameters={key: given[key] for key in step.parameters if key in given},
            reference_assets=[_again(item) for item in fitted.assets if item.role in step.assets],
            tags=fitted.tags,
        )
        found.append((name, step, request))
    return found


def continued(
    fitted: FittedRequest, name: str, step: ChainStep, result: GenerationResult
) -> FittedRequest:
    """Return the request with what a step brought: facts, and the file of a slot."""
    done = {step.when, *step.parameters}
    left = {key: value for key, value in fitted.parameters.items() if key not in done}
    assets = fitted.assets
    if step.fills is not None:
        loaded = replace(load(Asset(result.path)), role=step.fills)
        check_asset(fitted.card, loaded, fitted.card.inputs[step.fills])
        assets = (*assets, loaded)
    facts = {**fitted.facts, name: dict(result.job.facts)}
    notes = (*fitted.notes, f"{name}: job {result.job.id} ({step.model}).")
    return replace(fitted, parameters=left, assets=assets, facts=facts, notes=notes)


def _again(asset: LoadedAsset) -> Asset:
    """Return a file that was read, as one that can be given to a step."""
    if asset.vendor_id is not None:
        return Asset(f"id:{asset.vendor_id}", role=asset.role, media_type=asset.media_type)
    source = asset.url if asset.data is None else asset.data
    assert source is not None
    return Asset(source, role=asset.role, name=asset.name, media_type=asset.media_type)
