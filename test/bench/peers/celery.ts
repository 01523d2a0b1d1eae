import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { startServer } from '../../servers/server-process.ts';
import type { LoadResult } from '../load-result.ts';
import { newJob } from '../stage.ts';

/** A Celery worker that runs, and how to load it. */
export interface CeleryPeer {
  run(order: { readonly inFlight: number; readonly seconds: number }): Promise<LoadResult>;
  stop(): Promise<void>;
}

/** Debian's, whose packages Debian's own modules are for. */
const PYTHON = '/usr/bin/python3';
const WORKERS = 2;

/** Starts a worker with a process for each processor, as Celery does where nobody says otherwise. */
export async function startCelery(brokerUrl: string, directory: string): Promise<CeleryPeer> {
  if (!existsSync('/usr/bin/celery')) throw new Error('celery is not installed: apt-get install celery');
  await mkdir(directory, { recursive: true });
  const env = {
    CELERY_BROKER_URL: brokerUrl,
    PYTHONPATH: import.meta.dirname,
    PYTHONDONTWRITEBYTECODE: '1',
  };
  const worker = await startServer({
    file: PYTHON,
    args: [
      '-m',
      'celery',
      '-A',
      'celery_app',
      'worker',
      '--concurrency',
      String(WORKERS),
      '--without-mingle',
    ],
    env: { ...env, HOME: directory },
    isReady: () => answers(env),
  });
  return { run: (order) => runProducer(env, order), stop: () => worker.stop() };
}

/** One job runs through: the worker serves. */
async function answers(env: NodeJS.ProcessEnv): Promise<boolean> {
  return (await runProducer(env, { inFlight: 1, seconds: 0.01 })).done > 0;
}

async function runProducer(
  env: NodeJS.ProcessEnv,
  { inFlight, seconds }: Parameters<CeleryPeer['run']>[0],
): Promise<LoadResult> {
  const script = join(import.meta.dirname, 'celery_producer.py');
  const child = spawn(PYTHON, [script, String(inFlight), String(seconds)], {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.end(JSON.stringify(newJob('job')));
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`the Celery producer ended with ${code}`);
  return JSON.parse(text) as LoadResult; // our own script's
}
