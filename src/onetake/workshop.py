"""The workshop: from a card, settings and credentials to a working engine.

It decides where calls go (the live vendor, the sandbox in this process, a running sandbox),
which account that is, and which credentials are used there.
"""

from __future__ import annotations

import datetime
import ipaddress
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import sniffio

from onetake import hosting, http, plugins
from onetake.assets import LoadedAsset
from onetake.catalog import ProviderCard
from onetake.clock import Clock
from onetake.credentials import Credentials, check_characters, describe, resolve
from onetake.driver import Charge, Driver, DriverContext
from onetake.engine.admission import Admission
from onetake.engine.bodies import BlobStore
from onetake.engine.callbacks import CallbackReader
from onetake.engine.delivery import Deliverer
from onetake.engine.emergency import EmergencyFolder
from onetake.engine.intents import IntentWriter
from onetake.engine.journal import Journal
from onetake.engine.publishing import Host, Publisher
from onetake.engine.reconciling import Reconciler
from onetake.engine.recording import Recorder
from onetake.engine.reserving import Budgets
from onetake.engine.run import Engine
from onetake.engine.settling import Settler
from onetake.engine.submission import Submitter
from onetake.engine.traffic import Traffic
from onetake.engine.watching import Watcher
from onetake.errors import AuthenticationError, ConfigurationError
from onetake.job import new_run
from onetake.ledger.records import Account
from onetake.ledger.spending import Limit, Scope
from onetake.ledger.store import Ledger
from onetake.money import Money
from onetake.pricing.actuals import priced
from onetake.pricing.estimate import Terms
from onetake.settings import Settings

IN_PROCESS_URL = "http://sandbox.onetake"
"""Base URL of the sandbox in this process; it exists on no network."""

_OFF = ("0", "false", "no", "off", "")
_ON = ("1", "true", "yes", "on")


@dataclass(frozen=True)
class Workshop:
    """Builds engines for one account.

    Attributes:
        card: the provider.
        settings: all settings.
        region: region name, or None for the provider's default.
        sandbox: True or ``"1"``, a base URL, or False/None for the live vendor.
        account_name: the user's name for the account.
        api_key: explicit credential.
        options: further provider options.
        run: name of this run, for its budget and for reports.
        budget_by: who set the run's budget, for messages.
    """

    card: ProviderCard
    settings: Settings
    region: str | None = None
    sandbox: bool | str | None = None
    account_name: str = "default"
    api_key: str | None = field(default=None, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    run: str = field(default_factory=new_run)
    budget_by: str = "ONETAKE_RUN_BUDGET"

    def __post_init__(self) -> None:
        self.card.host(self.region)  # an unknown region is an error here, not at the first call
        object.__setattr__(self, "sandbox", _sandbox(self.sandbox))

    @property
    def base_url(self) -> str:
        """API base: the option of that name, else the region's host."""
        given = self.options.get("base_url")
        return str(given).rstrip("/") if given else f"https://{self.card.host(self.region)}"

    @property
    def environment(self) -> str:
        """``live``, ``sandbox`` (in this process), or ``sandbox:<base URL>``."""
        if not self.sandbox:
            return "live"
        return "sandbox" if self.sandbox is True else f"sandbox:{self.sandbox}"

    @property
    def account(self) -> Account:
        """The account that jobs belong to."""
        host = urllib.parse.urlsplit(self.base_url).hostname or self.base_url
        return Account(self.card.name, host, self.environment, self.account_name)

    def typical_seconds(self, usual: float) -> float:
        """Return the usual run time in this environment."""
        if self.sandbox:
            return min(usual, max(self.settings.sandbox_seconds_per_job, 0.2))
        return usual

    def build(self, ledger: Ledger, clock: Clock, owner: str) -> Engine:
        """Build an engine with its own connections.

        Raises:
            ConfigurationError: live calls are forbidden, or an extra is missing.
            AuthenticationError: no credentials were found.
        """
        if self.environment == "live" and not self.settings.live:
            raise ConfigurationError(
                f"live calls are forbidden here (ONETAKE_LIVE=0); {self.card.name} was not called. "
                "Use sandbox=True, or set ONETAKE_LIVE=1 to allow calls that cost money."
            )
        self._check_backend()
        transport = self._transport(clock)
        try:
            driver = self._driver(transport, clock)
        except BaseException:
            if isinstance(transport, http.Rerouted):
                transport.discard()
            raise
        settings, window = self.settings, self.card.lost_seconds
        journal = Journal(ledger, clock, owner, settings.lease, _announce)
        blobs = BlobStore(settings.home / "blobs")
        traffic = Traffic()
        admission = Admission(driver, journal, clock, self.concurrency, window)
        emergency = EmergencyFolder(settings.home / "emergency")
        recorder = Recorder(journal, admission, emergency, clock, self._priced)
        submitter = Submitter(driver, journal, admission, recorder, traffic, blobs, settings, clock)
        watcher = Watcher(driver, journal, clock, self.card.look_batch, self._priced, traffic)
        return Engine(
            driver=driver,
            journal=journal,
            intents=IntentWriter(
                driver,
                journal,
                self.account,
                blobs,
                clock,
                traffic,
                self.budgets,
                Publisher(ledger, self.account, self._host(clock), clock),
            ),
            submitter=submitter,
            reconciler=Reconciler(
                driver, journal, submitter, recorder, traffic, settings, clock, self.card
            ),
            watcher=watcher,
            deliverer=Deliverer(
                driver,
                journal,
                transport,
                settings.media_folder,
                clock,
                settings.download_timeout,
                traffic,
            ),
            settler=Settler(driver, journal, emergency, clock, self.budgets),
            callbacks=CallbackReader(driver, journal, recorder, watcher, self.account),
            clock=clock,
        )

    @property
    def concurrency(self) -> int | None:
        """Slots of each bucket by the user's word: the option of that name, else the setting.

        Raises:
            ConfigurationError: it is not a whole number from 1.
        """
        given = self.options.get("concurrency", self.settings.concurrency)
        if given is not None and (isinstance(given, bool) or given != int(given) or given < 1):
            raise ConfigurationError(f"concurrency: {given!r} is not a whole number from 1.")
        return given

    @property
    def budgets(self) -> Budgets:
        """The limits that settings and arguments name; the ledger may keep more."""
        settings = self.settings
        named: list[tuple[Scope, str, Money | None, str]] = [
            ("job", "", settings.job_budget, "ONETAKE_JOB_BUDGET"),
            ("run", self.run, settings.run_budget, self.budget_by),
            ("day", "", settings.daily_budget, "ONETAKE_DAILY_BUDGET"),
        ]
        for name, money in settings.tag_budgets.items():
            named.append(("tag", name, money, "ONETAKE_TAG_BUDGETS"))
        limits = [Limit(scope, name, money, by) for scope, name, money, by in named if money]
        unknown = settings.allow_unknown_price
        return Budgets(self.environment, self.run, limits, settings.exchange_rates, unknown)

    def _host(self, clock: Clock) -> Host | None:
        """Return what puts files where vendors can read them; None: the user named nothing."""
        wanted = self.options.get("asset_host", self.settings.asset_host)
        if wanted is None:
            return None
        if "://" in str(wanted):
            return hosting.folder_host(str(wanted), self.settings.asset_host_url)
        other = replace(
            self, card=plugins.provider_card(str(wanted)), region=None, api_key=None, options={}
        )

        async def publish(asset: LoadedAsset) -> str:
            other._check_backend()
            driver = other._driver(other._transport(clock), clock)
            try:
                return await driver.upload(asset)
            except NotImplementedError:
                raise ConfigurationError(
                    f"asset_host: {wanted} has no storage for files; fal has."
                ) from None
            finally:
                await driver.aclose()

        return publish

    def _priced(self, charge: Charge, estimated: Mapping[str, Any]) -> Charge:
        return priced(charge, estimated, self.card, self.terms(None))

    def terms(self, now: float | None) -> Terms:
        """Return what prices are asked for, at a time in seconds since the epoch."""
        day = None if now is None else datetime.datetime.fromtimestamp(now, datetime.UTC).date()
        return Terms(self.region, day, self.settings.prices, self.settings.price_age)

    def _driver(self, transport: httpx.AsyncBaseTransport, clock: Clock) -> Driver:
        kind = plugins.load(self.card, "driver", self.card.driver)
        context = DriverContext(
            card=self.card,
            credentials=self.credentials(),
            base_url=self.base_url,
            transport=transport,
            clock=clock,
            submit_timeout=self.settings.submit_timeout,
            read_timeout=self.settings.read_timeout,
            options=self.options,
            streams=self.sandbox is not True,  # in this process an answer comes whole
        )
        driver = kind(context)
        assert isinstance(driver, Driver)
        return driver

    def _check_backend(self) -> None:
        backend = sniffio.current_async_library()
        if backend not in self.card.backends:
            raise ConfigurationError(
                f"{self.card.name} runs on {' and '.join(self.card.backends)}, not on {backend}: "
                "its vendor's client does."
            )

    def credentials(self) -> Credentials:
        """Return the credentials for this environment.

        A key of the environment is never sent to a sandbox beyond this machine, and the sandbox
        in this process does not look at the environment at all.

        Raises:
            AuthenticationError: there are none; says which variables would do.
        """
        names = {part.name for alternative in self.card.credentials for part in alternative}
        explicit = {name: self.options.get(name) for name in names}
        if self.api_key is not None:
            explicit["api_key"] = self.api_key
        environ: dict[str, str] | None = None if self._may_use_environment() else {}
        found = resolve(self.card.credentials, explicit, environ)
        if found is None and self.sandbox and not any(explicit.values()):
            found = Credentials(self.card.sandbox_credentials, "the sandbox's own")
        if found is None:
            raise AuthenticationError(
                f"{self.card.display_name}: no credentials were found.",
                provider=self.card.name,
                hint=f"Set {describe(self.card.credentials)}. {self.card.key_help}".strip(),
            )
        check_characters(found)
        return found

    def _may_use_environment(self) -> bool:
        if not self.sandbox:
            return True
        return isinstance(self.sandbox, str) and _is_loopback(self.sandbox)

    def _transport(self, clock: Clock) -> httpx.AsyncBaseTransport:
        if not self.sandbox:
            return http.world()
        hosts = dict(self.card.sandbox_hosts)
        prefix = hosts.get(self.card.host(self.region))
        own_host = urllib.parse.urlsplit(self.base_url).hostname
        if prefix is not None and own_host is not None:
            hosts.setdefault(own_host, prefix)
        if self.sandbox is True:
            inner = plugins.import_object("onetake.sandbox.transport:in_process")(
                self.settings, clock
            )
            return http.Rerouted(inner, IN_PROCESS_URL, hosts)
        return http.Rerouted(http.world(), str(self.sandbox), hosts)


def _sandbox(value: bool | str | None) -> bool | str:
    if not isinstance(value, str):
        return bool(value)
    text = value.strip().rstrip("/")
    if text.lower() in _OFF:
        return False
    if text.lower() in _ON:
        return True
    if not text.startswith(("http://", "https://")):
        raise ConfigurationError(
            f"sandbox: {value!r} is neither 1, 0, nor a URL such as http://127.0.0.1:8787."
        )
    return text


def _is_loopback(url: str) -> bool:
    host = urllib.parse.urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _announce(event: dict[str, Any]) -> None:
    plugins.registry().manager.hook.onetake_job_event(event=event)
