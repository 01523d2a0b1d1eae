import { CoPilotError, toCoPilotError } from '../../protocol/errors.ts';
import type { Capability, CapabilityList, File, Manifest } from '../../protocol/generated/types.ts';
import type { Workplace } from '../store/store.ts';
import type { Context } from './context.ts';
import type { Holding } from './holding.ts';
import { programInput } from './job-spec.ts';
import { backOffMs, sleep } from './wait.ts';
import { Wallet } from './wallet.ts';

/** How often one file is tried, each time with what patience the transfer itself has: a result is worth more than an input. */
const DOWNLOAD_TRIES = 6;
const UPLOAD_TRIES = 20;
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;

/** One attempt in one slot, with the capabilities it has. */
export interface Run {
  readonly context: Context;
  readonly slot: number;
  readonly holding: Holding;
  readonly place: Workplace;
  readonly wallet: Wallet;
}

/** A wallet that asks the broker in the attempt's slot. */
export function createWallet(context: Context, slot: number, holding: Holding): Wallet {
  return new Wallet({
    clock: context.runtime.clock,
    leaseSeconds: holding.lease.leaseSeconds,
    obtain: (verb, files) => obtain(context, slot, holding, verb, files),
  });
}

/** Fetches the inputs into the work directory. Rejects with the code of what could not be had. */
export async function fetchInputs(run: Run): Promise<void> {
  const { description } = run.holding.lease;
  const program = programInput(description);
  for (const [index, input] of description.inputs.entries()) {
    const target = await run.place.place(input.name);
    const { size, sha256 } = input;
    await move(run, 'get', description.inputs.slice(index).map(plainFile), DOWNLOAD_TRIES, (capability) =>
      run.context.transfers.download(capability, target, { size, sha256 }, run.holding.signal),
    );
    if (input.executable === true || input.name === program) await run.place.makeExecutable(input.name);
  }
}

/** Uploads the outputs; files that storage has already cost one question each. */
export async function uploadOutputs(run: Run, manifest: Manifest): Promise<void> {
  for (const [index, { name, size, sha256 }] of manifest.entries()) {
    const path = await run.place.place(name);
    await move(run, 'put', manifest.slice(index), UPLOAD_TRIES, (capability) =>
      run.context.transfers.upload(path, capability, { size, sha256 }, run.holding.signal),
    );
  }
}

function plainFile({ name, size, sha256 }: File): File {
  return { name, size, sha256 };
}

/** Moves the first of `files`, each time with a capability that is there and not old. */
async function move(
  run: Run,
  verb: Capability['verb'],
  files: readonly File[],
  tries: number,
  act: (capability: Capability) => Promise<void>,
): Promise<void> {
  const { clock, random, log } = run.context.runtime;
  const { signal, job, attempt } = run.holding;
  for (let tried = 0; ; tried++) {
    const error = await moveOnce(run, verb, files, act);
    if (error === undefined) return;
    if (signal.aborted || error.code === 'ATTEMPT_NOT_LIVE' || tried + 1 >= tries) throw error;
    log.info(
      { job, attempt, errorCode: error.code, verb, file: files[0]?.name },
      'a file was not moved; trying again',
    );
    if (!(await sleep(clock, backOffMs(random, tried, FIRST_RETRY_MS, LONGEST_RETRY_MS), signal)))
      throw error;
  }
}

async function moveOnce(
  run: Run,
  verb: Capability['verb'],
  files: readonly File[],
  act: (capability: Capability) => Promise<void>,
): Promise<CoPilotError | undefined> {
  let capability: Capability | undefined;
  try {
    capability = await run.wallet.take(verb, files);
    if (capability === undefined)
      return new CoPilotError('UNREACHABLE', 'the broker has no capability for it now');
    await act(capability);
    return undefined;
  } catch (caught) {
    if (capability !== undefined) run.wallet.discard(capability);
    return toCoPilotError(caught);
  }
}

async function obtain(
  context: Context,
  slot: number,
  { job, attempt, signal }: Holding,
  verb: Capability['verb'],
  files: readonly File[],
): Promise<CapabilityList> {
  const answer = await context.link.outputs(slot, { job, attempt, verb, files }, signal);
  switch (answer.kind) {
    case 'answered':
      return answer.message.capabilities;
    case 'refused':
      if (answer.code === 'ATTEMPT_NOT_LIVE')
        throw new CoPilotError('ATTEMPT_NOT_LIVE', 'the broker no longer counts this attempt as ours');
      throw new CoPilotError('NOT_AUTHORIZED', `capabilities were refused: ${answer.code}`);
    case 'given-up':
      throw new CoPilotError('TIMEOUT', 'the attempt was stopped');
  }
}
