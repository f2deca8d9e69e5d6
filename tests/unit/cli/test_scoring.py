from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from graphroute.cli import run
from graphroute.ir.record import CallRecord
from graphroute.store.records import RecordStore
from tests.unit import calls


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


def recorded(path: Path, *rows: Mapping[str, object]) -> Path:
    base = {"node": "draft", "model": "weak", "cost_nano": 1_000_000}
    path.write_text(json.dumps({"records": [{**base, **row} for row in rows]}))
    return path


def test_calibrating_on_records_with_prompts_is_the_same_as_on_the_prompts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [f"{'Prove the theorem' if i % 2 else 'Add the apples'} {i}" for i in range(40)]
    file = tmp_path / "p.csv"
    file.write_text("id,prompt\n" + "".join(f"{i},{t}\n" for i, t in enumerate(texts)))
    kept = recorded(tmp_path / "r.json", *({"prompt": t} for t in texts))
    answers = []
    for source in ([str(file)], ["--records", str(kept)]):
        assert run(["calibrate", *source, "--strong-share", "0.5", "--json"]) == 0
        answers.append(json.loads(capsys.readouterr().out))
    assert answers[0] == answers[1]
    assert answers[0]["of"] == "need"
    assert answers[0]["model"].startswith("router-lexical-0.")


def test_records_without_prompts_are_calibrated_by_their_difficulty_and_what_they_cost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"difficulty": i / 100, "model": "weak" if i < 60 else "strong"} for i in range(100)]
    for row in rows:
        row["cost_nano"] = 1_000_000 if row["model"] == "weak" else 11_000_000
    asked = {"difficulty": None, "model": "judge", "why": "check", "cost_nano": 1}
    path = recorded(tmp_path / "r.json", *rows, {"difficulty": None}, asked)
    assert run(["calibrate", "--records", str(path), "--budget", "0.004", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    # A weak call costs $0.001 and a strong one $0.011: $0.004 a call is 30 % strong.
    assert answer["wanted_share"] == pytest.approx(0.3)
    assert answer["threshold"] == pytest.approx(0.70)
    assert (answer["of"], answer["prompts"]) == ("difficulty", 100)
    assert "model" not in answer


def test_calibrating_on_one_node_of_a_record_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = RecordStore(tmp_path / "records.sqlite3")
    for i in range(20):
        store.add(call("draft" if i < 10 else "check", difficulty=i / 20))
        store.add(call("draft", why="check", difficulty=0.5))
    assert store.flush()
    command = ["calibrate", "--records", str(tmp_path), "--strong-share", "0.2", "--json"]
    assert run([*command, "--node", "draft"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["prompts"], answer["threshold"]) == (10, 0.4)
    assert run([*command, "--node", "nowhere"]) == 2
    assert "'check', 'draft'" in capsys.readouterr().err


def test_a_sample_of_the_prompts_depends_on_the_seed_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recorded(tmp_path / "r.json", *({"difficulty": i / 500} for i in range(500)))
    answers = []
    for seed in ("1", "1", "2"):
        command = ["calibrate", "--records", str(path), "--strong-share", "0.3", "--json"]
        assert run([*command, "--limit", "50", "--seed", seed]) == 0
        answers.append(json.loads(capsys.readouterr().out))
    assert answers[0] == answers[1]
    assert answers[0]["threshold"] != answers[2]["threshold"]
    assert answers[0]["prompts"] == 50


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "record 1 is no object"),
        ("{}", "no list under 'records'"),
        ("nonsense", "has no records"),
        ('[{"node": "a"}]', "names no node and model"),
        ('[{"node": "a", "model": "m", "cost_nano": -1}]', "cost_nano is -1"),
        ('[{"node": "a", "model": "m", "difficulty": 2}]', "difficulty is 2"),
        ('[{"node": "a", "model": "m"}]', "none of 1 records has a prompt or a difficulty"),
        ("[]", "has no calls"),
    ],
)
def test_records_that_cannot_be_used_are_told(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.json"
    path.write_text(text)
    assert run(["calibrate", "--records", str(path), "--strong-share", "0.5"]) == 2
    assert message in capsys.readouterr().err


def test_calibrating_needs_one_source(
    prompts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["calibrate", "--strong-share", "0.5"]) == 2
    both = [str(prompts), "--records", str(tmp_path / "r.json")]
    assert run(["calibrate", *both, "--strong-share", "0.5"]) == 2
    assert capsys.readouterr().err.count("one of PROMPTS.csv and --records") == 2


def test_a_new_model_joins_by_its_labels_and_by_a_stated_quality(
    data: Path, prompts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "w"
    assert run(["train", "--data", str(data), "--out", str(weights)]) == 0
    known, outcomes = tmp_path / "known.csv", tmp_path / "labels.csv"
    lines = [("Prove the theorem" if i % 2 else "Add the apples", i) for i in range(40)]
    known.write_text("id,prompt\n" + "".join(f"q{i},{t} {i} now\n" for t, i in lines))
    # The newcomer is right on all sums and on no proof.
    outcomes.write_text("id,model,correct\n" + "".join(f"q{i},new,{1 - i % 2}\n" for _, i in lines))

    def scores(*options: str) -> dict[str, float]:
        command = ["score", str(prompts), "--weights", str(weights), "--models", "new,weak"]
        assert run([*command, *options]) == 0
        found = csv.DictReader(io.StringIO(capsys.readouterr().out))
        return {row["id"]: float(row["score"]) for row in found if row["model"] == "new"}

    plain = scores()
    stated = scores("--quality", "new=0.95")
    learned = scores("--labels", str(known), "--labels", str(outcomes))
    assert stated["b"] > plain["b"]
    assert learned["b"] - learned["a"] > plain["b"] - plain["a"]
    assert learned["b"] > 0.8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--quality", "new"], "corp:assistant=0.7"),
        (["--quality", "new=high"], "corp:assistant=0.7"),
        (["--quality", "new=2"], "strictly between 0 and 1"),
    ],
)
def test_bad_priors_are_told(
    options: list[str], message: str, prompts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["score", str(prompts), "--models", "new", *options]) == 2
    assert message in capsys.readouterr().err
    assert run(["score", str(prompts), *options[:1], "new=0.5"]) == 2
    assert "name them by --models" in capsys.readouterr().err


def call(node: str, difficulty: float, *, why: str = "plan") -> CallRecord:
    return calls.call(node=node, difficulty=difficulty, why=why, started_s=1_800_000_000.0)
