from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphroute.errors import InvalidValue
from graphroute.scorers import _trees


def case(n: int = 600) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float32]], ...]:
    random = np.random.default_rng(0)
    x = random.normal(size=(n, 6)).astype(np.float32)
    # Only where both are high something happens, which no linear model sees.
    both = np.where((x[:, 1] > 0) & (x[:, 4] > 0), 0.75, -0.25)
    return x, np.column_stack((both, -both)).astype(np.float32)


def test_what_matters_only_together_is_found() -> None:
    x, y = case()
    trees = _trees.fit(x, y.astype(np.float64), seed=0)
    corners = [(0, one, 0, 0, other, 0) for one in (-1, 1) for other in (-1, 1)]
    low, first, second, both = (trees.one(np.array(row, dtype=np.float64)) for row in corners)
    assert both[0] > 0.3
    assert max(low[0], first[0], second[0]) < 0.05 < both[0] - 0.2
    assert both[0] == pytest.approx(-both[1], abs=0.01)


def test_rows_without_a_label_change_nothing_for_that_output() -> None:
    x, y = case()
    part = y.astype(np.float64)
    part[300:, 1] = np.nan
    trees = _trees.fit(x, part, seed=0)
    assert np.isfinite(trees.leaves).all()
    assert trees.one(x[0].astype(np.float64))[1] * y[0, 1] > 0


def test_columns_that_never_change_and_few_rows_are_no_trouble() -> None:
    trees = _trees.fit(np.ones((3, 2), np.float32), np.zeros((3, 1)), seed=0)
    assert trees.one(np.ones(2)) == pytest.approx([0.0])


def test_same_seed_same_trees() -> None:
    x, y = case()
    one, other = (_trees.fit(x, y.astype(np.float64), seed=3) for _ in "ab")
    assert (one.leaves == other.leaves).all()
    assert (one.cuts == other.cuts).all()


def test_stored_trees_are_the_same_and_wrong_ones_are_refused() -> None:
    x, y = case()
    trees = _trees.fit(x, y.astype(np.float64), seed=0)
    stored = dict(trees.arrays())
    again = _trees.Trees.restored(stored, Path("w"), inputs=6, outputs=2)
    row = x[5].astype(np.float64)
    assert (again.one(row) == trees.one(row)).all()
    with pytest.raises(InvalidValue, match="trees of another shape"):
        _trees.Trees.restored(stored, Path("w"), inputs=3, outputs=2)
    with pytest.raises(InvalidValue, match="trees of another shape"):
        _trees.Trees.restored(stored, Path("w"), inputs=6, outputs=3)
