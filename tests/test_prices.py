"""Price book, estimate, comparison."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from onetake import GenerationRequest, Money, RequestError, compare, get_provider, plugins
from onetake.fitting import fit
from onetake.money import plain
from onetake.pricing.estimate import estimate
from onetake.pricing.price_book import PriceRow


def price(provider: str, model: str, region: str | None = None, **parameters: Any) -> Any:
    """Estimate a request."""
    card = plugins.provider_card(provider)
    request = GenerationRequest("x", model=model, parameters=parameters)
    fitted = fit(request, plugins.catalog(provider), load_assets=False)
    return estimate(fitted, card, region=region)


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
    past = estimate(fitted, card, on=datetime.date(2020, 1, 1))
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
    reasons = {item.model: item.reason for item in found.unavailable}
    assert "on, not off" in reasons["kling-v3-turbo-pro-image"]
    shown = found.to_json()
    assert set(shown) == {"offers", "unavailable"}
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
