"""What the official Kling API says of itself. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence

from onetake.catalog import ProviderCard
from onetake.credentials import CredentialField
from onetake.hookspecs import hookimpl

CARD = ProviderCard(
    name="kling",
    display_name="Kling (official API)",
    docs_url="https://kling.ai/document-api",
    package="onetake_kling",
    driver="onetake_kling.driver:KlingDriver",
    dialect="onetake_kling.sandbox:routes",
    distribution="onetake-kling",
    credentials=(
        (CredentialField("api_key", ("KLING_API_KEY", "KLINGAI_API_KEY")),),
        (
            CredentialField(
                "access_key", ("KLING_ACCESS_KEY", "Kling_Access_Key", "KLINGAI_ACCESS_KEY")
            ),
            CredentialField(
                "secret_key", ("KLING_SECRET_KEY", "Kling_Secret_Key", "KLINGAI_SECRET_KEY")
            ),
        ),
    ),
    sandbox_credentials={"api_key": "sandbox"},
    regions={
        "global": "api-singapore.klingai.com",
        "singapore": "api-singapore.klingai.com",
        "cn": "api-beijing.klingai.com",
    },
    currencies={"global": "USD", "singapore": "USD", "cn": "CNY"},
    sandbox_hosts={
        "api-singapore.klingai.com": "/kling",
        "api-beijing.klingai.com": "/kling",
        "api.klingai.com": "/kling",
    },
    look_batch=20,
    unpriced_fields=frozenset({"options", "callback_url", "watermark_info", "negative_prompt"}),
    key_help="Keys are made at https://kling.ai/dev/api-key.",
)


@hookimpl
def onetake_provider_cards() -> Sequence[ProviderCard]:
    """Bring the card."""
    return [CARD]
