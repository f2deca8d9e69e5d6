from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphroute.errors import InvalidValue
from graphroute.protocols import Outcomes
from graphroute.scorers import lexical
from graphroute.scorers._folds import fold_of, stem
from graphroute.scorers._store import FORMAT


def outcomes(correct: Any, models: tuple[str, ...] = ("weak", "strong")) -> Outcomes:
    n = len(correct)
    return Outcomes(
        prompts=tuple(f"prompt {i} {'hard' if i % 2 else 'easy'}" for i in range(n)),
        models=models,
        correct=np.asarray(correct, dtype=np.float64),
    )


def test_probabilities_are_calibrated_on_prompts_left_out() -> None:
    random = np.random.default_rng(3)
    hard = random.random(3000) < 0.4
    data = Outcomes(
        prompts=tuple(f"{'theorem' if h else 'apple'} {i}" for i, h in enumerate(hard)),
        models=("m",),
        correct=(random.random(3000) < np.where(hard, 0.25, 0.85)).astype(float)[:, None],
    )
    success = lexical.untrained().fit(data).success(["theorem 99999", "apple 99999"])
    assert success[:, 0] == pytest.approx([0.25, 0.85], abs=0.06)


def test_a_scorer_that_learned_nothing_gives_the_mean() -> None:
    random = np.random.default_rng(4)
    data = outcomes((random.random((400, 2)) < (0.3, 0.7)).astype(float))
    success = lexical.untrained().fit(data).success(["anything", "else"])
    assert success[0] == pytest.approx([0.3, 0.7], abs=0.12)


def test_a_model_with_few_labels_does_not_break_the_others() -> None:
    correct = np.tile((0.0, 1.0, np.nan), (100, 1))
    correct[:3, 2] = 1.0
    scorer = lexical.untrained().fit(outcomes(correct, ("a", "b", "c")))
    assert np.isfinite(scorer.success(["x"])).all()


@pytest.mark.parametrize(
    ("correct", "text"),
    [
        ([[0.5, 2.0]], "quality 2.0"),
        ([[np.nan, 1.0]], "no outcome at all for 'weak'"),
        ([[0.5, -1.0]], "quality"),
    ],
)
def test_outcomes_nobody_can_learn_from_are_refused(correct: Any, text: str) -> None:
    with pytest.raises(InvalidValue, match=text):
        lexical.untrained().fit(outcomes(correct))


def test_wrong_shape_and_no_prompts_are_refused() -> None:
    bad = Outcomes(prompts=("a",), models=("m",), correct=np.zeros((2, 2)))
    with pytest.raises(InvalidValue, match="shape"):
        lexical.untrained().fit(bad)
    with pytest.raises(InvalidValue, match="0 prompts"):
        lexical.untrained().fit(Outcomes(prompts=(), models=("m",), correct=np.zeros((0, 1))))


def test_need_is_between_named_models_and_half_where_they_are_equal() -> None:
    scorer = lexical.build()
    assert scorer.need(["What?"], "openai:gpt-5", "openai:gpt-5")[0] == 0.5
    assert scorer.need(["What?"], "openai:gpt-5", "ollama:llama3.2:1b")[0] > 0.5


def test_a_pickle_in_place_of_weights_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, table=np.array([{"evil": True}], dtype=object))
    raw = buffer.getvalue()
    (tmp_path / "weights.npz").write_bytes(raw)
    card = {
        "format": FORMAT,
        "family": "lexical",
        "sha256": hashlib.sha256(raw).hexdigest(),
        "models": ["m"],
    }
    (tmp_path / "card.json").write_text(json.dumps(card))
    with pytest.raises(InvalidValue, match="no archive of plain arrays"):
        lexical.untrained().load(tmp_path)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    scorer = lexical.untrained().fit(outcomes(np.tile((0.0, 1.0), (50, 1))))
    scorer.save(tmp_path)
    card = json.loads((tmp_path / "card.json").read_text())
    card["models"] = ["one"]
    (tmp_path / "card.json").write_text(json.dumps(card))
    with pytest.raises(InvalidValue, match="names no pair"):
        lexical.untrained().load(tmp_path)


def test_a_question_stays_in_its_fold_whatever_its_options_and_case() -> None:
    one, other = "What is X?\nA. 1\nB. 2\nAnswer:", "WHAT is x\nA) 3\nB) 4"
    assert stem(one) == stem(other)
    assert fold_of(one, 7, 3) == fold_of(other, 7, 3)
    assert {fold_of(f"q{i}", 4) for i in range(100)} == {0, 1, 2, 3}


def test_shipped_weights_have_a_card_and_are_small() -> None:
    facts = lexical.build().describe()
    for key in ("data", "licence", "metrics", "date", "limits", "sha256"):
        assert facts.get(key), key
    assert sum(f.stat().st_size for f in lexical.SHIPPED.iterdir()) < 1_000_000
