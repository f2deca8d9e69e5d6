from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import numpy as np
import pytest

from graphroute.cli import run


def made(folder: Path, n: int = 240) -> Path:
    random = np.random.default_rng(0)
    lines = ["id,subject,prompt,weak,strong,contaminated"]
    for i in range(n):
        hard = bool(random.random() < 0.5)
        weak = int(random.random() < (0.1 if hard else 0.9))
        text = "Prove the theorem" if hard else "Add the apples"
        lines.append(f"q{i},{'hard' if hard else 'easy'},{text} {i} now,{weak},1,0")
    path = folder / "pairs.csv.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return made(tmp_path)


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.csv"
    path.write_text('id,prompt,extra\na,"Prove the theorem, 7 now",x\nb,Add the apples 7 now,y\n')
    return path


def rows(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_text())))


def test_train_then_score(
    data: Path, prompts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, scores = tmp_path / "w", tmp_path / "s.csv"
    assert run(["train", "--data", str(data), "--scorer", "lexical", "--out", str(out)]) == 0
    assert run(["score", str(prompts), "--weights", str(out), "--out", str(scores)]) == 0
    head, hard, easy = rows(scores)
    assert head == ["id", "score"]
    assert (hard[0], easy[0]) == ("a", "b")
    assert float(hard[1]) > float(easy[1]) + 0.1
    models = "weak,strong,openai:gpt-5"
    assert run(["score", str(prompts), "--weights", str(out), "--models", models]) == 0
    printed = capsys.readouterr().out
    found = list(csv.DictReader(io.StringIO(printed)))
    assert list(found[0]) == ["id", "model", "score"]
    assert [(r["id"], r["model"]) for r in found[:3]] == [
        ("a", "weak"),
        ("a", "strong"),
        ("a", "openai:gpt-5"),
    ]
    assert all(0 < float(r["score"]) < 1 for r in found)


def test_a_training_that_is_there_is_kept_and_a_cut_off_one_is_done_again(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "w"
    command = ["train", "--data", str(data), "--out", str(out), "--seed", "3"]
    assert run(command) == 0
    before = (out / "weights.npz").read_bytes()
    capsys.readouterr()
    assert run(command) == 0
    assert "already holds" in capsys.readouterr().err
    (out / "weights.npz").write_bytes(before[:100])
    assert run(command) == 0
    assert (out / "weights.npz").read_bytes() == before
    card = json.loads((out / "card.json").read_text())
    assert card["seed"] == 3
    assert card["data"] == ["pairs.csv.gz"]


def test_eval_gives_baselines_beside_every_router(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["eval", "--suite", "mmlu", "--data", str(data), "--folds", "3", "--limits", "100"]
    picture = tmp_path / "curve.svg"
    assert run([*base, "--ready", "lexical", "--plot", str(picture), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    found = {(r["router"], r["setting"]): r for r in report["pairs"]}
    assert {"random", "length", "tag table", "lexical", "lexical (shipped)"} == {
        name for name, _ in found
    }
    whole = found["lexical", "this suite, by folds"]
    assert whole["apgr"] > 0.65
    assert whole["low"] <= whole["apgr"] <= whole["high"]
    assert found["lexical", "100 of it, by folds"]["labels"] == 100
    assert b"<svg" in picture.read_bytes()
    assert run(base) == 0
    text = capsys.readouterr().out
    assert "*tag table* (baseline)" in text
    assert "CPT(80)" in text


def test_eval_among_many_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(1)
    prompts, long = ["id,prompt,task"], ["id,model,correct,cost_usd"]
    for i in range(200):
        hard = i % 2
        prompts.append(f"{i},{'Prove the theorem' if hard else 'Add the apples'} {i},t{hard}")
        for model, chance, cost in (("s", 0.2 if hard else 0.9, 0.001), ("l", 0.9, 0.1)):
            long.append(f"{i},{model},{int(random.random() < chance)},{cost}")
    for name, lines in (("p", prompts), ("o", long)):
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    files = [part for name in "po" for part in ("--data", str(tmp_path / f"{name}.csv"))]
    assert run(["eval", "--suite", "nway", *files, "--folds", "2", "--json"]) == 0
    gains = {r["router"]: r["gain"] for r in json.loads(capsys.readouterr().out)["gains"]}
    assert gains["one model for all"] == pytest.approx(0, abs=1e-6)
    assert gains["lexical"] > 0.2


def test_calibrate_finds_the_threshold_for_a_share_and_a_budget(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["calibrate", str(data), "--strong-share", "0.3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["share"] == pytest.approx(0.3, abs=0.02)
    assert found["model"].startswith("router-lexical-0.")
    budget = ["--budget", "0.4", "--strong-usd", "1", "--weak-usd", "0"]
    assert run(["calibrate", str(data), *budget]) == 0
    assert "40.0% strong calls" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--data", "none.csv", "--out", "w"], "cannot read"),
        (["train", "--data", "DATA", "--out", "w", "--scorer", "nobody"], "no scorer"),
        (["train", "--data", "DATA", "--out", "w", "--scorer", "length"], "is not trained"),
        (["train", "--data", "DATA", "--out", "w", "--models", "gpt"], "no outcomes of 'gpt'"),
        (["score", "none.csv"], "cannot read"),
        (["score", "DATA", "--weights", "nowhere"], "card.json"),
        (["score", "DATA", "--scorer", "length", "--models", "a"], "knows no models"),
        (["score", "DATA", "--models", ","], "names none"),
        (["eval", "--suite", "chess", "--data", "DATA"], "--suite chess"),
        (["calibrate", "DATA"], "one of --strong-share and --budget"),
        (["calibrate", "DATA", "--budget", "1"], "--strong-usd"),
    ],
)
def test_misuse_is_one_line_and_exit_code_2(
    arguments: list[str],
    message: str,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run([str(data) if word == "DATA" else word for word in arguments]) == 2
    told = capsys.readouterr().err.strip()
    assert message in told
    assert "Traceback" not in told
    assert not (tmp_path / "w").exists()
