"""Speed and memory of our scorers beside RouteLLM's own MF and BERT routers, in one run.

    python benchmarks/routellm_speed.py --data routellm_mmlu.csv.gz --routellm CHECKOUT

CHECKOUT is a checkout of RouteLLM. Its router classes run as they are, with random weights of their
own sizes (128 × 64 models × 1,536 numbers; BERT base, 110 million) and, for BERT, a word-piece
vocabulary of 30,522 learned from the prompts: quality means nothing here, speed does. The network
service that MF asks for an embedding is replaced by one that answers at once, so what is measured
of it is what remains without the network. Needs torch, transformers, huggingface_hub and openai
for their two; what else their modules import and never use here is replaced by placeholders.

Each scorer has a process of its own on one core with one thread: latency of one prompt a call
(after a warm-up), on the clock and in processor time (which other work on the machine does not
lengthen), prompts per second in one call with all of them, and what loading and the first calls add
to the resident memory.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import _machine
import numpy as np
import psutil

from graphroute import registry
from graphroute.evaluation import outcomes
from graphroute.evaluation.choice import drawn
from graphroute.protocols import Outcomes

OURS = ("lexical", "mf", "similarity", "encoder")
THEIRS = ("RouteLLM mf", "RouteLLM bert")
_LEARNED = {"similarity": 5000, "encoder": 300}
"""Prompts to train on; how well they learn changes no speed, how much they remember does."""

_EMBEDDING = 1536
_VOCABULARY = 30_522

Score = Callable[[Sequence[str]], object]


def ours(name: str, data: Outcomes, seed: int) -> Score:
    """The scorer's `difficulty`, with shipped weights or trained on the data."""
    module = registry.load("scorers", name)
    if getattr(module, "SHIPPED", None):
        return _method(registry.build("scorers", name))
    with tempfile.TemporaryDirectory() as folder:
        learner = module.untrained().fit(drawn(data, _LEARNED[name], seed=seed), seed=seed)
        learner.save(Path(folder))
        return _method(module.build(weights=folder))


def theirs(name: str, checkout: Path, prompts: Sequence[str], seed: int) -> Score:
    """RouteLLM's router of that name; ImportError where it cannot run."""
    import torch

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    routers = _their_module(checkout)
    with tempfile.TemporaryDirectory() as folder:
        if name.endswith("mf"):
            model = importlib.import_module("routellm.routers.matrix_factorization.model")
            sizes = {"dim": 128, "num_models": 64, "text_dim": _EMBEDDING, "num_classes": 1}
            model.MFModel(**sizes, use_proj=True).save_pretrained(folder)
            vector = np.random.default_rng(seed).standard_normal(_EMBEDDING).tolist()
            answer = SimpleNamespace(data=[SimpleNamespace(embedding=vector)])
            at_once = SimpleNamespace(create=lambda **_: answer)
            setattr(model, "OPENAI_CLIENT", SimpleNamespace(embeddings=at_once))  # noqa: B010
            router = routers.MatrixFactorizationRouter(checkpoint_path=folder)
        else:
            _random_bert(Path(folder), prompts)
            router = routers.BERTRouter(checkpoint_path=folder)

    def rates(texts: Sequence[str]) -> list[float]:
        # As its controller does it: these routers are marked as not to be run in parallel.
        return [router.calculate_strong_win_rate(text) for text in texts]

    return rates


def _their_module(checkout: Path) -> Any:
    if not (checkout / "routellm" / "routers" / "routers.py").exists():
        raise ImportError(f"no routellm/routers/routers.py in {checkout.name!r}")
    for needed in ("transformers", "huggingface_hub", "openai"):
        if importlib.util.find_spec(needed) is None:
            raise ImportError(f"needs {needed}")
    os.environ.setdefault("OPENAI_API_KEY", "none")  # its client wants one before it is asked
    sys.path.insert(0, str(checkout))
    missing = [n for n in ("datasets", "pandas", "sklearn") if importlib.util.find_spec(n) is None]
    names = [name for n in missing for name in (n, f"{n}.linear_model")]
    sys.modules.update({name: _Placeholder(name) for name in names})
    try:
        return importlib.import_module("routellm.routers.routers")
    finally:
        # Others ask which packages there are, and must not find these.
        for name in names:
            del sys.modules[name]


class _Placeholder(ModuleType):
    """Stands for a package that is imported and not used: any name is there, none does anything."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def _random_bert(folder: Path, prompts: Sequence[str]) -> None:
    """BERT base with three classes, as RouteLLM's, and a vocabulary, both written to `folder`."""
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    config = BertConfig(num_labels=3, vocab_size=_VOCABULARY)
    pieces = BertWordPieceTokenizer()
    pieces.train_from_iterator(prompts, vocab_size=_VOCABULARY, show_progress=False)
    pieces.save_model(str(folder))
    BertTokenizerFast(
        vocab_file=str(folder / "vocab.txt"),
        tokenizer_object=pieces._tokenizer,
        model_max_length=config.max_position_embeddings,
    ).save_pretrained(folder)
    BertForSequenceClassification(config).save_pretrained(folder)


def _method(scorer: Any) -> Score:
    found: Score = scorer.difficulty
    return found


def measure(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """The figures of one scorer, in this process."""
    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):
        process.cpu_affinity([process.cpu_affinity()[-1]])
    data = outcomes.read([Path(arguments.data)])
    count = arguments.prompts
    prompts = [str(p) for p in drawn(data, count, seed=arguments.seed).prompts]
    before = process.memory_info().rss
    try:
        if name in THEIRS:
            score = theirs(name, Path(arguments.routellm), data.prompts, arguments.seed)
        else:
            score = ours(name, data, arguments.seed)
    except ImportError as error:
        return {"scorer": name, "does not run": str(error)}
    score(prompts[:20])
    memory = process.memory_info().rss - before
    # The same prompts for all; the slow ones get fewer of them, in the same order.
    start = time.perf_counter()
    score(prompts[:5])
    each = (time.perf_counter() - start) / 5
    used = prompts[: max(100, min(count, int(arguments.seconds / max(each, 1e-6))))]
    times, busy = [], []
    for prompt in used:
        start, cpu = time.perf_counter(), time.thread_time()
        score([prompt])
        busy.append(time.thread_time() - cpu)
        times.append(time.perf_counter() - start)
    start = time.perf_counter()
    score(used)
    rate = len(used) / (time.perf_counter() - start)
    p50, p99 = np.quantile(times, (0.5, 0.99)) * 1e3
    return {
        "scorer": name,
        "prompts": len(used),
        "p50_ms": round(float(p50), 4),
        "p99_ms": round(float(p99), 4),
        "p99_cpu_ms": round(float(np.quantile(busy, 0.99)) * 1e3, 4),
        "prompts_per_s": round(rate),
        "memory_mb": round(memory / 1e6, 1),
        "load": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    """Measure each scorer in its own process and print a table, then the raw result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--routellm", required=True)
    parser.add_argument("--prompts", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=40.0, help="at most, for one latency row")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(measure(arguments.only, arguments)))
        return
    print(_machine.describe(seed=arguments.seed))
    print("\n| scorer | prompts | p50 ms | p99 ms | p99 CPU ms | prompts/s | memory MB | load |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    one = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(one, "1"), "TOKENIZERS_PARALLELISM": "false"}
    results = []
    for name in (*OURS, *THEIRS):
        command = [sys.executable, __file__, *sys.argv[1:], "--only", name]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        last = (done.stdout.strip().splitlines() or [""])[-1]
        told = (done.stderr.strip().splitlines() or ["no output"])[-1]
        r = json.loads(last) if last.startswith("{") else {"scorer": name, "does not run": told}
        results.append(r)
        if "does not run" in r:
            print(f"| {name} | does not run here: {r['does not run']} | | | | | | |", flush=True)
        else:
            print(
                f"| {name} | {r['prompts']:,} | {r['p50_ms']:.3f} | {r['p99_ms']:.3f} "
                f"| {r['p99_cpu_ms']:.3f} "
                f"| {r['prompts_per_s']:,} | {r['memory_mb']} | {r['load']} |",
                flush=True,
            )
    print("\n" + json.dumps(results))


if __name__ == "__main__":
    main()
