"""An OpenAI-compatible endpoint in a process of its own: llama.cpp serving SmolLM2 as `tiny`.

Prints its base URL as one line and ends when its standard input closes.
"""

from __future__ import annotations

import sys

from graphroute.providers._llama_server import Gguf, serve
from graphroute.providers._packaged import smollm2_path
from graphroute.providers._templates import TOOLS

if __name__ == "__main__":
    print(serve(Gguf(path=smollm2_path(), alias="tiny", template=TOOLS)), flush=True)
    sys.stdin.read()
