from __future__ import annotations

import numpy as np
import pytest

from graphroute.scorers._ridge import Rows, Transposed, apply, solve, value_of


def rows_and_matrix(
    seed: int = 0,
) -> tuple[Rows, np.ndarray[tuple[int, int], np.dtype[np.float64]]]:
    random = np.random.default_rng(seed)
    parts = [np.unique(random.integers(0, 40, random.integers(0, 12))) for _ in range(60)]
    parts[3] = parts[3][:0]
    bounds = np.concatenate(([0], np.cumsum([len(p) for p in parts])))
    value = (random.random(40) + 0.5).astype(np.float32)
    rows = Rows(
        buckets=np.concatenate(parts),
        bounds=bounds,
        dense=random.random((60, 3)).astype(np.float32),
        value=value,
    )
    dense = np.zeros((60, 43))
    for i, part in enumerate(parts):
        dense[i, part] = value[part] * rows.scale[i]
    dense[:, 40:] = rows.dense
    return rows, dense


def test_products_agree_with_the_dense_matrix() -> None:
    rows, matrix = rows_and_matrix()
    random = np.random.default_rng(1)
    weights = np.zeros((43, 2), np.float32)
    weights[:] = random.random((43, 2))
    assert apply(rows, weights) == pytest.approx(matrix @ weights, abs=1e-4)
    residual = random.random((60, 2)).astype(np.float32)
    back = Transposed(rows).apply(residual)
    assert back == pytest.approx(matrix.T @ residual, abs=1e-4)


def test_solution_is_that_of_the_normal_equations_with_missing_labels() -> None:
    rows, matrix = rows_and_matrix()
    random = np.random.default_rng(2)
    targets = random.random((60, 2)).astype(np.float32)
    targets[:30, 1] = np.nan
    found = solve(rows, targets, penalty=0.5, iterations=200, tolerance=1e-6)
    for j, kept in enumerate((np.arange(60), np.arange(30, 60))):
        a = matrix[kept]
        exact = np.linalg.solve(a.T @ a + 0.5 * np.eye(43), a.T @ targets[kept, j])
        assert found[:, j] == pytest.approx(exact, abs=1e-3)


def test_taking_rows_keeps_their_order_and_content() -> None:
    rows, _ = rows_and_matrix()
    part = rows.take(np.array([5, 3, 0]))
    assert len(part) == 3
    assert (part.dense == rows.dense[[5, 3, 0]]).all()
    first = rows.buckets[rows.bounds[5] : rows.bounds[6]]
    assert (part.buckets[: len(first)] == first).all()


def test_a_bucket_of_one_row_counts_nothing_and_rare_ones_more() -> None:
    rows = Rows(
        buckets=np.array([1, 2, 1, 3, 1, 3]),
        bounds=np.array([0, 2, 4, 6]),
        dense=np.zeros((3, 0), np.float32),
        value=np.ones(5, np.float32),
    )
    value = value_of(rows)
    assert value[2] == 0
    assert value[3] > value[1] > 0


def test_leaving_out_buckets_that_count_nothing_changes_no_product() -> None:
    rows, _ = rows_and_matrix()
    value = rows.value.copy()
    value[::3] = 0
    whole = Rows(buckets=rows.buckets, bounds=rows.bounds, dense=rows.dense, value=value)
    part, kept = whole.counting()
    weights = np.random.default_rng(3).random((43, 2)).astype(np.float32)
    short = np.concatenate((weights[kept], weights[40:]))
    assert apply(part, short) == pytest.approx(apply(whole, weights), abs=1e-5)
