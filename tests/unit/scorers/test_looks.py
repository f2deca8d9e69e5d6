from __future__ import annotations

import numpy as np
import pytest

from graphroute.scorers._looks import KINDS, LOOKS, looks


def seen(prompt: str) -> dict[str, float]:
    return dict(zip(LOOKS, looks([prompt])[0].tolist(), strict=True))


def counted(prompt: str, name: str) -> float:
    return float(np.expm1(seen(prompt)[name]))


def test_numbers_decimals_fractions_and_sentences() -> None:
    text = "She paid 3.50 for 2 cakes. He ate 1/2 of one."
    assert counted(text, "numbers") == pytest.approx(5)
    assert counted(text, "decimals") == pytest.approx(1)
    assert counted(text, "fractions") == pytest.approx(1)
    assert counted(text, "sentences") == pytest.approx(2)
    assert counted("3.5", "sentences") == pytest.approx(0)


def test_answer_options_are_found_with_their_lengths() -> None:
    found = seen("Which one?\nA. four\nB. sixsix 6\nC. no\nD. eleven here\nAnswer:")
    assert np.expm1(found["options"]) == pytest.approx(4)
    assert np.expm1(found["question length"]) == pytest.approx(len("Which one?"))
    assert np.expm1(found["option length"]) == pytest.approx((4 + 8 + 2 + 11) / 4)
    assert found["digits in options"] == 0.25
    assert found["ends with a colon"] == 1


@pytest.mark.parametrize("text", ["a\nb", "\n", "x\nk. no option", "x\na", "x\nB", "x\nA)"])
def test_lines_that_are_no_options(text: str) -> None:
    assert seen(text)["options"] == pytest.approx(np.log1p(text.endswith("A)")))


@pytest.mark.parametrize(("kind", "words"), [(k, w.split()[0]) for k, w in KINDS.items()])
def test_each_kind_of_word_is_counted_in_any_case(kind: str, words: str) -> None:
    assert counted(f"{words.upper()} zzz {words}", kind) == pytest.approx(2)
    assert counted("zzz", kind) == pytest.approx(0)


def test_capitals_are_those_of_the_prompt_as_written() -> None:
    assert seen("ABCD efgh")["share of capitals"] > seen("abcd efgh")["share of capitals"]


@pytest.mark.parametrize("text", [".", "/", "1/", "/1", "1.", "\n.", "?", "A.\nB.\n", "İ.\nA. İ"])
def test_marks_at_the_edges_are_no_trouble(text: str) -> None:
    assert np.isfinite(looks([text])).all()
    assert counted(text, "decimals") == pytest.approx(0)
    assert counted(text, "fractions") == pytest.approx(0)
