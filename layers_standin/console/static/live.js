// Keeps a page up to date: fetches what changes of it every second, and alters only what is different.

const PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 8000;
const PATIENCE_MS = 10000;

const main = document.querySelector("main[data-live]");
const button = document.querySelector("#live");
const text = document.querySelector("#live-text");
const connection = document.querySelector("#connection");

let etag = null;
let timer = null;
let isPaused = false;
let pauseMs = PAUSE_MS;
let looking = null;

document.documentElement.classList.add("js");

/** Look now; returns when the page shows what there is. */
export async function refresh() {
  clearTimeout(timer);
  await looking; // one that was under way may have missed what just happened
  await look();
}

function look() {
  looking = main ? lookOnce().finally(() => (looking = null)) : Promise.resolve();
  return looking;
}

async function lookOnce() {
  clearTimeout(timer);
  try {
    const url = new URL(location.href);
    url.hash = "";
    url.searchParams.set("fragment", "1");
    const headers = etag ? { "If-None-Match": etag } : {};
    const reply = await fetch(url, { headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (reply.status !== 304) await show(reply);
    say(true);
  } catch {
    say(false);
  }
  schedule();
}

async function show(reply) {
  const isPage = (reply.headers.get("Content-Type") || "").startsWith("text/html");
  if (!isPage || reply.status >= 500) throw new Error(`answered ${reply.status}`);
  const page = new DOMParser().parseFromString(`<main>${await reply.text()}</main>`, "text/html");
  alterChildren(main, page.querySelector("main"));
  etag = reply.headers.get("ETag");
}

function say(isConnected) {
  pauseMs = isConnected ? PAUSE_MS : Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
  connection.hidden = isConnected;
  button.dataset.state = isPaused ? "paused" : isConnected ? "live" : "lost";
  text.textContent = isPaused ? "Paused" : isConnected ? "Live" : "Disconnected";
}

function schedule() {
  clearTimeout(timer);
  if (!isPaused && !document.hidden) timer = setTimeout(look, pauseMs);
}

// Altering: elements with a data-key are met again wherever they are, the others by their place.

function alter(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  if (old.isEqualNode(fresh)) return;
  alterAttributes(old, fresh);
  if (!("still" in old.dataset)) alterChildren(old, fresh); // what somebody may be typing in stays as it is
}

function alterAttributes(old, fresh) {
  const isOurs = (name) => name === "open"; // whether a <details> is open is up to who looks
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !isOurs(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value && !isOurs(name)) old.setAttribute(name, value);
  }
}

function alterChildren(old, fresh) {
  const wanted = new Set([...fresh.children].map(keyOf).filter(Boolean));
  for (const child of [...old.children]) {
    if (keyOf(child) && !wanted.has(keyOf(child))) child.remove();
  }
  const known = new Map([...old.children].filter(keyOf).map((child) => [keyOf(child), child]));
  let next = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const match = keyOf(child) ? known.get(keyOf(child)) : isAlike(next, child) ? next : null;
    if (match && match.nodeName === child.nodeName) {
      // Moving an element takes the focus from it: what stands in between and has no key gives way instead.
      while (next && next !== match && !keyOf(next)) next = removed(next);
      if (match === next) next = next.nextSibling;
      else old.insertBefore(match, next);
      alter(match, child);
    } else {
      match?.remove();
      old.insertBefore(arrived(child), next);
    }
  }
  while (next) next = removed(next);
}

/** Remove a node and return the one after it. */
function removed(node) {
  const after = node.nextSibling;
  node.remove();
  return after;
}

function arrived(node) {
  if (node.nodeType === Node.ELEMENT_NODE && keyOf(node)) node.classList.add("arrived");
  return node;
}

function isAlike(old, fresh) {
  return old && old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName && !keyOf(old);
}

function keyOf(node) {
  return node?.dataset?.key;
}

/** Open the entry that the address names, as a link from a history does. */
function openNamed() {
  const named = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const entry = named && named.querySelector(":scope > details[data-key='entry']");
  if (!entry) return;
  entry.open = true;
  named.scrollIntoView({ block: "start" });
}

if (main) {
  button.addEventListener("click", () => {
    isPaused = !isPaused;
    button.setAttribute("aria-pressed", String(!isPaused));
    say(true);
    if (isPaused) clearTimeout(timer);
    else look();
  });
  document.addEventListener("visibilitychange", () => (document.hidden || isPaused ? clearTimeout(timer) : look()));
  window.addEventListener("hashchange", openNamed);
  openNamed();
  say(true);
  schedule();
}
