// Archive an influencer and say why, then look for it: it is gone for every reader.
//
//     LAYERS_BASE_URL=http://127.0.0.1:8000 LAYERS_API_KEY=... node examples/delete_influencer.mjs [influencer id]
//
// Without an id it first makes an influencer, in a new project.

import process from 'node:process';

const { LAYERS_BASE_URL: baseUrl, LAYERS_API_KEY: apiKey } = process.env;
for (const name of ['LAYERS_BASE_URL', 'LAYERS_API_KEY']) {
  if (!process.env[name]) {
    console.error(`Set ${name} first: the line that starts this example is at the top of its file.`);
    process.exit(1);
  }
}

// Return the response to a request; exit with a sentence when there is none.
async function call(method, path, body) {
  const headers = { 'X-Api-Key': apiKey, ...(body && { 'Content-Type': 'application/json' }) };
  try {
    return await fetch(baseUrl + path, { method, headers, body: body && JSON.stringify(body) });
  } catch (error) {
    const reason = error.cause?.message || error.cause?.code || error.message;
    console.error(`No answer from ${baseUrl} (${reason}): is the stand-in running there?`);
    return process.exit(1);
  }
}

// Return what a POST makes; exit with its refusal.
async function make(path, body) {
  const response = await call('POST', path, body);
  if (!response.ok) {
    console.error(`${path}: ${response.status} ${await response.text()}`);
    process.exit(1);
  }
  return response.json();
}

// Return the id of an influencer in a new project; it can be deleted while its job still runs.
async function newInfluencer() {
  const project = await make('/v1/projects', { name: 'Example', timezone: 'UTC' });
  return (await make(`/v1/projects/${project.id}/influencers`, { name: 'Rui Teles' })).influencerId;
}

const influencerId = process.argv[2] ?? (await newInfluencer());

const deleted = await call('DELETE', `/v1/influencers/${influencerId}`, { reason: 'The campaign is over.' });
console.log(deleted.status, JSON.stringify(await deleted.json(), null, 2));

const after = await call('GET', `/v1/influencers/${influencerId}`);
const { error } = await after.json();
console.log(after.status, error.message);
process.exitCode = deleted.ok ? 0 : 1;
