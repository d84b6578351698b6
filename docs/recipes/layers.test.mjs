// Where these use `layers.call`, yours call your own client, with `layers.baseUrl` and `layers.apiKey`.

import assert from 'node:assert/strict';
import { test } from 'node:test'; // or 'vitest', or '@jest/globals'

import { newOrganization } from './layers-standin.cjs';

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
  await layers.faults.add('createProject', { code: 'RATE_LIMITED', retryAfter: 7, times: 1 });

  const refused = await layers.call('POST', '/v1/projects', PROJECT);

  assert.deepEqual([refused.status, refused.headers['retry-after']], [429, '7']);
  assert.equal((await layers.call('POST', '/v1/projects', PROJECT)).status, 201);
  await layers.requests.called('createProject', { times: 2 });
});

test('a call whose reply was lost is made again and done once', async () => {
  const layers = await newOrganization();
  await layers.faults.add('createProject', { loseReplyAfterEffect: true, times: 1 });
  const once = { 'Idempotency-Key': 'spring-1' };

  await assert.rejects(layers.call('POST', '/v1/projects', PROJECT, once));
  const again = await layers.call('POST', '/v1/projects', PROJECT, once);

  assert.deepEqual([again.status, again.headers['idempotent-replayed']], [201, 'true']);
  const { body: projects } = await layers.call('GET', '/v1/projects');
  assert.deepEqual(projects.items.map(({ id }) => id), [again.body.id]);
});

test('the end of a job is told when its time is up', async () => {
  const layers = await newOrganization();
  await layers.clock.freeze('2026-04-18T09:00:00Z');
  const inbox = await layers.webhooks.inbox('job.completed');
  const { body: project } = await layers.call('POST', '/v1/projects', PROJECT);
  const { body: job } = await layers.call('POST', `/v1/projects/${project.id}/influencers`, { name: 'Rui' });

  assert.equal((await layers.call('GET', job.locationUrl)).body.status, 'running');
  await layers.clock.advance('PT1M'); // longer than any job takes
  await layers.webhooks.flush();
  assert.equal((await layers.call('GET', job.locationUrl)).body.status, 'completed');
  assert.deepEqual(await inbox.events(), ['job.completed']);
});
