"""A pool routes with no key, no network and no torch: in a process where those cannot be had."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

PROGRAM = textwrap.dedent(
    """
    import builtins, json, socket, sys

    def refused(*arguments, **options):
        raise AssertionError("a socket was opened")

    socket.socket.connect = refused
    socket.socket.connect_ex = refused
    socket.create_connection = refused
    socket.getaddrinfo = refused

    plain = builtins.__import__
    BLOCKED = {"torch", "transformers", "tokenizers", "wordllama", "xllamacpp"}

    def guarded(name, *arguments, **options):
        if name.partition(".")[0] in BLOCKED:
            raise ImportError(f"No module named {name!r}", name=name)
        return plain(name, *arguments, **options)

    builtins.__import__ = guarded
    try:
        import torch
    except ImportError:
        pass
    else:
        raise AssertionError("torch is there")

    from langgraph.graph import START, StateGraph
    from graphroute import Model, optimize, registry
    from graphroute.providers.scripted import ScriptedChat

    strong = ScriptedChat(name="strong", replies=["strong"])
    weak = ScriptedChat(name="weak", replies=["weak"])
    pool = [
        Model("corp:strong", strong, price_in_usd=30.0, price_out_usd=60.0, quality=0.95),
        Model("corp:weak", weak, price_in_usd=0.1, price_out_usd=0.2, quality=0.6),
    ]

    def draft(state):
        return {"text": strong.invoke(state["text"]).text}

    builder = StateGraph(dict)
    builder.add_node("draft", draft)
    builder.add_edge(START, "draft")
    fast = optimize(builder.compile(), models=pool, budget=0.001)
    answer = fast.invoke({"text": "Prove that there are infinitely many primes."})["text"]

    scores = {}
    for name in ("lexical", "mf"):
        scorer = registry.build("scorers", name)
        easy, hard = scorer.difficulty(["Say hello.", "Prove that x^n + y^n = z^n has no root."])
        chance = scorer.success(["What is 2 + 2?"], ["openai:gpt-5", "ollama:llama3.2:1b"])
        scores[name] = [easy, hard, float(chance[0, 0]), float(chance[0, 1])]
    loaded = sorted(m for m in sys.modules if m.partition(".")[0] in BLOCKED)
    record = fast.records[-1]
    print(json.dumps({"answer": answer, "model": record.model, "scores": scores,
                      "loaded": loaded, "text": fast.plan.explain("draft")}))
    """
)


def test_it_routes_with_no_key_no_network_and_no_torch(tmp_path: Path) -> None:
    keys = ("API_KEY", "_TOKEN", "LANGSMITH", "LANGCHAIN")
    environment = {
        name: value
        for name, value in os.environ.items()
        if not any(word in name for word in keys) and name != "GRAPHROUTE_HOME"
    }
    environment["GRAPHROUTE_HOME"] = str(tmp_path)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["answer"], found["model"]) == ("weak", "corp:weak")
    assert found["loaded"] == []
    assert "confidence" in found["text"]
    for easy, hard, able, small in found["scores"].values():
        assert 0 <= easy < hard <= 1
        assert 0 < small < able < 1
