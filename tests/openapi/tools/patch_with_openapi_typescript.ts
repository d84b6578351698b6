// The types are those of openapi-typescript, the calls those of openapi-fetch.
import createClient from "openapi-fetch";
import type { components, paths } from "./types.js";

declare const process: { env: Record<string, string>; argv: string[] };

const layers = createClient<paths>({
  baseUrl: process.env.LAYERS_BASE_URL,
  headers: { "X-Api-Key": process.env.LAYERS_API_KEY },
});
const { data, error } = await layers.PATCH("/v1/influencers/{influencerId}", {
  params: { path: { influencerId: process.argv[2]! }, header: { "Idempotency-Key": "openapi-typescript" } },
  body: { vibe: "typed", ageRange: null, personality: { humor: "dry", tone: null } },
});
if (error) throw new Error(error.error.message);
const influencer: components["schemas"]["Influencer"] = data;
const vibe: string | null = influencer.vibe;
console.log(JSON.stringify({ ...influencer, vibe }));
