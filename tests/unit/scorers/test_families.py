"""What is particular to single families of scorers."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from graphroute.errors import InvalidValue, PrivacyViolation, ProviderUnavailable
from graphroute.protocols import Outcomes
from graphroute.scorers import causal, length, lexical, mf, random, routellm, similarity
from graphroute.scorers._embed import named


class TestLexical:
    def test_a_list_of_many_models_keeps_a_low_rank(self, many: Outcomes) -> None:
        scorer = lexical.untrained(rank=2).fit(many)
        assert scorer.success(["Prove the theorem"]).shape == (1, 9)
        order = scorer.success(["Prove the theorem number 3"])[0]
        assert order[-1] > order[0] + 0.3

    def test_bad_options_are_refused(self) -> None:
        with pytest.raises(InvalidValue, match="penalty"):
            lexical.untrained(penalty=0)

    def test_its_fast_difficulty_is_that_of_all_models(self) -> None:
        scorer = lexical.build()
        prompts = ["Prove it.", "", "Say hello " * 500]
        slow = scorer._difficulty(scorer._raw(prompts))
        assert scorer.difficulty(prompts) == pytest.approx(slow, abs=1e-5)


class TestSimilarity:
    def test_added_outcomes_count_from_the_next_prompt_on(self, data: Outcomes) -> None:
        scorer = similarity.untrained().fit(data)
        prompt = "Add the apples number 7 with 50 steps."
        before = scorer.success([prompt])[0, 0]
        wrong = Outcomes(
            prompts=(prompt,) * 60, models=data.models, correct=np.tile((0.0, 1.0), (60, 1))
        )
        scorer.add(wrong)
        assert scorer.success([prompt])[0, 0] < before

    def test_outcomes_of_other_models_are_refused(self, data: Outcomes) -> None:
        scorer = similarity.untrained().fit(data)
        with pytest.raises(InvalidValue, match="outcomes of a"):
            scorer.add(Outcomes(prompts=("p",), models=("a",), correct=np.ones((1, 1))))

    def test_more_than_it_can_search_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(similarity, "MOST", 10)
        many = Outcomes(prompts=tuple(map(str, range(40))), models=("m",), correct=np.ones((40, 1)))
        with pytest.raises(InvalidValue, match="to search in"):
            similarity.untrained().fit(many)


class TestFactorization:
    def test_pairs_of_models_are_ordered(self, many: Outcomes) -> None:
        pytest.importorskip("torch")
        scorer = mf.untrained(dim=3).fit(many)
        hard = scorer.success(["Prove the theorem number 3 with 2 steps."])[0]
        assert hard[-1] > hard[0] + 0.3

    def test_options_out_of_range_are_refused(self) -> None:
        with pytest.raises(InvalidValue, match="dim=0"):
            mf.untrained(dim=0)

    def test_an_unknown_embedding_is_refused(self) -> None:
        with pytest.raises(InvalidValue, match="'glove'"):
            named("glove")


class TestCausal:
    @pytest.fixture
    def server(self) -> Iterator[tuple[str, dict[str, Any]]]:
        state: dict[str, Any] = {"tokens": {" 5": 0.75, "1": 0.25}, "bodies": []}

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                state["bodies"].append(body)
                top = [
                    {"token": token, "logprob": math.log(share)}
                    for token, share in state["tokens"].items()
                ]
                choice = {"logprobs": {"content": [{"top_logprobs": top}]} if top else None}
                raw = json.dumps({"choices": [choice]}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *args: object) -> None:
                return

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
            thread = threading.Thread(target=found.serve_forever)
            thread.start()
            yield f"http://127.0.0.1:{found.server_address[1]}/v1", state
            found.shutdown()
            thread.join()

    def test_label_probabilities_make_the_difficulty(
        self, server: tuple[str, dict[str, Any]]
    ) -> None:
        url, state = server
        scorer = causal.build(model="tiny", base_url=url)
        assert scorer.difficulty(["Prove it"])[0] == pytest.approx(0.75)
        body = state["bodies"][0]
        assert body["model"] == "tiny"
        assert body["max_tokens"] == 1
        assert "Prove it" in body["messages"][0]["content"]

    def test_a_server_without_probabilities_is_told(
        self, server: tuple[str, dict[str, Any]]
    ) -> None:
        url, state = server
        state["tokens"] = {}
        with pytest.raises(ProviderUnavailable, match="no token probabilities"):
            causal.build(base_url=url).difficulty(["x"])

    def test_a_server_that_is_down_is_told(self) -> None:
        scorer = causal.build(base_url="http://127.0.0.1:9/v1")
        with pytest.raises(ProviderUnavailable, match="does not answer"):
            scorer.difficulty(["x"])

    @pytest.mark.parametrize("url", ["https://api.openai.com/v1", "http://10.0.0.1/v1", "nonsense"])
    def test_prompts_never_leave_the_machine(self, url: str) -> None:
        with pytest.raises(PrivacyViolation):
            causal.build(base_url=url)

    def test_calibration_learns_how_far_to_trust_the_judge(self, data: Outcomes) -> None:
        def judge(text: str) -> dict[str, float]:
            return {"5" if "Prove" in text else "1": 0.0}

        scorer = causal.untrained(ask=judge).fit(data)
        hard, easy = scorer.success(["Prove the lemma", "Add the pears"])
        assert hard[0] == pytest.approx(0.1, abs=0.08)
        assert easy[0] == pytest.approx(0.9, abs=0.08)

    def test_a_judge_that_knows_nothing_ends_at_the_mean(self, data: Outcomes) -> None:
        def judge(text: str) -> dict[str, float]:
            return {str(1 + len(text) % 5): 0.0}

        scorer = causal.untrained(ask=judge).fit(data)
        spread = scorer.success(["Prove the lemma", "Add the pears now"])[:, 0]
        assert abs(spread[0] - spread[1]) < 0.25


class TestBaselines:
    def test_random_has_nothing_to_do_with_the_prompt(self) -> None:
        texts = [str(i) for i in range(2000)]
        values = random.build().difficulty(texts)
        assert np.mean(values) == pytest.approx(0.5, abs=0.03)
        other = random.build(seed=1).difficulty(texts)
        assert all(a != b for a, b in zip(values, other, strict=True))

    def test_length_rises(self) -> None:
        values = length.build().difficulty(["a" * n for n in (0, 10, 1000, 100_000)])
        assert (np.diff(values) > 0).all()

    @pytest.mark.parametrize("rate", [float("nan"), -0.1, 1.1])
    def test_a_win_rate_out_of_range_is_refused(self, rate: float) -> None:
        class Bad:
            def calculate_strong_win_rate(self, prompt: str) -> float:
                return rate

        with pytest.raises(InvalidValue, match="win rate"):
            routellm.build(router=Bad()).difficulty(["x"])

    def test_what_is_no_router_is_refused(self) -> None:
        with pytest.raises(InvalidValue, match="no RouteLLM router"):
            routellm.build()
