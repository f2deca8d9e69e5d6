"""Every scorer that discovery finds obeys its protocol."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from graphroute import registry
from graphroute.errors import InvalidValue
from graphroute.ir.graph import Graph, Node
from graphroute.protocols import Outcomes, PromptScorer, StepScorer, TrainableScorer

NAMES = registry.names("scorers")
PROMPTS = ("", "Say hello.", "Prove that there are infinitely many primes. " * 60, "日本語 \ud800")


def modules() -> list[ModuleType]:
    return [registry.load("scorers", name) for name in NAMES]


def built() -> list[tuple[str, Any]]:
    return [
        (name, registry.build("scorers", name, **options))
        for name in NAMES
        for options in registry.load("scorers", name).EXAMPLES
        if not registry.missing(registry.load("scorers", name))
        and name not in ("causal",)  # asks a server; its own tests have one
    ]


def trainable() -> list[str]:
    return [
        name
        for name in NAMES
        if hasattr(registry.load("scorers", name), "untrained")
        and not registry.missing(registry.load("scorers", name))
        and name != "causal"
    ]


def outcomes(n: int = 200) -> Outcomes:
    random = np.random.default_rng(0)
    hard = random.random(n) < 0.5
    chance = np.where(hard[:, None], (0.15, 0.85), (0.9, 0.9))
    return Outcomes(
        prompts=tuple(
            f"{'Prove theorem' if h else 'Add apples'} {i} now" for i, h in enumerate(hard)
        ),
        models=("weak", "strong"),
        correct=(random.random((n, 2)) < chance).astype(float),
    )


def test_the_families_are_there() -> None:
    wanted = {"structural", "lexical", "mf", "similarity", "encoder", "causal", "routellm"}
    assert wanted | {"random", "length"} <= set(NAMES)


@pytest.mark.parametrize("module", modules(), ids=NAMES)
def test_a_plugin_says_what_it_needs_and_how_to_try_it(module: ModuleType) -> None:
    assert isinstance(module.REQUIRES, tuple)
    assert isinstance(module.EXAMPLES, tuple)
    assert module.__doc__


@pytest.mark.parametrize(("name", "scorer"), built())
def test_scores_are_deterministic_and_bounded(name: str, scorer: Any) -> None:
    if isinstance(scorer, StepScorer):
        node = Node(name="n", kind="llm", prompts=("Write {x}",))
        first, again = (scorer.step(node, Graph(name="g", nodes=(node,), edges=())) for _ in "ab")
        assert first == again
        assert 0 <= first.low <= first.difficulty <= first.high <= 1
        return
    assert isinstance(scorer, PromptScorer)
    assert scorer.name == name
    values = np.asarray(scorer.difficulty(PROMPTS))
    assert values.shape == (len(PROMPTS),)
    assert (values >= 0).all()
    assert (values <= 1).all()
    assert (np.asarray(scorer.difficulty(PROMPTS)) == values).all()
    assert len(scorer.difficulty([])) == 0
    one_by_one = [float(scorer.difficulty([prompt])[0]) for prompt in PROMPTS]
    assert one_by_one == pytest.approx(values.tolist(), abs=1e-9)


@pytest.mark.parametrize("name", trainable())
def test_training_saving_and_loading(name: str, tmp_path: Path) -> None:
    make = registry.load("scorers", name).untrained
    told: list[float] = []
    scorer = make().fit(outcomes(), seed=1, progress=lambda _what, done: told.append(done))
    assert isinstance(scorer, TrainableScorer)
    assert scorer.models == ("weak", "strong")
    assert told == sorted(told)
    assert all(0 <= done <= 1.000001 for done in told)
    prompts = ["Prove theorem 900 now", "Add apples 900 now"]
    success = scorer.success(prompts)
    assert success.shape == (2, 2)
    assert ((success > 0) & (success < 1)).all()
    hard, easy = scorer.difficulty(prompts)
    assert hard > easy
    other = scorer.success(prompts, ("openai:gpt-5", "ollama:llama3.2:1b"))
    assert (other[:, 0] > other[:, 1]).all()
    scorer.save(tmp_path / "w")
    again = make().load(tmp_path / "w")
    assert again.success(prompts) == pytest.approx(success, abs=0.02)
    assert json.loads(json.dumps(scorer.describe()))["models"] == ["weak", "strong"]
    assert make().fit(outcomes(), seed=1).success(prompts) == pytest.approx(success, abs=1e-6)


@pytest.mark.parametrize("name", trainable())
def test_an_untrained_scorer_says_so(name: str) -> None:
    with pytest.raises(InvalidValue, match="has not been trained"):
        registry.load("scorers", name).untrained().success(["a"])


@pytest.mark.parametrize("name", trainable())
def test_tampered_and_foreign_weights_are_refused(name: str, tmp_path: Path) -> None:
    make = registry.load("scorers", name).untrained
    make().fit(outcomes(), seed=0).save(tmp_path)
    weights = tmp_path / "weights.npz"
    raw = bytearray(weights.read_bytes())
    raw[len(raw) // 2] ^= 1
    weights.write_bytes(bytes(raw))
    with pytest.raises(InvalidValue, match="checksum"):
        make().load(tmp_path)
    card = tmp_path / "card.json"
    card.write_text(card.read_text().replace(f'"family": "{name}"', '"family": "other"'))
    with pytest.raises(InvalidValue, match="family"):
        make().load(tmp_path)
    card.write_text("{")
    with pytest.raises(InvalidValue, match="damaged"):
        make().load(tmp_path)
    with pytest.raises(InvalidValue, match=r"card\.json"):
        make().load(tmp_path / "nowhere")
