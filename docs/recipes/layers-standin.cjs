// The Layers stand-in in tests of Node: node:test, Vitest and Jest. Copy this file into your project; it needs no package.
//
//     const layers = await newOrganization();
//
// It starts `layers-stand-in` of the PATH, or what LAYERS_STANDIN says: `uvx --from ./layers-stand-in layers-stand-in`,
// the path of a program, or the folder of a clone. Where LAYERS_STANDIN_URL names a running one, that is used, with the
// token in LAYERS_STANDIN_TOKEN. As `globalSetup` of Vitest or Jest one is started for the whole run; else each process
// starts its own. It ends with the process that started it, however that ends, and leaves nothing behind.

'use strict';

const { AssertionError } = require('node:assert');
const { spawn } = require('node:child_process');
const { existsSync, statSync } = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const { join } = require('node:path');
const process = require('node:process');

let starting;

/** Start a stand-in unless there is one, and return its URL. STANDIN_... in the environment are its settings. */
function start() {
  if (process.env.LAYERS_STANDIN_URL) return Promise.resolve(process.env.LAYERS_STANDIN_URL);
  starting ??= spawnStandin();
  return starting.then(({ url }) => url);
}

/** Stop the stand-in that this process has started, if it has. */
async function stop() {
  const started = starting;
  starting = undefined;
  if (!started) return;
  const { standin } = await started;
  const ended = new Promise((resolve) => standin.once('close', resolve));
  for (const each of [standin, standin.stdout, standin.stderr]) each.ref();
  standin.stdin.destroy();
  await ended;
}

/** For `globalSetup` of Vitest and Jest: the processes of the test files inherit the URL. */
async function setup() {
  if (process.env.LAYERS_STANDIN_URL) return undefined;
  process.env.LAYERS_STANDIN_URL = await start();
  return stop;
}

/** Return a new organization of the stand-in, for one test: no other test sees its data, clock and faults. */
async function newOrganization(fields = {}) {
  const baseUrl = await start();
  const made = await command(baseUrl, 'POST', 'organizations', fields);
  const organizationId = made.organizationId;
  const headers = { 'X-Api-Key': made.apiKey };
  const query = `?organizationId=${encodeURIComponent(organizationId)}`;
  const ask = (method, path, more = '') => command(baseUrl, method, `${path}${query}${more}`);
  const tell = (method, path, body) => command(baseUrl, method, path, { organizationId, ...body });
  const call = (method, path, body, more) => send(baseUrl + path, method, body, { ...headers, ...more });

  const all = async (operation) => {
    const more = operation === undefined ? '' : `&operation=${encodeURIComponent(operation)}`;
    return (await ask('GET', 'requests', `&limit=1000${more}`)).items.reverse();
  };
  const endpoint = async (url, ...events) => {
    const { status, body } = await call('POST', '/v1/webhook-endpoints', { url, events });
    if (status >= 300) throw new Error(`No webhook endpoint: ${JSON.stringify(body)}`);
    return body;
  };

  return {
    baseUrl,
    apiKey: made.apiKey,
    organizationId,
    headers,
    call, // (method, path, body?, headers?) => { status, headers, body }
    delete: () => command(baseUrl, 'DELETE', `organizations/${organizationId}`),
    clock: {
      freeze: (at) => tell('PUT', 'clock', { mode: 'frozen', at }),
      advance: (duration) => tell('PUT', 'clock', { advance: duration }),
      shift: (offset) => tell('PUT', 'clock', { mode: 'offset', offset }),
      reset: () => ask('DELETE', 'clock'),
    },
    faults: {
      // add('patchInfluencer', { code: 'RATE_LIMITED', times: 1 }): how often, and the answer, as in docs/control.md
      add: (operation, { times, after, every, match, ...answer }) =>
        tell('POST', 'faults', { match: { operation, ...match }, times, after, every, answer }),
      addPreset: async (preset) => (await tell('POST', 'faults', { preset })).items, // 'flaky-gateway' and others
      all: async () => (await ask('GET', 'faults')).items,
      clear: () => ask('DELETE', 'faults'),
    },
    requests: {
      all, // the calls in the order in which they came
      async called(operation, { times } = {}) {
        const found = await all(operation);
        if (times === undefined ? found.length : found.length === times) return found;
        const came = (await all()).slice(-20).map(({ method, path, status, request }) =>
          `  ${method} ${path} ${status} ${request}`.slice(0, 100));
        throw new AssertionError({
          message: [
            `${operation} was to be called ${times ?? 'at least 1'} times, and was called ${found.length} times.`,
            ...(came.length ? ['These calls came, the newest last:', ...came] : ['No call came with this key.']),
          ].join('\n'),
          actual: found.length,
          expected: times,
          operator: 'called',
          stackStartFn: newOrganization,
        });
      },
      clear: () => ask('DELETE', 'requests'),
    },
    webhooks: {
      flush: () => tell('POST', 'webhooks/flush'), // all that is due was attempted
      pending: async () => (await ask('GET', 'webhooks')).items,
      endpoint, // (url, ...events): with its signingSecret
      // A receiver of the stand-in's own; `events` are posted to it.
      async inbox(...events) {
        const path = `inbox/${organizationId}`;
        const url = `${baseUrl}/_standin/${path}`;
        if (events.length) await endpoint(url, ...events);
        const messages = async () => (await command(baseUrl, 'GET', path)).items.reverse();
        return {
          url,
          messages,
          events: async () => (await messages()).map(({ body }) => JSON.parse(body).type),
          clear: () => command(baseUrl, 'DELETE', path),
        };
      },
    },
  };
}

async function command(baseUrl, method, path, body) {
  const token = process.env.LAYERS_STANDIN_TOKEN;
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const reply = await send(`${baseUrl}/_standin/${path}`, method, body, headers);
  if (reply.status < 300) return reply.body;
  const { message, details } = reply.body?.error ?? {};
  throw new Error(`${method} /_standin/${path}: ${reply.status} ${message} ${JSON.stringify(details ?? {})}`);
}

// Not fetch: that of jsdom and happy-dom speaks for a page, and pages of other origins may not command.
function send(url, method, body, headers) {
  return new Promise((resolve, reject) => {
    const options = { method, headers: { 'Content-Type': 'application/json', ...headers }, agent: false };
    const request = (url.startsWith('https:') ? https : http).request(url, options, (reply) => {
      const chunks = [];
      reply.on('data', (chunk) => chunks.push(chunk));
      reply.on('error', reject);
      reply.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const isJson = /json/.test(reply.headers['content-type']);
        resolve({ status: reply.statusCode, headers: reply.headers, body: isJson ? JSON.parse(text) : text });
      });
    });
    request.on('error', reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function program() {
  const wanted = process.env.LAYERS_STANDIN || 'layers-stand-in';
  if (!existsSync(wanted)) return wanted.split(/\s+/);
  return [statSync(wanted).isDirectory() ? join(wanted, '.venv/bin/layers-stand-in') : wanted];
}

function spawnStandin() {
  const [file, ...before] = program();
  // Its standard input ends with this process: it waits for that. In a session of its own, Ctrl-C is not for it.
  const standin = spawn(file, [...before, 'serve', '--ephemeral'], { stdio: 'pipe', detached: true });
  return new Promise((resolve, reject) => {
    let said = '';
    const hear = (text) => {
      said = (said + text).slice(-10000);
      const url = said.match(/listens on (http:\/\/[^\s,]+)/)?.[1];
      if (url) {
        for (const each of [standin, standin.stdin, standin.stdout, standin.stderr]) each.unref(); // no runner waits for it
        resolve({ url, standin });
      }
    };
    standin.stdout.setEncoding('utf8').on('data', hear);
    standin.stderr.setEncoding('utf8').on('data', hear);
    standin.stdin.on('error', () => {});
    standin.once('error', ({ message }) => reject(new Error(
      `${file} cannot be started (${message}): install it, by pipx install and the folder of the stand-in, or say in ` +
      'LAYERS_STANDIN what starts it.')));
    standin.once('close', () => reject(new Error(`The stand-in did not start: ${said.trim().split('\n').pop()}`)));
  });
}

module.exports = setup; // as Vitest and Jest want it
module.exports.default = setup;
module.exports.newOrganization = newOrganization;
module.exports.start = start;
module.exports.stop = stop;
