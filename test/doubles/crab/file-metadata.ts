import type { Clock } from '../../../protocol/runtime/runtime.ts';
import type { Form } from './form.ts';
import { RestError } from './rest-error.ts';
import type { TaskTable } from './task-table.ts';

const TASK = /^[A-Za-z0-9_:-]{1,232}$/;
const LFN = /^\/store\/[A-Za-z0-9._/+-]{1,490}$/;
const TYPES = /^(?:EDM|LOG|TFILE|FAKE|POOLIN|DQM)$/;
const STATES = /^(?:TRANSFERRING|FINISHED|FAILED|COOLOFF)$/;
const LUMIS = /^[0-9]+(?::(?:[0-9]+|None))?(?:,[0-9]+(?::(?:[0-9]+|None))?)*$/;

/** What a job left, by task and LFN. */
export type FileRow = Record<string, unknown> & { taskname: string; lfn: string };

export interface FileMetadata {
  put(form: Form): readonly unknown[];
  post(form: Form): readonly unknown[];
  /** Each row as a text of JSON, as the server answers. */
  get(form: Form): readonly string[];
  remove(form: Form, isOperator: boolean): readonly unknown[];
  all(): readonly FileRow[];
}

export function createFileMetadata(tasks: TaskTable, clock: Clock): FileMetadata {
  const rows = new Map<string, FileRow>();
  const keyOf = (task: string, lfn: string): string => `${task} ${lfn}`;

  return {
    put(form) {
      const row = readRow(form, clock);
      form.end();
      tasks.get(row.taskname);
      const key = keyOf(row.taskname, row.lfn);
      const known = rows.get(key);
      // An upsert that changes two columns alone.
      if (known !== undefined) {
        known['tmplocation'] = row['tmplocation'];
        known['filesize'] = row['filesize'];
      } else rows.set(key, row);
      return [];
    },
    post(form) {
      const row = rows.get(keyOf(form.text('taskname', TASK), form.text('outlfn', LFN)));
      const state = form.text('filestate', STATES);
      form.end();
      if (row === undefined) throw new RestError('MissingObject', 'no such file');
      row['state'] = state;
      return [];
    },
    get(form) {
      const task = form.text('taskname', TASK);
      const type = form.optional('filetype', TYPES);
      const most = form.optionalNumber('howmany') ?? -1;
      const listed = form.optional('lfnList');
      const lfns =
        listed === undefined ? undefined : (JSON.parse(listed.replaceAll("'", '"')) as readonly string[]);
      form.end();
      const found = [...rows.values()].filter(
        (row) =>
          row.taskname === task &&
          (type === undefined || row['filetype'] === type) &&
          (lfns?.includes(row.lfn) ?? true),
      );
      return found.slice(0, most < 0 ? undefined : most).map((row) => JSON.stringify(row));
    },
    remove(form, isOperator) {
      const task = form.text('taskname', TASK);
      form.end();
      if (!isOperator) throw new RestError('Forbidden', 'operators alone delete metadata');
      const found = [...rows].filter(([, row]) => row.taskname === task);
      for (const [key] of found) rows.delete(key);
      return [{ modified: found.length }];
    },
    all: () => [...rows.values()],
  };
}

function readRow(form: Form, clock: Clock): FileRow {
  const runs = form.list('outfileruns');
  const lumis = form.list('outfilelumis');
  if (runs.length !== lumis.length)
    throw new RestError('InvalidParameter', 'runs and lumis differ in length');
  if (!runs.every((run) => /^[0-9]{1,10}$/.test(run)) || !lumis.every((lumi) => LUMIS.test(lumi)))
    throw new RestError('InvalidParameter', 'Incorrect run or lumi');
  return {
    taskname: form.text('taskname', TASK),
    filetype: form.text('outtype', TYPES),
    jobid: form.text('jobid', /^[0-9]{1,5}(?:-[0-9]{1,5})?$/),
    outdataset: form.text('outdatasetname', /^\/[A-Za-z0-9_.-]+\/[A-Za-z0-9_.-]+\/[A-Z]+$/),
    acquisitionera: form.optional('acquisitionera') ?? 'null',
    swversion: form.text('appver', /^CMSSW(?:_[0-9]+){3}(?:_[A-Za-z0-9_]+)?$/),
    inevents: form.number('events'),
    globaltag: form.optional('globalTag') ?? null,
    publishname: form.text('publishdataname'),
    location: form.text('outlocation', /^T[0-3]_[A-Z]{2}_[A-Za-z0-9_]{1,60}$/),
    tmplocation: form.text('outtmplocation', /^T[0-3]_[A-Z]{2}_[A-Za-z0-9_]{1,60}$/),
    runlumi: Object.fromEntries(runs.map((run, at) => [run, eventsOf(lumis[at] ?? '')])),
    adler32: form.text('checksumadler32', /^[0-9a-f]{1,8}$/),
    cksum: form.text('checksumcksum', /^[0-9]{1,10}$/),
    md5: form.text('checksummd5', /^[A-Za-z0-9-]{1,32}$/),
    lfn: form.text('outlfn', LFN),
    filesize: form.number('outsize'),
    parents: form.list('inparentlfns'),
    state: form.optional('filestate', STATES) ?? 'TRANSFERRING',
    created: `[${Math.floor(clock.wallMs() / 1000)}]`,
    tmplfn: form.text('outtmplfn', LFN),
    directstageout: form.optionalNumber('directstageout') ?? 0,
  };
}

function eventsOf(lumis: string): Record<string, string | null> {
  return Object.fromEntries(
    lumis.split(',').map((part) => {
      const [lumi = '', events] = part.split(':');
      return [lumi, events === undefined || events === 'None' ? null : events];
    }),
  );
}
