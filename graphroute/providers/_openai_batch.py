"""OpenAI's Batch API: a file of calls in, a file of answers out within a day, at half the price.

```
 POST /files (JSONL) ─► POST /batches ─► GET /batches/{id} … ─► GET /files/{output, error}/content
```

Spoken by the client of the chat model itself (`root_client`), so that key, organisation, address
and proxies are those of its other calls. Price: OpenAI's list states 50 % for batches (2025).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from langchain_core.messages import AIMessage, BaseMessage

from graphroute.errors import ProviderUnavailable
from graphroute.ir.batch import BatchLook

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

ENDPOINT: Final = "/v1/chat/completions"
PRICE_SHARE: Final = 0.5
_ENDED: Final = ("completed", "expired", "cancelled", "failed")
_CALLED_OFF: Final = ("cancelling", "cancelled", "failed", "expired")
_LISTED: Final = 100


def service_for(chat: BaseChatModel) -> OpenAIBatch | None:
    """The Batch API of the endpoint a chat model calls; None for one that has none.

    Whether an OpenAI-compatible endpoint really has one shows when a batch is handed in.
    """
    is_azure = any(kind.__name__ == "AzureChatOpenAI" for kind in type(chat).__mro__)
    is_openai = any(kind.__module__.startswith("langchain_openai.") for kind in type(chat).__mro__)
    embedded = getattr(type(chat), "graphroute_provider", None) == "llamacpp"
    if not is_openai or is_azure or embedded or getattr(chat, "root_client", None) is None:
        return None
    if chat._use_responses_api({}) if hasattr(chat, "_use_responses_api") else False:
        return None
    return OpenAIBatch(chat=chat)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIBatch:
    """The Batch API of one chat model's endpoint and account."""

    chat: Any

    @property
    def name(self) -> str:
        """Address, and a digest that tells one account from another and not its key."""
        client = self.chat.root_client
        digest = hashlib.sha256(str(client.api_key).encode()).hexdigest()[:12]
        return f"{str(client.base_url).rstrip('/')}#{digest}"

    @property
    def price_share(self) -> float:
        """Half."""
        return PRICE_SHARE

    def body(
        self, messages: Sequence[BaseMessage], *, stop: list[str] | None, kwargs: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """What the chat model would post for this call."""
        # The chat model's own hook for its subclasses: it alone knows how it writes its settings.
        payload = self.chat._get_request_payload(list(messages), stop=stop, **kwargs)
        plain: dict[str, Any] = json.loads(json.dumps(payload, default=_plain))
        return {k: v for k, v in plain.items() if k not in ("stream", "stream_options")}

    def message(self, body: Mapping[str, Any]) -> AIMessage:
        """The answer as the chat model reads one."""
        found = self.chat._create_chat_result(dict(body)).generations[0].message
        if not isinstance(found, AIMessage):
            raise TypeError(f"an answer of type {type(found).__name__}")
        return found

    def submit(self, lines: Mapping[str, Mapping[str, Any]], *, job: str) -> str:
        """Upload the lines and start a batch of them; its id."""
        text = "".join(
            json.dumps({"custom_id": key, "method": "POST", "url": ENDPOINT, "body": body}) + "\n"
            for key, body in lines.items()
        )
        client = self.chat.root_client
        file = client.files.create(file=("calls.jsonl", text.encode()), purpose="batch")
        batch = client.batches.create(
            input_file_id=file.id,
            endpoint=ENDPOINT,
            completion_window="24h",
            metadata={"graphroute": job},
        )
        return str(batch.id)

    def find(self, job: str) -> str | None:
        """Among the latest batches of the account, the one of this job."""
        for batch in self.chat.root_client.batches.list(limit=_LISTED).data:
            is_ours = (batch.metadata or {}).get("graphroute") == job
            if is_ours and batch.status not in _CALLED_OFF:
                return str(batch.id)
        return None

    def look(self, batch: str) -> BatchLook:
        """The batch's state; of one that is over, whatever it gave, also if it was not finished."""
        found = self.chat.root_client.batches.retrieve(batch)
        if found.status not in _ENDED:
            return BatchLook(is_over=False)
        answers: dict[str, Mapping[str, Any]] = {}
        failures: dict[str, str] = {}
        for file in (found.output_file_id, found.error_file_id):
            for key, body, reason in self._lines(file) if file else ():
                if body is not None:
                    answers[key] = body
                else:
                    failures[key] = reason
        return BatchLook(is_over=True, answers=answers, failures=failures)

    def _lines(self, file: str) -> Iterator[tuple[str, Mapping[str, Any] | None, str]]:
        text = self.chat.root_client.files.content(file).text
        for line in text.splitlines():
            try:
                row = json.loads(line)
                key, response = str(row["custom_id"]), row.get("response") or {}
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # its call is found to have no answer
            body = response.get("body")
            if response.get("status_code") == 200 and isinstance(body, Mapping):
                yield key, body, ""
            else:
                yield key, None, json.dumps(row.get("error") or body)[:500]


def _plain(value: Any) -> Any:
    """What the SDK would turn into JSON by itself (a Pydantic class as response format)."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise ProviderUnavailable(
        f"a call with a value of type {type(value).__name__} cannot be put into a batch",
        next_step="it is made at once",
    )
