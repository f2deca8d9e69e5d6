"""Chat templates (Jinja, as llama.cpp reads them) for models whose own cannot do what is asked.

`TOOLS` is ChatML with Hermes-style tools, for small instruct models whose GGUF template drops
them. `few_shot` frames a base model, which only continues text, by examples of question and answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

TOOLS: Final = """\
{%- set ns = namespace(system='You are a helpful assistant.') -%}
{%- for m in messages if m.role == 'system' -%}
{%- if loop.first -%}{%- set ns.system = m.content -%}
{%- else -%}{%- set ns.system = ns.system + '\\n\\n' + m.content -%}{%- endif -%}
{%- endfor -%}
{{- '<|im_start|>system\\n' + ns.system -}}
{%- if tools -%}
{{- '\\n\\nThese functions may be called, each given as JSON:\\n<tools>' -}}
{%- for tool in tools -%}{{- '\\n' + (tool | tojson) -}}{%- endfor -%}
{{- '\\n</tools>\\nTo call one, answer with its name and arguments as JSON between tags:\\n' -}}
{{- '<tool_call>\\n{"name": "function name", "arguments": {}}\\n</tool_call>' -}}
{%- endif -%}
{{- '<|im_end|>\\n' -}}
{%- for m in messages if m.role != 'system' -%}
{%- if m.role == 'tool' -%}
{{- '<|im_start|>user\\n<tool_response>\\n' + m.content + '\\n</tool_response><|im_end|>\\n' -}}
{%- else -%}
{{- '<|im_start|>' + m.role + '\\n' + (m.content or '') -}}
{%- if m.tool_calls -%}
{%- for call in m.tool_calls -%}
{{- '\\n<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' -}}
{{- (call.function.arguments | tojson) + '}\\n</tool_call>' -}}
{%- endfor -%}
{%- endif -%}
{{- '<|im_end|>\\n' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""

FEW_SHOT_STOP: Final = ("\n\n", "\nQuestion:")
"""Where an answer of a framed base model ends; without these it asks itself the next question."""

_QUESTION: Final = "{{- 'Question: ' + m.content + '\\nAnswer:' -}}"


def few_shot(examples: Sequence[tuple[str, str]], *, instruction: str = "") -> str:
    """A template that shows a base model pairs of question and answer, then the messages.

    >>> few_shot([("2 + 2?", "4")]).splitlines()[0]
    "{{- bos_token -}}{{- 'Question: 2 + 2?\\\\nAnswer: 4\\\\n\\\\n' -}}"
    """
    shown = "".join(f"Question: {question}\nAnswer: {answer}\n\n" for question, answer in examples)
    lead = f"{instruction}\n\n" if instruction else ""
    return (
        f"{{{{- bos_token -}}}}{{{{- {_literal(lead + shown)} -}}}}\n"
        "{%- for m in messages -%}\n"
        "{%- if m.role == 'system' -%}{{- m.content + '\\n\\n' -}}\n"
        "{%- elif m.role == 'assistant' -%}{{- ' ' + (m.content or '') + '\\n\\n' -}}\n"
        f"{{%- else -%}}{_QUESTION}\n"
        "{%- endif -%}\n"
        "{%- endfor -%}\n"
    )


def is_few_shot(template: str | None) -> bool:
    """Whether a template frames a base model, which then goes on with the frame: it answers one
    question, and takes an exchange about an earlier answer for more examples.

    >>> is_few_shot(few_shot([("2 + 2?", "4")])), is_few_shot(TOOLS), is_few_shot(None)
    (True, False, False)
    """
    return template is not None and _QUESTION in template


def overhead_tokens(template: str | None) -> int:
    """Prompt tokens a template adds to a call: a generous estimate, made without the model.

    All its literal text is counted, of every branch, at three characters a token (English text has
    about four, and a control tag of a dozen is one token).

    >>> overhead_tokens("{% if x %}{{ '<|im_start|>user' + y }}{% endif %}")
    6
    """
    if template is None:
        return 16
    outside = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", "", template, flags=re.DOTALL)
    printed = "".join(re.findall(r"\{\{(.*?)\}\}", template, flags=re.DOTALL))
    words = re.findall(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", printed)
    characters = len(outside.replace("\n", "")) + sum(len(a or b) for a, b in words)
    return -(-characters // 3)


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"
