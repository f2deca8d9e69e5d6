"""Latency, throughput and memory of every scorer, beside RouteLLM's MF and BERT passes.

    python benchmarks/scorers.py --data routellm_mmlu.csv.gz [--routellm CHECKOUT] [--prompts 2000]

Latency is one prompt a call, medians and 99th percentiles over all prompts after a warm-up;
throughput is one call with all of them; memory is what loading and one call add to the process.
RouteLLM's two run from its own model code with random weights, where what they import is there:
speed only. Its MF also asks a network service for an embedding each time, which is not counted.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import psutil

from graphroute import registry
from graphroute.evaluation import outcomes
from graphroute.evaluation.choice import drawn
from graphroute.protocols import Outcomes

OURS = ("random", "length", "lexical", "mf", "similarity", "encoder")
THEIRS = ("RouteLLM mf (pass only)", "RouteLLM bert (pass only)")


def ours(name: str, data: Outcomes) -> Callable[[Sequence[str]], object]:
    """The scorer's `difficulty`, with shipped weights or trained on the data."""
    module = registry.load("scorers", name)
    if hasattr(module, "untrained") and not getattr(module, "SHIPPED", None):
        with tempfile.TemporaryDirectory() as folder:
            # How well it has learned changes nothing here; how much it remembers does.
            count = 300 if name == "encoder" else 5000
            module.untrained().fit(drawn(data, count)).save(Path(folder))
            scorer = module.build(weights=folder)
    else:
        scorer = registry.build("scorers", name)
    found: Callable[[Sequence[str]], object] = scorer.difficulty
    return found


def theirs(name: str, checkout: Path) -> Callable[[Sequence[str]], object]:
    """RouteLLM's forward pass with random weights; ImportError where it cannot run."""
    import torch

    if "mf" in name:
        os.environ.setdefault("OPENAI_API_KEY", "none")
        sys.path.insert(0, str(checkout))
        path = checkout / "routellm" / "routers" / "matrix_factorization" / "model.py"
        model = _module(path).MFModel(128, 64, 1536, 1, True).eval()
        vector = torch.randn(1536)

        def passes(prompts: Sequence[str]) -> object:
            # What its `forward` does after the embedding has come back.
            with torch.no_grad():
                for _ in prompts:
                    pair = model.P(torch.tensor([0, 1]))
                    pair = torch.nn.functional.normalize(pair, p=2, dim=1)
                    model.classifier(pair * model.text_proj(vector)).squeeze()
            return None

        return passes
    from transformers import (
        BertConfig,
        BertForSequenceClassification,
    )

    bert = BertForSequenceClassification(BertConfig(num_labels=3)).eval()

    def reads(prompts: Sequence[str]) -> object:
        with torch.no_grad():
            for prompt in prompts:
                length = min(max(len(prompt) // 4, 2), 512)
                bert(torch.randint(0, 30_000, (1, length)))
        return None

    return reads


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("routellm_mf", path)
    if spec is None or spec.loader is None or not path.exists():
        raise ImportError(f"no {path.name} in the checkout")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measure(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """The figures of one scorer, in a process of its own."""
    data = outcomes.read([Path(arguments.data)])
    prompts = [str(p) for p in drawn(data, arguments.prompts, seed=arguments.seed).prompts]
    process = psutil.Process()
    before = process.memory_info().rss
    try:
        score = theirs(name, Path(arguments.routellm)) if name in THEIRS else ours(name, data)
    except ImportError as error:
        return {"scorer": name, "does not run": str(error)}
    if name in THEIRS:
        prompts = prompts[:100]
    score(prompts[:50])
    memory = process.memory_info().rss - before
    times = []
    for prompt in prompts:
        start = time.perf_counter()
        score([prompt])
        times.append(time.perf_counter() - start)
    start = time.perf_counter()
    score(prompts)
    rate = len(prompts) / (time.perf_counter() - start)
    p50, p99 = np.quantile(times, (0.5, 0.99)) * 1e3
    return {
        "scorer": name,
        "p50_ms": round(float(p50), 4),
        "p99_ms": round(float(p99), 4),
        "prompts_per_s": round(rate),
        "memory_mb": round(memory / 1e6, 1),
    }


def main() -> None:
    """Measure each scorer in its own process and print a table, then the raw result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--routellm", default="")
    parser.add_argument("--prompts", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(measure(arguments.only, arguments)))
        return
    results = []
    for name in (*OURS, *(THEIRS if arguments.routellm else ())):
        command = [sys.executable, __file__, *sys.argv[1:], "--only", name]
        # One thread each: a decision is made beside other work, not on a machine of its own.
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        last = done.stderr.strip().splitlines()[-1:] or ["no output"]
        results.append(
            json.loads(done.stdout) if done.stdout else {"scorer": name, "does not run": last[0]}
        )
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, ", end="")
    print(f"Python {platform.python_version()}, seed {arguments.seed}\n")
    print("| scorer | p50 ms | p99 ms | prompts/s | memory MB |\n|---|---|---|---|---|")
    for r in results:
        if "does not run" in r:
            print(f"| {r['scorer']} | does not run here: {r['does not run']} | | | |")
        else:
            print(
                f"| {r['scorer']} | {r['p50_ms']:.3f} | {r['p99_ms']:.3f} "
                f"| {r['prompts_per_s']:,} | {r['memory_mb']} |"
            )
    print("\n" + json.dumps(results))


if __name__ == "__main__":
    main()
