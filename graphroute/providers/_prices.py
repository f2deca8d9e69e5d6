"""The price of a cloud model: the user's own, else the offline table of `genai-prices`.

The table comes with the installed package; no network is used. A model whose price rises with the
length of the prompt has its first price and gets no prompt that would cost more (`room`). Where
nobody knows, the price is a value that says it is unknown (`Price.is_known`), and `refuse` makes
the error that tells how to give it.
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
    """A row of the table: the price and the context window, in tokens, where it is listed.

    holds_to: prompts longer than this many tokens cost more than `price`; None: all cost the same
    """

    price: Price
    context_tokens: int | None
    holds_to: int | None = None


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


def room(model: Model, context_tokens: int | None, listed: Listed | None) -> int | None:
    """The largest prompt that may be sent: the context, or less where the price holds to less.

    A budget is kept only where a price holds. Who states both prices gets the whole context.

    >>> row = Listed(price=UNKNOWN, context_tokens=1_000_000, holds_to=200_000)
    >>> room(Model("x:y"), None, row)
    200000
    >>> room(Model("x:y", price_in_usd=2, price_out_usd=9), None, row)
    1000000
    """
    whole = context_tokens or (listed.context_tokens if listed else None)
    if (
        listed is None
        or listed.holds_to is None
        or None
        not in (
            model.price_in_usd,
            model.price_out_usd,
        )
    ):
        return whole
    return listed.holds_to if whole is None else min(whole, listed.holds_to)


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
    in_usd, out_usd, holds_to = base
    source = f"genai-prices {version('genai-prices')}"
    return Listed(
        price=Price(
            in_usd=in_usd,
            out_usd=out_usd,
            source=source if holds_to is None else f"{source}, for prompts to {holds_to} tokens",
            date=_table_date(),
        ),
        context_tokens=info.context_window,
        holds_to=holds_to,
    )


def _base(price: ModelPrice) -> tuple[float, float, int | None] | None:
    rates = (price.input_mtok, price.output_mtok)
    if rates[0] is None and rates[1] is None:
        return None
    starts = [
        tier.start
        for rate in rates
        if rate is not None and not isinstance(rate, Decimal)
        for tier in rate.tiers
    ]
    return _usd(rates[0]), _usd(rates[1]), min(starts, default=None)


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
