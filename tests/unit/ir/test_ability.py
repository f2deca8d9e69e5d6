from __future__ import annotations

import re

import pytest

from graphroute.errors import InvalidValue
from graphroute.ir.ability import ability, from_gpqa, from_mmlu, from_mmlu_pro, from_parameters
from graphroute.ir.figures import PUBLISHED, SUCCESSORS, Figure
from graphroute.ir.quality import success


def test_the_users_quality_wins_and_gives_that_quality_at_middle_difficulty() -> None:
    value, source = ability("openai:gpt-5", quality=0.6)
    assert source == "user"
    assert success(0.5, value) == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("stronger", "weaker"),
    [
        ("openai:gpt-5", "openai:gpt-5-mini"),
        ("openai:gpt-5-mini", "openai:gpt-5-nano"),
        ("ollama:llama3.1:70b", "ollama:llama3.1:8b"),
        ("ollama:llama3.1:8b", "ollama:llama3.2:3b"),
        ("ollama:llama3.2:3b", "ollama:llama3.2:1b"),
        ("ollama:qwen2.5:7b", "ollama:qwen2.5:0.5b"),
        ("anthropic:claude-sonnet-4-5", "anthropic:claude-3-haiku-20240307"),
        ("llamacpp:/m/gemma-3-270m-Q4_K_M.gguf", "llamacpp:/m/SmolLM2-135M-Instruct-Q4_1.gguf"),
    ],
)
def test_known_orders_hold(stronger: str, weaker: str) -> None:
    assert ability(stronger)[0] > ability(weaker)[0]


def test_a_family_row_does_not_speak_for_an_unmeasured_size() -> None:
    value, source = ability("ollama:gemma3:270m")
    assert source.startswith("parameter count 270,000,000")
    assert value == pytest.approx(from_parameters(270_000_000), abs=1e-3)


def test_a_parameter_count_is_used_only_where_no_figure_is_known() -> None:
    assert ability("ollama:mystery", 8_000_000_000)[1] == "parameter count 8,000,000,000"
    assert ability("ollama:llama3.1:8b", 8_000_000_000)[1].startswith("MMLU-Pro")
    assert ability("ollama:mystery") == (0.5, "default")


def test_laws_are_monotone_and_bounded() -> None:
    figures = [from_mmlu_pro(p / 100) for p in range(101)]
    sizes = [from_parameters(10**e) for e in range(14)]
    others = [[law(p / 100) for p in range(101)] for law in (from_gpqa, from_mmlu)]
    for law in (figures, sizes, *others):
        assert law == sorted(law)
        assert min(law) >= 0
        assert max(law) <= 1


@pytest.mark.parametrize("quality", [0.0, 1.0, -1.0, float("nan"), float("inf")])
def test_a_quality_outside_the_open_unit_interval_is_refused(quality: float) -> None:
    with pytest.raises(InvalidValue, match="strictly between 0 and 1"):
        ability("openai:gpt-5", quality=quality)


def test_a_senseless_parameter_count_is_refused() -> None:
    with pytest.raises(InvalidValue, match="parameters=0"):
        ability("ollama:x", 0)


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row.pattern)
def test_every_published_row_says_where_it_is_from(row: Figure) -> None:
    assert 0 < row.accuracy < 1
    assert row.source
    assert re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", row.month)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("openai:gpt-4o-mini", "recorded outcomes of gpt-4o-mini-2024-07-18"),
        ("openai:gpt-4-1106-preview", "recorded outcomes, 2024"),
        ("openai:gpt-5-mini-2025-08-07", "GPQA 0.823"),
        ("anthropic:claude-sonnet-4-20250514", "GPQA 0.754"),
        ("anthropic:claude-opus-4-6", "no figure; as able as claude-opus-4-1"),
        ("google:gemini-3-flash-preview", "no figure; as able as gemini-2.5-flash"),
        ("ollama:deepseek-r1", "GPQA 0.490"),
        ("openai:deepseek-r1", "MMLU-Pro 0.840"),
        ("corp:house-mini", "no figure; by the word 'mini'"),
        ("openai:mistral-medium", "default"),
        ("ollama:mistral", "MMLU-Pro 0.309"),
    ],
)
def test_where_an_ability_comes_from_is_told(name: str, told: str) -> None:
    assert ability(name)[1].startswith(told)


@pytest.mark.parametrize(("pattern", "known"), SUCCESSORS)
def test_a_successor_stands_for_a_model_that_has_a_figure(pattern: str, known: str) -> None:
    assert ability(f"x:{known}")[1].startswith(("GPQA", "MMLU"))
