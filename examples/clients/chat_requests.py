"""Ask a model on the demo and print its answer, as it comes.

Usage: python chat_requests.py [URL [PROVIDER]]
"""

from __future__ import annotations

__all__ = ()

import json
import sys

import requests

SILENCE_TIMEOUT = 60


def main(url: str = "http://127.0.0.1:8000", provider: str = "echo") -> None:
    params = {"user_input": "Xin chào, bạn có khỏe không?", "provider": provider}
    # Leaving the block drops the connection, wherever the answer is.
    with requests.get(
        f"{url}/api/stream/chat-get", params=params, stream=True, timeout=SILENCE_TIMEOUT
    ) as response:
        if not response.ok:
            sys.exit(f"{response.status_code} {response.text}")
        for line in response.iter_lines():
            if line:
                text = line.decode("utf-8")
                if text.startswith("data: "):
                    data = json.loads(text[6:])
                    if data.get("error"):
                        sys.exit(data["error"])
                    if not data.get("done"):
                        print(data["chunk"], end="", flush=True)
                    else:
                        print("\n✅ Done!")
                        break


if __name__ == "__main__":
    main(*sys.argv[1:])
