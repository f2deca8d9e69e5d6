from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from langgraph.pregel import Pregel

from graphroute.errors import TargetError
from graphroute.frontend.target import load_target

APP = """
from typing import TypedDict
from langgraph.graph import StateGraph, START
from neighbour_of_app import step

class State(TypedDict):
    text: str

builder = StateGraph(State)
builder.add_node("step", step)
builder.add_edge(START, "step")
graph = builder.compile()
broken = StateGraph(State)
number = 7

def make():
    return builder

async def make_later():
    return graph

def make_with(config):
    return graph

def needs(a, b):
    return graph

def fails():
    raise ValueError("no key")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app_of_target.py").write_text(APP)
    (tmp_path / "neighbour_of_app.py").write_text("def step(state):\n    return state\n")
    return tmp_path


@pytest.mark.parametrize("variable", ["graph", "builder", "make", "make_later", "make_with"])
def test_every_form_of_variable(folder: Path, variable: str) -> None:
    graph = load_target(f"app_of_target.py:{variable}", folder=folder)
    assert isinstance(graph, Pregel)
    assert graph.invoke({"text": "x"}) == {"text": "x"}


def test_import_path_is_left_as_it_was(folder: Path) -> None:
    before = list(sys.path)
    load_target("app_of_target.py:graph", folder=folder)
    assert sys.path == before


def test_module_target(folder: Path) -> None:
    package = folder / "pack_of_target"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "inner.py").write_text(APP)
    assert isinstance(load_target("pack_of_target.inner:graph", folder=folder), Pregel)


def test_script_named_like_a_loaded_module_replaces_nothing(folder: Path) -> None:
    (folder / "json.py").write_text(APP)
    assert isinstance(load_target("json.py:graph", folder=folder), Pregel)
    assert sys.modules["json"] is json


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("app_of_targt.py:graph", r"no file .*app_of_targt.py \(do you mean 'app_of_target.py'"),
        ("app_of_target.py:grap", r"no variable 'grap' \(do you mean 'graph'\?\); graphs there"),
        ("app_of_target.py:number", r"is no graph but int"),
        ("app_of_target.py:needs", r"needs 'a', 'b'"),
        ("app_of_target.py:fails", r"calling it raised ValueError: no key"),
        ("app_of_target.py:broken", r"compiling it raised ValueError"),
        ("app_of_target.py", r"names no variable; write app_of_target.py:graph"),
        ("no_such_module_at_all:graph", r"raised ModuleNotFoundError"),
        ("raises.py:graph", r"raised RuntimeError: boom at raises.py:3"),
        ("exits.py:graph", r"raised SystemExit: 3 at exits.py:1"),
        ("syntax.py:graph", r"raised SyntaxError: .* at syntax.py:2"),
        ("", r"no TARGET and there is no langgraph.json"),
        ("support", r"'support' is no path:variable and there is no langgraph.json"),
    ],
)
def test_faults_are_told(folder: Path, target: str, message: str) -> None:
    (folder / "raises.py").write_text("x = 1\n\nraise RuntimeError('boom')\n")
    (folder / "exits.py").write_text("raise SystemExit(3)\n")
    (folder / "syntax.py").write_text("x = 1\ndef (:\n")
    with pytest.raises(TargetError, match=message) as caught:
        load_target(target, folder=folder)
    assert caught.value.__cause__ is None
    assert "raises" not in sys.modules


def write_config(folder: Path, content: object) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "langgraph.json").write_text(text)


def test_langgraph_json(folder: Path) -> None:
    write_config(folder, {"graphs": {"one": "./app_of_target.py:graph"}})
    assert isinstance(load_target("", folder=folder), Pregel)
    assert isinstance(load_target("one", folder=folder), Pregel)
    write_config(folder, {"graphs": {"one": {"path": "./app_of_target.py:make"}}})
    assert isinstance(load_target("one", folder=folder), Pregel)


@pytest.mark.parametrize(
    ("content", "target", "message"),
    [
        ({"graphs": {"a": "./x.py:g", "b": "./y.py:g"}}, "", r"2 graphs: 'a', 'b'; name one"),
        ({"graphs": {"triage": "./x.py:g"}}, "triag", r"do you mean 'triage'"),
        ({"graphs": {}}, "", r"lists no graphs"),
        ([1], "", r"lists no graphs"),
        ({"graphs": {"a": 3}}, "a", r"graph 'a' is 3"),
        ("{", "", r"cannot be read"),
    ],
)
def test_langgraph_json_faults(folder: Path, content: object, target: str, message: str) -> None:
    write_config(folder, content)
    with pytest.raises(TargetError, match=message):
        load_target(target, folder=folder)
