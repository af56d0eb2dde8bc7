"""Price book, estimate, comparison."""

from __future__ import annotations

import dataclasses
import datetime
import importlib.resources
import json
import os
import re
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from onetake import (
    Asset,
    ConfigurationError,
    GenerationRequest,
    Money,
    RequestError,
    compare,
    get_provider,
    plugins,
)
from onetake.assets import load
from onetake.fitting import fit
from onetake.money import plain
from onetake.pricing.estimate import Terms, estimate, estimate_chain, total
from onetake.pricing.price_book import PriceRow, load_price_book, own_schema, schema


def price(provider: str, model: str, region: str | None = None, **parameters: Any) -> Any:
    """Estimate a request."""
    card = plugins.provider_card(provider)
    request = GenerationRequest("x", model=model, parameters=parameters)
    fitted = fit(request, plugins.catalog(provider), load_assets=False)
    return estimate(fitted, card, Terms(region))


@pytest.mark.parametrize(
    ("provider", "model", "parameters", "expected", "per_second"),
    [
        ("fal", "kling-v2-master-image", {"duration": 5}, "1.40", "0.28"),
        ("fal", "kling-v2-master-image", {"duration": 10}, "2.80", "0.28"),
        ("fal", "kling-v2.6-pro-text", {}, "0.70", "0.14"),
        ("fal", "kling-v2.6-pro-text", {"audio": False}, "0.35", "0.07"),
        ("fal", "kling-v3-pro-image", {"duration": 3, "audio": False}, "0.336", "0.112"),
        ("fal", "kling-v3-turbo-std-text", {"duration": 15}, "1.68", "0.112"),
        ("kling", "kling-v2.6-pro-text", {}, "0.35", "0.07"),
        ("kling", "kling-v2.6-pro-text", {"audio": True}, "0.70", "0.14"),
        ("kling", "kling-v2.6-std-image", {"duration": 10}, "0.42", "0.042"),
        ("kling", "kling-v3-std-text", {"duration": 5, "audio": True}, "0.63", "0.126"),
        ("kling", "kling-v3-4k-text", {"duration": 5}, "2.10", "0.42"),
        ("kling", "kling-v3-turbo-std-text", {"duration": 3}, "0.336", "0.112"),
        ("kling", "kling-v2.1-master-text", {"duration": 10}, "2.80", "0.28"),
        ("fal", "kling-v2.1-std-image", {"duration": 10}, "0.56", "0.056"),
        ("fal", "kling-v3-std-text", {"duration": 5, "audio": True}, "0.63", "0.126"),
        ("kling", "kling-v1.6-std-text", {"duration": 5}, "0.28", "0.056"),
        ("kling", "kling-v1.6-pro-image", {"duration": 10}, "0.98", "0.098"),
        ("kling", "kling-v2.6-pro-image", {"audio": True, "voices": ["v"]}, "0.84", "0.168"),
        ("kling", "kling-v3-std-text", {"duration": 5, "audio": False}, "0.42", "0.084"),
        ("kling", "kling-v3-pro-text", {"duration": 5, "audio": False}, "0.56", "0.112"),
        ("kling", "kling-v3-pro-text", {"duration": 5, "audio": True}, "0.84", "0.168"),
        ("kling", "kling-v3-4k-text", {"duration": 5, "audio": True}, "2.10", "0.42"),
        ("kling", "kling-v3-turbo-pro-image", {"duration": 5}, "0.70", "0.14"),
    ],
)
def test_published_examples_come_out_to_the_cent(
    provider: str, model: str, parameters: dict[str, Any], expected: str, per_second: str
) -> None:
    """Amounts as the vendors print them."""
    found = price(provider, model, **parameters)
    assert found.expected == found.low == found.high == Decimal(expected)
    assert found.per_second == Decimal(per_second)
    assert found.source
    assert found.checked_on
    assert found.reason is None


@pytest.mark.parametrize(
    ("provider", "model", "parameters", "expected"),
    [
        ("kling", "kling-tryon-v1-5", {}, "0.07"),
        ("kling", "kling-image-v3-text", {"n": 3}, "0.084"),
        ("kling", "kling-image-v2.1-text", {}, "0.014"),
        ("kling", "kling-image-o3-text", {"resolution": "4k"}, "0.056"),
        ("kling", "kling-image-v1-text", {}, "0.0035"),
        ("kling", "kling-tts", {}, "0.007"),
        ("kling", "kling-voice", {}, "0.007"),
        ("kling", "kling-element", {}, "0"),
        ("fal", "kling-image-o3-text", {"n": 2, "resolution": "4k"}, "0.112"),
        ("fal", "kling-tryon-v1-5", {}, "0.07"),
    ],
)
def test_pictures_and_calls_come_out_to_the_cent(
    provider: str, model: str, parameters: dict[str, Any], expected: str
) -> None:
    """They have no seconds, and so no price of one."""
    found = price(provider, model, **parameters)
    assert found.expected == Decimal(expected)
    assert found.per_second is None
    assert found.per_output_second is None


def measured(provider: str, model: str, role: str, seconds: float, **parameters: Any) -> Any:
    """Estimate a request whose input has a length."""
    catalog = plugins.catalog(provider)
    source = Asset("https://example.com/clip.mp4", role=role)
    request = GenerationRequest("", model=model, parameters=parameters, reference_assets=[source])
    fitted = fit(request, catalog, strict=False, load_assets=False)
    known = tuple(
        dataclasses.replace(asset, seconds=seconds) if asset.role == role else asset
        for asset in (*fitted.assets, load(source))
    )
    return estimate(dataclasses.replace(fitted, assets=known), catalog.provider)


@pytest.mark.parametrize(
    ("provider", "model", "role", "seconds", "expected", "basis"),
    [
        ("kling", "kling-lipsync", "video", 11.0, "0.21", "3 × 5 s begun × 0.5 units × USD 0.14"),
        ("kling", "kling-lipsync", "video", 10.0, "0.14", "2 × 5 s begun × 0.5 units × USD 0.14"),
        ("kling", "kling-v3-std-motion", "video", 7.4, "0.882", "7 s × 0.9 units × USD 0.14"),
        ("kling", "kling-v3-std-motion", "video", 7.5, "1.008", "8 s × 0.9 units × USD 0.14"),
        ("kling", "kling-avatar-std", "audio", 11.3, "0.616", "11 s × 0.4 units × USD 0.14"),
        ("fal", "kling-lipsync-audio", "video", 3.0, "0.07", "5 s × USD 0.014"),
    ],
)
def test_the_vendors_rounding(
    provider: str, model: str, role: str, seconds: float, expected: str, basis: str
) -> None:
    """Begun five seconds, nearest second, multiples of five; the output's second is dearer then."""
    found = measured(provider, model, role, seconds)
    assert found.expected == Decimal(expected)
    assert found.basis == basis
    exact = Decimal(expected) / Decimal(str(seconds))
    assert found.per_output_second == exact.quantize(Decimal("0.000001"))
    unread = measured(provider, model, role, None)  # type: ignore[arg-type]
    assert unread.expected is None
    assert unread.per_second is not None, "what a second costs is known all the same"
    assert role in unread.reason


def test_paid_steps_add_up() -> None:
    """A text that is spoken first: speech and lip-sync are one price, and one row each."""
    catalog = plugins.catalog("kling")
    clip = Asset("https://example.com/clip.mp4", role="video")
    words = {"text": "Good morning.", "voice": "girlfriend_1_speech02"}
    request = GenerationRequest(model="kling-lipsync", parameters=words, reference_assets=[clip])
    fitted = fit(request, catalog, load_assets=False)
    own = estimate(fitted, catalog.provider)
    both = estimate_chain(fitted, catalog)
    assert own.expected is both.expected is None, "an unknown part leaves the sum unknown"
    assert both.low is not None
    assert own.low is not None
    assert both.low - own.low >= Decimal("0.007")
    assert str(both.row).count(" + ") >= 1
    assert both.hash != own.hash
    eleven = dataclasses.replace(load(clip), seconds=11.0)
    known = estimate_chain(dataclasses.replace(fitted, assets=(eleven,)), catalog)
    assert known.expected == known.low == known.high
    assert known.expected == Decimal("0.21") + (both.low - own.low), "three begun, and the steps"
    assert known.per_output_second == (known.expected / 11).quantize(Decimal("0.000001"))


def test_sums_hide_nothing() -> None:
    """Unknown and known are unknown; so are two currencies."""
    one = price("kling", "kling-v3-pro-text", duration=5)
    unknown = price("fal", "fal-ai/unheard/of")
    yuan = price("kling", "kling-v3-pro-text", region="cn", duration=5)
    assert total([one, unknown]).expected is None
    assert total([unknown, one]).reason
    assert total([one, yuan]).high is None
    assert total([one, one]).expected == 2 * one.expected


def test_what_sources_dispute_is_a_span() -> None:
    """The newer page is expected; the older one bounds it."""
    found = measured("fal", "kling-v3-pro-motion", "video", 5.0)
    assert (found.low, found.expected, found.high) == (
        Decimal("0.63"),
        Decimal("0.84"),
        Decimal("0.84"),
    )
    bounded = price("kling", "kling-extend")
    assert (bounded.low, bounded.expected, bounded.high) == (
        Decimal("0.14"),
        None,
        Decimal("0.49"),
    )
    assert "extended" in bounded.reason


def test_an_estimate_says_where_it_comes_from() -> None:
    """The row, the calculation, the day, and why that row."""
    found = price("kling", "kling-v2.6-pro-image", audio=True, voices=["v"])
    assert found.row == "kling-v2.6-pro-image,audio=true,voices=true@2026-07-15"
    assert found.basis == "5 s × 1.2 units × USD 0.14"
    assert "newest and most exact of the 2 that apply" in str(found.why)
    assert "2026-09-20" in str(found.why)


def test_old_readings_are_stale() -> None:
    """A price that was not read again for longer than the set age."""
    catalog = plugins.catalog("fal")
    fitted = fit(GenerationRequest("x", model="kling-v2.6-pro-text"), catalog)
    on = datetime.date(2026, 11, 22)
    assert not estimate(fitted, catalog.provider, Terms(on=on)).stale
    assert estimate(fitted, catalog.provider, Terms(on=on, max_age=30)).stale
    assert estimate(fitted, catalog.provider, Terms(on=on.replace(year=2027))).stale


def test_your_own_prices_come_first(tmp_path: Path) -> None:
    """A unit that costs you less, a row of your own; a changed file is read anew."""
    file = tmp_path / "prices.toml"
    entry = 'valid_from = 2026-01-01\nchecked_on = 2026-11-01\nsource = "our contract"\n'
    file.write_text(f'[[kling.unit_price]]\namount = "0.126"\ncurrency = "USD"\n{entry}')
    card, catalog = plugins.provider_card("kling"), plugins.catalog("kling")
    fitted = fit(GenerationRequest("x", model="kling-v2.6-pro-text"), catalog)
    mine = estimate(fitted, card, Terms(prices=file))
    assert mine.expected == Decimal("0.315")
    row = '[[kling.price]]\nmodels = ["kling-v2.6-pro-text"]\nunit = "video"\namount = "0.2"\n'
    file.write_text(row + entry)
    os.utime(file, (1, 1))
    mine = estimate(fitted, card, Terms(prices=file))
    assert mine.expected == Decimal("0.2")
    assert mine.per_second == Decimal("0.04")
    assert "your own" in str(mine.why)
    assert estimate(fitted, plugins.provider_card("fal"), Terms(prices=file)).row is not None


ROW = """
[[kling.price]]
unit = "call"
valid_from = 2026-01-01
checked_on = 2026-01-01
source = "x"
"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not toml", "prices.toml"),
        ("kling = 5", "expected tables"),
        ('[[kling.price]]\nmodels = ["x"]\n', "kling: price.0"),
        ('[[kling.unit_price]]\namount = "-1"', "unit_price.0"),
        ("[kling]\nprice = 5", "price are tables"),
        ("[kling]\ndefaults = 5", "defaults is one table"),
        (f'{ROW}models = ["nosuch"]\namount = "1"', "no model is called"),
        (f'{ROW}models = ["kling-tts"]\namount = "1"\nmeasure = "x"', "no input"),
        (f'{ROW}models = ["kling-tts"]\namount = "1"\nat_least = "2"', "at_least"),
        (f'{ROW}models = ["kling-tts"]\namount = "1e30"', "less than or equal"),
        (f'{ROW}models = ["kling-tts"]\namount = "1"\nvalid_to = 2025-01-01', "valid_to"),
        ("[[klng.price]]", "klng"),
    ],
)
def test_a_mistake_in_a_price_file_is_named(tmp_path: Path, text: str, words: str) -> None:
    """The file, the entry, the value."""
    file = tmp_path / "prices.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        Terms(prices=file).book(plugins.provider_card("kling"))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Terms(prices=tmp_path / "none.toml").book(plugins.provider_card("kling"))


@pytest.mark.parametrize("provider", ["fal", "kling"])
def test_rows_have_names_of_their_own(provider: str) -> None:
    """Reports sum by them; and the schema for editors takes the file as it is."""
    package = plugins.provider_card(provider).package
    rows = load_price_book(package).price
    assert len({row.name for row in rows}) == len(rows)
    text = (importlib.resources.files(package) / "prices.toml").read_text("utf-8")
    data = json.loads(json.dumps(tomllib.loads(text), default=str))
    jsonschema.Draft202012Validator(schema()).validate(data)
    jsonschema.Draft202012Validator(own_schema()).validate({provider: data})
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema()).validate({"price": [{"models": []}]})


def test_the_region_decides_the_currency() -> None:
    """A unit is 0.14 USD, or 1 CNY in China."""
    found = price("kling", "kling-v2.6-pro-text", region="cn")
    assert (found.currency, found.expected) == ("CNY", Decimal("2.5"))


def test_an_unknown_price_has_a_reason_and_is_not_zero() -> None:
    """Nothing is free because nobody knows."""
    found = price("fal", "fal-ai/unheard/of")
    assert found.expected is None
    assert "catalog" in found.reason
    assert found.to_json()["expected"] is None


def test_old_prices_stay_for_old_days() -> None:
    """Before the first row there is no price; a row ends with its last day."""
    card, catalog = plugins.provider_card("fal"), plugins.catalog("fal")
    fitted = fit(GenerationRequest("x", model="kling-v2.6-pro-text"), catalog)
    past = estimate(fitted, card, Terms(on=datetime.date(2020, 1, 1)))
    assert past.expected is None
    row = PriceRow(
        models=("kling-v2.6-pro-text",),
        unit="second",
        amount=Decimal(1),
        valid_from=datetime.date(2026, 1, 1),
        valid_to=datetime.date(2026, 1, 31),
        checked_on=datetime.date(2026, 1, 1),
        source="s",
    )
    assert row.applies(fitted, datetime.date(2026, 1, 31))
    assert not row.applies(fitted, datetime.date(2026, 2, 1))


def test_a_row_is_money_or_units() -> None:
    """Both, or neither, is a mistake in the data."""
    base = {
        "models": ["m"],
        "unit": "second",
        "valid_from": "2026-01-01",
        "checked_on": "2026-01-01",
        "source": "s",
    }
    for extra in ({}, {"amount": "1", "units": "1"}, {"amount": "-1"}):
        with pytest.raises(ValidationError):
            PriceRow(**base, **extra)  # type: ignore[arg-type]


@given(st.integers(3, 15), st.integers(3, 15), st.booleans())
def test_longer_never_costs_less(one: int, two: int, audio: bool) -> None:
    """Monotone in the duration, exact, never negative."""
    short, long = sorted((one, two))
    first = price("kling", "kling-v3-pro-text", duration=short, audio=audio)
    second = price("kling", "kling-v3-pro-text", duration=long, audio=audio)
    assert Decimal(0) < first.expected <= second.expected
    assert first.expected * long == second.expected * short


def test_the_hash_binds_request_and_price() -> None:
    """Another duration, prompt or model is another approval."""
    base = price("kling", "kling-v3-pro-text", duration=5).hash
    assert base == price("kling", "kling-v3-pro-text", duration=5).hash
    assert base != price("kling", "kling-v3-pro-text", duration=6).hash
    assert base != price("kling", "kling-v3-std-text", duration=5).hash


def test_an_approval_binds_what_it_may_cost_at_most(tmp_path: Path) -> None:
    """A second source that says more makes it another price, though the same is expected."""
    file = tmp_path / "prices.toml"
    entry = 'valid_from = 2026-01-01\nchecked_on = 2026-11-01\nsource = "x"\namount = "0.1"\n'
    row = f'[[fal.price]]\nmodels = ["kling-v3-4k-text"]\nunit = "second"\n{entry}'
    catalog = plugins.catalog("fal")
    fitted = fit(GenerationRequest("x", model="kling-v3-4k-text"), catalog)
    file.write_text(row)
    first = estimate(fitted, catalog.provider, Terms(prices=file))
    file.write_text(row + 'disputed = [{amount = "9", checked_on = 2026-01-01, source = "y"}]\n')
    os.utime(file, (1, 1))
    second = estimate(fitted, catalog.provider, Terms(prices=file))
    assert first.expected == second.expected
    assert first.high != second.high
    assert first.hash != second.hash


def test_how_fal_rounds_a_length_is_not_known() -> None:
    """So the estimate spans the whole seconds around, and a budget reserves the upper one."""
    found = measured("fal", "kling-avatar-std", "audio", 5.4)
    each = Decimal("0.0562")
    assert (found.low, found.expected, found.high) == (5 * each, Decimal("5.4") * each, 6 * each)


def test_estimating_needs_no_key() -> None:
    """Nor a network, nor a ledger."""
    provider = get_provider("fal", sandbox=False)
    assert provider.estimate(GenerationRequest("x", model="kling-v2.6-pro-text")).expected


def test_compare_is_like_for_like() -> None:
    """Eight offers of both vendors for the same silent 1080p shot, cheapest second first."""
    request = GenerationRequest(
        generation_type="image-to-video",
        parameters={"duration": 5, "resolution": "1080p", "audio": False},
    )
    found = compare(request)
    known = [offer.estimate.expected is not None for offer in found.offers]
    assert known == sorted(known, reverse=True), "what has no known price comes last"
    prices = [offer.estimate for offer in found.offers if offer.estimate.expected is not None]
    assert len(prices) >= 8
    assert {item.provider for item in prices} >= {"fal", "kling"}
    assert [item.per_second for item in prices] == sorted(item.per_second for item in prices)
    for offer in found.offers:
        asked = offer.card.parameters.get("resolution")
        assert offer.card.resolution == "1080p" or (asked and "1080p" in asked.choices)
    near = {offer.estimate.model: offer.differs for offer in found.nearest}
    assert near["kling-v3-turbo-pro-image"] == ("sound on, not off",)
    assert near["kling-v2.6-std-image"] == ("720p, not 1080p",)
    shown = found.to_json()
    assert set(shown) == {"offers", "nearest", "unavailable"}
    assert shown["offers"][0]["per_second"] == "0.07"


def test_compare_by_model_and_by_provider() -> None:
    """A model name compares the same model; providers can be chosen."""
    found = compare(GenerationRequest("x", model="kling-v2.6-pro-text"), ["fal"])
    assert [offer.estimate.provider for offer in found.offers] == ["fal"]
    missing = compare(GenerationRequest("x", model="kling-v2.6-std-text"))
    assert [item.provider for item in missing.unavailable] == ["fal"]
    with pytest.raises(RequestError, match="image-to-video"):
        compare(GenerationRequest("x"))


def test_currencies_are_never_sorted_together() -> None:
    """Yuan after dollars by name, not by number."""
    found = compare(GenerationRequest(generation_type="text-to-video"), region="cn")
    currencies = [offer.estimate.currency for offer in found.offers]
    assert currencies == sorted(currencies)
    assert set(currencies) == {"CNY", "USD"}


def test_money_does_not_mix() -> None:
    """And prints without exponents."""
    with pytest.raises(ValueError, match="CNY"):
        Money(Decimal(1), "USD") + Money(Decimal(1), "CNY")
    assert str(Money(Decimal("1E+2"))) == "USD 100.00"
    assert plain(Decimal("0.0035")) == "0.0035"
