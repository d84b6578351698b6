// Receive webhooks: print a line for each event that is signed, young and new.
//
//     LAYERS_WEBHOOK_SECRET=whsec_... node examples/receive_webhooks.mjs [port]

import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import process from 'node:process';

const secret = process.env.LAYERS_WEBHOOK_SECRET;
if (!secret) {
  console.error('Set LAYERS_WEBHOOK_SECRET to the signingSecret first.');
  process.exit(1);
}

const MAX_AGE_SECONDS = 5 * 60;
const MAX_BODY_BYTES = 1 << 20;
const handled = new Set(); // a real receiver keeps them in its database, for as long as events are retried

// Return the reason not to believe a body; nothing if the signature, or one of two during a rotation, is ours.
function whyRefused(header, body) {
  const match = /^t=([0-9]{1,12})((?:,v1=[0-9a-f]{64})+)$/.exec(header);
  if (!match) return 'no signature';
  const expected = createHmac('sha256', secret).update(`${match[1]}.`).update(body).digest();
  const given = match[2].split(',v1=').slice(1).map((hex) => Buffer.from(hex, 'hex'));
  if (!given.some((digest) => timingSafeEqual(digest, expected))) return 'wrong signature';
  return Math.abs(Date.now() / 1000 - Number(match[1])) > MAX_AGE_SECONDS ? 'too old' : undefined;
}

const server = createServer(async (request, response) => {
  const parts = [];
  let size = 0;
  try {
    for await (const part of request) {
      size += part.length;
      if (size > MAX_BODY_BYTES) return response.writeHead(413).end();
      parts.push(part);
    }
  } catch {
    return; // the sender hung up
  }
  const body = Buffer.concat(parts); // the raw bytes are signed
  const reason = whyRefused(request.headers['x-layers-signature'] ?? '', body);
  const event = reason ? undefined : JSON.parse(body);
  if (reason) {
    console.log('refused:', reason);
  } else if (handled.has(event.id)) {
    console.log('again:', event.id); // at least once means sometimes twice
  } else {
    handled.add(event.id);
    console.log(event.type, event.id, JSON.stringify(event.data));
  }
  response.writeHead(reason ? 400 : 200).end();
});
server.listen(Number(process.argv[2] ?? 3000), '127.0.0.1', () => {
  console.log(`listens on http://127.0.0.1:${server.address().port}`);
});
