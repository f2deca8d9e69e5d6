"""What is proven pure, and what stands against the rest; one function for each idea."""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr, field_validator

from graphroute.frontend.purity import prove

cold = ChatOpenAI(model="cold", temperature=0, api_key=SecretStr("none"))
warm = ChatOpenAI(model="warm", temperature=0.7, api_key=SecretStr("none"))
unsaid = ChatOpenAI(model="unsaid", api_key=SecretStr("none"))
prompt = ChatPromptTemplate.from_template("Say {a}")
chain = prompt | cold | StrOutputParser()
LOG: list[int] = []
LIMITS = {"n": 3}


class Answer(BaseModel):
    a: int


class Checked(BaseModel):
    a: int

    @field_validator("a")
    @classmethod
    def check(cls, value: int) -> int:
        LOG.append(value)
        return value


@dataclass
class Pair:
    a: int


@dataclass
class Loud:
    a: int

    def __post_init__(self) -> None:
        print(self.a)


class Service:
    def __init__(self) -> None:
        self.tone, self.calls = "!", 0

    @property
    def mark(self) -> str:
        return self.tone

    def shout(self, text: str) -> str:
        return text.upper() + self.mark

    def count(self, text: str) -> str:
        self.calls += 1
        return text


service = Service()


@tool
def search(query: str) -> str:
    """Look it up."""
    return query


def clean(text: str) -> str:
    return re.sub(r"\s+", " ", text.strip().lower())


def loud(text: str) -> str:
    print(text)
    return text


def deep(text: str) -> str:
    return loud(text)


# Proven.


def calls_helpers(s: Any) -> Any:
    return {"x": clean(s["t"]), "n": len(s["xs"]), "j": json.dumps(s["d"])}


def builds_containers(s: Any) -> Any:
    out = []
    places = {}
    for x in s["xs"]:
        if x > LIMITS["n"]:
            out.append(x * 2)  # noqa: PERF401 - what is tested
    for i, x in enumerate(out):
        places[x] = i  # noqa: PERF403 - what is tested
    return {"out": sorted(out, key=lambda q: -q), "places": places, "most": Counter(out)}


def asks_cold(s: Any) -> Any:
    return {"x": cold.invoke(f"hi {s['t']}").content}


async def asks_a_chain(s: Any) -> Any:
    return {"x": await chain.ainvoke({"a": s["t"]}), "m": [HumanMessage("x")]}


def asks_for_a_schema(s: Any) -> Any:
    return {"x": cold.with_structured_output(Answer).invoke("x")}


def makes_data(s: Any) -> Any:
    return {"m": Answer(a=1), "p": Pair(2), "g": sum(i for i in s["xs"])}


def handles_errors(s: Any) -> Any:
    try:
        return {"x": int(s["t"])}
    except ValueError as error:
        raise RuntimeError("bad") from error


def calls_a_method(s: Any) -> Any:
    return {"x": service.shout(s["t"])}


# Not proven, with a word of the reason.


def reads_a_clock(s: Any) -> Any:
    return {"x": time.time()}


def draws(s: Any) -> Any:
    return {"x": random.choice(s["xs"])}


def reads_the_environment(s: Any) -> Any:
    return {"x": os.environ["HOME"]}


def changes_a_global(s: Any) -> Any:
    LOG.append(1)
    return {}


def changes_its_state(s: Any) -> Any:
    s["xs"].append(1)
    return {}


def sets_its_state(s: Any) -> Any:
    s["x"] = 1
    return s


def changes_an_alias(s: Any) -> Any:
    xs: list[int] = []
    if s["a"]:
        xs = s["xs"]
    xs.append(1)
    return {"x": xs}


def prints_in_a_helper(s: Any) -> Any:
    return {"x": deep("a")}


def prints_by_map(s: Any) -> Any:
    return {"x": list(map(loud, s["xs"]))}


def asks_warm(s: Any) -> Any:
    return {"x": warm.invoke("a")}


def asks_at_no_stated_temperature(s: Any) -> Any:
    return {"x": unsaid.invoke("a")}


def calls_a_client(s: Any) -> Any:
    return {"x": s["client"].post("a")}


def opens_a_file(s: Any) -> Any:
    with open("x") as file:
        return {"x": file.read()}


def evaluates(s: Any) -> Any:
    return {"x": eval(s["t"])}


def makes_with_validators(s: Any) -> Any:
    return {"x": Checked(a=1)}


def makes_with_code(s: Any) -> Any:
    return {"x": Loud(1)}


def sets_a_global(s: Any) -> Any:
    global _last
    _last = s
    return {}


_last: Any = None


def imports(s: Any) -> Any:
    import subprocess

    return {"x": subprocess.run("ls", check=True)}


def calls_a_value(s: Any) -> Any:
    ask = s["f"]
    return {"x": ask(1)}


def asks_for_an_attribute(s: Any) -> Any:
    return {"x": getattr(s["o"], "foo")()}  # noqa: B009


def counts_in_a_method(s: Any) -> Any:
    return {"x": service.count("a")}


def runs_a_tool(s: Any) -> Any:
    return {"x": search.invoke("a")}


def runs_a_loud_chain(s: Any) -> Any:
    step: Any = RunnableLambda(loud)
    return {"x": (prompt | step).invoke({"a": 1})}


loud_step: Any = RunnableLambda(loud)
loud_chain = prompt | loud_step


def runs_a_named_loud_chain(s: Any) -> Any:
    return {"x": loud_chain.invoke({"a": 1})}


def hashes(s: Any) -> Any:
    return {"x": hash(s["t"]), "y": id(s)}


PROVEN = (
    calls_helpers, builds_containers, asks_cold, asks_a_chain, asks_for_a_schema, makes_data,
    handles_errors, calls_a_method,
)  # fmt: skip
NOT_PROVEN: dict[Callable[..., Any], str] = {
    reads_a_clock: "time.time",
    draws: "choice",
    reads_the_environment: "os.environ",
    changes_a_global: ".append()",
    changes_its_state: ".append()",
    sets_its_state: "sets an item of 's'",
    changes_an_alias: ".append() on 'xs'",
    prints_in_a_helper: "print",
    prints_by_map: "print",
    asks_warm: "temperature 0.7",
    asks_at_no_stated_temperature: "unknown temperature",
    calls_a_client: ".post()",
    opens_a_file: "with",
    evaluates: "eval",
    makes_with_validators: "validators",
    makes_with_code: "code of its own",
    sets_a_global: "'_last'",
    imports: "'subprocess'",
    calls_a_value: "only a run tells",
    asks_for_an_attribute: "getattr",
    counts_in_a_method: "'calls'",
    runs_a_tool: "only a run tells",
    runs_a_loud_chain: "RunnableLambda",
    runs_a_named_loud_chain: "print",
    hashes: "hash",
}


@pytest.mark.parametrize("function", PROVEN, ids=lambda f: f.__name__)
def test_is_proven(function: Callable[..., Any]) -> None:
    proof = prove([function])
    assert proof.is_pure, proof.text
    assert proof.text.startswith("proven safe: ")


@pytest.mark.parametrize("function", NOT_PROVEN, ids=lambda f: f.__name__)
def test_is_not_proven(function: Callable[..., Any]) -> None:
    proof = prove([function])
    assert not proof.is_pure, proof.text
    assert NOT_PROVEN[function] in proof.against


def test_a_proof_names_what_it_rests_on() -> None:
    assert prove([calls_helpers]).text == ("proven safe: it calls clean, json.dumps, len, re.sub")
    assert prove([asks_cold]).models == ("openai:cold",)


def test_a_variable_of_an_enclosing_function_is_not_its_own() -> None:
    count = 0

    def counts(s: Any) -> Any:
        nonlocal count
        count += 1
        return {}

    assert "'count' of an enclosing function" in prove([counts]).against
