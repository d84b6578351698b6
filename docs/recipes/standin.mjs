// Starts a Layers stand-in when this module is imported, and stops it at the end of the importing process. Use it as
// `globalSetup` of Vitest or Jest, for the whole run, or as `--import` of Node's own runner, for one test file.

import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';

const CHECKOUT = resolve(process.env.LAYERS_STANDIN ?? '../layers-stand-in'); // where you cloned it
const SETTINGS = {
  PORT: '0', // whichever is free
  WEB_CONCURRENCY: '1',
  STANDIN_SEED: 'none', // each test makes what it needs
  STANDIN_SYNC: 'never', // nothing here has to outlive a power cut
};

// Inherited by the processes that a runner starts for its test files.
process.env.LAYERS_STANDIN_URL ??= await start();

export default function setup() {} // Vitest and Jest want a function; all is done by now

async function start() {
  const folder = mkdtempSync(join(tmpdir(), 'standin-'));
  const log = join(folder, 'log');
  const output = openSync(log, 'w');
  const standin = spawn(join(CHECKOUT, '.venv/bin/gunicorn'), ['app:app'], {
    cwd: CHECKOUT,
    env: { ...process.env, ...SETTINGS, STANDIN_DATA: join(folder, 'store') },
    stdio: ['ignore', output, output],
  });
  closeSync(output);
  standin.unref(); // it keeps no runner waiting
  process.once('exit', () => {
    standin.kill();
    rmSync(folder, { recursive: true, force: true });
  });
  const url = await address(standin, log);
  const health = await fetch(`${url}/_standin/health`);
  if (!health.ok) throw new Error(await health.text());
  return url;
}

async function address(standin, log) {
  for (;;) {
    const said = readFileSync(log, 'utf8');
    const found = said.match(/listens on (http:\/\/[\d.:]+)/);
    if (found) return found[1];
    if ((standin.exitCode ?? standin.signalCode) !== null) throw new Error(said);
    await sleep(20);
  }
}
