import { join } from 'node:path';
import { createBridge } from '../../adapters/storage/bridge/bridge.ts';
import type { AttemptRef } from '../../adapters/storage/storage-adapter.ts';
import type { Capability } from '../../protocol/generated/types.ts';
import { toCoPilotError } from '../../protocol/errors.ts';
import { nodeClock, nodeRandom } from '../../protocol/runtime/node-runtime.ts';
import type { BridgeCommand, BridgeReply } from '../doubles/bridge-process.ts';
import {
  type Answer,
  asOperator,
  CEILING,
  createTestAgent,
  crypto,
  fileOf,
  grantFor,
  OPERATOR_TOKEN,
  putInput,
  sha256Of,
  someBytes,
  type TestAgent,
} from '../doubles/bridge-world.ts';
import { freePort } from '../doubles/free-port.ts';
import { silentLog } from '../doubles/silent-log.ts';
import type { Promised } from './images.ts';
import { heardMs, startTraced, type Trace, type TracedProgram } from './traced-program.ts';

/** What a bridge told somebody. */
export type BridgePromise =
  | { readonly kind: 'minted'; readonly capability: Capability }
  | { readonly kind: 'uploaded'; readonly attempt: AttemptRef; readonly file: Content }
  | { readonly kind: 'closed' | 'registered' | 'discarded'; readonly attempt: AttemptRef }
  | { readonly kind: 'input'; readonly bytes: Uint8Array };

interface Content {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface BridgeLoad {
  readonly trace: Trace;
  readonly promises: readonly Promised<BridgePromise>[];
  /** What is wrong with a bridge recovered in that directory, given what was promised. */
  check(directory: string, kept: readonly BridgePromise[]): Promise<readonly string[]>;
}

const script = new URL('../doubles/bridge-process.ts', import.meta.url);

/** How an attempt ends, one after the other. */
const ENDS = ['registered', 'discarded', 'closed', 'uploaded'] as const;

/** Runs a real bridge under strace: jobs with two files each, whole and in pieces, in two lanes. */
export async function traceBridge(folder: string, root: string, jobs: number): Promise<BridgeLoad> {
  const port = await freePort();
  const program = await startTraced({
    script,
    arguments: [root, String(port)],
    root,
    traceFile: join(folder, 'bridge.trace'),
  });
  const heard: { readonly atMs: number; readonly what: BridgePromise }[] = [];
  const agent = createTestAgent();
  const talk = conversationWith(program);
  await program.message();
  const lanes = [0, 1].map(async (lane) => {
    for (let job = lane; job < jobs; job += 2)
      await runJob({
        agent,
        talk,
        url: `http://127.0.0.1:${port}`,
        job,
        told: (what) => heard.push({ atMs: heardMs(), what }),
      });
  });
  await Promise.all(lanes);
  await talk({ op: 'stop' });
  // What was promised for a time is asked for as if no time had passed: there may be many images.
  const endedMs = nodeClock.wallMs();
  const trace = await program.trace();
  const promises = heard.map(({ atMs, what }) => ({ line: trace.sentBefore(atMs), what }));
  return { trace, promises, check: (directory, kept) => checkBridge(directory, kept, agent, endedMs) };
}

type Talk = (command: BridgeCommand) => Promise<unknown>;

/** One command after the other; rejects where one is refused. */
function conversationWith(program: TracedProgram): Talk {
  let last: Promise<unknown> = Promise.resolve();
  const ask = async (command: BridgeCommand): Promise<unknown> => {
    program.child.send(command);
    const reply = (await program.message()) as BridgeReply;
    if ('code' in reply) throw new Error(`${command.op} was refused: ${reply.code}`);
    return reply.ok;
  };
  return (command) => {
    last = last.then(() => ask(command));
    return last;
  };
}

interface JobRun {
  readonly agent: TestAgent;
  readonly talk: Talk;
  readonly url: string;
  readonly job: number;
  readonly told: (what: BridgePromise) => void;
}

/** The first attempt of every fifth job is discarded, and the second one ends as any other. */
async function runJob(run: JobRun): Promise<void> {
  const { job } = run;
  const id = jobId(job);
  if (job % 5 === 0) {
    await runAttempt(run, { job: id, attempt: 1 }, 'discarded');
    await runAttempt(run, { job: id, attempt: 2 }, ENDS[job % 4] ?? 'closed');
  } else await runAttempt(run, { job: id, attempt: 1 }, ENDS[job % 4] ?? 'closed');
  if (job % 3 !== 0) return;
  const bytes = someBytes(5_000 + job, 100 + job);
  requireStatus(await putInput(run.url, bytes), 201);
  run.told({ kind: 'input', bytes });
}

async function runAttempt(run: JobRun, attempt: AttemptRef, end: (typeof ENDS)[number]): Promise<void> {
  const { agent, talk, told, job } = run;
  const small = { name: 'small', bytes: someBytes(700 + job, job + 1) };
  const large = { name: 'large', bytes: someBytes(40_000 + job, job + 2) };
  const contents = [small, large];
  const put = contents.map(({ name, bytes }) => ({ name, maxBytes: bytes.length }));
  const minted = (await talk({
    op: 'mint',
    grant: grantFor(agent.jkt, { ...attempt, put }),
  })) as Capability[];
  for (const capability of minted) told({ kind: 'minted', capability });
  const [first, second] = minted;
  if (first === undefined || second === undefined) throw new Error('too little was minted');

  requireStatus(await agent.put(first, small.bytes), 201);
  told({ kind: 'uploaded', attempt, file: small });
  const half = 20_000;
  const whole = large.bytes;
  requireStatus(await agent.patch(second, { whole, start: 0, end: half }), 204);
  requireStatus(await agent.patch(second, { whole, start: half, end: whole.length }), 204);
  told({ kind: 'uploaded', attempt, file: large });

  if (end === 'uploaded') return;
  const manifest = contents.map(({ name, bytes }) => fileOf(name, bytes));
  await talk({ op: 'verify', attempt, manifest });
  told({ kind: 'closed', attempt });
  if (end === 'closed') return;
  if (end === 'registered') await talk({ op: 'finalise', attempt, manifest });
  else await talk({ op: 'discard', attempt });
  told({ kind: end, attempt });
}

function requireStatus({ status, code }: Answer, wanted: number): void {
  if (status !== wanted) throw new Error(`the bridge answered ${status} ${code ?? ''}`);
}

function jobId(job: number): string {
  return String(job)
    .replace(/./g, (digit) => DIGITS.charAt(Number(digit)))
    .padStart(26, 'z');
}

const DIGITS = 'abcdefghij';

/** Starts a real bridge on what is left and asks it for everything that was promised. */
async function checkBridge(
  directory: string,
  kept: readonly BridgePromise[],
  agent: TestAgent,
  wallMs: number,
): Promise<readonly string[]> {
  const bridge = createBridge({
    directory,
    host: '127.0.0.1',
    port: 0,
    operatorToken: OPERATOR_TOKEN,
    ceiling: CEILING,
    clock: { ...nodeClock, wallMs: () => wallMs },
    random: nodeRandom,
    crypto,
    log: silentLog,
    limits: { stopGraceMs: 200 },
  });
  const { url } = await bridge.start();
  try {
    await bridge.swept();
    const checked = [
      ...kept.map((what) => checkOneFile(url, what, agent)),
      ...histories(kept).map((history) => checkAttempt(bridge, url, history)),
    ];
    return (await Promise.all(checked)).flat();
  } finally {
    await bridge.stop();
  }
}

/** What stands for itself: inputs, and capabilities, which outlive a restart. */
async function checkOneFile(url: string, what: BridgePromise, agent: TestAgent): Promise<readonly string[]> {
  if (what.kind === 'input') {
    const sha256 = sha256Of(what.bytes);
    const answer = await asOperator({ method: 'GET', url: `${url}/v1/inputs/${sha256}` });
    return sha256Of(answer.body) === sha256 ? [] : [`input ${sha256} is ${answer.status}`];
  }
  if (what.kind !== 'minted') return [];
  const { capability } = what;
  const path = capability.url.slice(new URL(capability.url).origin.length);
  const answer = await agent.ask(capability, { method: 'HEAD', url: url + path });
  return answer.code?.startsWith('CAPABILITY_') ? [`a capability is refused: ${answer.code}`] : [];
}

interface History {
  readonly attempt: AttemptRef;
  readonly contents: readonly Content[];
  /** The last thing promised of it. */
  readonly state: 'uploaded' | 'closed' | 'registered' | 'discarded';
}

function histories(kept: readonly BridgePromise[]): readonly History[] {
  const found = new Map<string, History>();
  for (const what of kept) {
    if (what.kind === 'minted' || what.kind === 'input') continue;
    const { attempt, kind: state } = what;
    const key = `${attempt.job}/${attempt.attempt}`;
    const contents = [...(found.get(key)?.contents ?? []), ...(what.kind === 'uploaded' ? [what.file] : [])];
    found.set(key, { attempt, contents, state });
  }
  return [...found.values()];
}

type Bridge = ReturnType<typeof createBridge>;

/** Goes on to the end with an attempt, as the broker would. */
async function checkAttempt(bridge: Bridge, url: string, history: History): Promise<readonly string[]> {
  const { attempt, contents, state } = history;
  const manifest = contents.map(({ name, bytes }) => fileOf(name, bytes));
  const about = `${state} attempt ${attempt.job.slice(-3)}/${attempt.attempt}`;
  const verified = await resultOf(bridge.adapter.verify(attempt, manifest));
  const isGone = verified === 'ATTEMPT_NOT_LIVE';
  if (state === 'discarded') return isGone ? [] : [`${about} is back: ${verified}`];
  // A discard that was asked for and not answered may have happened.
  if (isGone && state !== 'registered' && mayBeDiscarded(attempt)) return [];
  if (verified !== 'verified') return [`${about} is ${verified}`];
  const finalised = await resultOf(bridge.adapter.finalise(attempt, manifest));
  if (finalised !== 'done') return [`${about} cannot be finalised: ${finalised}`];
  const faults: string[] = [];
  for (const { name, bytes } of contents) faults.push(...(await missing(url, attempt, { name, bytes })));
  return faults.map((fault) => `${about}: ${fault}`);
}

function mayBeDiscarded({ job, attempt }: AttemptRef): boolean {
  const digits = job.replace(/./g, (letter) => (letter === 'z' ? '' : String(DIGITS.indexOf(letter))));
  const number = Number(digits);
  return (number % 5 === 0 && attempt === 1) || ENDS[number % 4] === 'discarded';
}

async function missing(url: string, { job, attempt }: AttemptRef, file: Content): Promise<readonly string[]> {
  const answer = await asOperator({ method: 'GET', url: `${url}/v1/results/${job}/${attempt}/${file.name}` });
  return answer.body.equals(file.bytes)
    ? []
    : [`${file.name} is ${answer.status}, ${answer.body.length} bytes`];
}

/** 'verified', 'mismatch', 'done', or the code of a refusal. */
async function resultOf(call: Promise<unknown>): Promise<string> {
  try {
    const value = (await call) as { readonly kind: string } | undefined;
    return value?.kind ?? 'done';
  } catch (caught) {
    return toCoPilotError(caught).code;
  }
}
