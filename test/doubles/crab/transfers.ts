import type { Cancel, Clock } from '../../../protocol/runtime/runtime.ts';
import type { Form } from './form.ts';
import { RestError } from './rest-error.ts';
import type { TaskTable } from './task-table.ts';

/** As the server numbers them. */
export const TRANSFER_STATES = [
  'NEW',
  'ACQUIRED',
  'FAILED',
  'DONE',
  'RETRY',
  'SUBMITTED',
  'KILL',
  'KILLED',
] as const;
const PUBLICATION_STATES = ['NEW', 'ACQUIRED', 'FAILED', 'DONE', 'RETRY', 'NOT_REQUIRED'] as const;

export type TransferState = (typeof TRANSFER_STATES)[number];

const ID = /^[0-9a-f]{56}$/;
const TASK = /^[A-Za-z0-9_:-]{1,232}$/;
const ACQUIRED_AT_ONCE = 1000;

export type TransferRow = Record<string, unknown> & {
  id: string;
  taskname: string;
  username: string;
  state: TransferState;
  retries: number;
};

export interface AsoOptions {
  /** How long each step of a transfer takes; what is NEW stays so where it is left out. */
  readonly stepMs?: number;
  /** Whether a transfer fails whose source is not on temporary storage. */
  readonly checksSource?: boolean;
}

/** The table of transfers, and the service behind it that moves files. */
export interface Transfers {
  put(form: Form): readonly unknown[];
  post(form: Form): readonly unknown[];
  get(form: Form): { readonly columns: readonly string[]; readonly rows: readonly (readonly unknown[])[] };
  /** `filetransfers`, POST: what workers of the transfer service do. */
  work(form: Form): readonly unknown[];
  all(): readonly TransferRow[];
  /** The next so many transfers fail at every try. */
  failNext(count: number): void;
  /** Moves one on by hand, as the service would. */
  set(id: string, state: TransferState): void;
  stop(): void;
}

const COLUMNS = [
  ['tm_id', 'id'],
  ['tm_username', 'username'],
  ['tm_taskname', 'taskname'],
  ['tm_destination', 'destination'],
  ['tm_destination_lfn', 'destination_lfn'],
  ['tm_source', 'source'],
  ['tm_source_lfn', 'source_lfn'],
  ['tm_filesize', 'filesize'],
  ['tm_publish', 'publish'],
  ['tm_jobid', 'job_id'],
  ['tm_job_retry_count', 'job_retry_count'],
  ['tm_type', 'type'],
  ['tm_transfer_retry_count', 'retries'],
  ['tm_transfer_failure_reason', 'failure'],
  ['tm_start_time', 'start_time'],
] as const;

export function createTransfers(
  tasks: TaskTable,
  clock: Clock,
  { stepMs, checksSource = false }: AsoOptions,
  isStored: (lfn: string) => boolean,
): Transfers {
  const rows = new Map<string, TransferRow>();
  const timers = new Set<Cancel>();
  let failing = 0;

  const get = (id: string): TransferRow => {
    const row = rows.get(id);
    if (row === undefined) throw new RestError('MissingObject', 'no such transfer');
    return row;
  };
  const later = (action: () => void): void => {
    if (stepMs === undefined) return;
    const cancel = clock.schedule(stepMs, () => {
      timers.delete(cancel);
      action();
    });
    timers.add(cancel);
  };
  const move = (row: TransferRow): void => {
    const isDoomed = row['doomed'] === true || (checksSource && !isStored(String(row['source_lfn'])));
    switch (row.state) {
      case 'NEW':
      case 'RETRY':
        row.state = 'ACQUIRED';
        break;
      case 'ACQUIRED':
        row.state = 'SUBMITTED';
        break;
      case 'KILL':
        row.state = 'KILLED';
        return;
      case 'SUBMITTED':
        if (!isDoomed) row.state = 'DONE';
        else if (row.retries >= Number(row['most'])) row.state = 'FAILED';
        else {
          row.retries++;
          row.state = 'RETRY';
        }
        if (isDoomed) row['failure'] = 'TRANSFER  globus_ftp_client: the destination refused the file';
        break;
      case 'FAILED':
      case 'DONE':
      case 'KILLED':
        return;
    }
    later(() => move(row));
  };
  const kill = (found: readonly TransferRow[]): number => {
    const isNew = found.filter((row) => row.state === 'NEW');
    for (const row of isNew) {
      row.state = 'KILL';
      later(() => move(row));
    }
    return isNew.length;
  };

  return {
    put(form) {
      const row = readRow(form);
      form.end();
      tasks.get(row.taskname);
      if (rows.has(row.id))
        throw new RestError('ExecutionError', 'ORA-00001: unique constraint (ID_PK) violated');
      row['doomed'] = failing > 0;
      if (failing > 0) failing--;
      rows.set(row.id, row);
      later(() => move(row));
      return [];
    },
    post(form) {
      const resource = form.text('subresource');
      form.number('publish');
      const one = form.optional('id', ID);
      switch (resource) {
        case 'updateDoc': {
          const row = get(one ?? '');
          const isDone = row.state === 'DONE';
          Object.assign(row, readUpdate(form));
          form.end();
          row.state = TRANSFER_STATES.find((state) => state === row['transfer_state']) ?? row.state;
          if (isDone || row.state === 'NEW') later(() => move(row));
          return [];
        }
        case 'killTransfers': {
          const [user, task] = [form.text('username'), form.text('taskname', TASK)];
          form.end();
          kill([...rows.values()].filter((row) => row.username === user && row.taskname === task));
          return [];
        }
        case 'killTransfersById': {
          const ids = form.list('listOfIds');
          form.optional('username');
          form.end();
          const [killed, failedKill]: [string[], string[]] = [[], []];
          for (const id of ids) {
            const row = rows.get(id);
            (row !== undefined && kill([row]) === 1 ? killed : failedKill).push(id);
          }
          return [{ killed, failedKill }];
        }
        default:
          throw new RestError('InvalidParameter', 'Subresource of fileusertransfers has not been found');
      }
    },
    get(form) {
      const resource = form.text('subresource', /^(?:getById|getTransferStatus|getPublicationStatus)$/);
      const byId = resource === 'getById';
      const id = byId ? form.text('id', ID) : '';
      const user = byId ? '' : form.text('username');
      const task = byId ? '' : form.text('taskname', TASK);
      form.end();
      const found = [...rows.values()].filter((row) =>
        byId ? row.id === id : row.username === user && row.taskname === task,
      );
      return {
        columns: [...COLUMNS.map(([column]) => column), 'tm_transfer_state', 'tm_publication_state'],
        rows: found.map((row) => [
          ...COLUMNS.map(([, key]) => row[key] ?? null),
          TRANSFER_STATES.indexOf(row.state),
          PUBLICATION_STATES.findIndex((state) => state === row['publication_state']),
        ]),
      };
    },
    work(form) {
      form.text('asoworker');
      const resource = form.text('subresource', /^(?:acquireTransfers|updateTransfers)$/);
      if (resource === 'acquireTransfers') {
        const user = form.text('username');
        form.end();
        const found = [...rows.values()].filter((row) => row.username === user && row.state === 'NEW');
        for (const row of found.slice(0, ACQUIRED_AT_ONCE)) row.state = 'ACQUIRED';
        return [];
      }
      // Lists travel as one text each, parallel by position.
      const ids = JSON.parse(form.text('list_of_ids').replaceAll("'", '"')) as readonly string[];
      const states = JSON.parse(
        form.text('list_of_transfer_state').replaceAll("'", '"'),
      ) as readonly string[];
      for (const optional of [
        'list_of_fts_instance',
        'list_of_fts_id',
        'list_of_failure_reason',
        'list_of_retry_value',
      ])
        form.optional(optional);
      form.end();
      ids.forEach((id, at) => {
        const row = rows.get(id);
        const state = TRANSFER_STATES.find((known) => known === states[at]);
        if (row !== undefined && state !== undefined) row.state = state;
      });
      return [];
    },
    all: () => [...rows.values()],
    failNext(count) {
      failing = count;
    },
    set(id, state) {
      get(id).state = state;
    },
    stop() {
      for (const cancel of timers) cancel();
      timers.clear();
    },
  };
}

function readRow(form: Form): TransferRow {
  const state = form.text('transfer_state', /^(?:NEW|DONE)$/);
  return {
    id: form.text('id', ID),
    username: form.text('username'),
    taskname: form.text('taskname', TASK),
    destination: form.text('destination', /^T[0-3]_[A-Z]{2}_[A-Za-z0-9_]{1,60}$/),
    destination_lfn: form.text('destination_lfn', /^\/store\/[!-~]{1,500}$/),
    source: form.text('source', /^T[0-3]_[A-Z]{2}_[A-Za-z0-9_]{1,60}$/),
    source_lfn: form.text('source_lfn', /^\/store\/[!-~]{1,500}$/),
    filesize: form.number('filesize'),
    publish: form.number('publish'),
    publication_state: form.text('publication_state', /^(?:NEW|NOT_REQUIRED)$/),
    job_id: form.text('job_id', /^[0-9]{1,5}(?:-[0-9]{1,5})?$/),
    job_retry_count: form.number('job_retry_count'),
    type: form.text('type', /^(?:output|log)$/),
    start_time: form.number('start_time'),
    most: form.optionalNumber('transfer_max_retry_count') ?? 2,
    publicationMost: form.optionalNumber('publication_max_retry_count') ?? 2,
    worker: form.optional('asoworker') ?? null,
    ftsId: form.optional('fts_id') ?? null,
    ftsInstance: form.optional('fts_instance') ?? null,
    block: form.optional('dbs_blockname') ?? null,
    isComplete: form.optional('block_complete') ?? null,
    state: state === 'DONE' ? 'DONE' : 'NEW',
    retries: form.optionalNumber('transfer_retry_count') ?? 0,
  };
}

function readUpdate(form: Form): Record<string, unknown> {
  const names = [
    'username',
    'taskname',
    'source',
    'source_lfn',
    'transfer_state',
    'publication_state',
    'job_id',
  ];
  const numbers = ['start_time', 'filesize', 'job_retry_count', 'transfer_retry_count'];
  const found = [
    ...names.map((name) => [name, form.optional(name)] as const),
    ...numbers.map((name) => [name, form.optionalNumber(name)] as const),
  ];
  const { transfer_retry_count: retries, ...rest } = Object.fromEntries(
    found.filter(([, value]) => value !== undefined),
  );
  return { ...rest, ...(retries !== undefined && { retries }) };
}
