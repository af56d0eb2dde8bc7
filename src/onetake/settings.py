"""Every setting of onetake, its environment name and its default."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import platformdirs
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from onetake.errors import ConfigurationError
from onetake.money import (
    NO_RATES,
    ExchangeRates,
    Money,
    parse_limits,
    parse_money,
    parse_rates,
)


class Settings(BaseSettings):
    """Settings, read from the environment (``ONETAKE_…``) when this object is made.

    Explicit arguments of functions always beat these.
    """

    model_config = SettingsConfigDict(env_prefix="ONETAKE_", extra="ignore", frozen=True)

    home: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("onetake")))
    """Folder of the ledger, the delivered media and the sandbox's state."""

    ledger: str | None = Field(default=None, repr=False)
    """Ledger URL or file; ``<home>/ledger.sqlite3`` when absent."""

    sandbox: str | None = None
    """``1`` for the sandbox in this process, or the base URL of a running one."""

    live: bool = True
    """False forbids every call to a live vendor (the pytest plugin sets that)."""

    account: str = "default"
    """Account name; jobs, keys and budgets of different names never mix."""

    submit_timeout: float = Field(default=120.0, gt=0)
    """Seconds that one submission may take before its outcome is called unknown."""

    submit_patience: float = Field(default=600.0, ge=0)
    """Seconds to go on trying a submission that provably did not create a job."""

    connect_patience: float = Field(default=30.0, ge=0)
    """Seconds to go on trying while the vendor cannot be reached at all."""

    read_timeout: float = Field(default=60.0, gt=0)
    """Seconds for one status look or other read."""

    download_timeout: float = Field(default=60.0, gt=0)
    """Seconds without a byte after which a download counts as broken."""

    guard: float = Field(default=60.0, gt=0)
    """Seconds after which a frozen worker must not send the intent that it had prepared."""

    lease: float = Field(default=60.0, gt=0)
    """Seconds that a process owns a job without giving a sign of life."""

    concurrency: int | None = Field(default=None, ge=1)
    """Unfinished jobs that an account may have in one of the vendor's buckets; learned if unset."""

    prices: Path | None = None
    """Your own price file: what your account pays where that is not the list price."""

    price_age: int = Field(default=180, ge=0)
    """Days after which a price that was not read again is called stale."""

    daily_budget: Annotated[Money | None, NoDecode] = None
    """Limit per day (UTC) for all jobs of the ledger, such as ``5`` or ``30 CNY``; unset: none."""

    job_budget: Annotated[Money | None, NoDecode] = None
    """Limit for each job, with the paid steps that come before it."""

    run_budget: Annotated[Money | None, NoDecode] = None
    """Limit for each run: for a provider object, or for all with the same ``run``."""

    tag_budgets: Annotated[Mapping[str, Money], NoDecode] = Field(default_factory=dict)
    """Limits for all jobs of a tag, such as ``spring=50, winter=200 CNY``."""

    run: str | None = Field(default=None, min_length=1, max_length=128)
    """Name of the run, to share its budget between processes; unset: each provider its own."""

    allow_unknown_price: bool = False
    """True lets jobs of unknown price through although a budget is set."""

    exchange_rates: Annotated[ExchangeRates, NoDecode] = NO_RATES
    """Dated rates between currencies, such as ``CNY:USD=0.139@2026-11-20``."""

    ledger_timeout: float = Field(default=30.0, gt=0)
    """Seconds to wait while another program keeps the ledger locked."""

    asset_host: str | None = None
    """Where local files go that a vendor takes only from a URL: ``fal``, or an fsspec URL."""

    asset_host_url: str | None = None
    """URL under which the files of an fsspec ``asset_host`` can be read by anybody."""

    sandbox_seconds_per_job: float = Field(default=2.0, ge=0)
    """Run time of a job on the in-process sandbox, in seconds."""

    sandbox_concurrency: int = Field(default=5, ge=1)
    """Slots per bucket that the in-process sandbox has where a vendor counts them."""

    sandbox_media: str = Field(default="full", pattern="^(full|fast)$")
    """``full`` draws every frame; ``fast`` draws a few (load tests)."""

    @field_validator("daily_budget", "job_budget", "run_budget", mode="before")
    @classmethod
    def _read_money(cls, value: Any) -> Any:
        return parse_money(value) if isinstance(value, str) else value

    @field_validator("tag_budgets", mode="before")
    @classmethod
    def _read_limits(cls, value: Any) -> Any:
        return parse_limits(value) if isinstance(value, str) else value

    @field_validator("exchange_rates", mode="before")
    @classmethod
    def _read_rates(cls, value: Any) -> Any:
        return parse_rates(value) if isinstance(value, str) else value

    @property
    def ledger_url(self) -> str:
        """The ledger as a SQLAlchemy URL."""
        return ledger_url(self.ledger, self.home)

    @property
    def media_folder(self) -> Path:
        """Where delivered files are kept."""
        return self.home / "media"

    @property
    def sandbox_folder(self) -> Path:
        """Where the in-process sandbox keeps its tasks."""
        return self.home / "sandbox"


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        ConfigurationError: a variable has a value that is not allowed; names it.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = f"ONETAKE_{first['loc'][0]}".upper()
        raise ConfigurationError(f"{name}: {first['input']!r}: {first['msg']}.") from None


def _check_url(text: str) -> None:
    """Refuse what is no URL, without showing it: it may hold a password.

    Raises:
        ConfigurationError: it is none.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        make_url(text)
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            "ONETAKE_LEDGER: this is not a URL such as postgresql://user:password@host:5432/name "
            "(it is not shown here, because it may hold a password)."
        ) from None


def ledger_url(value: str | Path | None, home: Path) -> str:
    """Turn a file name or URL into a SQLAlchemy URL."""
    if value is None:
        return f"sqlite:///{home / 'ledger.sqlite3'}"
    text = str(value)
    if "://" in text:
        _check_url(text)
    if "://" not in text:
        return f"sqlite:///{Path(text).expanduser()}"
    if text.startswith("postgres://"):
        text = "postgresql://" + text.removeprefix("postgres://")
    if text.startswith("postgresql://"):
        return "postgresql+psycopg://" + text.removeprefix("postgresql://")
    return text
