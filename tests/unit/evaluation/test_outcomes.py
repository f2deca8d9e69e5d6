from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from graphroute.errors import InvalidValue
from graphroute.evaluation import checkout, outcomes
from graphroute.evaluation.choice import drawn, even
from graphroute.evaluation.crossval import by_folds, joined, tag_table
from graphroute.evaluation.tagged import TagTable
from graphroute.evaluation.threshold import share_for_budget, threshold_for


def write(path: Path, text: str) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


PAIR = 'id,subject,prompt,weak,strong,contaminated\na,x,"p, 1",1,0,0\nb,y,p2,0,1,1\nc,y,p3,,1,0\n'


@pytest.mark.parametrize("name", ["pair.csv", "pair.csv.gz"])
def test_two_model_files(tmp_path: Path, name: str) -> None:
    data = outcomes.read([write(tmp_path / name, PAIR)], pair=("w", "s"))
    assert data.prompts == ("p, 1", "p3")
    assert data.models == ("s", "w")
    assert data.tags == ("x", "y")
    assert np.isnan(data.correct[1, 1])
    assert data.correct[0].tolist() == [0.0, 1.0]
    assert len(outcomes.read([tmp_path / name], is_clean=False).prompts) == 3


def test_scores_up_to_ten_are_scaled_for_the_whole_file(tmp_path: Path) -> None:
    path = write(tmp_path / "mt.csv", "prompt,weak,strong\na,8,9.5\nb,1,10\n")
    assert outcomes.read([path]).correct.max() == 1.0
    assert outcomes.read([path]).correct.min() == 0.1


def test_several_outcomes_of_a_model_on_a_prompt_count_as_their_mean(tmp_path: Path) -> None:
    prompts = write(tmp_path / "p.csv", "id,prompt\n1,one\n2,two\n3,three\n")
    long = write(tmp_path / "o.csv", "id,model,correct\n1,m,1\n1,m,0\n1,m,\n1,n,\n2,n,1\n")
    data = outcomes.read([prompts, long])
    assert data.ids == ("1", "2")  # nothing is known of the third
    assert data.correct[0, 0] == 0.5
    assert np.isnan(data.correct[[0, 1], [1, 0]]).all()


def test_prompts_and_outcomes_in_any_order_and_beside_pairs(tmp_path: Path) -> None:
    prompts = write(tmp_path / "p.csv", "id,prompt,task,domain\n1,one,t,d\n2,two,t,t\n")
    long = write(tmp_path / "o.csv", "id,model,correct\n1,m,1\n2,m,True\n9,m,0\n1,n,0\n")
    pair = write(tmp_path / "pair.csv", PAIR)
    data = outcomes.read([long, prompts, pair])
    assert data.models == ("m", "n", "strong", "weak")
    assert data.prompts == ("one", "two", "p, 1", "p3")
    assert data.tags[:2] == ("t/d", "t")
    assert data.correct[:2, 0].tolist() == [1.0, 1.0]
    only = outcomes.read([prompts, long], models=["n"])
    assert only.prompts == ("one",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "neither of two models"),
        ("prompt,weak,strong\np,yes,1\n", "'yes' in column 'weak'"),
        ("prompt,weak,strong\np\n", "too few columns"),
        ("id,prompt\n1,p\n1,q\n", "twice"),
        ("id,prompt\n1,p\n", "no prompt has an outcome"),
        ("prompt,weak,strong\n", "no rows"),
    ],
)
def test_files_that_cannot_be_used_say_why(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        outcomes.read([write(tmp_path / "f.csv", text)])


def test_damaged_and_missing_files_say_why(tmp_path: Path) -> None:
    good = gzip.compress(PAIR.encode() * 50)
    (tmp_path / "cut.csv.gz").write_bytes(good[: len(good) // 2])
    (tmp_path / "latin.csv").write_bytes(b"prompt,weak,strong\n\xff\xfe,1,1\n")
    for name in ("cut.csv.gz", "latin.csv", "none.csv"):
        with pytest.raises(InvalidValue, match="cannot read"):
            outcomes.read([tmp_path / name])


def test_a_checkout_of_routellm_is_read_as_it_is(tmp_path: Path) -> None:
    root = tmp_path / "routellm" / "evals"
    (root / "mmlu" / "responses").mkdir(parents=True)
    (root / "mt_bench").mkdir()
    head = "prompt,mistralai/Mixtral-8x7B-Instruct-v0.1,gpt-4-1106-preview\n"
    write(root / "mmlu" / "responses" / "mmlu_law.csv", head + "p1,True,False\np2,False,True\n")
    write(root / "mmlu" / "contaminated_prompts.jsonl", '{"eval_prompt": "p2"}\n')
    questions = [{"question_id": i, "category": "c", "turns": [f"t{i}", "u"]} for i in (1, 2)]
    judged = [
        {"question_id": i, "model": m, "score": s}
        for i in (1, 2)
        for m, scores in ((checkout.WEAK, (4, 6)), (checkout.STRONG, (10, 8)))
        for s in scores
    ]
    for name, lines in (("question", questions), ("judgements", judged)):
        write(root / "mt_bench" / f"{name}.jsonl", "\n".join(json.dumps(x) for x in lines))
    write(root / "mt_bench" / "contaminated_prompts.jsonl", '{"eval_prompt": "t2"}\n')
    assert checkout.is_checkout(tmp_path)
    mmlu = checkout.read(tmp_path, "mmlu")
    assert (mmlu.prompts, mmlu.tags, mmlu.correct.tolist()) == (("p1",), ("law",), [[1.0, 0.0]])
    bench = checkout.read(tmp_path, "mt-bench")
    assert bench.prompts == ("t1",)
    assert bench.correct.tolist() == [[0.5, 0.9]]
    with pytest.raises(InvalidValue, match="cannot read"):
        checkout.read(tmp_path, "gsm8k")


def test_the_tag_table_is_shrunk_and_knows_nothing_of_other_tags(tmp_path: Path) -> None:
    rows = "".join(f"p{i},{'a' if i % 2 else 'b'},{i % 2},1\n" for i in range(200))
    data = outcomes.read([write(tmp_path / "f.csv", "prompt,subject,weak,strong\n" + rows)])
    weak = data.models.index("weak")
    table = TagTable().fit(data).success(["a", "b", "?"])[:, weak]
    assert table.tolist() == pytest.approx([105 / 110, 5 / 110, 0.5])
    found = tag_table(data, by_folds(data, np.arange(200) % 5))
    assert np.isfinite(found.value).all()
    assert found.labels == 160


def test_joined_outcomes_keep_each_models_column(tmp_path: Path) -> None:
    one = outcomes.read([write(tmp_path / "f.csv", PAIR)], pair=("w", "s"))
    other = outcomes.read([write(tmp_path / "g.csv", PAIR)], pair=("w", "t"))
    both = joined(one, other)
    assert both.models == ("s", "w", "t")
    assert np.isnan(both.correct[:2, 2]).all()
    assert both.correct[2, 2] == one.correct[0, 0]


def test_choosing_prompts(tmp_path: Path) -> None:
    rows = "".join(f"p{i},0,1\n" for i in range(50))
    data = outcomes.read([write(tmp_path / "f.csv", "prompt,weak,strong\n" + rows)])
    assert len(drawn(data, 10, seed=1).prompts) == 10
    assert drawn(data, 10, seed=1).prompts == drawn(data, 10, seed=1).prompts
    assert len(drawn(data, 1000).prompts) == 50
    with pytest.raises(InvalidValue):
        drawn(data, 0)
    points = np.concatenate((np.zeros((300, 2)), np.ones((100, 2))))
    chosen = even(points, 40)
    assert len(set(chosen.tolist())) == 40
    assert (chosen >= 300).sum() == 10


def test_thresholds_for_shares_and_budgets() -> None:
    scores = np.linspace(0, 1, 101)
    found = threshold_for(scores, 0.3)
    assert (scores >= found.threshold).mean() == pytest.approx(found.share)
    assert found.low < 0.3 < found.high
    assert threshold_for([0.5] * 10, 0.2).share == 0.0
    assert threshold_for([0.5] * 10, 0.8).share == 1.0
    assert threshold_for(scores, 0.0).threshold > 1.0
    with pytest.raises(InvalidValue, match="below the price of a weak call"):
        share_for_budget(0.1, strong_usd=1.0, weak_usd=0.2)
    with pytest.raises(InvalidValue, match="dearer"):
        share_for_budget(0.1, strong_usd=0.1, weak_usd=0.2)
    assert share_for_budget(9, strong_usd=1.0) == 1.0
