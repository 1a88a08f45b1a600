// Asking the service: always the console's own paths, relative to this page, with the key if any.

const KEY = "console-key"; // in sessionStorage: forgotten with the tab

export class Fault extends Error {
  constructor(status, error) {
    super(error.message);
    this.status = status;
    this.code = error.code;
  }
}

export function useKey(key) {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

export const hasKey = () => sessionStorage.getItem(KEY) !== null;

/** The answer to a question; raises a `Fault` with what the service says is wrong. */
export async function ask(path, body, { signal } = {}) {
  const response = await send(path, body, { signal, accept: "application/json" });
  return response.json();
}

/** The same, for answers that come in pieces: `heard(event, data)` for each server-sent event. */
export async function listen(path, body, { signal, heard }) {
  const response = await send(path, body, { signal, accept: "text/event-stream" });
  if (!(response.headers.get("content-type") ?? "").startsWith("text/event-stream")) {
    heard("reply", await response.json());
    return;
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    waiting = (waiting + value).replaceAll("\r\n", "\n");
    const events = waiting.split("\n\n");
    waiting = events.pop();
    for (const event of events) tell(event, heard);
  }
}

function tell(event, heard) {
  let name = "message";
  const lines = [];
  for (const line of event.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("data:")) lines.push(line.slice(5).replace(/^ /, ""));
  }
  if (lines.length) heard(name, JSON.parse(lines.join("\n")));
}

async function send(path, body, { signal, accept }) {
  const headers = { accept };
  const key = sessionStorage.getItem(KEY);
  if (key !== null) headers["x-api-key"] = key;
  const options = { headers, signal, cache: "no-store", credentials: "omit" };
  if (body !== undefined) {
    headers["content-type"] = "application/json";
    Object.assign(options, { method: "POST", body: JSON.stringify(body) });
  }
  let response;
  try {
    response = await fetch(new URL(`api/${path}`, document.baseURI), options);
  } catch (fault) {
    if (fault.name === "AbortError") throw fault;
    throw new Fault(0, { code: "no_answer", message: "" });
  }
  if (response.ok) return response;
  throw new Fault(response.status, await errorOf(response));
}

async function errorOf(response) {
  try {
    return (await response.json()).error;
  } catch {
    return { code: "unreadable", message: `HTTP ${response.status}` };
  }
}
