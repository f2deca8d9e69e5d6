"""What the documents say runs: Python blocks, command blocks, and the help as printed.

The doctests of the package run by themselves (`--doctest-modules`); here is what is outside it. A
block is left out of running only if the line before it is `<!-- shown, not run: why -->`.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from graphroute.cli import command_names, run

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *ROOT.glob("examples/*.md")])
_FENCE = re.compile(
    r"(?P<skip><!-- shown, not run: [^>]+ -->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    kind: str
    text: str
    is_run: bool

    @property
    def place(self) -> str:
        """For the test's name."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def _blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        yield Block(
            page=page,
            line=text[: found.start()].count("\n") + 1,
            kind=found["kind"],
            text=found["text"],
            is_run=found["skip"] is None,
        )


BLOCKS = [block for page in PAGES for block in _blocks(page)]


def _python_pages() -> list[Any]:
    pages = {b.page for b in BLOCKS if b.kind == "python" and b.is_run}
    return [pytest.param(p, id=str(p.relative_to(ROOT))) for p in sorted(pages)]


@pytest.mark.parametrize("page", _python_pages())
def test_python_blocks_run_in_order(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a page run one after the other in one namespace, as a reader types them."""
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {"__name__": "page"}
    for block in (b for b in BLOCKS if b.page == page and b.kind == "python" and b.is_run):
        # Padded, so that an error names the line of the page.
        code = "\n" * block.line + block.text
        exec(compile(code, str(page), "exec"), names)


@pytest.mark.parametrize(
    "block", [pytest.param(b, id=b.place) for b in BLOCKS if b.kind in ("json", "mermaid")]
)
def test_data_blocks_are_well_formed(block: Block) -> None:
    if block.kind == "json":
        json.loads(block.text)
    else:
        assert block.text.startswith(("flowchart", "graph", "---", "%%{", "xychart-beta"))


def _commands() -> list[Any]:
    found = []
    for block in BLOCKS:
        if block.kind not in ("sh", "bash", "console") or not block.is_run:
            continue
        for line in block.text.splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if words[:1] == ["graphroute"]:
                found.append(pytest.param(tuple(words[1:]), id=f"{block.place} {line[:60]}"))
    return found


@pytest.mark.parametrize("words", _commands())
def test_commands_name_what_there_is(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command in a page exists and has the options shown with it."""
    assert words[0] in (*command_names(), "--help", "--version", "--debug"), words
    if words[0] not in command_names():
        return
    assert run([words[0], "--help"]) == 0
    told = capsys.readouterr().out
    if "Commands:" in told and len(words) > 1 and not words[1].startswith("-"):
        assert run([*words[:2], "--help"]) == 0, words
        told = capsys.readouterr().out
    for option in (word.partition("=")[0] for word in words if word.startswith("--")):
        assert re.search(rf"{re.escape(option)}\b", told), f"{words[0]} has no {option}"


@pytest.mark.parametrize("page", [pytest.param(p, id=str(p.relative_to(ROOT))) for p in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_help_is_printed_as_documented(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`docs/cli.md` shows the help of each command of the first day, word for word."""
    # The width of a terminal must not matter.
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERMINAL_WIDTH", "100")
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    profile = [f"profile {name}" for name in ("show", "export", "import", "replay", "log", "undo")]
    commands = ("plan", "run", "models", "doctor", "report", "demo", *profile, "profile retrain")
    for name in commands:
        assert run([*name.split(), "--help"]) == 0
        told = "\n".join(line.rstrip() for line in capsys.readouterr().out.strip().splitlines())
        assert told in page, f"docs/cli.md is behind `graphroute {name} --help`:\n{told}"


def test_no_page_names_a_registry_or_a_path_of_one_machine() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"pypi\.org|/root/|/home/|npmjs", text), page.name
