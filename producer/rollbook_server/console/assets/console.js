// Makes pages pleasanter; none needs it. It loads nothing but pages of the console.
"use strict";

// Times in the zone of the reader.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const two = (number) => String(number).padStart(2, "0");

function localTime(at) {
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

function distance(at) {
  const seconds = (at.getTime() - Date.now()) / 1000;
  const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const [unit, size] = units.find(([, length]) => Math.abs(seconds) >= length) || ["second", 1];
  return new Intl.RelativeTimeFormat("en", { numeric: "auto" }).format(Math.round(seconds / size), unit);
}

function showTimes(within) {
  for (const element of within.querySelectorAll("time[datetime]")) {
    const at = new Date(element.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    element.textContent = localTime(at);
    element.title = `${distance(at)} · ${zone} · ${at.toISOString()}`;
  }
}

// A part of the page that another one of the server's replaces.
function replacePart(id, html) {
  const part = new DOMParser().parseFromString(html, "text/html").getElementById(id);
  const old = document.getElementById(id);
  if (!part || !old) return false;
  old.replaceChildren(...part.childNodes);
  showTimes(old);
  return true;
}

// Search as one types: the form's own page, of which the part `data-live` is taken.
function searchLive(form) {
  const id = form.dataset.live;
  let waiting = 0;
  let running = null;
  async function search() {
    const fields = [...new FormData(form)].filter(([, value]) => value !== "");
    const names = fields.filter(([name]) => name === "key").length;
    const address = `${form.getAttribute("action")}?${new URLSearchParams(names ? [...new FormData(form)] : fields)}`;
    running?.abort();
    running = new AbortController();
    const { signal } = running;
    const target = document.getElementById(id);
    target?.classList.add("live", "loading");
    try {
      const answer = await fetch(address, { signal, headers: { accept: "text/html" } });
      if (answer.redirected || !answer.ok || !replacePart(id, await answer.text())) {
        window.location.assign(address);
        return;
      }
      history.replaceState(null, "", address);
    } catch (error) {
      if (error.name === "AbortError") return;
      throw error;
    }
    target?.classList.remove("loading");
  }
  form.addEventListener("input", (event) => {
    if (event.target.name === "key") return;
    clearTimeout(waiting);
    waiting = setTimeout(search, 150);
  });
}

// Parts that the server sends again and again: the address is in `data-stream`, each event is HTML of ours.
function followStream(element) {
  const events = new EventSource(element.dataset.stream);
  events.addEventListener("message", (event) => {
    const part = new DOMParser().parseFromString(event.data, "text/html");
    element.replaceChildren(...part.body.childNodes);
    showTimes(element);
  });
}

// Parts that take the server a while: the page at the address in `data-later` has them. Without it its link leads there.
async function loadLater(element) {
  try {
    const answer = await fetch(element.dataset.later, { headers: { accept: "text/html" } });
    if (answer.ok && !answer.redirected) replacePart(element.id, await answer.text());
  } catch {
    // the page was left, or the server is away: the link stays
  }
}

// Boxes that tick all others of their name; without a script they are not shown.
function tickAll(box) {
  const others = [...document.querySelectorAll(`input[type=checkbox][name="${box.dataset.all}"]`)];
  box.hidden = others.length < 2;
  box.addEventListener("change", () => others.forEach((other) => { other.checked = box.checked; }));
}

// The keyboard: `/` goes to the search, `j` and `k` to the next and the previous row.
function rowLinks() {
  return [...document.querySelectorAll("table[data-rows] tbody tr")].map((row) => row.querySelector("a")).filter(Boolean);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const field = event.target.closest?.("input, select, textarea");
  if (field) {
    if (event.key === "Escape") field.blur();
    return;
  }
  if (event.key === "/") {
    const search = document.querySelector("[data-slash]");
    if (!search) return;
    event.preventDefault();
    search.focus();
    search.select();
  } else if (event.key === "j" || event.key === "k") {
    const links = rowLinks();
    if (!links.length) return;
    const at = links.indexOf(document.activeElement);
    const next = event.key === "j" ? Math.min(at + 1, links.length - 1) : Math.max(at - 1, 0);
    links[next].focus();
  }
});

showTimes(document);
document.querySelectorAll("form[data-live]").forEach(searchLive);
document.querySelectorAll("[data-stream]").forEach(followStream);
document.querySelectorAll("[data-later]").forEach(loadLater);
document.querySelectorAll("[data-all]").forEach(tickAll);
