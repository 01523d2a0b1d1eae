import { CoPilotError, toCoPilotError } from '../../protocol/errors.ts';
import type {
  Answers,
  Ask,
  OpDiscard,
  OpFinalise,
  OpGrant,
  OpVerify,
} from '../../protocol/generated/types.ts';
import type { Clock, Crypto, Log, PublicKey } from '../../protocol/runtime/runtime.ts';
import { judgeGrant } from '../../protocol/tokens.ts';
import type { StorageAdapter } from './storage-adapter.ts';

type AskItem = Ask['items'][number];
type AnswerItem = Answers['items'][number];
type StorageItem = OpGrant | OpVerify | OpFinalise | OpDiscard;

/** What answering takes besides the adapter; `grantKeys` are the pinned keys that brokers sign grants with. */
export interface StorageDesk {
  readonly grantKeys: () => readonly PublicKey[];
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly log?: Log;
}

const MAX_TEXT = 512;

/**
 * Answers one item of a trusted `ask`. Never rejects: a refusal is a `refused` with a stable code, items for job adapters are
 * `UNSUPPORTED`, and a fault of the adapter's own is `INTERNAL`, its cause only logged.
 */
export async function answerStorageItem(
  adapter: StorageAdapter,
  item: AskItem,
  desk: StorageDesk,
): Promise<AnswerItem> {
  try {
    if (!isStorageItem(item))
      throw new CoPilotError('UNSUPPORTED', `a storage adapter does not answer ${item.op}`);
    return await answer(adapter, item, desk);
  } catch (caught) {
    return refusal(item, toCoPilotError(caught), desk.log);
  }
}

function isStorageItem(item: AskItem): item is StorageItem {
  return item.op === 'grant' || item.op === 'verify' || item.op === 'finalise' || item.op === 'discard';
}

async function answer(adapter: StorageAdapter, item: StorageItem, desk: StorageDesk): Promise<AnswerItem> {
  switch (item.op) {
    case 'grant':
      return { result: 'capabilities', item: item.item, capabilities: await mint(adapter, item.grant, desk) };
    case 'verify':
      return verify(adapter, item);
    case 'finalise':
      await adapter.finalise({ job: item.job, attempt: item.attempt }, item.manifest);
      return { result: 'ok', item: item.item };
    case 'discard':
      await adapter.discard({ job: item.job, attempt: item.attempt });
      return { result: 'ok', item: item.item };
  }
}

/** The signature and the times are judged here, once for every adapter; what it may grant is the adapter's own ceiling. */
async function mint(
  adapter: StorageAdapter,
  token: string,
  desk: StorageDesk,
): ReturnType<StorageAdapter['mint']> {
  const judgements = desk.grantKeys().map((key) => judgeGrant(desk.crypto, key, token, desk.clock.wallMs()));
  const judged = judgements.find(({ kind }) => kind !== 'invalid') ?? { kind: 'invalid' };
  if (judged.kind !== 'valid') throw new CoPilotError('NOT_AUTHORIZED', `the grant is ${judged.kind}`);
  return adapter.mint(judged.claims);
}

async function verify(adapter: StorageAdapter, item: OpVerify): Promise<AnswerItem> {
  const verified = await adapter.verify({ job: item.job, attempt: item.attempt }, item.manifest);
  return verified.kind === 'verified'
    ? { result: 'verified', item: item.item, files: verified.files }
    : { result: 'mismatch', item: item.item, reason: verified.reason.slice(0, MAX_TEXT) };
}

function refusal(item: AskItem, error: CoPilotError, log: Log | undefined): AnswerItem {
  if (error.code !== 'INTERNAL')
    return {
      result: 'refused',
      item: item.item,
      code: error.code,
      message: error.message.slice(0, MAX_TEXT),
    };
  log?.error({ op: item.op, error: error.stack }, 'the storage adapter failed');
  return { result: 'refused', item: item.item, code: 'INTERNAL', message: 'the storage adapter failed' };
}
