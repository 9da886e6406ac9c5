// The script of the page: shows the feed of the signed-in user, and changes it as soon as the feed changes.
import Knock from "@knocklabs/client";

const session = async () => (await fetch("/session")).json();

const { server, publicKey, userId, userToken } = await session();
const knock = new Knock(publicKey, { host: server });
knock.authenticate({ id: userId }, userToken, {
  identificationStrategy: "skip", // the backend identifies its users
  onUserTokenExpiring: async () => (await session()).userToken,
});

const feed = knock.feeds.initialize("in_app");
feed.store.subscribe(show);
feed.listenForUpdates();
await feed.fetch();
show();

document.querySelector("#read-all").onclick = () => feed.markAllAsRead();

function show() {
  const { items, metadata } = feed.store.getState();
  document.querySelector("#unread").textContent = metadata.unread_count;
  document.querySelector("#items").replaceChildren(...items.map(line));
}

function line(item) {
  const blocks = Object.fromEntries(item.blocks.map((block) => [block.name, block.rendered]));
  const line = document.createElement("li");
  const title = line.appendChild(document.createElement(blocks.action_url ? "a" : "span"));
  title.textContent = blocks.title ?? `${item.source.key}: ${item.data.text}`; // as text: what a user wrote is never HTML
  if (blocks.action_url) title.href = blocks.action_url; // an address or a path: the server lets no script through
  // the HTML of your own template, which escapes what it prints
  if (blocks.body) line.appendChild(document.createElement("div")).innerHTML = blocks.body;
  line.style.fontWeight = item.read_at ? "normal" : "bold";
  line.onclick = () => feed.markAsRead(item);
  return line;
}
