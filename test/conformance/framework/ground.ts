import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { openAcceptedJobs } from '../../../adapters/jobs/kit/accepted-jobs.ts';
import { openCeiling } from '../../../adapters/jobs/kit/ceiling.ts';
import { openCredentialFiles } from '../../../adapters/jobs/kit/credential-files.ts';
import type { FrameworkParts } from '../../../adapters/jobs/kit/framework-adapter.ts';
import { createFrameworkHttp } from '../../../adapters/jobs/kit/framework-http.ts';
import type { FrameworkSettings } from '../../../adapters/jobs/kit/framework-kind.ts';
import { openRefusedJobs, readRefusedJobs } from '../../../adapters/jobs/kit/refused-jobs.ts';
import { nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import type { Log } from '../../../protocol/runtime/runtime.ts';
import { type CountedHttp, countedHttp, untilQuiet } from '../../doubles/counted-http.ts';
import { createCountingClock } from '../../doubles/counting-clock.ts';
import { createManualClock, type ManualClock } from '../../doubles/manual-clock.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';
import type { FrameworkFixture, FrameworkOpening } from './fixture.ts';

/** What every fixture stands on, whatever its framework: files of its own, and a clock that the test turns. */
export interface FixtureGround {
  readonly directory: string;
  /** Of the framework's double. */
  readonly clock: ManualClock;
  /** Writes the token and opens what an adapter is made of, towards a double that is there now. */
  reach(to: Reaching): Promise<Reached>;
  /** Turns the clock on by at most so much at a time, and waits each time until all is quiet. */
  turn(ms: number, stepMs: number, isQuiet: () => boolean): Promise<void>;
  close(): Promise<void>;
}

export interface Reaching {
  readonly url: string;
  readonly token: string;
  /** Jobs that the ceiling allows unfinished. */
  readonly jobs: FrameworkOpening['jobs'] | undefined;
}

export interface Reached {
  readonly http: CountedHttp;
  /** For an adapter that begins now; timers of the one before it are counted no more. */
  parts(
    settings: Omit<FrameworkSettings, 'url' | 'credential' | 'ceilingFile'>,
    more?: Partial<Pick<FrameworkParts, 'bridge' | 'random'>>,
  ): FrameworkParts;
  /** Another token is in the file; resolves when it is read. */
  renew(token: string): Promise<void>;
  /** What the fixture shows of all this. */
  readonly shown: Pick<FrameworkFixture, 'refused' | 'jumpWall' | 'timers' | 'written'>;
  /** Ends what reads files, after what is being written; calls end by `http`. */
  stop(): Promise<void>;
}

const BOUNDS = { timeoutMs: 60_000, maxAnswerBytes: 16 * 1024 * 1024 };
/** Of every job; `submitHuge` asks for more. */
const WALL_SECONDS = 3600;
const RENEWED_WITHIN_MS = 5_000;

export async function openGround(name: string): Promise<FixtureGround> {
  const directory = await temporaryDirectory(name);
  const clock = createManualClock();
  let wallJumpMs = 0;
  const ownClock = { ...clock, wallMs: () => clock.wallMs() + wallJumpMs };
  const lines: string[] = [];
  const note = (fields: object, message: string): void =>
    void lines.push(inspect([fields, message], { depth: 9 }));
  const log: Log = { debug: note, info: note, warn: note, error: note };
  const around = { clock: ownClock, log };

  async function reach({ url, token, jobs }: Reaching): Promise<Reached> {
    const tokenFile = join(directory, 'token');
    const write = (text: string): Promise<void> => writeFile(tokenFile, text, { mode: 0o600 });
    await write(token);
    const credential = await openCredentialFiles({ tokenFile }, around);
    const ceilingFile = join(directory, 'ceiling.json');
    const most = { wallSeconds: WALL_SECONDS, ...(jobs !== undefined && { jobs }) };
    await writeFile(ceilingFile, JSON.stringify(most));
    const ceiling = await openCeiling(ceilingFile, around);
    const refusedFile = join(directory, 'refused.jsonl');
    const refused = await openRefusedJobs(refusedFile, around);
    const accepted = await openAcceptedJobs(join(directory, 'accepted-jobs.txt'), log);
    const http = countedHttp(await createFrameworkHttp({ url, credential, ...BOUNDS, clock: ownClock }));
    let timers = createCountingClock(ownClock);
    return {
      http,
      parts(settings, more = {}) {
        timers = createCountingClock(ownClock);
        return {
          clock: timers,
          random: nodeRandom,
          log,
          name: settings.kind,
          settings: { ...settings, url, credential: { tokenFile }, ceilingFile },
          http,
          openHttp: () => Promise.resolve(http),
          credential,
          ceiling,
          refused,
          accepted,
          bridge: undefined,
          ...more,
        };
      },
      async renew(next) {
        await write(next);
        const deadlineMs = performance.now() + RENEWED_WITHIN_MS;
        while (credential.current().bearer() !== next) {
          if (performance.now() > deadlineMs) throw new Error('the renewed credential is not read');
          clock.advance(500);
          await new Promise((resolve) => setImmediate(resolve));
        }
      },
      shown: {
        async refused() {
          await refused.settled();
          return readRefusedJobs(refusedFile);
        },
        jumpWall: (ms) => void (wallJumpMs += ms),
        timers: () => timers.pending(),
        written: () => lines.join('\n'),
      },
      async stop() {
        credential.stop();
        ceiling.stop();
        await accepted.settled();
        await refused.settled();
      },
    };
  }

  return {
    directory,
    clock,
    reach,
    async turn(ms, stepMs, isQuiet) {
      await untilQuiet(isQuiet);
      for (let left = ms; left > 0; left -= stepMs) {
        clock.advance(Math.min(stepMs, left));
        await untilQuiet(isQuiet);
      }
    },
    close: () => removeDirectory(directory),
  };
}
