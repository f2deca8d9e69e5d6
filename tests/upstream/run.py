"""Run LangGraph's own tests plain and with every compiled graph optimized, and compare.

    python tests/upstream/run.py CHECKOUT [--jobs 2] [--only TEXT] [--repeat 3]

CHECKOUT is a checkout of langchain-ai/langgraph; only its test folders are read, and they run
against the *installed* langgraph, in a copy outside the checkout. Memory and SQLite backends only:
no servers. A test that passes plain must pass optimized. One that does not is run again both ways,
so that a test which is unsteady by itself is told apart and named.

Exit code 0: nothing that passes plain fails optimized; 1: something does; 2: cannot run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
PACKAGES = ("langgraph", "prebuilt")
NEEDS = (
    "pytest_mock",
    "syrupy",
    "redis",
    "psycopg",
    "psycopg_pool",
    "aiosqlite",
    "Crypto",
    "requests",
    "langgraph.checkpoint.sqlite",
    "langgraph.checkpoint.postgres",
)
SERVERS = ("postgres", "redis")
"""Parameters that need a server; such tests are left out where they are collected at all."""

INI = """[pytest]
asyncio_mode = {asyncio}
markers =
    anyio: LangGraph's tests say which loop they run on
"""

Outcomes = dict[str, str]


def run(
    folder: Path, way: str, *, jobs: int, only: str | None, tests: list[str] | None = None
) -> Outcomes:
    """Outcome of each test of the copied suite in `folder`, run `way` ("plain", "optimized")."""
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as written:
        deselect = " and ".join(f"not {server}" for server in SERVERS)
        command = [sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=no"]
        command += ["-p", "no:cacheprovider", "-p", "every_compile", "-c", "pytest.ini"]
        command += ["-W", "ignore", "--timeout=120", "-k", only or deselect]
        command += ["-n", str(jobs)] if jobs > 1 and (tests is None or len(tests) > 20) else []
        environment = os.environ | {
            "NO_DOCKER": "true",
            "PYTHONPATH": os.pathsep.join([str(folder), str(HERE)]),
            "PYTHONHASHSEED": "0",
            "GRAPHROUTE_UPSTREAM": way,
            "GRAPHROUTE_OUTCOMES": written.name,
            "LANGSMITH_TRACING": "false",
        }
        done = subprocess.run(
            [*command, *(tests if tests is not None else ["tests"])],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        lines = Path(written.name).read_text(encoding="utf-8").splitlines()
    if not lines and done.returncode != pytest.ExitCode.NO_TESTS_COLLECTED:
        raise SystemExit(f"no test ran in {folder.name}:\n{done.stdout[-3000:]}\n{done.stderr}")
    return {row["test"]: row["outcome"] for row in map(json.loads, lines)}


def verdicts(
    folder: Path, failing: list[str], *, jobs: int, repeat: int
) -> tuple[list[str], list[str]]:
    """(tests that fail because of the optimization, lines on those unsteady by themselves)."""
    plain: Counter[str] = Counter()
    optimized: Counter[str] = Counter()
    for _ in range(repeat):
        for counter, way in ((plain, "plain"), (optimized, "optimized")):
            outcomes = run(folder, way, jobs=jobs, only="test", tests=failing)
            counter.update(test for test, outcome in outcomes.items() if outcome == "passed")
    broken = [t for t in failing if optimized[t] == 0 or (plain[t] == repeat > 2 * optimized[t])]
    unsteady = [
        f"{t}: passed {plain[t] + 1}/{repeat + 1} plain, {optimized[t]}/{repeat + 1} optimized"
        for t in failing
        if t not in broken
    ]
    return broken, unsteady


def copy_suite(checkout: Path, package: str, target: Path) -> Path:
    """The package's tests beside an own pytest.ini, so that the installed langgraph is imported."""
    tests = checkout / "libs" / package / "tests"
    if not tests.is_dir():
        print(f"no folder libs/{package}/tests in {checkout}: give a langgraph checkout")
        raise SystemExit(2)
    folder = target / package
    shutil.copytree(tests, folder / "tests")
    asyncio = "auto" if package == "prebuilt" else "strict"
    (folder / "pytest.ini").write_text(INI.format(asyncio=asyncio), encoding="utf-8")
    return folder


def missing() -> list[str]:
    """Packages the suite imports and this environment lacks."""

    def is_there(name: str) -> bool:
        try:
            return find_spec(name) is not None
        except ModuleNotFoundError:
            return False

    return [name for name in NEEDS if not is_there(name)]


def main() -> int:
    """Run both ways over both packages and print the counts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", help="a pytest -k expression instead of the whole suite")
    given = parser.parse_args()
    if lacks := missing():
        print(f"missing: {', '.join(lacks)}; pip install --group upstream")
        return 2
    print(
        f"langgraph {version('langgraph')}, langchain-core {version('langchain-core')}, "
        f"Python {platform.python_version()}, {os.cpu_count()} CPUs"
    )
    is_broken = False
    with tempfile.TemporaryDirectory(prefix="upstream-") as temporary:
        for package in PACKAGES:
            folder = copy_suite(given.checkout, package, Path(temporary))
            started = time.monotonic()
            plain = run(folder, "plain", jobs=given.jobs, only=given.only)
            optimized = run(folder, "optimized", jobs=given.jobs, only=given.only)
            passing = [test for test, outcome in plain.items() if outcome == "passed"]
            failing = [test for test in passing if optimized.get(test) != "passed"]
            gained = [t for t, o in optimized.items() if o == "passed" and plain.get(t) == "failed"]
            broken, unsteady = (
                verdicts(folder, failing, jobs=given.jobs, repeat=given.repeat)
                if failing
                else ([], [])
            )
            is_broken |= bool(broken)
            counts = Counter(plain.values())
            print(
                f"{package}: {len(plain)} tests ran plain: {counts['passed']} passed, "
                f"{counts['failed']} failed, {counts['skipped']} skipped; of the passing, "
                f"{len(passing) - len(failing)} passed optimized at once, {len(unsteady)} are "
                f"unsteady, {len(broken)} are broken ({time.monotonic() - started:.0f} s)"
            )
            for text, names in (
                ("fails both ways", [t for t, o in plain.items() if o == "failed"]),
                ("failed plain, passed optimized", gained),
                ("unsteady", unsteady),
                ("BROKEN", broken),
            ):
                for name in names:
                    print(f"  {text}: {name}")
    return int(is_broken)


if __name__ == "__main__":
    raise SystemExit(main())
