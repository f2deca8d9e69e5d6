"""What every signal owes, found by discovery."""

from __future__ import annotations

import math

import pytest

from graphroute import registry
from graphroute.protocols import Signal

CASES = [
    pytest.param(name, options, id=f"{name}-{number}")
    for name in registry.names("signals")
    for number, options in enumerate(registry.load("signals", name).EXAMPLES)
]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_a_signal_tells_finite_figures_with_their_unit(
    name: str, options: dict[str, object]
) -> None:
    signal = registry.build("signals", name, **options)
    assert isinstance(signal, Signal)
    assert signal.name == name
    for figure, value in signal.read().items():
        assert figure.rpartition("_")[2] in ("bytes", "s", "share", "celsius")
        assert math.isfinite(value)
        assert value >= 0


def test_memory_is_among_them_and_no_more_is_free_than_there_is() -> None:
    signal = registry.build("signals", "memory")
    assert isinstance(signal, Signal)
    found = signal.read()
    assert 0 < found["available_bytes"] <= found["total_bytes"]
