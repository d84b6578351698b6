// Bring a new customer from a repository to a published post without asking once how far it is: webhooks tell.
//
//     LAYERS_BASE_URL=http://127.0.0.1:8000 LAYERS_API_KEY=... node examples/onboarding_by_webhooks.mjs
//
// It listens on a port of its own, on the stand-in's machine, and believes only what is signed. As in `onboarding.mjs`,
// the script says a person's yes, and moves the clock of the key's organization on, which stays ahead:
// `DELETE /_standin/clock?organizationId=...` sets it back.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { EventEmitter, on, once } from 'node:events';
import { createServer } from 'node:http';
import { buffer } from 'node:stream/consumers';
import process from 'node:process';

const { LAYERS_BASE_URL: baseUrl, LAYERS_API_KEY: apiKey } = process.env;
for (const name of ['LAYERS_BASE_URL', 'LAYERS_API_KEY']) {
  if (!process.env[name]) {
    console.error(`Set ${name} first: the line that starts this example is at the top of its file.`);
    process.exit(1);
  }
}

const RETURN_URL = 'http://localhost:3000/connected'; // where the customer's browser would be sent back to
const PATIENCE_MS = 30_000;
const EVENTS = ['job.completed', 'content.generated', 'content.approved', 'social_account.connected', 'post.published'];

function fail(sentence) {
  console.error(sentence);
  process.exit(1);
}

// Return the JSON of a reply; exit with a sentence when there is none, or a refusal.
async function call(method, path, body) {
  const headers = { 'X-Api-Key': apiKey, ...(body && { 'Content-Type': 'application/json' }) };
  let response;
  try {
    response = await fetch(baseUrl + path, { method, headers, body: body && JSON.stringify(body) });
  } catch (error) {
    const reason = error.cause?.message || error.cause?.code || error.message;
    fail(`No answer from ${baseUrl} (${reason}): is the stand-in running there?`);
  }
  if (!response.ok) {
    fail(`${path}: ${response.status} ${await response.text()}`);
  }
  return response.json();
}

// Allow what a consent page asks; return the parameters that the person is sent back with.
async function sayYes(page) {
  const body = new URLSearchParams({ decision: 'yes' });
  const response = await fetch(page, { method: 'POST', body, redirect: 'manual' });
  return Object.fromEntries(new URL(response.headers.get('Location')).searchParams);
}

// Move the clock of the organization on by an ISO 8601 duration.
async function passTime(duration) {
  await call('PUT', '/_standin/clock', { advance: duration, organizationId: me.organizationId });
}

const inbox = new EventEmitter();
const messages = on(inbox, 'message'); // those that come before anybody waits are kept
const seen = new Set();
let secret;

// Acknowledge every message at once; it is looked at later.
const receiver = createServer(async (request, response) => {
  const body = await buffer(request);
  response.writeHead(204).end();
  inbox.emit('message', request.headers['x-layers-signature'], body);
});

function isSigned(signature, body) {
  const at = signature.slice('t='.length, signature.indexOf(','));
  const signed = createHmac('sha256', secret).update(`${at}.`).update(body).digest();
  const given = signature.split(',').filter((part) => part.startsWith('v1=')).map((part) => Buffer.from(part.slice(3), 'hex'));
  return given.some((each) => each.length === signed.length && timingSafeEqual(each, signed));
}

// Return the data of the next event of a type with these fields; exit when none comes in time.
async function told(event, about = {}) {
  const timer = setTimeout(() => fail(`No ${event} came in ${PATIENCE_MS / 1000} seconds.`), PATIENCE_MS);
  for (;;) {
    const [signature, body] = (await messages.next()).value;
    if (!isSigned(signature, body)) {
      fail('A message came that Layers has not signed.');
    }
    const { id, type, data } = JSON.parse(body);
    const isNew = !seen.has(id);
    seen.add(id);
    if (isNew && type === event && Object.keys(about).every((field) => data[field] === about[field])) {
      clearTimeout(timer);
      return data;
    }
  }
}

const me = await call('GET', '/v1/whoami');
console.log(`Who am I: ${me.organizationName}`);
receiver.listen(0, '127.0.0.1');
await once(receiver, 'listening');
const url = `http://127.0.0.1:${receiver.address().port}/layers`;
const created = await call('POST', '/v1/webhook-endpoints', { url, events: EVENTS });
secret = created.signingSecret;
const endpointPath = `/v1/webhook-endpoints/${created.endpoint.id}`;
await call('POST', `${endpointPath}/test`, { payload: { message: 'hello' } });
console.log(`Listen to events: ${(await told('test.ping')).message}`);

const project = await call('POST', '/v1/projects', { name: 'Onboarding', timezone: 'Europe/Lisbon' });
const projectPath = `/v1/projects/${project.id}`;
const query = new URLSearchParams({ returnUrl: RETURN_URL });
const sent = await sayYes((await call('GET', `/v1/github/installation/install-url?${query}`)).installUrl);
const registration = { installationId: Number(sent.installation_id), state: sent.state };
await call('POST', '/v1/github/installation', registration);
const [repository] = (await call('GET', '/v1/github/repos')).items;
const ingest = { repoFullName: repository.fullName, openPR: true };
const { jobId } = await call('POST', `${projectPath}/ingest/github`, ingest);
await passTime('PT1M');
console.log(`Ingest a repository: ${(await told('job.completed', { jobId })).kind} has ended`);
const { brandContext: brand } = await call('GET', projectPath);
const [influencer] = (await call('GET', `${projectPath}/influencers`)).items;
console.log(`Meet the first influencer: ${influencer.name}, ${influencer.status}`);

await call('PATCH', `${projectPath}/approval-policy`, { requiresApproval: true });
const brief = { topic: brand.tagline, influencerId: influencer.influencerId };
const { containerId } = await call('POST', `${projectPath}/content`, { format: 'slideshow_remix', brief });
await passTime('PT1M');
const content = await told('content.generated', { id: containerId });
console.log(`Generate content: ${content.assets.length} slides`);
await call('POST', `/v1/content/${containerId}/approve`);
const approved = await told('content.approved', { id: containerId });
console.log('Approve it: told so');

const oauth = await call('POST', `${projectPath}/social/oauth-url`, { platform: 'tiktok', returnUrl: RETURN_URL });
await sayYes(oauth.authorizeUrl);
const account = await told('social_account.connected', { platform: 'tiktok' });
console.log(`Connect an account: ${account.platform}`);
const scheduledFor = new Date(Date.parse(approved.approvedAt) + 3_600_000).toISOString();
const targets = [{ socialAccountId: account.socialAccountId, mode: 'direct_publish' }];
await call('POST', `/v1/content/${containerId}/schedule`, { scheduledFor, targets });
await passTime('PT2H');
console.log(`Schedule a post, and hear of it: ${(await told('post.published')).externalUrl}`);
await call('DELETE', endpointPath);
receiver.close();
receiver.closeAllConnections();
