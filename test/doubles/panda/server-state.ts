import type { Clock } from '../../../protocol/runtime/runtime.ts';
import { type Caller, type CallerSettings, Issuer } from './callers.ts';
import { NO_FAULTS, type PandaFaults } from './faults.ts';
import { type Answered, JobTable, type TableSettings, type Update } from './job-table.ts';
import { isList, type Json } from './python-values.ts';
import { TokenKeys } from './token-keys.ts';

export interface RangeAnswers {
  readonly returns: readonly (boolean | null)[];
  readonly commands: Readonly<Record<string, Json>>;
}

/** States of a job in which its event ranges may be updated. */
const OPEN_STATES = ['sent', 'starting', 'running', 'transferring'];

/** What all APIs of one server share. */
export class PandaServerState {
  readonly table: JobTable;
  readonly issuer: Issuer;
  readonly keys: TokenKeys;
  readonly callers: CallerSettings;
  faults: PandaFaults = NO_FAULTS;
  /** The faults are for the request that is under way. */
  isWrong = false;
  /** Files by path: transformations, inputs. */
  readonly files = new Map<string, Buffer>();
  /** Requests heard, by method. */
  readonly requests = new Map<string, number>();
  readonly #tokens = new Map<string, string>();
  readonly #held: (() => void)[] = [];

  constructor(clock: Clock, callers: CallerSettings, table: TableSettings) {
    this.table = new JobTable(clock, table);
    this.issuer = new Issuer(() => Math.floor(clock.wallMs() / 1000));
    this.keys = new TokenKeys(clock);
    this.callers = callers;
  }

  /** An update as the faults let it through: twice, in pairs the wrong way round, or not at all. */
  update(id: number, update: Update): Answered {
    if (this.isWrong && this.faults.lies) return { command: 'NULL' };
    if (this.isWrong && this.faults.reorders && this.#held.length === 0) {
      this.#held.push(() => void this.table.update(id, update));
      return { command: 'NULL' };
    }
    if (this.isWrong && this.faults.repeats) this.table.update(id, update);
    const answer = this.table.update(id, update);
    for (const held of this.#held.splice(0)) held();
    return answer;
  }

  /** The StatusCode that updates are answered with instead of being heard; 0: none. */
  faultCode(): 0 | 10 | 30 {
    return this.isWrong ? this.faults.statusCode : 0;
  }

  /** A list as it comes out where the faults are for this request. */
  inOrder<T>(list: readonly T[]): readonly T[] {
    return this.isWrong && this.faults.isShuffled ? list.toReversed() : list;
  }

  updateRange(id: string, state: string): boolean | null {
    return this.table.events.update(id, state, (job) =>
      OPEN_STATES.includes(this.table.job(job)?.state ?? ''),
    );
  }

  /** The JSON text of a list of ranges, or of chunks of them. */
  updateRanges(text: string): RangeAnswers {
    const items: unknown = JSON.parse(text);
    const ranges = (isList(items) ? items : []).flatMap((item) => rangesOf(item));
    const returns = ranges.map(({ id, state }) => this.updateRange(id, state));
    const commands: Record<string, Json> = {};
    for (const { id } of ranges) {
      const job = this.table.job(this.table.events.jobOf(id) ?? -1);
      if (job !== undefined) commands[String(job.id)] = job.command === 'NULL' ? null : job.command;
    }
    return { returns, commands };
  }

  mayFetchKeys(caller: Caller): boolean {
    return caller.dn !== '' && caller.fqans.length > 0;
  }

  mayUseKeys(caller: Caller): boolean {
    return caller.dn !== '' && caller.fqans.length > 0;
  }

  /** One token for all holders of a key of the client. */
  sharedToken(client: string): string {
    const known = this.#tokens.get(client) ?? this.issuer.mint({ role: 'pilot', clientId: client });
    this.#tokens.set(client, known);
    return known;
  }
}

function rangesOf(item: unknown): readonly { readonly id: string; readonly state: string }[] {
  if (typeof item !== 'object' || item === null) return [];
  const entry: Readonly<Record<string, unknown>> = { ...item };
  const inside = entry['eventRanges'];
  if (isList(inside)) return inside.flatMap(rangesOf);
  return [{ id: String(entry['eventRangeID']), state: String(entry['eventStatus']) }];
}
