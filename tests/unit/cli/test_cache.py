"""`graphroute cache`: stats, explain, clear."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from langchain_core.messages import HumanMessage

from graphroute.caches import disk
from graphroute.cli import run
from graphroute.runtime.cache_key import facets, key_of
from graphroute.runtime.near_miss import facet_tag

Told = Callable[..., str]


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, str]:
    """A store with two calls of one node and one of another; the first was used once."""
    cache = disk.build(tmp_path / "cache")
    found = {}
    for name, node, model, text in (
        ("why", "draft", "a", "Why?"),
        ("how", "draft", "b", "How?"),
        ("check", "team/check", "a", "Right?"),
    ):
        parts = facets(model, {"temperature": 0}, [HumanMessage(text)])
        found[name] = key_of(parts)
        cache.put(found[name], b"answer", tags={"node": node, "model": model, **facet_tag(parts)})
    assert cache.get(found["why"]) == b"answer"
    assert cache.get("0" * 64) is None
    cache.close()
    return found


@pytest.fixture
def told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Told:
    def do(*words: str, code: int = 0) -> str:
        capsys.readouterr()
        assert run(["cache", *words, "--store", str(tmp_path)]) == code
        out, err = capsys.readouterr()
        return err if code else out

    return do


def test_stats_count_in_all_and_by_node(keys: dict[str, str], told: Told) -> None:
    text = told("stats")
    assert "3 entries" in text
    assert "1 hits and 1 misses: 50% found" in text
    assert "team/check" in text
    data = json.loads(told("stats", "--json"))
    assert (data["schema"], data["entries"], data["hits"]) == ("graphroute.cache/1", 3, 1)
    assert [(row["node"], row["entries"], row["hits"]) for row in data["nodes"]] == [
        ("draft", 2, 1),
        ("team/check", 1, 0),
    ]
    assert json.loads(told("stats", "--json", "--node", "team"))["entries"] == 1


def test_explain_says_in_words_what_differs(keys: dict[str, str], told: Told) -> None:
    text = told("explain", keys["why"][:10])
    assert "node       draft" in text
    assert "model: 'a' instead of 'b'" in text
    assert "messages[0]: another" in text
    data = json.loads(told("explain", keys["why"], "--json"))
    assert (data["nearest"], data["hits"]) == (keys["how"], 1)
    assert "no other entry" in told("explain", keys["check"])


def test_explain_of_an_unknown_key_says_what_to_do(keys: dict[str, str], told: Told) -> None:
    assert "graphroute cache stats" in told("explain", "nothing", code=2)
    assert "no entry" in told("explain", "", code=2)


def test_clear_takes_a_node_an_age_or_all_and_can_be_tried(
    keys: dict[str, str], told: Told
) -> None:
    assert told("clear", "--dry-run").startswith("3 entries would be forgotten (dry run)")
    assert told("clear", "--older-than", "1h").startswith("0 entries forgotten")
    assert told("clear", "--node", "team").startswith("1 entry forgotten")
    assert json.loads(told("clear", "--json")) == {
        "schema": "graphroute.cache/1",
        "cleared": 2,
        "dry_run": False,
    }
    assert "0 entries" in told("stats")
    assert "7d" in told("clear", "--older-than", "soon", code=2)


def test_looking_makes_no_folder(tmp_path: Path, told: Told) -> None:
    assert "0 entries" in told("stats")
    assert told("clear").startswith("0 entries forgotten")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["stats", "explain", "clear"])
def test_help_is_printed_as_documented(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERMINAL_WIDTH", "100")
    page = (Path(__file__).parents[3] / "docs" / "cache.md").read_text(encoding="utf-8")
    assert run(["cache", name, "--help"]) == 0
    told = "\n".join(line.rstrip() for line in capsys.readouterr().out.strip().splitlines())
    assert told in page, f"docs/cache.md is behind `graphroute cache {name} --help`:\n{told}"
