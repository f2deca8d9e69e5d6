"""Sums that add up, parts that share no run, and the file they travel in."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphroute.errors import InvalidValue
from graphroute.ir.learned import LearnedProfile, Moments, Part, Sums, joined
from graphroute.ir.learned_file import dump_profile, load_profile


def part(runs: str, *, day: int = 1, graph: str = "g", good: float | None = None) -> Part:
    count = float(len(runs)) if good is None else good
    return Part(
        graph=graph,
        day=day,
        runs=tuple(sorted(runs)),
        sums=(Sums(node="draft", model="m", good=count, took_s=Moments.of(2.0)),),
    )


def profile(*parts: Part) -> LearnedProfile:
    return LearnedProfile(parts=parts)


def test_parts_of_two_machines_add() -> None:
    both = joined(profile(part("abc")), profile(part("de")))
    assert both.runs == 5
    assert sum(p.answers for p in both.parts) == 5


def test_a_later_export_of_the_same_day_takes_the_place_of_an_earlier_one() -> None:
    assert joined(profile(part("ab")), profile(part("abc"))) == profile(part("abc"))
    late = part("ab", good=7.0)
    assert joined(profile(part("ab")), profile(late)) == profile(late)


def test_the_same_run_of_another_graph_is_another_run() -> None:
    assert joined(profile(part("ab")), profile(part("ab", graph="h"))).runs == 4


@given(st.lists(st.tuples(st.sets(st.sampled_from("abcdefgh"), min_size=1), st.integers(0, 3))))
def test_no_run_ever_counts_twice_and_the_order_does_not_matter(
    given_parts: list[tuple[set[str], int]],
) -> None:
    profiles = [profile(part("".join(sorted(runs)), day=day)) for runs, day in given_parts]
    found = joined(*profiles)
    runs = [run for p in found.parts for run in p.runs]
    assert len(runs) == len(set(runs))
    assert joined(*reversed(profiles)) == found
    assert joined(found, *profiles) == found


def test_a_file_reads_back_the_same() -> None:
    kept = profile(part("ab"), part("cd", day=2))
    assert load_profile(dump_profile(kept)) == kept
    assert dump_profile(load_profile(dump_profile(kept))) == dump_profile(kept)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda text: text[:-30], "JSON"),
        (lambda text: text.replace('"good":2.0', '"good":3.0'), "checksum"),
        (lambda text: text.replace("profile/1", "profile/2"), "profile/2"),
        (lambda text: "[]", "schema"),
        (lambda text: "[" * 100_000, "JSON"),
    ],
)
def test_a_spoilt_file_is_refused(spoil: object, words: str) -> None:
    assert callable(spoil)
    with pytest.raises(InvalidValue, match=words):
        load_profile(spoil(dump_profile(profile(part("ab")))))


@pytest.mark.parametrize(
    ("name", "value"), [("good", -1.0), ("good", "1"), ("good", None), ("unknown", 1.0)]
)
def test_a_forged_file_is_refused(name: str, value: object) -> None:
    from graphroute.ir import learned_file

    data = json.loads(dump_profile(profile(part("ab"))))
    data["parts"][0]["sums"][0][name] = value
    data["sha256"] = learned_file._checksum(data["parts"])
    with pytest.raises(InvalidValue, match="damaged"):
        load_profile(json.dumps(data))


def test_a_file_in_which_a_run_stands_twice_is_thinned() -> None:
    assert load_profile(dump_profile(profile(part("ab"), part("bc")))).runs == 2


def test_moments_take_only_what_has_a_logarithm() -> None:
    for value in (0.0, -1.0, math.nan, math.inf):
        assert Moments.of(value) == Moments()
