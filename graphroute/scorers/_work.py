"""What kind of work a node asks a model for, from the verbs of its prompts and its name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from graphroute.ir.graph import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A kind of work: its difficulty in [0, 1], its name, and whether it writes free text."""

    label: str
    difficulty: float
    is_generation: bool = False
    is_guess: bool = False


_KINDS: Final[tuple[tuple[Work, str], ...]] = (
    (
        Work(label="mathematical reasoning", difficulty=0.68),
        r"prove|proof|theorem|equation|solve|calculat\w*|math\w*|arithmetic|deriv(?:e|ation)",
    ),
    (
        Work(label="code generation", difficulty=0.58, is_generation=True),
        r"cod(?:e|ing|er)|programm?\w*|debug\w*|refactor\w*|sql|python|typescript|javascript|"
        r"implement\w*|unit tests?|patch(?:es)?|compil\w+",
    ),
    (
        Work(label="planning", difficulty=0.58, is_generation=True),
        r"plan(?:s|ner|ning)?|decompos\w+|break (?:it |this )?down|strateg\w+|orchestrat\w*|"
        r"supervis\w+|coordinat\w+|architect\w*",
    ),
    (
        Work(label="reasoning", difficulty=0.60, is_generation=True),
        r"reason\w*|think step|step[- ]by[- ]step|analy[sz]\w+|diagnos\w+|infer|deduc\w+|"
        r"compare|evaluat\w+ (?:the )?(?:trade|option)\w*|hypothes\w+|root cause|research\w*",
    ),
    (
        Work(label="checking", difficulty=0.48),
        r"check\w*|verif\w+|validat\w+|critiqu\w*|critic|review\w*|judg\w+|grad(?:e|er|ing)|"
        r"reflect\w*|fact[- ]check\w*|assess\w*",
    ),
    (
        Work(label="answering", difficulty=0.45, is_generation=True),
        r"answer\w*|question\w*|respond|reply|assistant|chat(?:bot)?|help (?:the )?user|explain\w*",
    ),
    (
        Work(label="text generation", difficulty=0.42, is_generation=True),
        r"writ(?:e|er|ing)|draft\w*|compos\w+|generat\w+|essay|story|e-?mail|report|blog|poem|"
        r"creat\w+|synthesi[sz]\w+",
    ),
    (
        Work(label="summary", difficulty=0.34, is_generation=True),
        r"summar\w+|condens\w+|tl;?dr|shorten\w*|digest|abstract|key points",
    ),
    (
        Work(label="translation", difficulty=0.36, is_generation=True),
        r"translat\w+|locali[sz]\w+|into (?:english|german|french|spanish|chinese|japanese)",
    ),
    (
        Work(label="rewriting", difficulty=0.30, is_generation=True),
        r"rewrit\w+|rephras\w+|paraphras\w+|polish\w*|proofread\w*|grammar|edit(?:or|s)?|"
        r"reformat\w*|tone",
    ),
    (
        Work(label="extraction", difficulty=0.28),
        r"extract\w*|pars(?:e|er|ing)|find (?:all|the)|entit(?:y|ies)|fields?|fill (?:in|out)|"
        r"pull out|identify|list (?:all|the)",
    ),
    (
        Work(label="classification", difficulty=0.22),
        r"classif\w+|categor\w+|label\w*|triage|sentiment|rout(?:e|er|ing)|intent|detect\w*|"
        r"yes or no|one of|true or false|spam|topic|moderat\w+|priorit\w+",
    ),
)

_PATTERNS = tuple((work, re.compile(rf"(?<![a-z])(?:{verbs})(?![a-z])")) for work, verbs in _KINDS)
_TOOL_USE = Work(label="tool use", difficulty=0.37)
_UNKNOWN = Work(label="unknown work", difficulty=0.45, is_generation=True, is_guess=True)
_ROUTING = Work(label="routing", difficulty=0.25)


def work_of(node: Node) -> Work:
    """The kind of work of a node; the name counts three mentions, the opening of a prompt two.

    >>> work_of(Node(name="triage", kind="llm")).label
    'classification'
    >>> work_of(Node(name="step_2", kind="llm", prompts=("Summarize {text}",))).label
    'summary'
    """
    name = re.sub(r"[^a-z]+", " ", node.name.rpartition("/")[2].lower())
    # Long templates are few-shot examples for the most part; their opening says what is asked.
    openings = [prompt[:300].lower() for prompt in node.prompts]
    bodies = [prompt[300:4000].lower() for prompt in node.prompts]
    best, most = None, 0.0
    for work, pattern in _PATTERNS:
        votes = 3.0 * bool(pattern.search(name))
        votes += sum(2.0 * min(len(pattern.findall(text)), 2) for text in openings)
        votes += sum(0.5 * min(len(pattern.findall(text)), 4) for text in bodies)
        if votes > most:
            best, most = work, votes
    if best is not None:
        return best
    if node.tools:
        return _TOOL_USE
    return _ROUTING if node.kind == "router" else _UNKNOWN
