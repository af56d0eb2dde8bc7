"""Budgets: per job, run, day and tag, in settings, arguments and the ledger."""

from __future__ import annotations

import inspect
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
import sqlalchemy as sa

from onetake import (
    Asset,
    BudgetExceeded,
    GenerationRequest,
    Provider,
    SubmissionUnknown,
    get_provider,
)
from onetake.engine.holding import Holder
from onetake.engine.journal import Journal
from onetake.engine.reserving import Budgets
from onetake.engine.workers import new_worker
from onetake.errors import OnetakeError, RequestError
from onetake.ledger import spending
from onetake.ledger.spending import Holding, Limit
from onetake.ledger.store import Ledger
from onetake.ledger.tables import holds, jobs
from onetake.money import Money, parse_limits, parse_money, parse_rates
from onetake.settings import Settings
from onetake.testing import SandboxServer, VirtualClock, sandbox_server
from onetake.workshop import Workshop
from tests.running import LAKE, run

PRICE = Decimal("0.35")
KLING_POST = {"method": "POST", "path": "/kling"}


def limited(settings: Settings, **more: Any) -> Settings:
    """Return settings with limits, read as from the environment."""
    return Settings(**{**settings.model_dump(), **more})


def posts(server: SandboxServer) -> int:
    """Return how many tasks were paid for."""
    return len(server.charges())


def test_a_job_may_not_cost_more(server: SandboxServer, settings: Settings) -> None:
    """Each job by itself; the number of jobs is free."""

    async def work(provider: Provider) -> None:
        await provider.generate(LAKE)
        await provider.generate(LAKE)
        with pytest.raises(BudgetExceeded, match="budget of a job of USD 0.40"):
            await provider.generate(replace(LAKE, parameters={"duration": 10}))

    run(work, server, limited(settings, job_budget="0.40"))
    assert posts(server) == 2


def test_a_run_has_its_own_budget(server: SandboxServer, settings: Settings) -> None:
    """As an argument; another provider is another run, unless both have the same name."""

    async def work(provider: Provider) -> None:
        await provider.generate(LAKE)
        with pytest.raises(BudgetExceeded, match="budget of run"):
            await provider.generate(LAKE)

    run(work, server, settings, budget="0.50")
    run(work, server, settings, budget=Money(PRICE), run="nightly")
    with pytest.raises(BudgetExceeded, match="run nightly"):
        run(lambda p: p.generate(LAKE), server, limited(settings, run="nightly", run_budget="0.5"))
    assert posts(server) == 2


def test_a_tag_has_a_budget(server: SandboxServer, settings: Settings) -> None:
    """Only its jobs count; a job with two tags counts for both."""

    async def work(provider: Provider) -> None:
        await provider.generate(replace(LAKE, tags=["spring", "trailer"]))
        await provider.generate(LAKE)
        job = await provider.submit(replace(LAKE, tags="winter"))
        assert job.tags == ("winter",)
        for tag in ("spring", "trailer"):
            with pytest.raises(BudgetExceeded, match=f"tag {tag}"):
                await provider.generate(replace(LAKE, tags=[tag]))

    run(work, server, limited(settings, tag_budgets="spring=0.5, trailer=0.6"))
    assert posts(server) == 3


def test_the_ledger_keeps_limits_for_everybody(server: SandboxServer, settings: Settings) -> None:
    """They bind processes whose settings know nothing of them."""
    place = Workshop(card=get_provider("kling").card, settings=settings, sandbox=server.url)
    ledger = Ledger(settings.ledger_url)

    def write(connection: Any) -> None:
        spending.set_limit(connection, place.environment, "day", "", parse_money("9"), 0.0)
        spending.set_limit(connection, place.environment, "day", "", parse_money("0.4"), 1.0)

    ledger.run_blocking(write)

    async def work(provider: Provider) -> None:
        await provider.generate(LAKE)
        with pytest.raises(BudgetExceeded, match=r"onetake budget set day AMOUNT"):
            await provider.generate(LAKE)

    run(work, server, settings)
    [limit] = ledger.run_blocking(lambda c: spending.limits(c, place.environment))
    used = ledger.run_blocking(lambda c: place.budgets.used(c, time.time(), limit))
    assert (limit.money, used.amount) == (Money(Decimal("0.4")), PRICE)
    removed = [
        ledger.run_blocking(lambda c: spending.remove_limit(c, place.environment, "day", ""))
        for _ in range(2)
    ]
    ledger.close()
    assert removed == [True, False]
    run(lambda p: p.generate(LAKE), server, settings)
    assert posts(server) == 2


def test_a_dated_rate_lets_currencies_meet(server: SandboxServer, settings: Settings) -> None:
    """2.5 CNY are 0.35 USD at the user's rate; without a rate nothing is compared."""
    in_dollars = limited(settings, daily_budget="0.80", exchange_rates="CNY:USD=0.14@2026-11-20")

    async def work(provider: Provider) -> None:
        await provider.generate(LAKE)
        await provider.generate(LAKE, max_cost="0.36 USD")
        with pytest.raises(BudgetExceeded, match=r"USD 0\.35 on top of 0\.70"):
            await provider.generate(LAKE)

    run(work, server, in_dollars, region="cn")
    with pytest.raises(BudgetExceeded, match="ONETAKE_EXCHANGE_RATES=CNY:USD=RATE@DATE"):
        run(lambda p: p.generate(LAKE), server, limited(settings, daily_budget="9"), region="cn")
    with pytest.raises(BudgetExceeded, match="max_cost in USD"):
        run(lambda p: p.generate(LAKE, max_cost="9"), server, settings, region="cn")
    assert posts(server) == 2


def test_a_switch_lets_unknown_prices_through(server: SandboxServer, settings: Settings) -> None:
    """Closed by default; what such a job cost counts once the vendor has said it."""
    unheard = GenerationRequest(
        "a lake", model=LAKE.model, parameters={"kling": {"strange_field": 1}}
    )
    strict = limited(settings, daily_budget="0.50")
    with pytest.raises(BudgetExceeded, match="ALLOW_UNKNOWN_PRICE"):
        run(lambda p: p.generate(unheard), server, strict)
    loose = limited(settings, daily_budget="0.50", allow_unknown_price=True)

    async def work(provider: Provider) -> None:
        await provider.generate(unheard)
        with pytest.raises(BudgetExceeded, match=r"on top of 0\.35"):
            await provider.generate(LAKE)

    run(work, server, loose)
    less = limited(settings, daily_budget="0.30", allow_unknown_price=True)
    with pytest.raises(BudgetExceeded, match=r"a job of unknown price on top of 0\.35"):
        run(lambda p: p.generate(replace(unheard, prompt="another")), server, less)
    assert posts(server) == 1


def test_many_at_once_do_not_overshoot(settings: Settings) -> None:
    """Sixty requests of three providers on one ledger, room for seven."""
    tight = limited(settings, daily_budget="2.50")

    async def main(url: str) -> int:
        done = 0

        async def spend(number: int) -> None:
            nonlocal done
            shots = [GenerationRequest(f"{number} {n}", model=LAKE.model) for n in range(20)]
            async with get_provider("kling", sandbox=url, settings=tight) as provider:
                async for outcome in provider.generate_many(shots):
                    done += outcome.error is None
                    assert isinstance(outcome.error, BudgetExceeded | None)

        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(spend, number)
        return done

    with sandbox_server(seconds_per_job=0.0, concurrency=100) as server:
        assert anyio.run(main, server.url) == 7
        assert sum(Decimal(charge["amount"]) for charge in server.charges()) == Decimal("2.45")


# ── no paid path goes around it ──

PAID = {"submit", "generate", "generate_many", "create_resource", "resubmit"}
FREE = {
    "abandon", "account", "aclose", "attach", "cancel", "deductions", "delete_resource",
    "findings", "job", "jobs", "list_prices", "read_callback", "resources", "resume",
    "settle_costs", "verify", "wait",
}  # fmt: skip


def _is_async(member: Any) -> bool:
    return inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(member)


def test_every_method_is_known_to_pay_or_not() -> None:
    """A new one has to be put into one of the two lists, and into the walk if it pays."""
    found = {name for name, _ in inspect.getmembers(Provider, _is_async) if name[0] != "_"}
    assert found == PAID | FREE


async def _lost(provider: Provider) -> str:
    """Return a job whose outcome is unknown."""
    with pytest.raises(SubmissionUnknown) as caught:
        await provider.submit(GenerationRequest("lost", model="kling-v2.6-pro-text"))
    return str(caught.value.job_id)


def test_no_paid_path_goes_around_the_budget(server: SandboxServer, settings: Settings) -> None:
    """One by one, with nothing left: refused, and nothing is sent."""
    talk = GenerationRequest(
        model="kling-lipsync",
        parameters={"text": "Good morning.", "voice": "girlfriend_1_speech02"},
        reference_assets=[Asset("https://example.com/clip.mp4?seconds=5", role="video")],
    )
    sample = [Asset("https://example.com/voice.mp3?seconds=10", role="audio")]

    async def work(provider: Provider) -> None:
        for request in (LAKE, talk):
            for call in (provider.submit, provider.generate):
                for options in ({}, {"retry": True}, {"reuse": True}, {"strict": False}):
                    with pytest.raises(BudgetExceeded):
                        await call(request, **options)
        async for outcome in provider.generate_many([LAKE, talk]):
            assert isinstance(outcome.error, BudgetExceeded)
        with pytest.raises(BudgetExceeded):
            await provider.create_resource("voice", "narrator", reference_assets=sample)

    none = limited(settings, daily_budget="0", submit_patience=0.0)
    run(work, server, none)
    assert server.requests(**KLING_POST) == []


def test_sending_again_needs_room_too(server: SandboxServer, settings: Settings) -> None:
    """The lost job may have been paid: it keeps its reserve, and its child needs one more."""
    hasty = limited(settings, submit_patience=0.0)

    async def lose(provider: Provider) -> str:
        server.fail("drop_before_accept", method="POST", path="/fal/queue")
        return await _lost(provider)

    job_id = run(lose, server, limited(hasty, run="night"), "fal")
    for limits in ({"daily_budget": "1.39"}, {"run_budget": "1.39", "run": "night"}):
        with pytest.raises(BudgetExceeded):
            run(lambda p: p.resubmit(job_id), server, limited(hasty, **limits), "fal")
    job = run(lambda p: p.job(job_id), server, hasty, "fal")
    assert job.state.value == "unknown", "it stays as it was"

    async def again(provider: Provider) -> None:
        await provider.wait(await provider.resubmit(job_id))

    run(again, server, limited(hasty, daily_budget="1.40"), "fal")
    assert posts(server) == 1


def test_more_units_than_were_estimated_count(server: SandboxServer, settings: Settings) -> None:
    """The vendor counted twice as many; what that costs nobody says, so twice as much is held."""

    async def work(provider: Provider) -> None:
        job = await provider.submit(LAKE)
        ledger = Ledger(settings.ledger_url)
        change = jobs.update().values(estimate={**(job.estimate or {}), "units": "2.5"})
        ledger.run_blocking(lambda connection: connection.execute(change))
        ledger.close()
        await provider.wait(job)

    loose = limited(settings, daily_budget="1.39")
    run(work, server, loose, "fal")
    with pytest.raises(BudgetExceeded, match=r"on top of 1\.40"):
        run(lambda p: p.generate(LAKE), server, loose, "fal")


def test_more_units_within_the_estimate_reserve_no_more(
    server: SandboxServer, settings: Settings
) -> None:
    """The high end has room for them already."""

    async def work(provider: Provider) -> None:
        job = await provider.submit(LAKE)
        ledger = Ledger(settings.ledger_url)
        told = {**(job.estimate or {}), "units": "4", "high": "5.00"}
        change = jobs.update().values(estimate=told, reserved=5_000_000)
        ledger.run_blocking(lambda connection: connection.execute(change))
        await provider.wait(job)
        wanted = sa.select(jobs.c.reserved)
        assert ledger.run_blocking(lambda c: c.execute(wanted).scalar()) == 5_000_000
        ledger.close()

    run(work, server, settings, "fal")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_what_is_held_lasts_as_long_as_the_work(tmp_path: Path, backend: str) -> None:
    """Through several leases, for the steps and for what is done before the last job is written."""
    ledger, clock = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite3'}"), VirtualClock()
    journal = Journal(ledger, clock, new_worker(), 0.3, lambda event: None)
    day = Limit("day", "", parse_money("1"), "x")
    budgets = Budgets("live", "night", [day])

    async def held() -> Decimal:
        return (await ledger.run(lambda c: budgets.used(c, clock.now(), day))).amount

    async def until() -> float:
        return float(await ledger.run(lambda c: c.execute(sa.select(holds.c.until)).scalar_one()))

    async def work() -> str:
        for _ in range(6):
            before = await until()
            clock.advance(0.25)
            assert await held() == Decimal("0.8")
            while await until() == before:  # noqa: ASYNC110 - its sign is a row
                await anyio.sleep(0.02)
        return "done"

    async def failing() -> None:
        raise RuntimeError("a step failed")

    async def main() -> None:
        holder = Holder(journal, budgets)
        assert await holder.during("j1", parse_money("0.8"), (), work) == "done"
        with pytest.raises(BudgetExceeded):
            await holder.during("j2", parse_money("0.8"), (), work)
        await ledger.run(lambda c: spending.let_go(c, "j1"))
        with pytest.raises(RuntimeError, match="a step failed"):
            await holder.during("j3", parse_money("0.8"), (), failing)
        assert await held() == 0
        ledger.run_blocking(lambda c: None)  # the writer is there
        with anyio.CancelScope() as scope:
            scope.cancel()  # while it is being taken
            await holder.during("j4", parse_money("0.8"), (), work)
        assert await held() == 0

    anyio.run(main, backend=backend)
    ledger.close()


def test_holds_of_the_dead_are_given_up() -> None:
    """Of a process that is gone, at once; of one that cannot be seen, with its lease."""
    ledger = Ledger("sqlite://")
    day = Limit("day", "", parse_money("1"), "x")
    budgets = Budgets("live", "night", [day])
    place, _, rest = new_worker().partition(".")
    _, _, random = rest.split(".")
    owners = {"gone": f"{place}.999999999.1.{random}", "far": "elsewhere.1.1.x"}

    def work(connection: Any) -> list[Decimal]:
        for job_id, owner in owners.items():
            holding = Holding(job_id, "live", "night", owner, 160.0)
            spending.hold(connection, holding, (), parse_money("0.25"))
        budgets.give_up(connection, 100.0)
        used = [budgets.used(connection, now, day).amount for now in (100.0, 161.0)]
        budgets.give_up(connection, 200_000.0)
        left = connection.execute(sa.select(sa.func.count()).select_from(holds)).scalar()
        return [*used, Decimal(left)]

    assert ledger.run_blocking(work) == [Decimal("0.25"), 0, 0]
    ledger.close()


def test_a_limit_says_who_set_it(server: SandboxServer, settings: Settings) -> None:
    """An argument is not raised by a setting."""

    async def work() -> None:
        strict = get_provider("kling", sandbox=server.url, settings=settings, budget="0.20")
        async with strict as provider:
            with pytest.raises(BudgetExceeded, match="the argument budget raises it"):
                await provider.generate(LAKE)

    anyio.run(work)


def test_jobs_of_unknown_price_count_for_those_who_are_strict(
    server: SandboxServer, settings: Settings
) -> None:
    """A process without limits started one; nobody knows what is left for the others."""
    unheard = GenerationRequest("x", model=LAKE.model, parameters={"kling": {"strange": 1}})
    slow = settings.model_copy(update={"sandbox_seconds_per_job": 600.0})
    with sandbox_server(seconds_per_job=600.0) as busy:
        run(lambda p: p.submit(unheard), busy, slow)
        with pytest.raises(BudgetExceeded, match=r"jobs of unknown price \(1\)"):
            run(lambda p: p.submit(LAKE), busy, limited(slow, daily_budget="5"))
        loose = limited(slow, daily_budget="5", allow_unknown_price=True)
        run(lambda p: p.submit(LAKE), busy, loose)
        assert posts(busy) == 2


def test_what_cannot_be_converted_is_not_left_out(
    server: SandboxServer, settings: Settings
) -> None:
    """Somebody spent yuan before the limit in dollars was set."""
    run(lambda p: p.generate(LAKE), server, settings, region="cn")
    with pytest.raises(BudgetExceeded, match=r"CNY 2\.50 are spent or reserved"):
        run(lambda p: p.generate(LAKE), server, limited(settings, daily_budget="5"))
    assert posts(server) == 1


def test_what_was_delivered_already_needs_no_room(
    server: SandboxServer, settings: Settings
) -> None:
    """The job of a key, and a twin that is reused, cost nothing: no limit refuses them."""
    keyed = replace(LAKE, key="shot-1")

    async def work(provider: Provider) -> None:
        first = await provider.generate(keyed)
        again = await provider.generate(keyed, max_cost="0.01")
        twin = await provider.generate(LAKE, reuse=True, max_cost="0.01")
        assert first.job.id == again.job.id == twin.job.id

    run(work, server, settings)
    assert posts(server) == 1


def test_a_chain_is_held_whole(settings: Settings) -> None:
    """Three chains at once, room for two: the third pays no step."""
    clip = Asset("https://example.com/clip.mp4?seconds=5", role="video")

    def talk(number: int) -> GenerationRequest:
        words = {"text": f"Good morning, {number}.", "voice": "girlfriend_1_speech02"}
        return GenerationRequest(
            model="kling-lipsync", parameters=words, reference_assets=[clip], tags=["talk"]
        )

    async def work(provider: Provider) -> tuple[int, int]:
        whole = provider.estimate(talk(1)).high
        assert whole is not None
        done = refused = 0
        async with get_provider(
            "kling",
            sandbox=server.url,
            settings=limited(settings, tag_budgets=f"talk={2 * whole + whole / 2}"),
        ) as tight:
            async for outcome in tight.generate_many([talk(1), talk(2), talk(3)]):
                done += outcome.error is None
                refused += isinstance(outcome.error, BudgetExceeded)
        return done, refused

    with sandbox_server(seconds_per_job=0.0, concurrency=100) as server:
        assert run(work, server, settings) == (2, 1)
        models = [charge["model"] for charge in server.charges()]
        assert models.count("tts") == 2, models


def test_a_chain_of_unknown_price_holds_nothing(server: SandboxServer, settings: Settings) -> None:
    """Without limits it goes on as it always did."""
    request = GenerationRequest(
        model="kling-lipsync",
        parameters={
            "text": "Good morning.",
            "voice": "girlfriend_1_speech02",
            "kling": {"strange_field": 1},
        },
        reference_assets=[Asset("https://example.com/clip.mp4?seconds=5", role="video")],
    )
    result = run(lambda p: p.generate(request), server, settings)
    assert result.job.estimate["expected"] is None
    assert result.job.actual["amount"]


def test_a_lost_job_of_unknown_price_can_be_sent_again(
    server: SandboxServer, settings: Settings
) -> None:
    """Nobody knows what is kept for it, and no limit asks."""
    hasty = limited(settings, submit_patience=0.0)
    unheard = GenerationRequest(
        "lost", model="kling-v2.6-pro-text", parameters={"fal": {"strange_field": 1}}
    )

    async def work(provider: Provider) -> None:
        server.fail("drop_before_accept", method="POST", path="/fal/queue")
        with pytest.raises(SubmissionUnknown) as caught:
            await provider.submit(unheard)
        await provider.wait(await provider.resubmit(str(caught.value.job_id)))

    run(work, server, hasty, "fal")
    assert posts(server) == 1


# ── reading them ──


def test_limits_are_read_as_they_are_written() -> None:
    """And a mistake is named."""
    assert parse_limits("spring=50, winter=200 CNY") == {
        "spring": Money(Decimal(50)),
        "winter": Money(Decimal(200), "CNY"),
    }
    for wrong in ("spring", "=5", "spring=much"):
        with pytest.raises(ValueError, match=r"is not"):
            parse_limits(wrong)
    rates = parse_rates("CNY:USD=0.14@2026-11-20, EUR:USD=1.10@2026-11-20")
    assert rates.convert(Money(Decimal(100), "CNY"), "USD") == Money(Decimal("14.00"))
    assert rates.convert(Money(Decimal(14), "USD"), "CNY") == Money(Decimal(100), "CNY")
    assert rates.convert(Money(Decimal(1), "GBP"), "USD") is None
    assert rates.common(Money(Decimal(100), "CNY")).currency == "USD"
    assert "2026-11-20" in str(rates.rates[0])
    for wrong in ("CNY=0.14", "CNY:USD=0@2026-11-20", "CNY:USD=0.1@2026-13-01"):
        with pytest.raises(ValueError, match=r"."):
            parse_rates(wrong)


def test_tags_are_words() -> None:
    """One or several, short, printable; anything else is a mistake."""
    assert GenerationRequest("x", tags="one").tags == ("one",)
    for wrong in (["a" * 65], [""], ["a\nb"], [" a"], [1]):
        with pytest.raises(RequestError, match="tags"):
            GenerationRequest("x", tags=wrong)  # type: ignore[arg-type]


def test_a_limit_says_what_it_is() -> None:
    """In messages."""
    money = Money(Decimal(5))
    told = [str(Limit(scope, "spring", money, "x")) for scope in spending.SCOPES]
    assert told == [
        "the budget of a job of USD 5.00",
        "the budget of run spring of USD 5.00",
        "the daily budget of USD 5.00",
        "the budget of tag spring of USD 5.00",
    ]
    assert Budgets("live", "run").limits == ()
    with pytest.raises(OnetakeError, match="budget"):
        get_provider("kling", budget="much")
