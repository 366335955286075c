#!/bin/sh
# Run a crawler on the demo and print what it says, as it says it.
# Usage: process_curl.sh [URL [KEY]]
url=${1:-http://127.0.0.1:8000}
key=${2:-tim6-secret-key-2025}

# --no-buffer: curl holds lines back when its output is a pipe.
# --fail-with-body: a refusal is printed, and is the exit code 22.
exec curl --no-buffer --fail-with-body --silent --show-error \
  -X POST "$url/process" \
  -H "Content-Type: application/json" \
  -H "X-API-Key: $key" \
  -d '{"data": "slot online", "num_domains": 3}'
