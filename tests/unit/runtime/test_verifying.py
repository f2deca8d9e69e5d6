"""Running a check: sync and async, on and off a loop, apart from the run it is in."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables.config import var_child_runnable_config

from graphroute import verify
from graphroute.ir.verdict import Verdict
from graphroute.runtime.checking import Checking
from graphroute.runtime.course import Course
from graphroute.runtime.ledger import Ledger
from graphroute.runtime.lineage import KEY
from graphroute.runtime.run_handle import RunHandle
from graphroute.runtime.verifying import averdict, verdict, within
from tests.unit.runtime.situations import policy_for

REPLY = AIMessage("yes")


def raises(sent: Any, reply: Any) -> bool:
    raise KeyError("secret")


async def raises_later(sent: Any, reply: Any) -> bool:
    await asyncio.sleep(0)
    raise KeyError("secret")


async def later(sent: Any, reply: Any) -> float:
    await asyncio.sleep(0)
    return 0.75


def spoils(sent: Any, reply: Any) -> bool:
    sent.append("more")
    reply.content = "hacked"
    reply.response_metadata["lists"].append(1)
    return True


async def spoils_later(sent: Any, reply: Any) -> bool:
    return spoils(sent, reply)


@pytest.mark.parametrize("check", [spoils, spoils_later])
async def test_what_a_check_does_to_what_it_is_given_stays_with_it(check: Any) -> None:
    sent: list[Any] = []
    reply = AIMessage("yes", response_metadata={"lists": []}, id="run-1")
    before = reply.model_copy(deep=True)
    assert verdict(check, sent, reply).passed
    assert (await averdict(check, sent, reply)).passed
    assert (sent, reply) == ([], before)


def test_a_reply_that_has_no_copy_is_judged_as_it_is() -> None:
    reply = AIMessage("yes", additional_kwargs={"parsed": threading.Lock()})
    assert verdict(lambda _, given: given is reply, [], reply).passed


class Both:
    """A check with two forms."""

    def __call__(self, sent: Any, reply: Any) -> bool:
        return False

    async def averify(self, sent: Any, reply: Any) -> bool:
        return True


@pytest.mark.parametrize("check", [raises, raises_later, lambda: True, lambda s, r: 7])
async def test_no_check_breaks_a_run(check: Any) -> None:
    assert not verdict(check, [], REPLY).is_known
    assert not (await averdict(check, [], REPLY)).is_known


def test_an_async_check_runs_without_a_loop() -> None:
    assert verdict(later, [], REPLY).score == 0.75


async def test_an_async_check_runs_where_a_loop_runs_already() -> None:
    assert verdict(later, [], REPLY).score == 0.75
    assert (await averdict(later, [], REPLY)).score == 0.75


async def test_each_caller_gets_the_form_that_suits_it() -> None:
    assert verdict(Both(), [], REPLY).passed is False
    assert (await averdict(Both(), [], REPLY)).passed is True


async def test_only_quick_checks_stay_on_the_loop() -> None:
    where: list[int] = []

    def slow(sent: Any, reply: Any) -> bool:
        where.append(threading.get_ident())
        return True

    def quick(sent: Any, reply: Any) -> bool:
        return slow(sent, reply)

    quick.is_quick = True  # type: ignore[attr-defined]
    assert (await averdict(slow, [], REPLY)).passed
    assert (await averdict(quick, [], REPLY)).passed
    here = threading.get_ident()
    assert [ident == here for ident in where] == [False, True]
    assert (await averdict(verify.all_of(verify.non_empty, slow), [], REPLY)).passed


async def test_a_check_is_outside_the_run() -> None:
    seen: list[Any] = []

    def look(sent: Any, reply: Any) -> bool:
        seen.append(var_child_runnable_config.get())
        return True

    async def alook(sent: Any, reply: Any) -> bool:
        return look(sent, reply)

    token = var_child_runnable_config.set({"configurable": {"run": 1}})
    try:
        verdict(look, [], REPLY)
        verdict(alook, [], REPLY)
        await averdict(look, [], REPLY)
        await averdict(alook, [], REPLY)
        assert var_child_runnable_config.get() == {"configurable": {"run": 1}}
    finally:
        var_child_runnable_config.reset(token)
    assert seen == [None] * 4


async def test_within_a_run_all_that_a_check_knows_of_it_is_who_pays() -> None:
    seen: list[Any] = []

    def look(sent: Any, reply: Any) -> bool:
        seen.append(var_child_runnable_config.get())
        return True

    async def alook(sent: Any, reply: Any) -> bool:
        return look(sent, reply)

    policy = policy_for(chats={})
    run = RunHandle(policy=policy, ledger=Ledger(limit_nano=None), course=Course(policy.plan))
    payer = run.for_check(node="draft", step=2, thread="7", must_stay=True)
    with within(payer):
        verdict(look, [], REPLY)
        verdict(alook, [], REPLY)
        await averdict(look, [], REPLY)
        await averdict(alook, [], REPLY)
    verdict(look, [], REPLY)
    assert seen == [{"configurable": {KEY: payer}}] * 4 + [None]
    assert payer.checking == Checking(node="draft", step=2, thread="7", must_stay=True)
    assert (payer.run_id, payer.ledger) == (run.run_id, run.ledger)


async def test_cancelling_the_run_cancels_its_check() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def forever(sent: Any, reply: Any) -> bool:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return True

    task = asyncio.create_task(averdict(forever, [], REPLY))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


def test_ctrl_c_is_not_swallowed() -> None:
    def interrupted(sent: Any, reply: Any) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verdict(interrupted, [], REPLY)


def test_a_verdict_is_passed_on_as_it_is() -> None:
    own = Verdict(score=0.2, passed=True, reason="fine by me", source="mine")
    assert verdict(lambda s, r: own, [], REPLY) == own
