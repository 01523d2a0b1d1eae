import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { toCoPilotError } from '../../protocol/errors.ts';
import { snapshotDatabase } from '../../protocol/runtime/sqlite-snapshot.ts';
import type { Answer, Call, SnapshotNews } from './sqlite-call.ts';
import { ledgerError } from './sqlite-errors.ts';
import { openSqliteStore, type SqliteStore } from './sqlite-store.ts';

/** The thread that waits for the disk, so that the broker's loop does not: a store, and calls answered one by one. */
function main(path: string): void {
  let store: SqliteStore | undefined;
  answer(() => {
    store = openSqliteStore(path);
    return null;
  });
  const openedMs = store?.clockMs ?? 0;
  if (store === undefined) parentPort?.close();
  parentPort?.on('message', (call: Call) => {
    answer(() => store && perform(store, openedMs, call));
    if (call.kind === 'close') parentPort?.close();
  });
}

function perform(store: SqliteStore, openedMs: number, call: Call): unknown {
  switch (call.kind) {
    case 'apply':
      return store.applyAsText(call.commands, openedMs + call.elapsedMs);
    case 'due':
      return store.due(openedMs + call.elapsedMs, call.limit);
    case 'list':
      return store.list(call.query, call.after, call.limit);
    case 'job':
      return store.job(call.id);
    case 'agent':
      return store.agent(call.id);
    case 'owner':
      return store.owner(call.id);
    case 'now':
      return openedMs + call.elapsedMs;
    case 'agents':
      return { agents: store.agents(call.after, call.limit), nowMs: openedMs + call.elapsedMs };
    case 'accounts':
      return store.accounts(call.after, call.limit);
    case 'count':
      return store.count();
    case 'prune':
      return store.prune(call.retention, openedMs + call.elapsedMs, call.limit);
    case 'snapshot':
      void snapshot(store, call.path, call.port);
      return null;
    case 'close':
      store.close(openedMs + call.elapsedMs);
      return null;
  }
}

/** Steps of the copy take turns with calls: none waits for more than one. */
async function snapshot(store: SqliteStore, path: string, port: MessagePort): Promise<void> {
  const say = (news: SnapshotNews): void => port.postMessage(news);
  try {
    await snapshotDatabase(store.database, path, (progress) => say({ kind: 'progress', ...progress }));
    say({ kind: 'done' });
  } catch (caught) {
    const { code, message } = ledgerError(caught, path);
    say({ kind: 'fault', code, message });
  } finally {
    port.close();
  }
}

function answer(action: () => unknown): void {
  let message: Answer;
  try {
    message = { kind: 'value', value: action() };
  } catch (caught) {
    const { code, message: text } = toCoPilotError(caught);
    message = { kind: 'fault', code, message: text };
  }
  parentPort?.postMessage(message);
}

main(String(workerData));
