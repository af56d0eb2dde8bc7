"""What Paintbox says of itself. Imports nothing heavy."""

from __future__ import annotations

from onetake.catalog import ProviderCard
from onetake.credentials import CredentialField
from onetake.hookspecs import hookimpl

CARD = ProviderCard(
    name="paintbox",
    display_name="Paintbox",
    docs_url="https://paintbox.example/docs",
    package="onetake_paintbox",
    driver="onetake_paintbox.driver:PaintboxDriver",
    dialect="onetake_paintbox.sandbox:routes",
    distribution="onetake-paintbox",
    credentials=((CredentialField("api_key", ("PAINTBOX_API_KEY",)),),),
    sandbox_credentials={"api_key": "sandbox"},
    regions={"global": "api.paintbox.example"},
    currencies={"global": "USD"},
    sandbox_hosts={"api.paintbox.example": "/paintbox"},
    key_help="Keys are made at https://paintbox.example/keys.",
)


@hookimpl
def onetake_provider_cards():
    """Bring the card."""
    return [CARD]
