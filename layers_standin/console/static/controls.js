// Sends what the forms of the console ask of the control plane, and says how it went. Each form tells what it is:
// data-api is method and path, data-body what is always sent, and a field's name where in the body its value goes.

import { refresh } from "./live.js";

const said = document.querySelector("#said");
const trouble = document.querySelector("#trouble");
const QUIET_AFTER_MS = 6000;

let quiet = null;

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.dataset.api) return;
  event.preventDefault();
  command(form, event.submitter);
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(document.getElementById(button.dataset.copy));
});

const kind = document.querySelector("#kind");
kind?.addEventListener("change", showKind);
if (kind) showKind();

/** Show the fields that belong to the chosen kind of fault, and send no others. */
function showKind() {
  for (const group of document.querySelectorAll("[data-when]")) {
    group.hidden = group.disabled = group.dataset.when !== kind.value;
  }
  document.querySelector("[name='answer.delayMs']").required = kind.value === "delay";
}

async function command(form, submitter) {
  const { api, body, confirm, consequence, yes, done } = form.dataset;
  if (confirm && !(await isConfirmed(confirm, consequence, yes))) return;
  const [method, path] = api.split(/ (.*)/s);
  let sent = null;
  try {
    sent = { ...JSON.parse(body || "{}"), ...valuesOf(form, submitter) };
  } catch {
    return say(trouble, 'Headers and fields of the body are JSON: {"name": "value"}.');
  }
  const isEmpty = method === "DELETE" || Object.keys(sent).length === 0;
  if (submitter) submitter.disabled = true;
  try {
    const reply = await fetch(path, {
      method,
      headers: isEmpty ? {} : { "Content-Type": "application/json" },
      body: isEmpty ? undefined : JSON.stringify(sent),
    });
    const answer = await reply.json();
    if (!reply.ok) return say(trouble, sentenceOf(answer.error));
    if ("reset" in form.dataset) form.reset();
    say(said, done);
    if (answer.apiKey) showKey(answer.apiKey);
  } catch {
    say(trouble, "The stand-in cannot be reached; nothing is known to have changed.");
  } finally {
    if (submitter) submitter.disabled = false;
    await refresh();
    if (submitter && !submitter.isConnected) document.querySelector("#main").focus();
    else if (submitter && document.activeElement === document.body) submitter.focus();
  }
}

/** Return {match: {operation: …}} for a field of the name match.operation; what is empty is left out. */
function valuesOf(form, submitter) {
  const values = {};
  for (const [name, text] of new FormData(form, submitter)) {
    if (text === "") continue;
    const [last, ...outer] = name.split(".").reverse();
    const holder = outer.reduceRight((inner, part) => (inner[part] ??= {}), values);
    const field = [...form.elements].find((each) => each.name === name && !each.matches(":disabled"));
    holder[last] = typed(text, field?.dataset.type);
  }
  return values;
}

function typed(text, type) {
  if (type === "number") return Number(text);
  if (type === "flag") return true;
  if (type === "json") return JSON.parse(text);
  if (type === "utc") return `${text}${text.length === 16 ? ":00" : ""}Z`;
  return text;
}

function sentenceOf({ message, details, requestId }) {
  const faults = Object.entries(details?.fieldErrors ?? {}).map(([field, told]) => `${field}: ${told.join(", ")}`);
  return [message, ...faults, ...(details?.formErrors ?? []), `(${requestId})`].join(" ");
}

function say(where, sentence) {
  clearTimeout(quiet);
  said.textContent = trouble.textContent = "";
  where.textContent = sentence;
  if (where === said) quiet = setTimeout(() => (said.textContent = ""), QUIET_AFTER_MS);
}

trouble.addEventListener("click", () => (trouble.textContent = ""));

function isConfirmed(question, consequence, yes) {
  const dialog = document.querySelector("#confirm");
  document.querySelector("#confirm-question").textContent = question;
  document.querySelector("#confirm-consequence").textContent = consequence;
  document.querySelector("#confirm-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) =>
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }),
  );
}

function showKey(key) {
  document.querySelector("#new-key-text").textContent = key;
  document.querySelector("#new-key").showModal();
}

async function copy(source) {
  try {
    await navigator.clipboard.writeText(source.textContent);
    say(said, "Copied.");
  } catch {
    getSelection().selectAllChildren(source); // over plain HTTP browsers let nobody copy but the user
    say(said, "Selected: copy it with the keyboard.");
  }
}
