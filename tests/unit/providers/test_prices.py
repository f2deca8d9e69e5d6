from __future__ import annotations

import socket
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from genai_prices import data_snapshot
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
)

from graphroute.errors import UnknownPrice
from graphroute.ir.catalog import Model, Price
from graphroute.providers import _prices


@pytest.fixture
def snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of three models, with a tier, with a change of price, and with no price per token."""
    tiered = TieredPrices(base=Decimal(1), tiers=[Tier(start=1000, price=Decimal(2))])
    start = StartDateConstraint(start_date=datetime(2026, 3, 1, tzinfo=UTC).date())
    models = [
        ModelInfo(
            id="tiered",
            match=ClauseEquals(equals="tiered"),
            prices=ModelPrice(input_mtok=tiered, output_mtok=Decimal(4)),
            context_window=5000,
        ),
        ModelInfo(
            id="changed",
            match=ClauseEquals(equals="changed"),
            prices=[
                ConditionalPrice(prices=ModelPrice(input_mtok=Decimal(9), output_mtok=Decimal(9))),
                ConditionalPrice(
                    constraint=start,
                    prices=ModelPrice(input_mtok=Decimal(3), output_mtok=Decimal(3)),
                ),
            ],
        ),
        ModelInfo(id="unpriced", match=ClauseEquals(equals="unpriced"), prices=ModelPrice()),
    ]
    table = data_snapshot.DataSnapshot(
        providers=[Provider(id="mistral", name="M", api_pattern="m", models=models)],
        from_auto_update=False,
    )
    monkeypatch.setattr(data_snapshot, "_custom_snapshot", table)
    _prices._table_date.cache_clear()


@pytest.mark.usefixtures("snapshot")
class TestTable:
    def test_a_tiered_price_counts_at_its_first_tier_and_says_so(self) -> None:
        row = _prices.table("mistralai", "tiered")
        assert row is not None
        assert (row.price.in_usd, row.price.out_usd, row.context_tokens) == (1, 4, 5000)
        assert row.holds_to is not None
        assert f"for prompts to {row.holds_to} tokens" in row.price.source
        assert _prices.room(Model("a:b"), None, row) == min(5000, row.holds_to)

    @pytest.mark.parametrize(("month", "usd"), [(2, 9), (4, 3)])
    def test_a_price_counts_from_its_date_on(self, month: int, usd: int) -> None:
        row = _prices.table("mistralai", "changed", datetime(2026, month, 1, tzinfo=UTC))
        assert row is not None
        assert row.price.in_usd == usd
        assert row.price.date == "2026-03-01"

    def test_a_model_without_a_price_per_token_is_not_listed(self) -> None:
        assert _prices.table("mistralai", "unpriced") is None

    def test_unknown_models_and_providers_are_not_listed(self) -> None:
        assert _prices.table("mistralai", "other") is None
        assert _prices.table("nobody", "tiered") is None

    @pytest.fixture(autouse=True)
    def _forget_date(self) -> object:
        yield
        _prices._table_date.cache_clear()


def test_the_table_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    row = _prices.table("openai", "gpt-5-mini")
    assert row is not None
    assert 0 < row.price.in_usd < row.price.out_usd
    assert row.price.date is not None
    assert row.context_tokens is not None
    assert row.context_tokens > 100_000


LISTED = Price(in_usd=5.0, out_usd=6.0, source="table", date="2026-01-01")


@pytest.mark.parametrize(
    ("model", "local", "expected"),
    [
        (Model("x"), False, (5, 6, "table", True)),
        (Model("x", price_in_usd=1, price_out_usd=2), False, (1, 2, "user", True)),
        (Model("x", price_in_usd=1), False, (1, 6, "user and table", True)),
        (Model("x", price_out_usd=0), False, (5, 0, "user and table", True)),
        (Model("x"), True, (0, 0, "runs on this machine", True)),
        (Model("x", price_in_usd=1), True, (1, 0, "user and runs on this machine", True)),
    ],
)
def test_the_users_price_wins(
    model: Model, local: bool, expected: tuple[float, float, str, bool]
) -> None:
    price = _prices.resolve(model, local=local, listed=LISTED)
    assert (price.in_usd, price.out_usd, price.source, price.is_known) == expected


def test_half_a_price_of_an_unlisted_model_is_unknown() -> None:
    assert not _prices.resolve(Model("x", price_out_usd=1), local=False).is_known


def test_the_error_says_how_to_give_a_price() -> None:
    error = _prices.refuse(("corp:a", "corp:b"))
    assert isinstance(error, UnknownPrice)
    assert "Model('corp:a', price_in_usd=…, price_out_usd=…)" in str(error)
    assert error.facts["models"] == ("corp:a", "corp:b")
