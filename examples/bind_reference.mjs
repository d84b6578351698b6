// Attach pictures to an influencer, and look at which of them stuck: what its project does not have drops out.
//
//     LAYERS_BASE_URL=http://127.0.0.1:8000 LAYERS_API_KEY=... \
//       node examples/bind_reference.mjs [influencer id [asset id ...]]

import process from 'node:process';

const AVA = 'inf_01HXZ9G7R3T5V8W2Y4A6C8E0FG'; // of the seed
const HERS = ['asset_01HXZ9K1M3N5P7Q9R1S3T5V7W9', 'asset_01HXZ9M2N4P6Q8R0S2T4V6W8X0'];
const OF_ANOTHER_PROJECT = 'asset_01HXZD4E6F8G0H2J4K6M8N0P2Q';

const [influencerId = AVA, ...given] = process.argv.slice(2);
const assetIds = given.length > 0 ? given : [...HERS, OF_ANOTHER_PROJECT];

const response = await fetch(`${process.env.LAYERS_BASE_URL}/v1/influencers/${influencerId}/reference-images`, {
  method: 'POST',
  headers: { 'X-Api-Key': process.env.LAYERS_API_KEY, 'Content-Type': 'application/json' },
  body: JSON.stringify({ assetIds }),
});

const reply = await response.json();
console.log(response.status, JSON.stringify(reply, null, 2));
const attached = new Set((reply.referenceImages ?? []).map((image) => image.assetId));
for (const assetId of assetIds) {
  console.log(assetId, attached.has(assetId) ? 'attached' : 'dropped');
}
process.exitCode = response.ok ? 0 : 1;
