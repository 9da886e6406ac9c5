// Creates a user, triggers a workflow and reads the feed, with what comes with Node: node welcome.mjs
const server = process.env.ROLLBOOK_SERVER_URL;
const authorization = `Bearer ${process.env.ROLLBOOK_SECRET_KEY}`;

async function call(method, path, body, key) {
  const headers = { authorization, "content-type": "application/json", ...(key && { "idempotency-key": key }) };
  for (let attempt = 1; ; attempt++) {
    const answer = await fetch(server + path, {
      method,
      headers,
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    }).catch((error) => ({ status: 503, headers: new Headers(), error }));
    if (answer.status === 503 && attempt < 5) {
      const seconds = Number(answer.headers.get("retry-after") ?? 1);
      await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
      continue;
    }
    if (answer.error) throw answer.error;
    if (answer.status >= 400) throw new Error(`${answer.status}: ${await answer.text()}`);
    return answer.status === 204 ? null : await answer.json();
  }
}

const ann = { name: "Ann", plan: "pro" };
await call("PUT", "/v1/users/ann", ann, "signup-ann");
await call("PUT", "/v1/users/ann", ann, "signup-ann"); // sent again: nothing happens twice
await call("POST", "/v1/workflows/welcome/trigger", { recipients: ["ann"], data: { page: 7 } }, "welcome-ann");
const feed = await call("GET", "/v1/users/ann/feeds/in_app");
console.log(feed.meta.unread_count, feed.entries[0].data.page);
