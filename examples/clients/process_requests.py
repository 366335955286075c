"""Run a crawler on the demo and print what it says, as it says it.

Usage: python process_requests.py [URL [KEY]]
"""

from __future__ import annotations

__all__ = ()

import sys

import requests

SILENCE_TIMEOUT = 30


def main(url: str = "http://127.0.0.1:8000", key: str = "tim6-secret-key-2025") -> None:
    headers = {"X-API-Key": key, "Content-Type": "application/json"}
    # Leaving the block drops the connection, wherever the answer is.
    with requests.post(
        f"{url}/process",
        json={"data": "slot online", "num_domains": 3},
        headers=headers,
        stream=True,
        timeout=SILENCE_TIMEOUT,
    ) as response:
        if not response.ok:
            sys.exit(f"{response.status_code} {response.text}")
        for line in response.iter_lines():
            if line:
                print(line.decode("utf-8"), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
