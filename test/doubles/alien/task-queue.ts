import type { Cancel, Clock, Random } from '../../../protocol/runtime/runtime.ts';
import {
  jdlInteger,
  jdlList,
  jdlSeconds,
  jdlText,
  type Jdl,
  parseJdl,
  writeJdl,
} from '../../../protocol/jdl/index.ts';
import { endsToken, type Generation, isFinal, isLegal, isState } from './job-states.ts';
import { lackingPackages, needsOf, type SiteAd } from './site-ad.ts';

/** A row of the central queue. */
export interface QueueRow {
  readonly id: number;
  readonly user: string;
  readonly priority: number;
  jdl: Jdl;
  status: string;
  token: string | undefined;
  resubmission: number;
  split: number;
  site: string;
  node: string;
  error: string;
  resultsJdl: string;
  procInfo: string;
  /** When the job was last heard of, on the clock's monotonic time. */
  heardMs: number;
  waitingMs: number;
  maxWaitingMs: number | undefined;
  readonly log: { readonly tag: string; readonly text: string }[];
}

export type Matched =
  | { readonly kind: 'job'; readonly row: QueueRow; readonly token: string }
  | { readonly kind: 'install'; readonly packages: readonly string[] }
  | { readonly kind: 'none' }
  | { readonly kind: 'closed' };

export interface StatusChange {
  readonly id: number;
  /** Left out by those who need none. */
  readonly token?: string;
  readonly from: string;
  readonly to: string;
  readonly site?: string;
  readonly error?: string;
  readonly node?: string;
}

export interface TaskQueueOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly generation: Generation;
  /** Whether the outputs of a saved job could be registered. */
  readonly register?: (row: QueueRow) => boolean;
}

/** The central task queue and its optimisers: every transition that is legal, and the timers. */
export interface TaskQueue {
  /** Answers the id; throws an `Error` for a description that cannot be read. */
  submit(user: string, jdl: string, values?: readonly string[], priority?: number): number;
  match(site: SiteAd): Matched;
  /** Undefined where it was done, otherwise what is wrong. */
  change(change: StatusChange): string | undefined;
  procInfo(id: number, line: string): boolean;
  log(id: number, tag: string, text: string): boolean;
  kill(id: number): boolean;
  resubmit(id: number): boolean;
  row(id: number): QueueRow | undefined;
  rows(): readonly QueueRow[];
  /** The queue of a site is locked from now on, or open again. */
  block(ce: string, isBlocked: boolean): void;
  /** The next match of a job finds that it has a token already. */
  spoilNextToken(): void;
  /** Every job was heard of just now: after a time without anybody. */
  grace(): void;
  /** An operator's hand: any state, whatever it was. */
  force(id: number, state: string): void;
  stop(): void;
}

const OPTIMISE_MS = 10_000;
const SILENT_MS = 3_600_000;
const TOKEN_LETTERS = 'XQt2!^95345ort{)}[]h9|mnbvcxzasdfghjkl:poiuyQWERTYUIOPASDFGHJZXCVBNM';
const FIRST_ID = 3_141_592_653;
const MOST_SUBJOBS = 10_000;

export function createTaskQueue(options: TaskQueueOptions): TaskQueue {
  const { clock, random, generation, register = () => true } = options;
  const rows = new Map<number, QueueRow>();
  const blocked = new Set<string>();
  let lastId = FIRST_ID - 1;
  let isTokenSpoiled = false;
  let cancelTick: Cancel = () => undefined;
  let cancelInsert: Cancel = () => undefined;

  const note = (row: QueueRow, tag: string, text: string): void => {
    row.log.push({ tag, text });
  };
  const newToken = (): string =>
    Array.from(random.bytes(32), (byte) => TOKEN_LETTERS[byte % TOKEN_LETTERS.length]).join('');

  const insert = (user: string, jdl: Jdl, priority: number, split = 0): QueueRow => {
    const [, number = '', unit = 's'] =
      /^([0-9]+)\s*([smh])?$/i.exec(jdlText(jdl, 'MaxWaitingTime') ?? '') ?? [];
    const scale = { s: 1, m: 60, h: 3600 }[unit.toLowerCase()] ?? 1;
    const row: QueueRow = {
      id: ++lastId,
      user,
      priority,
      jdl,
      status: 'INSERTING',
      token: undefined,
      resubmission: 0,
      split,
      site: '',
      node: '',
      error: '',
      resultsJdl: '',
      procInfo: '',
      heardMs: clock.monotonicMs(),
      waitingMs: 0,
      maxWaitingMs: number === '' ? undefined : Number(number) * scale * 1000,
      log: [],
    };
    rows.set(row.id, row);
    note(row, 'state', `Job ${row.id} inserted from ${user}@submit (INSERTING)`);
    return row;
  };

  const move = (row: QueueRow, to: string, fields = ''): void => {
    note(row, 'state', `Job state transition from ${row.status} to ${to} |=| ${fields}`);
    row.status = to;
    row.heardMs = clock.monotonicMs();
    if (to === 'WAITING') row.waitingMs = clock.monotonicMs();
    if (endsToken(to)) row.token = undefined;
    if (/^ERROR_/.test(to)) retry(row);
  };

  /** A job in error is submitted again as often as its `Retries` says. */
  const retry = (row: QueueRow): void => {
    const retries = jdlInteger(row.jdl, 'Retries') ?? 0;
    if (retries > row.resubmission && jdlText(row.jdl, 'Split') === undefined) again(row);
  };
  const again = (row: QueueRow): void => {
    row.resubmission++;
    row.token = undefined;
    row.resultsJdl = '';
    row.error = '';
    note(row, 'state', 'The job has been resubmited (back to WAITING)');
    row.status = row.status === 'ERROR_I' ? 'INSERTING' : 'WAITING';
    row.waitingMs = clock.monotonicMs();
  };

  const insertAll = (): void => {
    for (const row of [...rows.values()]) {
      if (row.status !== 'INSERTING') continue;
      const [, first = '', last = ''] =
        /^production:([0-9]+)-([0-9]+)$/.exec(jdlText(row.jdl, 'Split') ?? '') ?? [];
      if (first === '') move(row, 'WAITING');
      else splitUp(row, Number(first), Number(last));
    }
  };
  const splitUp = (master: QueueRow, first: number, last: number): void => {
    move(master, 'SPLITTING');
    for (let number = first; number <= last && number - first < MOST_SUBJOBS; number++) {
      const jdl = master.jdl
        .filter(({ name }) => !/^split/i.test(name))
        .map((attribute) => ({ ...attribute, value: counted(attribute.value, number) }));
      const id = { kind: 'integer', value: BigInt(master.id) } as const;
      move(
        insert(master.user, [...jdl, { name: 'MasterJobID', value: id }], master.priority, master.id),
        'WAITING',
      );
    }
    move(master, 'SPLIT');
  };

  const optimise = (): void => {
    const nowMs = clock.monotonicMs();
    insertAll();
    for (const row of rows.values()) {
      const silentMs = nowMs - row.heardMs;
      if (/^SAVED/.test(row.status)) finishSaved(row);
      else if (row.status === 'ZOMBIE' && silentMs >= SILENT_MS) move(row, 'EXPIRED');
      else if (/^(?:ASSIGNED|STARTED|RUNNING|SAVING)$/.test(row.status) && silentMs >= SILENT_MS)
        move(row, 'ZOMBIE');
      else if (
        row.status === 'WAITING' &&
        row.maxWaitingMs !== undefined &&
        nowMs - row.waitingMs > row.maxWaitingMs
      )
        move(row, 'ERROR_EW');
    }
    cancelTick = clock.schedule(OPTIMISE_MS, optimise);
  };
  const finishSaved = (row: QueueRow): void => {
    if (!register(row)) move(row, 'ERROR_RE');
    else move(row, row.status === 'SAVED_WARN' ? 'DONE_WARN' : 'DONE');
  };
  cancelTick = clock.schedule(OPTIMISE_MS, optimise);

  const waiting = (): readonly QueueRow[] =>
    [...rows.values()]
      .filter((row) => row.status === 'WAITING')
      .sort((one, other) => other.priority - one.priority || one.id - other.id);

  const assign = (row: QueueRow, site: SiteAd): Matched => {
    row.site = site.ce;
    move(row, 'ASSIGNED');
    if (isTokenSpoiled) {
      isTokenSpoiled = false;
      move(row, 'ERROR_A');
      return { kind: 'none' };
    }
    row.token = newToken();
    return { kind: 'job', row, token: row.token };
  };

  const apply = (row: QueueRow, { to, error = '', site = '', node = '' }: StatusChange): void => {
    if (site !== '') row.site = site;
    if (node !== '') row.node = node;
    if (to === 'SAVING') row.error = error;
    if (/^SAVED|ERROR_V|STAGING|ERROR_E$|DONE/.test(to) && error !== '') row.resultsJdl = error;
    move(row, to, error === '' ? '' : `${to === 'SAVING' ? 'error' : 'resultsjdl'}: ${error} `);
  };

  return {
    submit(user, text, values = [], priority = 0) {
      const filled = text.replace(/\$([1-9])/g, (whole, digit: string) => values[Number(digit) - 1] ?? whole);
      const jdl = parseJdl(filled);
      if (jdlText(jdl, 'Executable') === undefined) throw new Error('incorrect JDL input');
      const ttl = jdlSeconds(jdl, 'TTL') ?? 21_600;
      const row = insert(user, withServiceParts(jdl, user, ttl), priority);
      cancelInsert = clock.schedule(0, insertAll);
      return row.id;
    },
    match(site) {
      if (blocked.has(site.ce)) return { kind: 'closed' };
      let lacking: readonly string[] | undefined;
      for (const row of waiting()) {
        const packages = lackingPackages(needsOf(row.jdl), site, row.user);
        if (packages?.length === 0) return assign(row, site);
        lacking ??= packages;
      }
      return lacking === undefined ? { kind: 'none' } : { kind: 'install', packages: lacking };
    },
    change(change) {
      const row = rows.get(change.id);
      if (row === undefined) return `updating job ${change.id}: no such job`;
      if (change.token !== undefined && change.token !== row.token)
        return `Error validating the token of job ${change.id}`;
      const isWrong =
        !isState(change.to, generation) ||
        (change.from !== '%' && change.from !== row.status) ||
        !isLegal(row.status, change.to, generation);
      if (isWrong) {
        note(row, 'state', `FAILED Job state transition from ${row.status} to ${change.to}`);
        return `updating job ${change.id} from ${change.from} to ${change.to}`;
      }
      apply(row, change);
      return undefined;
    },
    procInfo(id, line) {
      const row = rows.get(id);
      if (row === undefined || line.trim().split(/\s+/).length < 13) return false;
      row.procInfo = line;
      note(row, 'proc', line);
      if (row.status === 'ZOMBIE' && generation === 'classic') move(row, 'RUNNING');
      if (!isFinal(row.status)) row.heardMs = clock.monotonicMs();
      return true;
    },
    log(id, tag, text) {
      const row = rows.get(id);
      if (row !== undefined) note(row, tag, text);
      return row !== undefined;
    },
    kill(id) {
      const row = rows.get(id);
      if (row === undefined || isFinal(row.status)) return false;
      move(row, 'KILLED');
      for (const other of rows.values())
        if (other.split === id && !isFinal(other.status)) move(other, 'KILLED');
      return true;
    },
    resubmit(id) {
      const row = rows.get(id);
      if (row === undefined || row.status === 'SPLIT') return false;
      again(row);
      return true;
    },
    row: (id) => rows.get(id),
    rows: () => [...rows.values()],
    block(ce, isBlocked) {
      if (isBlocked) blocked.add(ce);
      else blocked.delete(ce);
    },
    spoilNextToken() {
      isTokenSpoiled = true;
    },
    grace() {
      for (const row of rows.values()) row.heardMs = clock.monotonicMs();
    },
    force(id, state) {
      const row = rows.get(id);
      if (row !== undefined) move(row, state);
    },
    stop() {
      cancelTick();
      cancelInsert();
    },
  };
}

/** The counters of a sub-job, and its number for `$1`. */
function counted(value: Jdl[number]['value'], number: number): Jdl[number]['value'] {
  const fill = (text: string): string =>
    text.replace(/#alien_counter(?:_0?([0-9])i)?#/g, (_whole, width?: string) =>
      String(number).padStart(Number(width ?? 1), '0'),
    );
  if (value.kind === 'text' || value.kind === 'expression') return { ...value, text: fill(value.text) };
  return value.kind === 'list' ? { ...value, items: value.items.map(fill) } : value;
}

/** What the services set at submission: user, type, and requirements with all that the job asks of a host. */
function withServiceParts(jdl: Jdl, user: string, ttl: number): Jdl {
  const given = jdlText(jdl, 'Requirements');
  const price = jdlInteger(jdl, 'Price') ?? 1;
  const parts = [
    '( other.Type == "machine" )',
    ...jdlList(jdl, 'Packages').map((name) => `( member(other.Packages, "${name}") )`),
    ...(given === undefined || given.trim() === '' ? [] : [`( ${given} )`]),
    `( other.TTL > ${ttl} )`,
    `( other.Price <= ${price} )`,
  ];
  const set = new Set(['requirements', 'user', 'type']);
  const whole: Jdl = [
    ...jdl.filter(({ name }) => !set.has(name.toLowerCase())),
    { name: 'Requirements', value: { kind: 'expression', text: parts.join(' && ') } },
    { name: 'User', value: { kind: 'text', text: user } },
    { name: 'Type', value: { kind: 'text', text: 'Job' } },
  ];
  return whole;
}

/** The description as the services hand it out. */
export function jdlOf(row: QueueRow): string {
  return writeJdl(row.jdl);
}
