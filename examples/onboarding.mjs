// Bring a new customer from a repository to a published post, and print a line for each step.
//
//     LAYERS_BASE_URL=http://127.0.0.1:8000 LAYERS_API_KEY=... node examples/onboarding.mjs
//
// Two steps are a person's: they open a page and say yes. Here the script says it, and where a script would wait, it
// moves the clock of the key's organization on: only a stand-in can do both. The clock stays ahead;
// `DELETE /_standin/clock?organizationId=...` sets it back.

import process from 'node:process';

const { LAYERS_BASE_URL: baseUrl, LAYERS_API_KEY: apiKey } = process.env;
for (const name of ['LAYERS_BASE_URL', 'LAYERS_API_KEY']) {
  if (!process.env[name]) {
    console.error(`Set ${name} first: the line that starts this example is at the top of its file.`);
    process.exit(1);
  }
}

const RETURN_URL = 'http://localhost:3000/connected'; // where the customer's browser would be sent back to
const MOST_POLLS = 100;

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

// Return a job when it has ended; exit unless it is completed.
async function finished(begun) {
  for (let polls = 0; polls < MOST_POLLS; polls += 1) {
    const job = await call('GET', begun.locationUrl);
    if (job.status !== 'running') {
      return job.status === 'completed' ? job : fail(`The job ended as ${JSON.stringify(job)}`);
    }
    await passTime('PT10S');
  }
  return fail(`The job ${begun.jobId} is still running.`);
}

const me = await call('GET', '/v1/whoami');
console.log(`Who am I: ${me.organizationName}`);
const project = await call('POST', '/v1/projects', { name: 'Onboarding', timezone: 'Europe/Lisbon' });
const projectPath = `/v1/projects/${project.id}`;
console.log(`Create a project: ${project.status}`);

const query = new URLSearchParams({ returnUrl: RETURN_URL });
const install = await call('GET', `/v1/github/installation/install-url?${query}`);
const sent = await sayYes(install.installUrl);
console.log(`Install the app on GitHub: sent back with ${Object.keys(sent).sort().join(' and ')}`);
const registration = { installationId: Number(sent.installation_id), state: sent.state };
const installation = await call('POST', '/v1/github/installation', registration);
console.log(`Register the installation: ${installation.status}`);
console.log(`Read it again: ${(await call('GET', '/v1/github/installation')).orgLogin}`);
const [repository] = (await call('GET', '/v1/github/repos')).items;
const ingest = { repoFullName: repository.fullName, openPR: true };
const ingestJob = await call('POST', `${projectPath}/ingest/github`, ingest);
console.log(`Ingest the newest repository: ${ingestJob.status}`);
console.log(`Poll the job: ${(await finished(ingestJob)).status}`);

const { brandContext: brand } = await call('GET', projectPath);
console.log(`Meet the brand: ${brand.appName}, ${brand.brandVoice}`);
const [influencer] = (await call('GET', `${projectPath}/influencers`)).items;
console.log(`Meet the first influencer: ${influencer.name}, ${influencer.status}`);

await call('PATCH', `${projectPath}/approval-policy`, { requiresApproval: true });
const brief = { topic: brand.tagline, influencerId: influencer.influencerId };
const contentJob = await call('POST', `${projectPath}/content`, { format: 'slideshow_remix', brief });
const ended = await finished(contentJob);
const containerPath = `/v1/content/${contentJob.containerId}`;
const content = await call('GET', containerPath);
console.log(`Generate content: ${content.status}, ${content.assets.length} slides, ${content.approvalStatus}`);
console.log(`Approve it: ${(await call('POST', `${containerPath}/approve`)).approvalStatus}`);

const oauth = await call('POST', `${projectPath}/social/oauth-url`, { platform: 'tiktok', returnUrl: RETURN_URL });
console.log(`Connect an account: ${(await sayYes(oauth.authorizeUrl)).status}`);
const { socialAccountId } = await call('GET', `/v1/social/oauth-status/${oauth.state}`);
const inAnHour = new Date(Date.parse(ended.finishedAt) + 3_600_000).toISOString();
const targets = [{ socialAccountId, mode: 'direct_publish' }];
const scheduled = await call('POST', `${containerPath}/schedule`, { scheduledFor: inAnHour, targets });
const [post] = scheduled.scheduledPosts;
console.log(`Schedule a post in an hour: ${post.status}`);
await passTime('PT2H');
const published = await call('GET', `/v1/scheduled-posts/${post.id}`);
console.log(`Look again two hours later: ${published.status}`);
console.log(`See it at ${published.externalUrl}`);
