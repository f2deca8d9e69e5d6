from __future__ import annotations

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from graphroute.runtime.tokens import images_in, text_of, upper_bound, usage_of


def test_text_joins_text_parts_and_leaves_images_out() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    messages = [
        SystemMessage("be brief"),
        HumanMessage([{"type": "text", "text": "what is this?"}, picture]),
    ]
    assert text_of(messages) == "be brief\nwhat is this?"
    assert images_in(messages) == 1


def test_the_bound_is_at_most_the_bytes_and_at_least_the_usual_count() -> None:
    prose = "The quick brown fox jumps over the lazy dog near the river bank. " * 20
    assert len(prose) / 4 <= upper_bound(prose) < len(prose) / 1.5
    for odd in ("12345678", "日本語のテキスト", "a1b2c3", "{}[]():;", "🙂🙂", "XQZJKW"):
        assert upper_bound(odd) == len(odd.encode())


def test_usage_is_the_models_own_or_marked_as_estimated() -> None:
    told = AIMessage(
        "hi", usage_metadata={"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}
    )
    usage = usage_of(told, prompt_tokens=100, at_most=False)
    assert (usage.in_tokens, usage.out_tokens, usage.is_estimated) == (5, 7, False)
    guessed = usage_of(AIMessage("word word wo"), prompt_tokens=100, at_most=False)
    assert (guessed.in_tokens, guessed.out_tokens, guessed.is_estimated) == (100, 3, True)


def test_long_runs_of_letters_are_no_words() -> None:
    assert upper_bound("fooBar HTTPword") == (3 + 2) + (3 + 3)
    data = "acgt" * 5
    assert upper_bound(f"{data} word") == len(data) + 2
