import type { MessagePort } from 'node:worker_threads';
import type { ErrorCode } from '../../protocol/errors.ts';
import type { SnapshotProgress } from '../../protocol/runtime/sqlite-snapshot.ts';
import type { Command } from '../core/command.ts';
import type { LedgerRetention } from '../core/prune.ts';
import type { JobQuery } from './ledger.ts';

/** What the handle asks of the worker: one message a call, answered in order. `elapsedMs` counts from opening. */
export type Call =
  | { readonly kind: 'apply'; readonly commands: readonly Command[]; readonly elapsedMs: number }
  | { readonly kind: 'due'; readonly limit: number; readonly elapsedMs: number }
  | {
      readonly kind: 'list';
      readonly query: JobQuery['kind'];
      readonly after: string;
      readonly limit: number;
    }
  | { readonly kind: 'job'; readonly id: string }
  | { readonly kind: 'agent'; readonly id: string }
  | { readonly kind: 'owner'; readonly id: string }
  | { readonly kind: 'now'; readonly elapsedMs: number }
  | { readonly kind: 'agents'; readonly after: string; readonly limit: number; readonly elapsedMs: number }
  | { readonly kind: 'accounts'; readonly after: string; readonly limit: number }
  | { readonly kind: 'count' }
  | {
      readonly kind: 'prune';
      readonly retention: LedgerRetention;
      readonly limit: number;
      readonly elapsedMs: number;
    }
  /** Answered at once; how it goes and ends is said at the port. */
  | { readonly kind: 'snapshot'; readonly path: string; readonly port: MessagePort }
  | { readonly kind: 'close'; readonly elapsedMs: number };

/** What the port of a snapshot says; the last is `done` or `fault`. */
export type SnapshotNews =
  | ({ readonly kind: 'progress' } & SnapshotProgress)
  | { readonly kind: 'done' }
  | { readonly kind: 'fault'; readonly code: ErrorCode; readonly message: string };

/** The first answer is to the opening itself. */
export type Answer =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'fault'; readonly code: ErrorCode; readonly message: string };
