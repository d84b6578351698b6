import { patchInfluencer, type Influencer } from "./hey/index.js";
import { client } from "./hey/client.gen.js";

declare const process: { env: Record<string, string>; argv: string[] };

client.setConfig({ baseUrl: process.env.LAYERS_BASE_URL!, auth: process.env.LAYERS_API_KEY! });
const { data, error } = await patchInfluencer({
  path: { influencerId: process.argv[2]! },
  headers: { "Idempotency-Key": "hey-api" },
  body: { vibe: "typed", ageRange: null, personality: { humor: "dry", tone: null } },
});
if (error) throw new Error(error.error.message);
const influencer: Influencer = data!;
const vibe: string | null = influencer.vibe;
console.log(JSON.stringify({ ...influencer, vibe }));
