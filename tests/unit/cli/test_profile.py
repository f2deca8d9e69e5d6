"""`graphroute profile show|export|import`, as a user calls them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphroute.ir.learned_file import load_profile

Command = Callable[..., Any]


def test_a_profile_goes_to_another_machine_and_counts_once(ran: Command, tmp_path: Path) -> None:
    done = ran("profile", "export", "--output", "a.json")
    assert (done.code, done.out) == (0, "")
    text = (tmp_path / "a.json").read_text()
    assert "secret" not in text
    profile = load_profile(text)
    assert profile.runs == 2
    assert {s.node for part in profile.parts for s in part.sums} == {"classify", "reply"}
    for new in (2, 0):
        done = ran("profile", "import", "a.json", "--store", "other", "--json")
        said = json.loads(done.out)
        assert (done.code, said["new"], said["runs"], said["given"]) == (0, new, 2, 2)
    rows = json.loads(ran("profile", "show", "--store", "other", "--json").out)["rows"]
    assert [row["node"] for row in rows] == ["classify", "reply"]
    assert all(row["took_s"][1] <= row["took_s"][0] <= row["took_s"][2] for row in rows)


def test_own_records_and_their_export_are_the_same_runs(ran: Command) -> None:
    ran("profile", "export", "--output", "a.json")
    assert ran("profile", "import", "a.json").code == 0
    assert json.loads(ran("profile", "show", "--json").out)["runs"] == 2


def test_only_one_graph_or_span(ran: Command) -> None:
    assert load_profile(ran("profile", "export", "--graph", "app").out).runs == 2
    done = ran("profile", "export", "--since", "2100-01-01")
    assert (done.code, load_profile(done.out).runs) == (0, 0)
    assert "the profile is empty" in done.err
    done = ran("profile", "show", "--graph", "nobody")
    assert (done.code, done.out) == (0, "no call of graph 'nobody' is recorded here\n")


def test_a_graph_that_nobody_recorded_is_no_profile(ran: Command, tmp_path: Path) -> None:
    ran("profile", "export", "--output", "a.json")
    before = (tmp_path / "a.json").read_bytes()
    done = ran("profile", "export", "--graph", "nobody", "--output", "a.json")
    assert (done.code, done.out) == (2, "")
    assert "no run of a graph 'nobody' is recorded here; recorded are 'app'" in done.err
    assert (tmp_path / "a.json").read_bytes() == before


def test_a_damaged_file_changes_nothing(ran: Command, tmp_path: Path) -> None:
    ran("profile", "export", "--output", "a.json")
    text = (tmp_path / "a.json").read_text()
    for name, content in (("cut.json", text[:-40]), ("odd.json", text.replace("classify", "x"))):
        (tmp_path / name).write_text(content)
        done = ran("profile", "import", name, "--store", "other")
        assert done.code == 2
        assert f"'{name}': this is no profile of graphroute" in done.err
    assert not (tmp_path / "other").exists()
    assert ran("profile", "import", "nowhere.json").code == 2


@pytest.mark.parametrize("content", ["garbage", "{}", '{"schema": "graphroute.profile/9"}'])
def test_a_damaged_profile_in_the_store_is_named(
    ran: Command, tmp_path: Path, content: str
) -> None:
    ran("profile", "export", "--output", "a.json")
    ran("profile", "import", "a.json", "--store", "other")
    path = tmp_path / "other" / "profile.json"
    path.write_text(content)
    for words in (("show",), ("import", "a.json")):
        done = ran("profile", *words, "--store", "other")
        assert done.code == 2
        assert "'other/profile.json': " in done.err
        assert done.err.endswith("; delete it, and import again what it was made of\n")
    path.unlink()
    assert ran("profile", "import", "a.json", "--store", "other").code == 0


def test_nothing_recorded(command: Command) -> None:
    assert "no call" in command("profile", "show").out
    assert command("profile", "export").code == 2
