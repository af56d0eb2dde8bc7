"""What fal.ai says of itself. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence

from onetake.catalog import ProviderCard
from onetake.credentials import CredentialField
from onetake.hookspecs import hookimpl

CARD = ProviderCard(
    name="fal",
    display_name="fal.ai",
    docs_url="https://docs.fal.ai",
    package="onetake_fal",
    driver="onetake_fal.driver:FalDriver",
    dialect="onetake_fal.sandbox:routes",
    distribution="onetake-fal",
    credentials=(
        (CredentialField("api_key", ("FAL_KEY",)),),
        (
            CredentialField("key_id", ("FAL_KEY_ID",)),
            CredentialField("key_secret", ("FAL_KEY_SECRET",)),
        ),
    ),
    sandbox_credentials={"api_key": "sandbox:sandbox"},
    regions={"global": "queue.fal.run"},
    currencies={"global": "USD"},
    sandbox_hosts={
        "queue.fal.run": "/fal/queue",
        "fal.run": "/fal/run",
        "rest.fal.ai": "/fal/rest",
        "rest.alpha.fal.ai": "/fal/rest",
        "v3.fal.media": "/fal/cdn",
        "v3b.fal.media": "/fal/cdn",
        "api.fal.ai": "/fal/platform",
    },
    look_batch=1,
    backends=("asyncio",),
    passes_unknown=True,
    passed_resend="lookup",
    file_fields=("_url", "_urls"),
    unpriced_fields=frozenset(
        {"seed", "negative_prompt", "output_format", "sync_mode", "enable_safety_checker"}
    ),
    key_help="Keys are made at https://fal.ai/dashboard/keys.",
)


@hookimpl
def onetake_provider_cards() -> Sequence[ProviderCard]:
    """Bring the card."""
    return [CARD]
