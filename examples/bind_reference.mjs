// Attach pictures to an influencer, and look at which of them stuck: what its project does not have drops out.
//
//     LAYERS_BASE_URL=http://127.0.0.1:8000 LAYERS_API_KEY=... \
//       node examples/bind_reference.mjs [influencer id [asset id ...]]
//
// Without ids it first makes an influencer and two pictures in a new project, and a third picture in another.

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

const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGM4ERAFAANWAXM5X3/MAAAAAElFTkSuQmCC'; // a PNG

async function newProject() {
  return (await make('/v1/projects', { name: 'Example', timezone: 'UTC' })).id;
}

// Return the id of an influencer; pictures can be attached while its job still runs.
async function newInfluencer(projectId) {
  return (await make(`/v1/projects/${projectId}/influencers`, { name: 'Rui Teles' })).influencerId;
}

// Return the id of a picture, sent in one step.
async function newPicture(projectId) {
  const body = { kind: 'reference_image', mimeType: 'image/png', dataBase64: PIXEL };
  return (await make(`/v1/projects/${projectId}/media`, body)).assetId;
}

let [influencerId, ...assetIds] = process.argv.slice(2);
if (!influencerId) {
  const project = await newProject();
  influencerId = await newInfluencer(project);
  assetIds = [await newPicture(project), await newPicture(project), await newPicture(await newProject())];
}

const response = await call('POST', `/v1/influencers/${influencerId}/reference-images`, { assetIds });

const reply = await response.json();
console.log(response.status, JSON.stringify(reply, null, 2));
const attached = new Set((reply.referenceImages ?? []).map((image) => image.assetId));
for (const assetId of assetIds) {
  console.log(assetId, attached.has(assetId) ? 'attached' : 'dropped');
}
process.exitCode = response.ok ? 0 : 1;
