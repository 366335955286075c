// Run a crawler on the demo and print what it says, as it says it.
// Usage: node process_fetch.mjs [URL [KEY]]
const [url = "http://127.0.0.1:8000", key = "tim6-secret-key-2025"] = process.argv.slice(2);

const response = await fetch(`${url}/process`, {
  method: "POST",
  headers: {
    "Content-Type": "application/json",
    "X-API-Key": key,
  },
  body: JSON.stringify({
    data: "slot online",
    num_domains: 3,
  }),
});
if (!response.ok) {
  console.error(response.status, await response.text());
  process.exit(1);
}

const reader = response.body.getReader();
const decoder = new TextDecoder();

while (true) {
  const { done, value } = await reader.read();
  if (done) break;
  // stream: a chunk may end inside a character, whose rest comes with the next one.
  process.stdout.write(decoder.decode(value, { stream: true }));
}
