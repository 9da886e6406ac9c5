// Calls the official clients for a test: `node player.mjs FOLDER`, where FOLDER has them in its node_modules.
// Each line of the input is a call, and each line of the output the answer to one:
//   {"id": 1, "call": "knock.users.get", "args": ["ann"]}    {"id": 1, "value": {...}} or {"id": 1, "error": {...}}
// `as` keeps the result under a name, `all` follows pages to their end, `new` makes an object of a class, and `read`
// gives the value of an attribute.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(process.argv[2] + "/package.json");

// What a browser has, and Node has not.
globalThis.WebSocket = require("ws");
globalThis.window = { WebSocket, addEventListener() {}, removeEventListener() {} };
console.log = console.warn = console.error = () => {}; // the output is for answers

const known = {
  Knock: require("@knocklabs/node").default,
  signUserToken: require("@knocklabs/node/lib/tokenSigner").signUserToken,
  BrowserKnock: require("@knocklabs/client").default,
  Segment: require("@segment/analytics-node").Analytics,
};

async function play({ call, read, new: made, args, as, all }) {
  let value;
  if (made) {
    value = new known[made](...args);
  } else if (read) {
    value = read.split(".").reduce((found, each) => found[each], known);
  } else {
    const names = call.split(".");
    const name = names.pop();
    const owner = names.reduce((found, each) => found[each], known);
    value = owner[name](...args);
    if (all) {
      const items = [];
      for await (const item of value) items.push(item);
      value = items;
    }
    value = await value;
  }
  if (as) known[as] = value;
  return as ? null : value;
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, ...step } = JSON.parse(line);
  play(step).then(
    (value) => answer({ id, value: value ?? null }),
    (error) => answer({ id, error: { name: error.constructor.name, status: error.status, body: error.error } }),
  );
}

function answer(content) {
  process.stdout.write(JSON.stringify(content) + "\n");
}
