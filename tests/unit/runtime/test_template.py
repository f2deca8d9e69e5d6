from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from graphroute.runtime.template import Templates, is_plain, template_of

ITEMS = ("The food was great.", "The staff was rude.", "Nice!", "The best day, thanks.")


def _prompts(
    text: str, items: tuple[str, ...] = ITEMS, *before: BaseMessage
) -> list[list[BaseMessage]]:
    return [[*before, HumanMessage(text.replace("{}", item))] for item in items]


@pytest.mark.parametrize(
    "text",
    [
        "Good or bad? Text: {} Answer with one word.",
        "Good or bad, in one word: {}",
        'Rate "{}" as good or bad.',
        "Rate the text.\n\n{}\n\nAnswer with one word.",
        "<text>{}</text> Is this text good or bad?",
    ],
)
def test_the_task_is_told_from_the_items(text: str) -> None:
    prompts = _prompts(text)
    found = template_of(prompts)
    assert found is not None
    items = [found.item(messages) for messages in prompts]
    for messages, item in zip(prompts, items, strict=True):
        assert f"{found.prefix}{item}{found.suffix}" == messages[-1].content
    for item, whole in zip(items, ITEMS, strict=True):
        # What is the item's own never gets lost in the task.
        assert item is not None
        assert whole in item


def test_what_two_items_have_in_common_by_chance_stays_with_them() -> None:
    found = template_of(_prompts("Is this good or bad? Text: {} One word.", ITEMS[:2]))
    assert found is not None
    assert found.prefix == "Is this good or bad? Text: "


def test_messages_before_the_last_are_part_of_the_task() -> None:
    before = (SystemMessage("Say good or bad."), HumanMessage("Lovely"), AIMessage("good"))
    found = template_of(_prompts("{}", ITEMS, *before))
    assert found is not None
    assert found.before == before
    assert (found.prefix, found.suffix) == ("", "")
    assert found.item([*before, HumanMessage("Awful")]) == "Awful"
    assert found.item([HumanMessage("Awful")]) is None


@pytest.mark.parametrize(
    "prompts",
    [
        [[HumanMessage("one")]],
        [[HumanMessage("same prompt, twice the same")]] * 2,
        [[SystemMessage("x"), HumanMessage("a")], [SystemMessage("y"), HumanMessage("b")]],
        [[HumanMessage("What is the capital of Denmark?")], [HumanMessage("Add 2 and 2.")]],
        [[SystemMessage("only a system message")]] * 2,
    ],
)
def test_prompts_without_a_common_task_have_no_template(prompts: list[list[BaseMessage]]) -> None:
    assert template_of(prompts) is None


@pytest.mark.parametrize(
    ("messages", "wanted"),
    [
        ([HumanMessage("a")], True),
        ([], False),
        ([HumanMessage("a"), AIMessage("b")], False),
        ([HumanMessage([{"type": "text", "text": "a"}])], False),
        (
            [
                AIMessage("", tool_calls=[{"name": "f", "args": {}, "id": "1"}]),
                HumanMessage("a"),
            ],
            False,
        ),
    ],
)
def test_only_plain_prompts_share(messages: list[BaseMessage], wanted: bool) -> None:
    assert is_plain(messages) is wanted


def test_two_tasks_of_one_node_are_two_templates() -> None:
    kinds, names = Templates(), set()
    texts = ("Translate this text into French: {}", "Is the mood of this text good or bad? {}")
    for item in ITEMS:
        for text in texts:
            names.add((text, kinds.learn("node", [HumanMessage(text.replace("{}", item))])))
    assert len(names) == len({name for _, name in names}) == 2


def test_groups_do_not_learn_from_one_another() -> None:
    kinds, messages = Templates(), [HumanMessage("A task of some length: item")]
    assert kinds.learn("a", messages) != kinds.learn("b", messages)


def test_a_group_of_ever_new_tasks_is_kept_within_bounds() -> None:
    kinds, draw = Templates(), random.Random(0)
    for _ in range(3000):
        text = "".join(draw.choices("abcdefghij klmnop", k=60))
        kinds.learn(draw.randint(0, 900), [HumanMessage(text)])
    assert sum(map(len, kinds._groups.values())) == len(kinds._names) < 600 * 8


@given(
    st.text(max_size=40),
    st.text(max_size=40),
    st.lists(st.text(min_size=1, max_size=30), min_size=2, max_size=6, unique=True),
)
def test_prompt_and_template_always_fit_together(start: str, end: str, items: list[str]) -> None:
    """Whatever the texts, an item put back into its template is the prompt it was taken from."""
    prompts = [[HumanMessage(f"{start}{item}{end}")] for item in items]
    found = template_of(prompts)
    if found is None:
        return
    for messages in prompts:
        item = found.item(messages)
        if item is not None:
            assert f"{found.prefix}{item}{found.suffix}" == messages[0].content
