import { isFinal } from '../alien/job-states.ts';
import { jdlOf, type QueueRow, type TaskQueue } from '../alien/task-queue.ts';
import { type FileCatalogue, Refusal } from './file-catalogue.ts';

/** Of a result every value is a string; one that is missing is left out. */
export type Row = Readonly<Record<string, string>>;

export interface CommandWorld {
  readonly queue: TaskQueue;
  readonly files: FileCatalogue;
  readonly user: string;
  /** Keys of `ps` as servers of 2022 have them, with a space at their end, or as those of 2026. */
  readonly form: '2022' | '2026';
}

type Command = (world: CommandWorld, options: readonly string[]) => readonly Row[];

const SHORT: Readonly<Record<string, string>> = {
  WAITING: 'W',
  RUNNING: 'R',
  DONE: 'D',
  KILLED: 'K',
  ZOMBIE: 'Z',
};

function psRow({ form }: CommandWorld, row: QueueRow): Row {
  const name = row.jdl.find((attribute) => attribute.name.toLowerCase() === 'executable');
  const executable = name?.value.kind === 'text' ? name.value.text.split('/').at(-1) : undefined;
  const owner = form === '2022' ? 'owner ' : 'owner';
  const id = form === '2022' ? 'id ' : 'id';
  return {
    [owner]: row.user,
    [id]: String(row.id),
    split: String(row.split),
    priority: String(row.priority),
    status: row.status,
    name: executable ?? '',
    message: `\u001b[1m${row.user}\u001b[0m ${row.id} ${SHORT[row.status] ?? row.status}`,
  };
}

function rowOf({ queue }: CommandWorld, id: string | undefined): QueueRow {
  const row = queue.row(Number(id));
  if (row === undefined) throw new Refusal(3, `Job ID ${id ?? ''} doesn't exist`);
  return row;
}

function valueAfter(options: readonly string[], name: string): string | undefined {
  const at = options.indexOf(name);
  return at < 0 ? undefined : options[at + 1];
}

const accessRow = ({
  turl,
  guid,
  se,
  size,
  md5,
  envelope,
  nSEs,
}: ReturnType<FileCatalogue['read']>[number]): Row => ({
  url: turl,
  guid,
  se,
  tags: '[disk]',
  nSEs,
  md5,
  size,
  envelope,
});

const COMMANDS: Readonly<Record<string, Command>> = {
  ping: () => [],
  version: () => [{ version: '1.4.0', message: 'JAliEn version: 1.4.0' }],
  whoami: ({ user }) => [{ username: user, role: user, roles: user, fullname: user, message: user }],
  commandlist: () => [
    { commandlist: Object.keys(COMMANDS).join(' '), message: Object.keys(COMMANDS).join(' ') },
  ],
  submit({ queue, user, files }, [what = '', ...values]) {
    if (!what.includes('=') && files.file(what) === undefined)
      throw new Refusal(2, `No such file or directory: ${what}`);
    try {
      const id = String(queue.submit(user, what, values));
      return [{ jobId: id, message: `Your new job ID is \u001b[32m${id}\u001b[0m` }];
    } catch (caught) {
      throw new Refusal(
        121,
        `Task queue rejected this job: ${caught instanceof Error ? caught.message : ''}`,
      );
    }
  },
  ps(world, options) {
    const [first, id] = options;
    if (first === '-jdl')
      return [{ id: id ?? '', jdl: jdlOf(rowOf(world, id)), message: jdlOf(rowOf(world, id)) }];
    if (first === '-trace') {
      const lines = rowOf(world, id).log.map(({ tag, text }) => `[${tag.padEnd(10)}]: ${text}`);
      if (lines.length === 0) throw new Refusal(61, 'no trace');
      // The server answers this id whatever was asked.
      return [{ id: '0', trace: lines.join('\n') }];
    }
    const wanted = valueAfter(options, '-j')?.split(',').map(Number);
    const rows = world.queue
      .rows()
      .filter((row) =>
        wanted === undefined ? options.includes('-a') || !isFinal(row.status) : wanted.includes(row.id),
      );
    return rows.map((row) => psRow(world, row));
  },
  kill: (world, ids) =>
    ids.map((id) => ({
      jobid: id,
      status: world.queue.kill(Number(id)) ? 'killed' : 'failed_to_kill',
      message: id,
    })),
  resubmit(world, ids) {
    return ids.map((id) => {
      if (!world.queue.resubmit(rowOf(world, id).id)) throw new Refusal(77, `${id} cannot be resubmitted`);
      return { message: `Job ${id} resubmitted` };
    });
  },
  access({ files }, options) {
    const at = options.findIndex((option) => option === 'read' || option === 'write');
    const [how, lfn = '', ...specs] = options.slice(at < 0 ? options.length : at);
    if (how === 'read') return files.read(lfn).map(accessRow);
    const size = valueAfter(options, '-s') ?? '';
    const md5 = valueAfter(options, '-m') ?? '';
    const job = valueAfter(options, '-j') ?? '';
    if (how !== 'write' || !/^[0-9]+$/.test(size) || !/^[0-9a-f]{32}$/.test(md5))
      throw new Refusal(22, 'access: bad options');
    const wanted = specs.flatMap((spec) => spec.split(','));
    return files
      .write({ lfn, size, md5, job, specs: wanted.length === 0 ? ['disk:2'] : wanted })
      .map(accessRow);
  },
  commit({ files }, parts) {
    const isDone = files.commit(parts);
    const row = { path: parts[2] ?? '', lfn: isDone ? '1' : '0', pfn: parts[5] ?? '' };
    if (!isDone) throw Object.assign(new Refusal(53, 'Nothing was registered'), { rows: [row] });
    return [row];
  },
  ls({ files }, options) {
    const path = options.find((option) => !option.startsWith('-')) ?? '/';
    const found = files
      .files()
      .filter(({ lfn }) => lfn === path || lfn.startsWith(path.endsWith('/') ? path : `${path}/`));
    if (found.length === 0) throw new Refusal(2, `No such file or directory: [${path}]`);
    return found.map(({ lfn, size, md5 }) => ({
      name: lfn.slice(path.length),
      path: lfn,
      size,
      md5,
      message: lfn,
    }));
  },
  stat({ files }, [lfn = '']) {
    const file = files.file(lfn);
    if (file === undefined) throw new Refusal(2, `No such file or directory: ${lfn}`);
    return [{ lfn, size: file.size, md5: file.md5, guid: file.guid, type: 'f' }];
  },
  rm({ files }, [lfn = '']) {
    if (!files.remove(lfn)) throw new Refusal(2, `No such file or directory: ${lfn}`);
    return [];
  },
  registerOutput(world, [id]) {
    const row = rowOf(world, id);
    if (!/^ERROR_[VE]$/.test(row.status)) throw new Refusal(22, 'the job is in another state');
    throw new Refusal(61, 'nothing to register');
  },
  listSEs: () => [{ seName: 'ALICE::NIHAM::FILE' }],
};

export interface Outcome {
  readonly exitcode: number;
  readonly error: string;
  readonly rows: readonly Row[];
}

export function runCommand(world: CommandWorld, command: string, options: readonly string[]): Outcome {
  if (command === 'cp') return { exitcode: -1, error: 'use the copy of your client', rows: [] };
  const run = Object.hasOwn(COMMANDS, command) ? COMMANDS[command] : undefined;
  if (run === undefined) return { exitcode: 2, error: `Command [${command}] not found!`, rows: [] };
  try {
    return { exitcode: 0, error: '', rows: run(world, options) };
  } catch (caught) {
    if (!(caught instanceof Refusal)) throw caught;
    const rows = 'rows' in caught ? (caught.rows as readonly Row[]) : [];
    return { exitcode: caught.errno, error: caught.message, rows };
  }
}
