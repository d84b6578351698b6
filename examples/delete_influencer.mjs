// Archive an influencer and say why, then look for it: it is gone for every reader.
//
//     LAYERS_BASE_URL=http://127.0.0.1:8000 LAYERS_API_KEY=... node examples/delete_influencer.mjs [influencer id]

import process from 'node:process';

const AVA = 'inf_01HXZ9G7R3T5V8W2Y4A6C8E0FG'; // of the seed
const [influencerId = AVA] = process.argv.slice(2);
const url = `${process.env.LAYERS_BASE_URL}/v1/influencers/${influencerId}`;
const headers = { 'X-Api-Key': process.env.LAYERS_API_KEY };

const deleted = await fetch(url, {
  method: 'DELETE',
  headers: { ...headers, 'Content-Type': 'application/json' },
  body: JSON.stringify({ reason: 'The campaign is over.' }),
});
console.log(deleted.status, JSON.stringify(await deleted.json(), null, 2));

const after = await fetch(url, { headers });
const { error } = await after.json();
console.log(after.status, error.message);
process.exitCode = deleted.ok ? 0 : 1;
