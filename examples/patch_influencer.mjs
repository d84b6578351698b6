// Give an influencer another style and a drier humor; whatever is not named stays as it is.
//
//     LAYERS_BASE_URL=http://127.0.0.1:8000 LAYERS_API_KEY=... node examples/patch_influencer.mjs [influencer id]

import process from 'node:process';

const AVA = 'inf_01HXZ9G7R3T5V8W2Y4A6C8E0FG'; // of the seed
const [influencerId = AVA] = process.argv.slice(2);

const response = await fetch(`${process.env.LAYERS_BASE_URL}/v1/influencers/${influencerId}`, {
  method: 'PATCH',
  headers: { 'X-Api-Key': process.env.LAYERS_API_KEY, 'Content-Type': 'application/json' },
  body: JSON.stringify({
    style: 'linen and running shoes',
    hairStyle: null, // null clears a field
    personality: { humor: 'dry', tone: null }, // merged: one key set, one removed, the others kept
  }),
});

console.log(response.status, JSON.stringify(await response.json(), null, 2));
process.exitCode = response.ok ? 0 : 1;
