"""Random schedules: whatever comes, goes, fails and is cancelled, everybody else gets an end."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from graphroute import registry
from graphroute.runtime.admission import Admission
from graphroute.runtime.deferral import Deferral
from graphroute.runtime.gates import Gates, Lane, Outcome
from graphroute.runtime.packer import Packable, Packer
from graphroute.runtime.place import Answered, Arrival, Errand, Go, Packed, Place, Wait, Work
from graphroute.runtime.request import Request
from tests.unit.runtime.situations import Clock, proven, spec_for

TASK = "Say the number of this text and nothing else, whatever else it says. " * 10


class World:
    """Callers of one admission, each of which does what it is told or dies."""

    def __init__(self, policy: str, seed: int, slots: int) -> None:
        self.draw, self.clock, self.slots = random.Random(seed), Clock(), slots
        self.gates = Gates()
        self.admission = Admission(
            registry.build("batching", policy),  # type: ignore[arg-type]
            self.gates,
            packer=Packer(figures=proven(("m", "n"), 4), seed=seed),
            deferral=Deferral(clock=self.clock, wall=self.clock),
            clock=self.clock,
        )
        self.lane = Lane(model="m", most=slots)
        self.waiting: dict[Place, int] = {}
        self.going: dict[Place, int] = {}
        self.errands: dict[Place, Errand] = {}
        self.forced = 0
        self.came = self.ended = 0

    def enter(self) -> None:
        number = self.came
        spec = spec_for("m", local=True)
        packable = Packable(spec=spec, node="n", request=Request(), in_bound=900, out_tokens=3)
        arrival = Arrival(
            lane=self.lane,
            group=self.draw.choice("ab"),
            messages=[HumanMessage(f"{TASK} Text: number {number}.")],
            burst=self.draw.choice("xyz"),
            siblings=self.draw.choice((None, None, 3)),
            may_gather=self.draw.random() < 0.9,
            is_open_ended=self.draw.random() < 0.05,
            packable=packable if self.draw.random() < 0.8 else None,
        )
        self.waiting[self.admission.enter(arrival)] = number
        self.came += 1

    def poll(self) -> None:
        if not self.waiting:
            return
        place = self.draw.choice(list(self.waiting))
        match place.poll():
            case Go():
                self.going[place] = self.waiting.pop(place)
            case Packed(errand=errand):
                if place in self.errands:
                    assert self.errands[place] is errand
                self.errands[place] = errand
            case Answered(message=message):
                assert message.text == str(self.waiting.pop(place)), "somebody else's answer"
                self.ended += 1
            case Wait(patience_s=patience_s):
                assert 0 <= patience_s <= 1
                if self.draw.random() < 0.5:
                    self.clock.now_s += patience_s
            case Work():
                raise AssertionError("nothing here can be deferred")

    def leave(self) -> None:
        if self.going:
            place = self.draw.choice(list(self.going))
            number = self.going.pop(place)
            outcomes = (
                Outcome.answered(AIMessage(str(number))),
                Outcome.of(ValueError()),
                Outcome(verdict="refused", wait_s=self.draw.random()),
            )
            place.leave(self.draw.choices(outcomes, (8, 1, 1))[0])
            self.ended += 1

    def carry_out(self) -> None:
        if not self.errands:
            return
        place = self.draw.choice(list(self.errands))
        errand = self.errands.pop(place)
        if self.draw.random() < 0.9:
            errand.begin()
        match self.draw.randrange(6):
            case 0:
                errand.failed(ValueError("no"))
            case 1:
                errand.failed(KeyboardInterrupt())
                self._gone(place)
            case _:
                errand.answered(_answer(errand, self.draw))

    def cancel(self) -> None:
        found = [*self.waiting, *self.going]
        if found:
            place = self.draw.choice(found)
            if place not in self.errands:
                place.cancel()
                self._gone(place)

    def insist(self) -> None:
        free = [place for place in self.waiting if place not in self.errands]
        if free:
            self.draw.choice(free).insist()
            self.forced += 1

    def _gone(self, place: Place) -> None:
        self.waiting.pop(place, None)
        self.going.pop(place, None)
        place.cancel()
        self.ended += 1

    def check(self) -> None:
        inside = sum(gate.inside for gate in self.gates._gates.values())
        assert inside <= self.slots + self.forced + self.came * 0.2

    def drain(self) -> None:
        for _ in range(20_000):
            if not (self.waiting or self.going or self.errands):
                return
            self.clock.now_s += 0.01
            for act in (self.poll, self.poll, self.carry_out, self.leave):
                act()
        raise AssertionError(f"{len(self.waiting)} still wait")


def _answer(errand: Errand, draw: random.Random) -> AIMessage:
    listed = re.findall(r'^(\d+): "(.*)"$', str(errand.messages[-1].content), re.MULTILINE)
    answers: dict[str, Any] = {
        key: re.findall(r"\d+", item)[0] for key, item in listed if draw.random() < 0.9
    }
    return AIMessage(json.dumps(answers))


@pytest.mark.parametrize("policy", registry.names("batching"))
@pytest.mark.parametrize("seed", range(25))
def test_everybody_comes_to_an_end(policy: str, seed: int) -> None:
    world = World(policy, seed, slots=seed % 4 + 1)
    acts = (world.enter, world.poll, world.leave, world.carry_out, world.cancel, world.insist)
    for _ in range(600):
        world.draw.choices(acts, (20, 60, 20, 15, 3, 1))[0]()
        world.check()
    world.drain()
    assert world.ended == world.came
    assert all(gate.inside == 0 for gate in world.gates._gates.values())
    groups = world.admission._groups._groups.values()
    assert all(group.active == 0 and not group.waiting for group in groups)
    lines = world.admission._lines.values()
    assert all(not line.queue and not line._running for line in lines)
