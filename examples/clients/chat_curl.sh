#!/bin/sh
# Ask a model on the demo and print the events of its answer, as they come.
# Usage: chat_curl.sh [URL [PROVIDER]]
url=${1:-http://127.0.0.1:8000}
provider=${2:-echo}

# --no-buffer: curl holds lines back when its output is a pipe.
# --fail-with-body: a refusal is printed, and is the exit code 22.
exec curl --no-buffer --fail-with-body --silent --show-error \
  -X POST "$url/api/stream/chat" \
  -H "Content-Type: application/json" \
  -d '{"user_input": "Xin chào, bạn có khỏe không?", "provider": "'"$provider"'"}'
