"""The driver suite: what every provider must pass.

Subclass it in a test module of your package, say which request is typical, and pytest runs all
of it against your dialect on a sandbox, over real HTTP::

    class TestAcme(DriverSuite):
        provider = "acme"
        request = GenerationRequest("a lake", model="acme-one")

Each test's docstring says what to do when it fails. Overriding a standard test is an error
unless it is marked ``xfail`` with a reason.
"""

from __future__ import annotations

import inspect
import io
import json
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import anyio
import pytest
import sqlalchemy as sa
from PIL import Image

from onetake import plugins
from onetake.assets import Asset
from onetake.catalog import ModelCard, ProviderCard
from onetake.driver import Driver, Missing, Task
from onetake.engine.bodies import stored_form
from onetake.errors import (
    AuthenticationError,
    ConfigurationError,
    ContentRejected,
    JobFailed,
    RequestError,
    SubmissionUnknown,
)
from onetake.fitting import fit
from onetake.opening import get_provider
from onetake.pricing.estimate import estimate
from onetake.pricing.price_book import load_price_book
from onetake.provider import Provider
from onetake.request import GenerationRequest
from onetake.result import GenerationResult
from onetake.settings import Settings
from onetake.tasks import TASKS
from onetake.testing.server import SandboxServer, sandbox_server

Work = Callable[[Provider], Coroutine[Any, Any, Any]]


def sample_picture(width: int = 640, height: int = 360) -> bytes:
    """Return a small JPEG."""
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


class DriverSuite:
    """Standard tests of a provider. Subclass names begin with ``Test``."""

    provider: ClassVar[str]
    """The provider's name."""

    request: ClassVar[GenerationRequest]
    """A typical request without files."""

    image_request: ClassVar[GenerationRequest | None] = None
    """A typical request for a model with a first frame; its picture is added by the suite."""

    wrong_key: ClassVar[dict[str, str]] = {"api_key": "wrong:wrong"}
    """Arguments for ``get_provider`` that the vendor refuses."""

    known_task: ClassVar[Task] = Task("00000000-0000-7000-8000-000000000000")
    """A well-formed task reference that the vendor does not know."""

    # ── fixtures ──

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls) -> Iterator[SandboxServer]:
        """A sandbox on loopback."""
        with sandbox_server() as server:
            yield server

    @pytest.fixture
    def sandbox(self, server: SandboxServer) -> SandboxServer:
        """The same, empty."""
        server.reset()
        return server

    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        """Settings with a home of their own and little patience."""
        return Settings(home=tmp_path / "home", submit_patience=2.0, sandbox_seconds_per_job=0.0)

    @pytest.fixture(params=("asyncio", "trio"))
    def backend(self, request: pytest.FixtureRequest) -> str:
        """Each async library that the card names."""
        if request.param not in self.card().backends:
            pytest.skip(f"{self.provider} does not run on {request.param}")
        if request.param == "trio":
            pytest.importorskip("trio")
        return str(request.param)

    # ── tools ──

    @classmethod
    def card(cls) -> ProviderCard:
        """The provider's card."""
        return plugins.provider_card(cls.provider)

    def run(
        self,
        work: Work,
        sandbox: SandboxServer,
        settings: Settings,
        backend: str | None = None,
        **arguments: Any,
    ) -> Any:
        """Run work with a provider on the sandbox."""

        async def main() -> Any:
            async with get_provider(
                self.provider, sandbox=sandbox.url, settings=settings, **arguments
            ) as provider:
                return await work(provider)

        return anyio.run(main, backend=backend or self.card().backends[0])

    def generate(
        self,
        request: GenerationRequest,
        sandbox: SandboxServer,
        settings: Settings,
        backend: str | None = None,
    ) -> GenerationResult:
        """Generate on the sandbox."""
        result = self.run(lambda p: p.generate(request), sandbox, settings, backend)
        assert isinstance(result, GenerationResult)
        return result

    def with_prompt(self, words: str) -> GenerationRequest:
        """Return the typical request with more words in its prompt."""
        return replace(self.request, prompt=f"{self.request.prompt} {words}")

    def first_card(self) -> ModelCard:
        """Return the card of the typical request."""
        return fit(self.request, plugins.catalog(self.provider), load_assets=False).card

    # ── the card and its data ──

    def test_no_standard_test_is_overridden(self) -> None:
        """If this fails: give your own test another name, or mark the override xfail."""
        for name, method in vars(DriverSuite).items():
            if not name.startswith("test_"):
                continue
            own = getattr(type(self), name)
            marks = [mark for mark in getattr(own, "pytestmark", []) if mark.name == "xfail"]
            excused = any(mark.kwargs.get("reason") for mark in marks)
            assert own is method or excused, f"{name} is overridden without a reason"

    def test_the_card_is_complete(self) -> None:
        """If this fails: see `onetake.catalog.ProviderCard` for what each field means."""
        card = self.card()
        assert card.name == self.provider
        assert card.regions, "a provider has at least one region"
        assert card.credentials, "a provider has credentials; the sandbox checks them"
        assert card.dialect, "a provider brings a sandbox dialect, or nobody can try it"
        assert set(card.sandbox_hosts) >= set(card.regions.values())
        assert card.look_batch >= 1
        assert set(card.currencies) <= set(card.regions)

    def test_the_catalog_is_sound(self) -> None:
        """If this fails: two cards share a name, or a slot asks for a parameter that is absent."""
        cards = plugins.catalog(self.provider).cards
        assert cards
        names = [card.name for card in cards]
        assert len(names) == len(set(names))
        for model in cards:
            assert model.task in TASKS or "-to-" in model.task
            assert model.checked_on, f"{model.name}: when were its facts read?"
            model.parameter_model().model_json_schema()
            for slot in model.inputs.values():
                assert set(slot.needs) <= {*model.parameters, *model.fixed, *model.inputs}

    def test_every_model_is_priced_or_says_why_not(self) -> None:
        """If this fails: add a row to prices.toml; an unknown price needs a reason."""
        catalog = plugins.catalog(self.provider)
        known = {model.name for model in catalog.cards}
        for row in load_price_book(self.card().package).price:
            assert set(row.models) <= known, "a price row names a model that does not exist"
        for model in catalog.cards:
            request = GenerationRequest("a lake", generation_type=model.task, model=model.name)
            price = estimate(fit(request, catalog, strict=False, load_assets=False), self.card())
            assert price.expected is not None or price.reason
            assert price.expected is None or price.expected >= 0

    def test_signatures_are_those_of_the_contract(self) -> None:
        """If this fails: a method takes other arguments than `onetake.driver.Driver` says."""
        driver = plugins.import_object(self.card().driver)
        assert issubclass(driver, Driver)
        for name, method in inspect.getmembers(Driver, inspect.isfunction):
            if not name.startswith("_"):
                own = inspect.signature(getattr(driver, name)).parameters
                assert list(own) == list(inspect.signature(method).parameters), name

    def test_prepare_is_pure(self, sandbox: SandboxServer, settings: Settings) -> None:
        """If this fails: ``prepare`` reads a clock, a random number or the network."""

        async def prepare(provider: Provider) -> None:
            async with provider._engine() as engine:
                fitted = provider.check(self.request)
                first = engine.driver.prepare(fitted, "job-1", [])
                assert first == engine.driver.prepare(fitted, "job-1", [])
                text = json.dumps(stored_form(first.body))
                for secret in self.card().sandbox_credentials.values():
                    assert f'"{secret}"' not in text, "a credential stands in the body"

        self.run(prepare, sandbox, settings)
        assert not sandbox.requests(method="POST")

    # ── the main job ──

    def test_generates(self, sandbox: SandboxServer, settings: Settings, backend: str) -> None:
        """If this fails: start here; the main job does not run."""
        result = self.generate(self.request, sandbox, settings, backend)
        artifact = result.artifacts[0]
        assert artifact.path.stat().st_size == artifact.bytes > 0
        charges = sandbox.charges()
        assert len(charges) == 1, "one request is one charge"
        assert charges[0]["task_id"] == result.job.task_id
        assert charges[0]["settled"]
        if self.first_card().output == "video":
            duration = result.artifacts[0].duration
            wanted = fit(self.request, plugins.catalog(self.provider)).value("duration")
            assert duration is not None
            assert wanted is None or abs(duration - wanted) < 0.1

    def test_generates_from_a_picture(self, sandbox: SandboxServer, settings: Settings) -> None:
        """If this fails: look at ``prepare_asset``, and where ``prepare`` puts its value."""
        if self.image_request is None:
            pytest.skip(f"{self.provider} names no image request")
        picture = Asset(sample_picture(), role="first_frame", name="picture.jpg")
        request = replace(self.image_request, reference_assets=[picture])
        result = self.generate(request, sandbox, settings)
        width, height = result.artifacts[0].width, result.artifacts[0].height
        assert width
        assert height
        assert abs(width / height - 640 / 360) < 0.02, "the output follows the picture"

    def test_the_same_key_is_the_same_job(self, sandbox: SandboxServer, settings: Settings) -> None:
        """If this fails: the core is broken, not your driver; please report it."""
        request = replace(self.request, key="shot-1")
        first = self.generate(request, sandbox, settings)
        second = self.generate(request, sandbox, settings)
        assert first.job.id == second.job.id
        assert len(sandbox.charges()) == 1

    # ── refusals ──

    def test_a_wrong_key_is_told_before_anything_is_paid(
        self, sandbox: SandboxServer, settings: Settings
    ) -> None:
        """If this fails: ``verify`` must raise AuthenticationError for a refused key."""
        with pytest.raises(AuthenticationError):
            self.run(lambda p: p.generate(self.request), sandbox, settings, **self.wrong_key)
        assert sandbox.charges() == []

    def test_an_unknown_region_is_refused(self) -> None:
        """If this fails: the core is broken, not your driver; please report it."""
        with pytest.raises(ConfigurationError, match="nowhere"):
            get_provider(self.provider, region="nowhere", sandbox=True)

    def test_nothing_is_silently_dropped(self, sandbox: SandboxServer, settings: Settings) -> None:
        """If this fails: a parameter that the model lacks must be refused, not left out."""
        request = replace(self.request, parameters={**self.request.parameters, "sparkle": 11})
        with pytest.raises(RequestError, match="sparkle"):
            self.generate(request, sandbox, settings)
        assert not sandbox.requests(method="POST")

    def test_a_failed_task_raises(self, sandbox: SandboxServer, settings: Settings) -> None:
        """If this fails: ``look`` must return a failed Snapshot with an error."""
        with pytest.raises(JobFailed) as caught:
            self.generate(self.with_prompt("[[fail]]"), sandbox, settings)
        assert caught.value.task_state == "exists"
        assert caught.value.job_id
        assert len(sandbox.charges()) == 1

    def test_moderation_has_its_own_error(self, sandbox: SandboxServer, settings: Settings) -> None:
        """If this fails: map the vendor's content refusal to ContentRejected."""
        with pytest.raises(ContentRejected):
            self.generate(self.with_prompt("[[moderation]]"), sandbox, settings)

    def test_a_task_that_the_vendor_does_not_know_is_missing(
        self, sandbox: SandboxServer, settings: Settings
    ) -> None:
        """If this fails: ``look`` must answer Missing for an unknown id, and must not raise."""

        async def look(provider: Provider) -> Any:
            async with provider._engine() as engine:
                return await engine.driver.look([self.known_task])

        answers = self.run(look, sandbox, settings)
        assert isinstance(answers[self.known_task.id], Missing)

    # ── exactly once ──

    @pytest.mark.parametrize(
        "fault", ["drop_after_accept", "reset", "half_body", "bad_json", "nginx_502"]
    )
    def test_a_lost_answer_never_pays_twice(
        self, sandbox: SandboxServer, settings: Settings, fault: str
    ) -> None:
        """If this fails: ``submit`` must POST once and raise SubmissionUnknown, nothing else;
        where the card's ``resend`` promises more than ``none``, ``locate`` must find the task.
        """
        sandbox.fail(fault, method="POST", path=self._create_path(sandbox, settings))
        if self.first_card().resend in ("safe", "lookup"):
            self.generate(self.request, sandbox, settings)  # `locate` finds it
        else:
            with pytest.raises(SubmissionUnknown) as caught:
                self.generate(self.request, sandbox, settings)
            assert caught.value.task_state == "may_exist"
        assert len(sandbox.charges()) == 1

    @pytest.mark.parametrize("status", [500, 503, 408, 409, 307])
    def test_an_answer_that_does_not_say_no_is_unknown(
        self, sandbox: SandboxServer, settings: Settings, status: int
    ) -> None:
        """If this fails: only a documented 4xx refuses; see `onetake.http.judge_submission`."""
        path = self._create_path(sandbox, settings)
        sandbox.fail(f"http_{status}", method="POST", path=path, after=True)
        if self.first_card().resend in ("safe", "lookup"):
            self.generate(self.request, sandbox, settings)
        else:
            with pytest.raises(SubmissionUnknown):
                self.generate(self.request, sandbox, settings)
        assert len(sandbox.charges()) == 1

    def _create_path(self, sandbox: SandboxServer, settings: Settings) -> str:
        """Learn the path that creates the typical job, from a job that went well."""
        self.generate(self.with_prompt("(probe)"), sandbox, settings)
        posts = sandbox.requests(method="POST")
        sandbox.reset()
        return str(posts[-1]["path"])

    def test_no_secret_is_kept(self, sandbox: SandboxServer, settings: Settings) -> None:
        """If this fails: a credential reached the ledger, a ``repr`` or a submission."""
        secrets = [v for v in self.card().sandbox_credentials.values() if len(v) > 9]
        result = self.generate(self.request, sandbox, settings)
        engine = sa.create_engine(settings.ledger_url)
        with engine.connect() as connection:
            rows = connection.execute(sa.text("SELECT * FROM jobs")).all()
            events = connection.execute(sa.text("SELECT * FROM events")).all()
        engine.dispose()
        for text in (repr(rows), repr(events), repr(result), result.job.token or ""):
            for secret in secrets:
                assert secret not in text
