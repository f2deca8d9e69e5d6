"""`graphroute eval`: the table of all suites, going on after a break, errors."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphroute.cli import run
from graphroute.evaluation import cells, crossval

PLAIN = ("--scorers", "lexical", "--ready", "", "--again")


def pairs(path: Path, n: int, name: str, *, seed: int = 0, subject: bool = False) -> Path:
    """A two-model file: the word `theorem` makes a prompt hard for the weak model."""
    random = np.random.default_rng(seed)
    lines = ["id,subject,prompt,weak,strong,contaminated"]
    for i in range(n):
        hard = bool(random.random() < 0.5)
        weak = int(random.random() < (0.1 if hard else 0.9))
        text = "Prove the theorem" if hard else "Add the apples"
        tag = ("hard" if hard else "easy") if subject else ""
        lines.append(f'q{i},{tag},"{text},\nnumber {name} {i}?",{weak},1,0')
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def many(folder: Path, n: int = 150) -> None:
    random = np.random.default_rng(1)
    prompts, long = ["id,prompt,task"], ["id,model,correct,cost_usd"]
    for i in range(n):
        hard = i % 2
        prompts.append(f"{i},{'Prove the theorem' if hard else 'Add the apples'} {i},t{hard}")
        for model, chance, cost in (("s", 0.2 if hard else 0.9, 0.001), ("l", 0.9, 0.1)):
            long.append(f"{i},{model},{int(random.random() < chance)},{cost}")
    for kind, lines in (("prompts", prompts), ("outcomes", long)):
        (folder / f"nway_tasks_{kind}.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "data"
    found.mkdir()
    pairs(found / "routellm_mmlu.csv", 160, "m", subject=True)
    pairs(found / "held_gsm8k_part2.csv", 120, "g", seed=1)
    pairs(found / "routellm_mtbench.csv", 30, "t", seed=2)
    many(found)
    (found / "README.csv").write_text("a,b\n1,2\n")
    return found


def ran(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    capsys.readouterr()
    code = run(["eval", *map(str, words)])
    out, err = capsys.readouterr()
    return code, out, err


def test_one_command_gives_every_test_beside_every_router(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "all.svg"
    words = ("--data", folder, "--folds", "3", "--limits", "60", *PLAIN, "--plot", picture)
    code, out, err = ran(capsys, *words, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["schema"] == "graphroute.evaluation/1"
    table = {(row["suite"], row["kind"]): row["routers"] for row in found["table"]}
    assert list(table) == [
        ("mmlu", "limit"),
        ("mmlu", "all"),
        ("gsm8k", "others"),
        ("gsm8k", "all"),
        ("mt-bench", "others"),
        ("nway", "all"),
    ]
    for key, routers in table.items():
        assert routers["lexical"]["value"] > (0.2 if key[0] == "nway" else 0.65), key
        assert routers["lexical"]["low"] <= routers["lexical"]["value"]
    assert table["gsm8k", "others"].keys() == {"lexical", "random", "length"}
    assert table["mmlu", "limit"].keys() == {"lexical", "tag table", "random", "length"}
    assert {row["router"] for row in found["latency"]} == {"lexical", "random", "length"}
    assert picture.read_bytes().count(b"<svg") == 1
    code, out, _ = ran(capsys, *words)
    assert code == 0
    lines = out.splitlines()
    assert any(line.startswith("| test | RouteLLM's best | lexical |") for line in lines)
    assert any(line.startswith("| GSM8K, from others | 0.622 | 0.") for line in lines)
    assert "| decision, p99 ms |" in out
    assert out.count("CPT(80)") == 3


def test_a_missing_file_is_a_row_left_out_with_a_remark(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "routellm_mmlu.csv").unlink()
    (folder / "nway_tasks_outcomes.csv").unlink()
    code, out, err = ran(capsys, "--data", folder, "--folds", "3", *PLAIN)
    assert code == 0, err
    assert "| GSM8K, in domain |" in out
    assert "| MMLU, all labels |" not in out
    assert "No row for mmlu: the data has no file of it." in out
    assert "No row for nway" in out
    # Nothing but MMLU is transferred to GSM8K.
    assert "| GSM8K, from others |" not in out


def test_a_folder_to_train_on_is_used_instead_of_folds(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = tmp_path / "held"
    held.mkdir()
    # One question of the training is among the held-back ones: it must not be learned from.
    pairs(held / "gsm8k.csv", 90, "h", seed=5)
    shutil.copy(folder / "held_gsm8k_part2.csv", held / "more_gsm8k.csv")
    code, out, err = ran(capsys, "--data", held, "--train", folder, *PLAIN, "--json")
    assert code == 2
    assert "all 120 questions to train on are also questions to predict" in err
    (held / "more_gsm8k.csv").unlink()
    code, out, err = ran(capsys, "--data", held, "--train", folder, *PLAIN, "--json")
    assert code == 0, err
    (report,) = json.loads(out)["reports"]
    learned = {r["kind"]: r["labels"] for r in report["pairs"] if r["router"] == "lexical"}
    assert learned == {"all": 120, "others": 160}


def test_a_router_no_better_than_the_tag_table_is_said_so_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(0)
    # The text says nothing; only the tag does.
    lines = ["id,subject,prompt,weak,strong"]
    for i in range(200):
        hard = int(random.integers(2))
        word = "".join(random.choice(list("abcdefgh"), 8))
        lines.append(f"{i},s{hard},{word},{1 - hard},1")
    (tmp_path / "mmlu.csv").write_text("\n".join(lines) + "\n")
    words = ("--suite", "mmlu", "--data", tmp_path / "mmlu.csv", "--limits", "", *PLAIN)
    code, out, err = ran(capsys, *words)
    assert code == 0, err
    assert "lexical (this suite, by folds) does not beat the tag table" in out
    code, out, _ = ran(capsys, "--data", tmp_path, "--limits", "", *PLAIN)
    assert "- MMLU, all labels: lexical no better than the tag table." in out


def test_what_is_finished_is_kept_and_gives_the_same_bytes(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--suite", "gsm8k", "--data", folder, "--scorers", "lexical", "--ready", "", "--json")
    state = tmp_path / "state"
    code, first, err = ran(capsys, *words, "--state", state)
    assert code == 0, err
    kept = sorted(state.iterdir())
    assert len(kept) == 5
    # Two folds are lost, one is damaged: those three are computed again.
    kept[0].unlink()
    kept[1].unlink()
    kept[2].write_bytes(kept[2].read_bytes()[:40])
    code, second, err = ran(capsys, *words, "--state", state)
    assert second == first
    assert "2 finished parts of an earlier call were used" in err
    code, again, err = ran(capsys, *words, "--state", state, "--again")
    assert again == first
    assert "finished parts" not in err
    # Another outcome in the file is another evaluation.
    path = folder / "held_gsm8k_part2.csv"
    path.write_text(path.read_text().replace('number g 0?",1', 'number g 0?",0'))
    code, _, err = ran(capsys, *words, "--state", state, "--seed", "1")
    assert "finished parts" not in err


_KILLED = """
import os, signal, sys
from graphroute.cli import run
from graphroute.evaluation import cells
write = cells.Cells._write
def dying(self, name, made, count=[0]):
    write(self, name, made)
    count[0] += 1
    if count[0] == 2:
        os.kill(os.getpid(), signal.SIGKILL)
cells.Cells._write = dying
run(sys.argv[1:])
"""


def test_an_evaluation_that_was_killed_goes_on_where_it_was(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r.json"
    words = ["--suite", "gsm8k", "--data", str(folder), "--scorers", "lexical", "--ready", ""]
    words += ["--json", "--out", str(out), "--state", str(tmp_path / "state")]
    died = subprocess.run(
        [sys.executable, "-c", _KILLED, "eval", *words], capture_output=True, check=False
    )
    assert died.returncode == -signal.SIGKILL
    assert not out.exists()
    code, _, err = ran(capsys, *words)
    assert code == 0, err
    assert "2 finished parts of an earlier call were used" in err
    resumed = out.read_bytes()
    assert ran(capsys, *words, "--again")[0] == 0
    assert out.read_bytes() == resumed


def test_a_split_never_learns_from_a_question_it_predicts(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[crossval.Split] = []
    learned = crossval.learned

    def watched(
        make: Any, data: Any, splits: tuple[crossval.Split, ...], **named: Any
    ) -> crossval.Predictions:
        seen.extend(splits)
        return learned(make, data, splits, **named)

    monkeypatch.setattr("graphroute.evaluation.suites.learned", watched)
    path = folder / "routellm_mmlu.csv"
    text = path.read_text()
    # Each question once more with other answer options and punctuation.
    double = text + "".join(
        row.replace("q", "r", 1).replace("number", "NUMBER -").replace("?", "\nA. yes\nB. no")
        for row in rows_of(text)
    )
    path.write_text(double)
    assert run(["eval", "--suite", "mmlu", "--data", str(folder), "--limits", "", *PLAIN]) == 0
    from graphroute.evaluation.outcomes import read
    from graphroute.scorers._folds import stem

    prompts = read([path]).prompts
    assert len(prompts) == 320
    assert len({stem(p) for p in prompts}) == 160
    for split in seen:
        asked = {stem(prompts[i]) for i in split.rows}
        assert not asked & {stem(p) for p in split.train.prompts}


def rows_of(text: str) -> Iterator[str]:
    import csv
    import io

    for row in list(csv.reader(io.StringIO(text)))[1:]:
        cells = io.StringIO()
        csv.writer(cells, lineterminator="\n").writerow(row)
        yield cells.getvalue()


def test_labels_chosen_against_labels_at_random_as_a_curve(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--suite", "mmlu", "--data", folder, "--choice", "--folds", "2", *PLAIN)
    code, out, err = ran(capsys, *words, "--limits", "40,20", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert [p["labels"] for p in found["points"]] == [20, 40]
    for point in found["points"]:
        assert point["more"] == pytest.approx(point["chosen"] - point["random"])
        assert point["more_low"] <= point["more"] <= point["more_high"]
        assert point["random_low"] < point["random"] < point["random_high"]
    code, out, _ = ran(capsys, *words, "--limits", "40")
    assert code == 0
    assert "| lexical | 40 | 0." in out
    code, _, err = ran(capsys, *words, "--limits", "4000")
    assert code == 2
    assert "to choose from" in err
    assert ran(capsys, *words[2:], "--suite", "nway")[0] == 2


def test_a_router_that_cannot_run_here_is_left_out_with_its_reason(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("graphroute.scorers._mf_fit.find_spec", lambda _name: None)
    words = ("--suite", "gsm8k", "--data", folder, "--ready", "", "--again", "--scorers")
    code, out, err = ran(capsys, *words, "lexical,mf")
    assert code == 0, err
    assert "mf was left out: training scorer 'mf' needs torch" in out
    assert "| lexical |" in out
    code, _, err = ran(capsys, *words, "mf")
    assert code == 1
    assert "needs torch" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--suite", "chess", "--data", "."), "--suite chess"),
        (("--data", "nowhere"), "is no folder"),
        (("--data", "."), "no outcomes of any suite"),
        (("--data", ".", "--routellm", "."), "is no checkout of RouteLLM"),
        (("--data", ".", "--suite", "mmlu"), "has no file of suite 'mmlu'"),
        (("--data", ".", "--plot", "x.doc"), "cannot write the plot"),
        (("--data", ".", "--limits", "many"), "--limits 'many'"),
        (("--data", ".", "--scorers", "nobody"), "no scorer"),
        (("--data", "one.csv", "--suite", "mmlu"), "fewer than two folds"),
        (("--data", "nan.csv", "--suite", "mmlu"), "no prompt has an outcome"),
        (("--data", "half.csv", "--suite", "mmlu"), "no prompt has an outcome of both"),
        (("--data", "empty.csv", "--suite", "mmlu"), "'empty.csv' has no rows"),
        (("--data", "inf.csv", "--suite", "mmlu"), "'inf.csv' line 2"),
        (("--data", "ten.csv", "--suite", "mmlu"), "'ten.csv' line 3"),
    ],
)
def test_misuse_is_one_line_that_says_what_to_do(
    words: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    head = "prompt,weak,strong\n"
    (tmp_path / "one.csv").write_text(head + "p,0,1\n")
    (tmp_path / "nan.csv").write_text(head + "p,,\nq,nan,\n")
    (tmp_path / "half.csv").write_text(head + "p,1,\nq,,1\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "inf.csv").write_text(head + "p,inf,1\n")
    (tmp_path / "ten.csv").write_text(head + "p,9,10\nq,11,3\n")
    monkeypatch.chdir(work)
    asked = [str(tmp_path / w) if w.endswith(".csv") else w for w in words]
    code, out, err = ran(capsys, *asked, "--ready", "", "--state", tmp_path / "state")
    assert code == 2, err
    assert message in err.splitlines()[-1]
    assert out == ""
    assert not list(work.iterdir())


def test_one_class_only_has_no_gap_and_says_nothing_false(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = "".join(f"Ünïcödé {i}?,1,1\n" for i in range(60))
    (tmp_path / "mmlu.csv").write_text("prompt,weak,strong\n" + lines, encoding="utf-8")
    code, out, err = ran(capsys, "--data", tmp_path, *PLAIN, "--json")
    assert code == 0, err
    assert all(r["apgr"] is None for r in json.loads(out)["reports"][0]["pairs"])
    code, out, _ = ran(capsys, "--data", tmp_path, *PLAIN)
    assert "nan" not in out.lower()
    assert "there is no gap to recover" in out


def test_cells_of_another_scorer_or_source_are_never_found(tmp_path: Path) -> None:
    from graphroute.scorers.length import build
    from graphroute.scorers.lexical import untrained

    one = cells.name_of(untrained(), None, ["a", "b"])
    assert one == cells.name_of(untrained(), None, ["a", "b"])
    others = {
        cells.name_of(build(), None, ["a", "b"]),
        cells.name_of(untrained(), None, ["ab", ""]),
        cells.name_of(untrained(), None, ["a", "b"], seed=1),
    }
    assert len(others | {one}) == 4


def test_a_state_that_cannot_be_written_is_told(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    words = ("--suite", "gsm8k", "--data", folder, "--scorers", "lexical", "--ready", "")
    code, _, err = ran(capsys, *words, "--state", blocked / "in")
    assert code == 2
    assert "give --state a folder that may be written" in err
    assert set(os.listdir(tmp_path)) == {"data", "file"}
