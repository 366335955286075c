// Ask a model on the demo and print its answer, as it comes.
// Usage: node chat_fetch.mjs [URL [PROVIDER]]
const [url = "http://127.0.0.1:8000", provider = "echo"] = process.argv.slice(2);

const response = await fetch(`${url}/api/stream/chat`, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ user_input: "Xin chào, bạn có khỏe không?", provider }),
});
if (!response.ok) {
  console.error(response.status, await response.text());
  process.exit(1);
}

const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
let rest = "";
let complete = false;

while (!complete) {
  const { done, value } = await reader.read();
  if (done) break;
  // A chunk may end inside a line, whose rest comes with the next one.
  const lines = (rest + value).split("\n");
  rest = lines.pop();
  for (const line of lines.filter((line) => line.startsWith("data: "))) {
    const data = JSON.parse(line.slice(6));
    if (data.error) {
      console.error(data.error);
      process.exit(1);
    }
    complete ||= data.done;
    process.stdout.write(data.done ? "\n✅ Done!\n" : data.chunk);
  }
}
if (!complete) {
  console.error("the answer was cut");
  process.exit(1);
}
