"""Built-in checks: each on replies that must pass, must fail, and that are easy to get wrong."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from pydantic import BaseModel, Field

from graphroute import verify
from graphroute.errors import InvalidValue
from graphroute.ir.verdict import Verdict, verdict_of


class Topic(BaseModel):
    """What a classifier gives."""

    topic: str
    sure: float = Field(ge=0, le=1)


def reply(text: Any, **more: Any) -> AIMessage:
    return AIMessage(content=text, **more)


CALL = {"name": "topic", "args": {"topic": "billing", "sure": 1}, "id": "1", "type": "tool_call"}


@pytest.mark.parametrize("text", ["x", [{"type": "text", "text": "x"}]])
def test_text_of_either_form_counts(text: Any) -> None:
    assert verify.non_empty([], reply(text)).passed


@pytest.mark.parametrize("text", ["", " \n", [], [{"type": "image", "url": "x"}]])
def test_nothing_said_is_empty(text: Any) -> None:
    assert verify.non_empty([], reply(text)).passed is False


def test_a_tool_call_is_an_answer() -> None:
    assert verify.non_empty([], reply("", tool_calls=[CALL])).passed


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't assist with that.",
        "I’m sorry, but I can’t help with that request.",
        "I cannot provide medical advice.",
        "I can't answer that.",
        "As an AI language model, I do not have opinions.",
        "I am unable to help you with this.",
        "Unfortunately, I won't be able to continue; I must decline.",
        "I'd rather not talk about it.",
        "I do not feel comfortable answering.",
        "I'm not really comfortable with this topic.",
        "As a language model, I cannot access the internet.",
        "As an AI assistant, I'm not able to browse.",
        "Apologies, but I can't go into that.",
        "I won't be able to assist you here.",
        "I cannot in good conscience explain this.",
        "This isn't something I can help with.",
        "It is not appropriate for me to comment.",
        "I'm sorry, but I don't discuss politics.",
    ],
)
def test_refusals_are_recognized(text: str) -> None:
    assert verify.no_refusal([], reply(text)).passed is False


@pytest.mark.parametrize(
    "text",
    [
        "I can't find an error in this code.",
        "The refund cannot be provided before Monday.",
        "I'm sorry to hear that. Your parcel left on Monday.",
        "No.",
        "Customers write: 'I can not log in'. Topic: login",
        "I can help with that.",
        "Sure! I can't wait to help: here is the plan.",
        "I can't help but share my joy: it works.",
        "I can't stress this enough: write tests.",
        "I'm sorry, but I cannot find any order of that number.",
        "I'm sorry, but I found two errors in it.",
        "Unfortunately, I can't see a reply of the customer here.",
        "As a language model, I am happy to explain: attention weighs words.",
        "This is not something I can tell from the text: the date is missing.",
        "x" * 400 + " I cannot help with that",
    ],
)
def test_answers_that_sound_like_one_are_not(text: str) -> None:
    assert verify.no_refusal([], reply(text)).passed


def test_a_filtered_reply_is_a_refusal() -> None:
    assert not verify.no_refusal(
        [], reply("", response_metadata={"finish_reason": "content_filter"})
    ).passed
    assert not verify.no_refusal([], reply("", additional_kwargs={"refusal": "no"})).passed


@pytest.mark.parametrize(
    ("told", "passed"),
    [
        ({}, True),
        ({"finish_reason": "stop"}, True),
        ({"finish_reason": "length"}, False),
        ({"stop_reason": "max_tokens"}, False),
        ({"done_reason": "length"}, False),
    ],
)
def test_cut_off_replies_are_not_complete(told: dict[str, str], passed: bool) -> None:
    assert verify.complete([], reply("x", response_metadata=told)).passed is passed


def test_a_pattern_is_searched_or_matched_in_full() -> None:
    assert verify.regex("bill")([], reply("billing")).passed
    assert not verify.regex("bill", full=True)([], reply("billing")).passed
    assert verify.regex("BILLING", full=True, flags=2)([], reply("\nbilling\n")).passed
    with pytest.raises(InvalidValue, match="unterminated"):
        verify.regex("(")


@pytest.mark.parametrize(
    "text",
    ['{"a": 1}', " [1, 2] ", "3", "```json\n{}\n```", 'Here:\n```json\n{"a": 1}\n```\nDone.'],
)
def test_json_is_read_alone_or_from_its_fence(text: str) -> None:
    assert verify.is_json([], reply(text)).passed


@pytest.mark.parametrize(
    "text", ["", "{'a': 1}", '{"a": 1', "NaN", "Infinity", "{} {}", "[" * 100_000, "so: {}"]
)
def test_what_no_parser_takes_is_no_json(text: str) -> None:
    assert verify.is_json([], reply(text)).passed is False


@pytest.mark.parametrize("text", ["[1]", '"topic"', "3", "null", '[{"topic": 1}]'])
@pytest.mark.parametrize(
    "schema",
    [{"required": ["topic"]}, {"properties": {"topic": {}}}, {"additionalProperties": False}],
)
def test_a_schema_of_keys_means_an_object(schema: dict[str, Any], text: str) -> None:
    found = verify.schema(schema)([], reply(text))
    assert (found.passed, "is not of type 'object'" in found.reason) == (False, True)
    assert verify.schema({"type": ["object", "array"], **schema})([], reply("[1]")).passed


def test_a_schema_without_keys_takes_any_type() -> None:
    for schema in ({}, {"minItems": 1}, {"anyOf": [{"required": ["a"]}, {"type": "array"}]}):
        assert verify.schema(schema)([], reply("[1]")).passed


def test_a_tool_calls_arguments_are_the_data() -> None:
    assert verify.schema(Topic)([], reply("", tool_calls=[CALL])).passed


JSON_SCHEMA = {
    "type": "object",
    "required": ["topic"],
    "properties": {"topic": {"enum": ["billing"]}, "sure": {"maximum": 1}},
}


@pytest.mark.parametrize("schema", [Topic, JSON_SCHEMA])
@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ('{"topic": "billing", "sure": 0.5}', True),
        ('{"topic": "billing", "sure": 2}', False),
        ('{"sure": 0.5}', False),
        ("[]", False),
        ("no", False),
    ],
)
def test_schemas_of_both_kinds(schema: Any, text: str, passed: bool) -> None:
    found = verify.schema(schema)([], reply(text))
    assert found.passed is passed
    assert bool(found.reason) is not passed


def test_a_schema_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(InvalidValue, match="not valid"):
        verify.schema({"type": "objekt"})
    with pytest.raises(InvalidValue, match="no schema"):
        verify.schema(object())


def test_a_reference_to_elsewhere_is_not_fetched() -> None:
    check = verify.schema({"$ref": "http://127.0.0.1:9/schema.json"})
    # Warnings are errors here, and the way that would fetch it warns.
    with pytest.raises(Exception, match="Unresolvable") as fault:
        check([], reply("{}"))
    assert verdict_of(fault.value).is_known is False


def test_types_are_schemas_too() -> None:
    assert verify.schema(list[int])([], reply("[1, 2]")).passed
    assert not verify.schema(list[int])([], reply('["a"]')).passed


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("def f(x):\n    return x", True),
        ("```python\nx = 1\n```", True),
        ("Text before\n```py\nx = 1\n```\nand\n```\ny = 2\n```", True),
        ("```bash\nls -l\n```", False),
        ("```python\nx = = 1\n```", False),
        ("def f(:", False),
        ("", False),
        ("x\0y", False),
        ("(" * 5_000, False),
        ("p = '\\d'", True),
        ("raise SystemExit", True),
    ],
)
def test_python_is_parsed_and_never_run(text: str, passed: bool) -> None:
    assert verify.compiles([], reply(text)).passed is passed


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("The answer is 42.", 42),
        ("The answer is 42", 42),
        ("1 + 1 = 2", 2),
        ("= 1,234,567.50 in all", 1234567.5),
        ("It is -7", -7),
        ("It is \u22127", -7),
        ("10-3", 3),
        ("5e-3", 0.005),
        (".5", 0.5),
        ("$18.", 18),
        ("75%", 75),
        ("x2 is 9", 9),
        ("1,2", 2),
    ],
)
def test_the_last_number_decides(text: str, value: float) -> None:
    found = verify.number(value)([], reply(text))
    assert found.passed, found.reason


def test_numbers_differ_beyond_the_tolerance() -> None:
    assert not verify.number(42)([], reply("It was 42, now 43")).passed
    assert verify.number(100, tolerance=0.02)([], reply("101")).passed
    assert not verify.number(100, tolerance=0.005)([], reply("101")).passed
    assert verify.number(0, tolerance=0.01)([], reply("0.005")).passed
    assert verify.number(1)([], reply("none")).reason == "it has no number"
    with pytest.raises(InvalidValue):
        verify.number(1, tolerance=-1)


def test_the_expected_number_may_come_from_the_messages() -> None:
    check = verify.number(lambda sent: float(len(sent)))
    assert check([HumanMessage("a"), HumanMessage("b")], reply("2")).passed


CONTEXT = [HumanMessage("The Eiffel Tower, in Paris, is 330 metres tall and was built in 1889.")]


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("Paris", True),
        ("the Eiffel tower", True),
        ("1889", True),
        ("London", False),
        ("It was built in 1889.", True),
        ("It was designed by a team of forty Belgians in secret.", False),
        ("", False),
        ("!?", False),
    ],
)
def test_what_is_not_in_the_context_is_made_up(text: str, passed: bool) -> None:
    assert verify.in_context()(CONTEXT, reply(text)).passed is passed


def test_parts_of_words_and_of_numbers_do_not_count() -> None:
    assert not verify.in_context()(CONTEXT, reply("33")).passed
    assert not verify.in_context()(CONTEXT, reply("Par")).passed


@pytest.mark.parametrize("share", [2, 0, -0.5, float("nan"), "half"], ids=repr)
def test_a_share_of_the_context_is_one(share: Any) -> None:
    with pytest.raises(InvalidValue, match="min_share"):
        verify.in_context(share)
    assert verify.in_context(0.9) == verify.in_context(min_share=0.9)


# -- combinations


def says(result: Any) -> Any:
    def check(sent: Any, answer: Any) -> Any:
        if isinstance(result, Exception):
            raise result
        return result

    return check


def async_says(result: Any) -> Any:
    async def check(sent: Any, answer: Any) -> Any:
        return says(result)(sent, answer)

    return check


ALL = [
    ((True, 0.9, 0.6), 0.6, True),
    ((True, 0.4, 0.1), 0.4, False),
    ((None, True), None, None),
    ((None, False), 0.0, False),
    ((ValueError("x"), True), None, None),
]
ANY = [
    ((False, 0.4, 0.2), 0.4, False),
    ((False, 0.7, True), 0.7, True),
    ((None, False), None, None),
    ((None, True), 1.0, True),
]


@pytest.mark.parametrize("kind", [says, async_says])
@pytest.mark.parametrize(
    ("combine", "results", "score", "passed"),
    [(verify.all_of, *row) for row in ALL] + [(verify.any_of, *row) for row in ANY],
)
async def test_combinations_of_sync_and_async_checks(
    kind: Any, combine: Any, results: Any, score: Any, passed: Any
) -> None:
    check = combine(*map(kind, results))
    found = check([], reply("x"))
    found = found if isinstance(found, Verdict) else await found
    assert (found.score, found.passed) == (score, passed)
    again = await check.averify([], reply("x"))
    assert again == found


def test_the_first_that_decides_ends_it() -> None:
    asked: list[str] = []

    def note(name: str, result: bool) -> Any:
        def check(sent: Any, answer: Any) -> bool:
            asked.append(name)
            return result

        return check

    verify.all_of(note("a", True), note("b", False), note("c", True))([], reply("x"))
    verify.any_of(note("d", True), note("e", True))([], reply("x"))
    assert asked == ["a", "b", "d"]


def test_combinations_can_be_nested_and_are_refused_without_checks() -> None:
    inner = verify.any_of(verify.is_json, verify.regex("yes"))
    assert verify.all_of(verify.non_empty, inner)([], reply("yes")).passed
    assert verify.all_of(verify.non_empty, inner).is_quick
    assert not verify.all_of(says(True)).is_quick
    with pytest.raises(InvalidValue):
        verify.all_of()


@pytest.mark.parametrize(
    "check", [verify.non_empty, verify.regex("a"), verify.number(3), verify.in_context()]
)
def test_checks_are_values(check: Any) -> None:
    """Equal, hashable, printable and picklable, as hints are compared and plans compiled again."""
    again = pickle.loads(pickle.dumps(check))
    assert again == check
    assert hash(again) == hash(check)
    assert again([], reply("a3")) == check([], reply("a3"))


# -- what a check may give


@pytest.mark.parametrize(
    ("result", "score", "passed"),
    [
        (True, 1.0, True),
        (False, 0.0, False),
        (0.5, 0.5, True),
        (0.49, 0.49, False),
        (1, 1.0, True),
        (0, 0.0, False),
        (None, None, None),
        (1.01, None, None),
        (-0.1, None, None),
        (float("nan"), None, None),
        ("0.7", None, None),
        (b"1", None, None),
        ([], None, None),
        ({"score": 1}, None, None),
        (ValueError("broken"), None, None),
    ],
)
def test_results_become_verdicts(result: Any, score: Any, passed: Any) -> None:
    found = verdict_of(result)
    assert (found.score, found.passed) == (score, passed)
    assert found.is_known is (score is not None)
    assert bool(found.reason) is (score is None)


def test_numpy_results_count_as_what_they_are() -> None:
    numpy = pytest.importorskip("numpy")
    assert verdict_of(numpy.bool_(True)).passed is True
    assert verdict_of(numpy.float32(0.25)).score == 0.25


def test_reasons_are_bounded() -> None:
    assert len(verdict_of(ValueError("x" * 10_000)).reason) == 500
