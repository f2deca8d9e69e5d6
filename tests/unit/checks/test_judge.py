"""The judge: both orders, labels or log-probabilities, and no trace of it in a run."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from graphroute import verify
from graphroute.checks.judge import MAX_CHARS, grade
from graphroute.errors import InvalidValue, ProviderUnavailable


class Chat:
    """Answers by a function of the prompt, sync and async; remembers what it was asked."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.options: list[dict[str, Any]] = []

    def invoke(self, prompt: Any, **options: Any) -> AIMessage:
        text = prompt[0][1]
        self.asked.append(text)
        self.options.append(options)
        told = self.answer(text)
        return told if isinstance(told, AIMessage) else AIMessage(told)

    async def ainvoke(self, prompt: Any, **options: Any) -> AIMessage:
        return self.invoke(prompt, **options)


def honest(good: bool) -> Any:
    """Says the letter that stands beside what it thinks."""
    word = "good" if good else "bad"
    return lambda text: "A" if f"A = {word}" in text else "B"


SENT = [HumanMessage("Capital of France?")]


@pytest.mark.parametrize("good", [True, False])
async def test_a_consistent_judge_is_believed(good: bool) -> None:
    check = verify.judge(Chat(honest(good)))
    found = check(SENT, AIMessage("Paris"))
    assert (found.score, found.passed, found.source) == (float(good), good, "judge")
    told = "judged 1.00, 1.00" if good else f"{check.criteria} No (judged 0.00, 0.00)."
    assert found.reason == told, "a model that answers next is told what was wrong"
    assert await check.averify(SENT, AIMessage("Paris")) == found


def test_a_judge_that_always_says_a_knows_nothing() -> None:
    assert verify.judge(Chat(lambda _: "A"))(SENT, AIMessage("Paris")).score == 0.5


def test_an_unreadable_judge_leaves_the_verdict_open() -> None:
    assert not verify.judge(Chat(lambda _: "well, hm"))(SENT, AIMessage("Paris")).is_known
    half = iter(["nonsense", "B"])
    found = verify.judge(Chat(lambda _: next(half)))(SENT, AIMessage("Paris"))
    assert found.score == 1.0, "one readable answer counts"


def test_the_judge_sees_task_answer_criteria_and_reference() -> None:
    chat = Chat(honest(True))
    check = verify.judge(
        chat,
        criteria="Is it a city?",
        reference=lambda sent: f"{len(sent)} message",
        options={"max_tokens": 1},
    )
    check(SENT, AIMessage("Paris {braces}"))
    assert len(chat.asked) == 2
    for text in chat.asked:
        for part in ("Capital of France?", "Paris {braces}", "Is it a city?", "1 message"):
            assert part in text
    assert chat.options == [{"max_tokens": 1}] * 2
    assert ["A = good" in text for text in chat.asked] == [True, False]


def test_long_texts_are_cut_in_the_middle() -> None:
    chat = Chat(honest(True))
    verify.judge(chat)([HumanMessage("x" * 50_000 + "END")], AIMessage("y"))
    assert len(chat.asked[0]) < MAX_CHARS + 1_000
    assert "END" in chat.asked[0]


def logprobs(**tokens: float) -> AIMessage:
    likely = [{"token": token, "logprob": value} for token, value in tokens.items()]
    return AIMessage("A", response_metadata={"logprobs": {"content": [{"top_logprobs": likely}]}})


def test_log_probabilities_give_finer_scores() -> None:
    assert grade(logprobs(A=-0.2876820724, B=-1.3862943611, C=-9.0), good="A") == pytest.approx(
        0.75
    )
    assert grade(logprobs(A=-0.2876820724, B=-1.3862943611), good="B") == pytest.approx(0.25)
    assert grade(logprobs(C=-0.1), good="A") == 1.0, "without a label among them the letter counts"


@pytest.mark.parametrize(
    ("text", "value"),
    [("A", 1.0), (" B.", 0.0), ("(A)", 1.0), ("A or B?", None), ("ABBA", None), ("", None)],
)
def test_labels_are_read_strictly(text: str, value: float | None) -> None:
    assert grade(AIMessage(text), good="A") == value


def test_a_judge_is_named_checked_and_opened_late(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidValue):
        verify.judge(42)
    with pytest.raises(InvalidValue):
        verify.judge(Chat(honest(True)), pass_score=2)
    # Nothing listens there: the fault comes when it is asked, and leaves the verdict open.
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    check = verify.judge("ollama:judge-that-is-not-there")
    with pytest.raises(Exception, match=r"judge-that-is-not-there|127") as fault:
        check(SENT, AIMessage("Paris"))
    assert not verify.verdict_of(fault.value).is_known


def test_without_any_local_model_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from graphroute import registry

    class Nothing:
        def discover(self) -> tuple[()]:
            return ()

    monkeypatch.setattr(registry, "build", lambda *_, **__: Nothing())
    with pytest.raises(ProviderUnavailable, match="name a model"):
        verify.judge()(SENT, AIMessage("Paris"))


def test_a_named_judge_is_opened_once_and_by_one_call_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[str | None] = []

    def opens(name: str | None) -> Chat:
        opened.append(name)
        assert verify._opening.locked(), "another call would open it as well"
        return Chat(honest(True))

    monkeypatch.setattr(verify, "_open", opens)
    check = verify.judge("ollama:any")
    assert [check(SENT, AIMessage("Paris")).passed for _ in range(2)] == [True, True]
    assert opened == ["ollama:any"]
    assert not verify._opening.locked()
