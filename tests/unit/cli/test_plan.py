"""`graphroute plan`: JSON that validates, the same bytes twice, and limits that refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

APP = Path(__file__).with_name("app.py")
GRAPH, POOL = f"{APP}:graph", f"{APP}:POOL"
Command = Callable[..., Any]


def test_json_validates_and_is_the_same_twice(command: Command) -> None:
    first = command("plan", GRAPH, "--models", POOL, "--budget", "0.01", "--json")
    second = command("plan", GRAPH, "--models", POOL, "--budget", "0.01", "--json")
    assert first.code == 0, first.err
    assert first.out == second.out
    schema = json.loads(command("plan", "--schema").out)
    plan = json.loads(first.out)
    jsonschema.Draft202012Validator(schema).validate(plan)
    assert [a["node"] for a in plan["assignments"]] == ["classify", "reply"]
    assert {m["name"] for m in plan["models"]} == {"scripted:strong", "scripted:weak"}


def test_without_models_the_graph_keeps_its_own(command: Command) -> None:
    plan = json.loads(command("plan", GRAPH, "--json").out)
    assert {a["model"] for a in plan["assignments"]} == {"scripted:strong"}


def test_table_says_model_cost_and_reason(command: Command) -> None:
    done = command("plan", GRAPH, "--models", POOL)
    assert done.code == 0, done.err
    for word in ("classify", "scripted:strong", "cost of a run", "solver", "no budget"):
        assert word in done.out


def test_table_tells_checks_and_the_chance_to_be_in_time(command: Command, tmp_path: Path) -> None:
    target = tmp_path / "checked.py"
    target.write_text(
        "from langgraph.graph import START, StateGraph\n"
        "from graphroute import Model, route\n"
        "from graphroute.providers.scripted import ScriptedChat\n"
        "big, mini = ScriptedChat(name='big'), ScriptedChat(name='mini')\n"
        "@route(verify=lambda messages, reply: True)\n"
        "def answer(state):\n"
        "    return {'text': big.invoke(state['text']).text}\n"
        "builder = StateGraph(dict)\n"
        "builder.add_node('answer', answer)\n"
        "builder.add_edge(START, 'answer')\n"
        "graph = builder.compile()\n"
        "POOL = [Model('s:big', big, price_in_usd=20.0, price_out_usd=20.0, quality=0.97),\n"
        "        Model('s:mini', mini, price_in_usd=1.0, price_out_usd=1.0, quality=0.8)]\n"
    )
    words = ("plan", f"{target}:graph", "--models", f"{target}:POOL", "--deadline", "90")
    done = command(*words)
    assert done.code == 0, done.err
    told = " ".join(done.out.split())
    assert " by check" in told
    assert "of runs end by the deadline of 90 s" in told
    points = json.loads(command(*words, "--frontier", "--json").out)["points"]
    behind = [point["then"]["answer"] for point in points if point["then"]]
    assert behind
    assert set(behind[0]) <= {"s:big", "s:mini"}
    assert ", then s:" in " ".join(command(*words, "--frontier").out.split())


def test_a_free_model_needs_no_budget(command: Command) -> None:
    done = command("plan", GRAPH, "--models", POOL, "--budget", "0", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["totals"]["cost_expected_usd"] == 0


def test_infeasible_still_prints_its_plan_and_exits_1(command: Command, tmp_path: Path) -> None:
    done = command("plan", GRAPH, "--models", paid_pool(tmp_path), "--budget", "0.000001", "--json")
    assert done.code == 1
    plan = json.loads(done.out)
    assert plan["feasible"] is False
    assert plan["infeasible"]["needed"] > 0.000001
    assert done.err.startswith("graphroute: ")
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--budget", "-1"], 2),
        (["--budget", "nan"], 2),
        (["--budget", "lots"], 2),
        (["--objective", "fun"], 2),
        (["--deadline", "-3"], 2),
        (["--models", ","], 2),
        (["--models", "nobody-knows-this-model"], 2),
        (["--models", "missing.py:POOL"], 2),
        (["--models", f"{APP}:NOT_A_GRAPH"], 2),
        (["--json", "--mermaid"], 2),
        (["--diff", "missing.json"], 2),
        (["--no-such-option"], 2),
        (["--frontier", "--mermaid"], 2),
        (["--frontier", "--what-if", "budget=1"], 2),
        (["--what-if", "budget"], 2),
        (["--what-if", "budget="], 2),
        (["--what-if", "budget=lots"], 2),
        (["--what-if", "budget=-1"], 2),
        (["--what-if", "budget=nan"], 2),
        (["--what-if", "budget=1,budget=2"], 2),
        (["--what-if", "deadline_s=0"], 2),
        (["--what-if", "colour=red"], 2),
        (["--what-if", "without_model=nobody:knows"], 2),
        (["--memory", "-1"], 2),
        (["--memory", "nan"], 2),
        (["--max-cost", "nan"], 2),
        (["--max-cost", "-1"], 2),
    ],
)
def test_misuse_is_one_line_without_a_traceback(
    command: Command, words: list[str], code: int
) -> None:
    done = command("plan", GRAPH, *words)
    assert done.code == code, done.err
    assert done.out == ""
    assert "Traceback" not in done.err
    assert done.err.strip()


@pytest.mark.parametrize(
    "target",
    [
        "",
        "missing.py:graph",
        "no_such_module:graph",
        f"{APP}",
        f"{APP}:nothing",
        f"{APP}:NOT_A_GRAPH",
    ],
)
def test_a_target_that_is_no_graph_is_misuse(command: Command, target: str) -> None:
    done = command("plan", target)
    assert done.code == 2, done.err
    assert "Traceback" not in done.err
    assert "TARGET" in done.err


def test_a_script_that_fails_to_import_is_told_with_its_line(
    command: Command, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("from __future__ import annotations\n\nx = 1 / 0\n")
    done = command("plan", f"{broken}:graph")
    assert done.code == 2
    assert "ZeroDivisionError" in done.err
    assert "broken.py:3" in done.err
    assert "Traceback" not in done.err


def test_a_graph_without_a_model_is_told(command: Command) -> None:
    done = command("plan", f"{APP}:no_model")
    assert done.code == 0, done.err
    assert "nothing to assign" in done.out


def test_langgraph_json_is_understood(command: Command, tmp_path: Path) -> None:
    (tmp_path / "langgraph.json").write_text(json.dumps({"graphs": {"app": GRAPH}}))
    assert command("plan", "app", "--json").code == 0
    assert command("plan", "--json").code == 0


def test_max_cost_refuses_for_use_in_a_pipeline(command: Command) -> None:
    words = ("plan", GRAPH, "--models", POOL, "--json", "--max-cost")
    assert command(*words, "1").code == 0
    assert command(*words, "0.00000001").code == 1


def test_diff_shows_what_changed(command: Command, tmp_path: Path) -> None:
    old = tmp_path / "old.json"
    assert command("plan", GRAPH, "--json", "--output", old).code == 0
    done = command("plan", GRAPH, "--models", POOL, "--budget", "0", "--diff", old)
    assert done.code == 0, done.err
    # From the old plan to the new one.
    assert "scripted:strong → scripted:weak" in done.out
    old.write_text(old.read_text()[:200])
    assert command("plan", GRAPH, "--diff", old).code == 2


def test_output_is_whole_or_not_at_all(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text("before")
    assert command("plan", GRAPH, "--budget", "-1", "--json", "--output", file).code == 2
    assert file.read_text() == "before"
    done = command("plan", GRAPH, "--json", "--output", file)
    assert (done.code, done.out) == (0, "")
    assert json.loads(file.read_text())["schema"] == "graphroute.plan/1"
    assert command("plan", GRAPH, "--json", "--output", tmp_path / "no" / "x.json").code == 2
    assert [p.name for p in tmp_path.iterdir() if "plan" in p.name] == ["plan.json"]


def test_mermaid_names_the_models(command: Command) -> None:
    done = command("plan", GRAPH, "--models", POOL, "--mermaid")
    assert done.code == 0
    assert done.out.startswith("flowchart")
    assert "scripted:strong" in done.out


def test_frontier_is_cheapest_first_and_marks_the_plan(command: Command) -> None:
    words = ("plan", GRAPH, "--models", POOL, "--frontier")
    done = command(*words)
    assert done.code == 0, done.err
    assert "that no other beats in cost, quality and time" in done.out
    found = json.loads(command(*words, "--json").out)
    assert found["schema"] == "graphroute.frontier/1"
    costs = [point["cost_usd"] for point in found["points"]]
    assert costs == sorted(costs)
    assert found["points"][0]["models"] == dict.fromkeys(["classify", "reply"], "scripted:weak")
    assert sum(point["is_the_plan"] for point in found["points"]) == 1
    (best,) = (point for point in found["points"] if point["is_the_plan"])
    assert best["quality"] == max(point["quality"] for point in found["points"])


def test_a_frontier_of_one_point_and_of_a_plan_that_is_infeasible(
    command: Command, tmp_path: Path
) -> None:
    one = json.loads(command("plan", GRAPH, "--frontier", "--json").out)
    assert [point["models"] for point in one["points"]] == [
        dict.fromkeys(["classify", "reply"], "scripted:strong")
    ]
    pool = paid_pool(tmp_path)
    done = command("plan", GRAPH, "--models", pool, "--budget", "0.000001", "--frontier", "--json")
    # No plan keeps the limits, but the trade-off says what there is without them.
    assert done.code == 1
    (point,) = json.loads(done.out)["points"]
    assert point["models"] == dict.fromkeys(["classify", "reply"], "scripted:dear")
    assert not point["is_the_plan"]


def paid_pool(folder: Path) -> str:
    pool = folder / "paid.py"
    pool.write_text(
        "from __future__ import annotations\n"
        "from graphroute import Model\nfrom graphroute.providers.scripted import ScriptedChat\n"
        "POOL = [Model('scripted:dear', ScriptedChat(name='dear'), price_in_usd=9.0,"
        " price_out_usd=9.0)]\n"
    )
    return f"{pool}:POOL"


def test_what_if_tells_what_each_change_would_change(command: Command) -> None:
    words = ["plan", GRAPH, "--models", POOL, "--what-if", "budget=0"]
    words += ["--what-if", "without_model=scripted:weak", "--what-if", "budget=0,deadline_s=0.001"]
    done = command(*words)
    assert done.code == 0, done.err
    first, second, third = done.out.strip().split("\n\n")
    assert first.startswith("what if budget=0:")
    assert "classify: scripted:strong → scripted:weak" in first
    assert second.splitlines()[1].strip() == "the plans are the same"
    assert "deadline" in third
    found = json.loads(command(*words, "--json").out)
    assert found["schema"] == "graphroute.what_if/1"
    assert [case["feasible"] for case in found["cases"]] == [True, True, False]
    assert found["cases"][0]["cost_expected_usd"] == 0
    assert found["cases"][0]["changes"][0]["after"] == "scripted:weak"
    assert "deadline" in found["cases"][2]["infeasible"]
    assert found["cases"][2]["changes"] == []


def test_what_if_shows_the_way_out_of_an_infeasible_plan(command: Command, tmp_path: Path) -> None:
    words = ("plan", GRAPH, "--models", paid_pool(tmp_path), "--budget", "0.000001")
    done = command(*words, "--what-if", "budget=1")
    assert done.code == 1
    assert "scripted:dear" in done.out
    assert done.err.startswith("graphroute: ")
    (case,) = json.loads(command(*words, "--what-if", "budget=1", "--json").out)["cases"]
    assert case["feasible"]


def test_memory_bounds_local_models(command: Command, tmp_path: Path) -> None:
    pool = tmp_path / "local.py"
    pool.write_text(
        "from __future__ import annotations\n"
        "from graphroute import Model\nfrom graphroute.providers.scripted import ScriptedChat\n"
        "POOL = [Model(f'scripted:{name}', ScriptedChat(name=name), local=True, quality=quality,"
        " memory_bytes=size * 10**9) for name, quality, size in"
        " (('big', 0.9, 8), ('small', 0.5, 1))]\n"
    )
    words = ("plan", GRAPH, "--models", f"{pool}:POOL")
    for memory, model in (("9", "scripted:big"), ("2", "scripted:small")):
        plan = json.loads(command(*words, "--memory", memory, "--json").out)
        assert {a["model"] for a in plan["assignments"]} == {model}
    tight = command(*words, "--memory", "0.5")
    assert tight.code == 1
    assert "bytes for local models" in tight.err
    asked = command(*words, "--memory", "9", "--what-if", "memory_gb=2")
    assert "scripted:big → scripted:small" in asked.out
