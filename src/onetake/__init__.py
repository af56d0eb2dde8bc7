"""onetake: generate video and images through any provider, and pay for each take exactly once.

Everything public is imported from here, when it is first used: ``import onetake`` itself loads
no HTTP client, database, media library or vendor SDK.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_WHERE = {
    "Artifact": "result",
    "Asset": "assets",
    "AssetError": "errors",
    "AuthenticationError": "errors",
    "BudgetExceeded": "errors",
    "Comparison": "pricing.compare",
    "ConcurrencyExceeded": "errors",
    "ConfigurationError": "errors",
    "ContentRejected": "errors",
    "CostEstimate": "pricing.estimate",
    "DeliveryError": "errors",
    "GenerationRequest": "request",
    "GenerationResult": "result",
    "GenerationType": "request",
    "InsufficientCredits": "errors",
    "Job": "job",
    "JobFailed": "errors",
    "JobState": "job",
    "JobTimeout": "errors",
    "KeyConflict": "errors",
    "LedgerError": "errors",
    "ModelCard": "catalog",
    "Money": "money",
    "OnetakeError": "errors",
    "Outcome": "result",
    "Provider": "provider",
    "ProviderUnavailable": "errors",
    "RateLimited": "errors",
    "RequestError": "errors",
    "Storyboard": "pricing.storyboard",
    "SubmissionUnknown": "errors",
    "UnknownModel": "errors",
    "UnsupportedParameter": "errors",
    "compare": "pricing.compare",
    "compare_shots": "pricing.storyboard",
    "get_provider": "opening",
    "open_job": "opening",
}

__all__ = ["__version__", *_WHERE]

if TYPE_CHECKING:
    from onetake.assets import Asset as Asset
    from onetake.catalog import ModelCard as ModelCard
    from onetake.errors import AssetError as AssetError
    from onetake.errors import AuthenticationError as AuthenticationError
    from onetake.errors import BudgetExceeded as BudgetExceeded
    from onetake.errors import ConcurrencyExceeded as ConcurrencyExceeded
    from onetake.errors import ConfigurationError as ConfigurationError
    from onetake.errors import ContentRejected as ContentRejected
    from onetake.errors import DeliveryError as DeliveryError
    from onetake.errors import InsufficientCredits as InsufficientCredits
    from onetake.errors import JobFailed as JobFailed
    from onetake.errors import JobTimeout as JobTimeout
    from onetake.errors import KeyConflict as KeyConflict
    from onetake.errors import LedgerError as LedgerError
    from onetake.errors import OnetakeError as OnetakeError
    from onetake.errors import ProviderUnavailable as ProviderUnavailable
    from onetake.errors import RateLimited as RateLimited
    from onetake.errors import RequestError as RequestError
    from onetake.errors import SubmissionUnknown as SubmissionUnknown
    from onetake.errors import UnknownModel as UnknownModel
    from onetake.errors import UnsupportedParameter as UnsupportedParameter
    from onetake.job import Job as Job
    from onetake.job import JobState as JobState
    from onetake.money import Money as Money
    from onetake.opening import get_provider as get_provider
    from onetake.opening import open_job as open_job
    from onetake.pricing.compare import Comparison as Comparison
    from onetake.pricing.compare import compare as compare
    from onetake.pricing.estimate import CostEstimate as CostEstimate
    from onetake.pricing.storyboard import Storyboard as Storyboard
    from onetake.pricing.storyboard import compare_shots as compare_shots
    from onetake.provider import Provider as Provider
    from onetake.request import GenerationRequest as GenerationRequest
    from onetake.request import GenerationType as GenerationType
    from onetake.result import Artifact as Artifact
    from onetake.result import GenerationResult as GenerationResult
    from onetake.result import Outcome as Outcome


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'onetake' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"onetake.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
