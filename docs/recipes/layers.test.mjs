// Against the stand-in of standin.mjs. Where these use `layers.call`, yours call your own client.

import assert from 'node:assert/strict';
import { test } from 'node:test'; // or 'vitest', or '@jest/globals'

import { newOrganization } from './layers.mjs';

const PROJECT = { name: 'Spring', timezone: 'Europe/Lisbon' };

test('an influencer is patched', async () => {
  const layers = await newOrganization();
  const { body: project } = await layers.call('POST', '/v1/projects', PROJECT);
  const { body: created } = await layers.call('POST', `/v1/projects/${project.id}/influencers`, { name: 'Rui' });
  const path = `/v1/influencers/${created.influencerId}`;

  const patched = await layers.call('PATCH', path, { vibe: 'sleepy harbor', personality: { humor: 'dry' } });

  assert.equal(patched.status, 200);
  assert.deepEqual((await layers.call('GET', path)).body.personality, { humor: 'dry' });
});

test('nobody else has projects here', async () => {
  const layers = await newOrganization();
  assert.deepEqual((await layers.call('GET', '/v1/projects')).body.items, []);
});

test('the first call is told to wait', async () => {
  const layers = await newOrganization();
  await layers.fault('createProject', { code: 'RATE_LIMITED', retryAfter: 7 });

  const refused = await layers.call('POST', '/v1/projects', PROJECT);

  assert.deepEqual([refused.status, refused.headers.get('Retry-After')], [429, '7']);
  assert.equal((await layers.call('POST', '/v1/projects', PROJECT)).status, 201);
});

test('a call whose reply was lost is made again and done once', async () => {
  const layers = await newOrganization();
  await layers.fault('createProject', { loseReplyAfterEffect: true });
  const once = { 'Idempotency-Key': 'spring-1' };

  await assert.rejects(layers.call('POST', '/v1/projects', PROJECT, once));
  const again = await layers.call('POST', '/v1/projects', PROJECT, once);

  assert.deepEqual([again.status, again.headers.get('Idempotent-Replayed')], [201, 'true']);
  const { body: projects } = await layers.call('GET', '/v1/projects');
  assert.deepEqual(projects.items.map(({ id }) => id), [again.body.id]);
});

test('a job is over when its time is up', async () => {
  const layers = await newOrganization();
  await layers.clock({ mode: 'frozen', at: '2026-04-18T09:00:00Z' });
  const { body: project } = await layers.call('POST', '/v1/projects', PROJECT);
  const { body: job } = await layers.call('POST', `/v1/projects/${project.id}/influencers`, { name: 'Rui' });

  assert.equal((await layers.call('GET', job.locationUrl)).body.status, 'running');
  await layers.clock({ advance: 'PT2S' }); // as long as STANDIN_JOB_SECONDS says
  assert.equal((await layers.call('GET', job.locationUrl)).body.status, 'completed');
});

test('a webhook tells of the job', async () => {
  const layers = await newOrganization();
  await layers.clock({ mode: 'frozen', at: '2026-04-18T09:00:00Z' });
  const url = layers.inboxUrl; // or that of your own receiver
  const { status } = await layers.call('POST', '/v1/webhook-endpoints', { url, events: ['job.completed'] });
  assert.equal(status, 201);
  const { body: project } = await layers.call('POST', '/v1/projects', PROJECT);
  const { body: job } = await layers.call('POST', `/v1/projects/${project.id}/influencers`, { name: 'Rui' });

  await layers.clock({ advance: 'PT2S' });
  const [message] = await layers.inbox(); // waits until all that is due was posted

  assert.ok(message.isVerified);
  assert.equal(JSON.parse(message.body).data.jobId, job.jobId);
});
