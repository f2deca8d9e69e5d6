"""The price of a cloud model: the user's own, else the offline table of `genai-prices`.

The table comes with the installed package; no network is used. A model with tiers is counted at
its first tier, and the price's source says so. Where nobody knows, the price is a value that says
it is unknown (`Price.is_known`), and `refuse` makes the error that tells how to give it.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from graphroute.errors import UnknownPrice
from graphroute.ir.catalog import Model, Price

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice, TieredPrices

LOCAL: Final = Price(in_usd=0.0, out_usd=0.0, source="runs on this machine")
UNKNOWN: Final = Price(in_usd=0.0, out_usd=0.0, source="unknown", is_known=False)

_TABLE_NAMES: Final = {
    "azure_openai": "azure",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "google_genai": "google",
    "google_vertexai": "google",
    "mistralai": "mistral",
    "xai": "x-ai",
}
"""The table's provider names where they are not LangChain's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A row of the table: the price and the context window, in tokens, where it is listed."""

    price: Price
    context_tokens: int | None


def resolve(model: Model, *, local: bool, listed: Price | None = None) -> Price:
    """The price of a pool member; what the user states wins, each of the two figures by itself.

    >>> resolve(Model("ollama:llama3.2"), local=True).in_usd
    0.0
    >>> resolve(Model("corp:x", price_in_usd=1, price_out_usd=2), local=False).source
    'user'
    >>> resolve(Model("corp:x", price_in_usd=1), local=False).is_known
    False
    """
    base = LOCAL if local else listed or UNKNOWN
    given = (model.price_in_usd, model.price_out_usd)
    if given == (None, None):
        return base
    if None in given and not base.is_known:
        return UNKNOWN
    in_usd, out_usd = (
        stated if stated is not None else found
        for stated, found in zip(given, (base.in_usd, base.out_usd), strict=True)
    )
    source = "user" if None not in given else f"user and {base.source}"
    return Price(in_usd=in_usd, out_usd=out_usd, source=source)


def refuse(names: tuple[str, ...]) -> UnknownPrice:
    """The error for models whose price nobody knows, all told together."""
    first = names[0]
    return UnknownPrice(
        f"no price is known for {', '.join(map(repr, names))}",
        model=first,
        models=names,
        next_step="give it in US dollars per million tokens: "
        f"Model({first!r}, price_in_usd=…, price_out_usd=…)",
    )


def table(provider: str, model: str, now: datetime | None = None) -> Listed | None:
    """The table's row for a model of a provider (LangChain's name for it), None if not listed.

    A price that changes on a date counts from then on; `now` is the present unless given.

    >>> row = table("openai", "gpt-5-mini")
    >>> row.price.source.startswith("genai-prices "), row.price.in_usd > 0
    (True, True)
    >>> table("openai", "no-such-model") is None
    True
    """
    # Imported here: reading the table takes a tenth of a second, and local pools need none of it.
    from genai_prices import data_snapshot

    name = _TABLE_NAMES.get(provider, provider)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            snapshot = data_snapshot.get_snapshot()
            _, info = snapshot.find_provider_model(model, None, name, None)
        except LookupError:
            return None
        price = info.get_prices(now or datetime.now(tz=UTC))
    base = _base(price)
    if base is None:
        return None
    in_usd, out_usd, is_tiered = base
    source = f"genai-prices {version('genai-prices')}"
    return Listed(
        price=Price(
            in_usd=in_usd,
            out_usd=out_usd,
            source=f"{source}, first tier of a tiered price" if is_tiered else source,
            date=_table_date(),
        ),
        context_tokens=info.context_window,
    )


def _base(price: ModelPrice) -> tuple[float, float, bool] | None:
    rates = (price.input_mtok, price.output_mtok)
    if rates[0] is None and rates[1] is None:
        return None
    is_tiered = any(rate is not None and not isinstance(rate, Decimal) for rate in rates)
    return _usd(rates[0]), _usd(rates[1]), is_tiered


def _usd(rate: Decimal | TieredPrices | None) -> float:
    if rate is None:
        return 0.0
    return float(rate if isinstance(rate, Decimal) else rate.base)


@lru_cache(maxsize=1)
def _table_date() -> str | None:
    """The newest price change in the table: it is at least as new as that (it has no date)."""
    from genai_prices import data_snapshot
    from genai_prices.types import StartDateConstraint

    today = datetime.now(tz=UTC).date()
    starts: list[date] = [
        change.constraint.start_date
        for provider in data_snapshot.get_snapshot().providers
        for info in provider.models
        if isinstance(info.prices, list)
        for change in info.prices
        if isinstance(change.constraint, StartDateConstraint)
        and change.constraint.start_date <= today
    ]
    return max(starts).isoformat() if starts else None
