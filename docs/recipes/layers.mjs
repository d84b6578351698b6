// Creates an organization for a test, with functions to call the API and to set faults and the clock.

import assert from 'node:assert/strict';
import process from 'node:process';

async function call(method, path, body, headers = {}) {
  const reply = await fetch(process.env.LAYERS_STANDIN_URL + path, {
    method,
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  // Not reply.json(): in Jest its arrays are none of the test's own, and so not deeply equal to any of them.
  return { status: reply.status, headers: reply.headers, body: JSON.parse(await reply.text()) };
}

async function command(method, path, setting) {
  const { status, body } = await call(method, path, setting);
  assert.ok(status < 300, JSON.stringify(body));
  return body;
}

export async function newOrganization() {
  const { organizationId, apiKey } = await command('POST', '/_standin/organizations', {});
  const inbox = `/_standin/inbox/${organizationId}`;
  return {
    call: (method, path, body, headers) => call(method, path, body, { 'X-Api-Key': apiKey, ...headers }),
    // Makes the next call of an operation fail.
    fault: (operation, answer) =>
      command('POST', '/_standin/faults', { organizationId, match: { operation }, times: 1, answer }),
    clock: (setting) => command('PUT', '/_standin/clock', { organizationId, ...setting }),
    // Webhook endpoints with this URL post to the stand-in itself.
    inboxUrl: process.env.LAYERS_STANDIN_URL + inbox,
    inbox: async () => {
      await command('POST', '/_standin/webhooks/flush', { organizationId });
      return (await command('GET', inbox)).items;
    },
  };
}
