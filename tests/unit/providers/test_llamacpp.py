from __future__ import annotations

from pathlib import Path

import pytest

from graphroute.errors import InvalidValue, ProviderUnavailable, UnknownModel
from graphroute.ir.catalog import Model
from graphroute.ir.naming import pool_name
from graphroute.providers import llamacpp
from graphroute.providers._gguf import read
from graphroute.providers._packaged import smollm2_path
from graphroute.providers._templates import overhead_tokens


def test_facts_come_from_the_header_and_nothing_is_loaded() -> None:
    spec = llamacpp.build().offer(Model(f"llamacpp:{smollm2_path()}")).spec
    assert spec.local
    assert (spec.parameters, spec.quantization) == (134_515_008, "Q4_1")
    assert (spec.context_tokens, spec.max_output_tokens) == (4096, 1024)
    size = smollm2_path().stat().st_size
    assert spec.memory_bytes == size + 2 * 4096 * read(smollm2_path()).kv_bytes_per_token
    assert not spec.loaded


def test_tools_are_offered_only_where_the_template_tells_them() -> None:
    plain = llamacpp.Gguf(path=smollm2_path(), alias="plain")
    told = llamacpp.Gguf(path=smollm2_path(), alias="told", template=llamacpp.TOOLS)
    provider = llamacpp.build(files=[plain, told])
    assert provider.offer(Model("llamacpp:plain")).spec.capabilities == {"structured_output"}
    assert "tools" in provider.offer(Model("llamacpp:told")).spec.capabilities
    assert [m.name for m in provider.discover()] == ["llamacpp:plain", "llamacpp:told"]


def test_a_chat_is_named_after_its_alias_and_starts_nothing(tmp_path: Path) -> None:
    chat = llamacpp.chat(llamacpp.Gguf(path=tmp_path / "none.gguf", alias="tiny"), temperature=0)
    assert pool_name(chat) == "llamacpp:tiny"
    assert chat.temperature == 0
    with pytest.raises(ProviderUnavailable, match=r"llama.cpp does not load .*none.gguf"):
        chat.invoke("hi")


def test_an_object_is_offered_with_its_own_file_and_price() -> None:
    chat = llamacpp.chat(llamacpp.Gguf(path=smollm2_path(), overhead_tokens=7))
    offer = llamacpp.build().offer(
        Model("strong", chat=chat, local=False, price_in_usd=1, price_out_usd=2)
    )
    assert offer.open() is chat
    assert not offer.spec.local
    assert (offer.spec.price.in_usd, offer.spec.overhead_tokens) == (1, 7)


def test_a_path_that_is_no_file_is_told() -> None:
    known = llamacpp.build(files=[llamacpp.Gguf(path=smollm2_path(), alias="tiny")])
    with pytest.raises(UnknownModel, match=r"'llamacpp:/no/file'.*or one of tiny"):
        known.offer(Model("llamacpp:/no/file"))
    with pytest.raises(InvalidValue, match="use 'llamacpp:/path"):
        known.offer(Model("llamacpp:"))


@pytest.mark.parametrize("field", ["context_tokens", "slots", "max_output_tokens"])
def test_a_file_needs_room(field: str) -> None:
    with pytest.raises(InvalidValue, match=f"{field}=0"):
        llamacpp.Gguf(path=Path("x"), **{field: 0})  # type: ignore[arg-type]


def test_a_frame_counts_its_text_as_overhead() -> None:
    short = llamacpp.few_shot([("a?", "b")])
    long = llamacpp.few_shot([("a?", "b" * 300)])
    assert overhead_tokens(long) - overhead_tokens(short) == pytest.approx(100, abs=2)


def test_quotes_and_line_breaks_in_examples_stay_inside_the_literal() -> None:
    frame = llamacpp.few_shot([("What's\n'it'?", 'a "b" \\ c')], instruction="Don't.")
    assert "'Don\\'t.\\n\\nQuestion: What\\'s\\n\\'it\\'?\\nAnswer: a \"b\" \\\\ c\\n\\n'" in frame


def test_a_framed_model_takes_one_question_at_a_time() -> None:
    framed = llamacpp.few_shot([("a?", "b")])
    provider = llamacpp.build(
        files=[
            llamacpp.Gguf(path=smollm2_path(), alias="framed", template=framed),
            llamacpp.Gguf(path=smollm2_path(), alias="plain"),
        ]
    )
    assert provider.offer(Model("llamacpp:framed")).spec.single_turn
    assert not provider.offer(Model("llamacpp:plain")).spec.single_turn
