import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CoPilotError, toCoPilotError } from '../../protocol/errors.ts';
import type { Output } from '../../protocol/generated/types.ts';
import type { Clock, Log } from '../../protocol/runtime/runtime.ts';
import { openEndPoint } from './end-point.ts';
import { gatherOutputs } from './gather-outputs.ts';
import { DUMMY_TOKEN, forbidden, routePanda } from './panda-dialect.ts';
import { plainReply, replyOf } from './pilot-exchange.ts';
import type { PilotReply, PilotRequest } from './pilot-exchange.ts';
import type { AskAdapter, Caller, DeskRequest, PilotDesk, PilotHost } from './pilot-host.ts';
import { shorten } from './shorten-request.ts';

export interface PilotHostOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** How long the adapter may take for one answer; default 100 s, which pilots wait out. */
  readonly answerWithinMs?: number;
}

/** Where the pilot's copytool `mv` puts files, below the job's directory. */
const STORE = 'pilot-outputs';
/** Begins with a dot: no output can be called so. */
const TOKEN_FILE = '.co-pilot-token';
const ANSWER_WITHIN_MS = 100_000;
const MAX_WAITING = 8;

/** Desks that speak PanDA's pilot API on the loopback. */
export function createPilotHost(options: PilotHostOptions): PilotHost {
  return { open: (request) => open(options, request) };
}

async function open(options: PilotHostOptions, request: DeskRequest): Promise<PilotDesk> {
  const { directory } = request;
  const store = join(directory, STORE);
  await mkdir(store, { recursive: true, mode: 0o700 });
  const tokenFile = join(directory, TOKEN_FILE);
  await writeFile(tokenFile, DUMMY_TOKEN, { mode: 0o600 });
  const questions = new Questions(options, request.ask);
  let caller: Caller | undefined;
  const endPoint = await openEndPoint({
    log: options.log,
    isOurs: (inode) => caller?.holdsSocket(inode) ?? false,
    answer: (asked) => questions.answer(asked),
  });
  return {
    environment: {
      COPILOT_PILOT_URL: `http://127.0.0.1:${endPoint.port}`,
      COPILOT_PILOT_PORT: String(endPoint.port),
      COPILOT_PILOT_OUTPUTS: store,
      // The pilot ends processes of its user that it takes for orphans; there is nothing of its own to find here.
      PILOT_NOKILL: 'True',
      OIDC_AUTH_TOKEN: tokenFile,
      OIDC_AUTH_ORIGIN: 'co-pilot.pilot',
    },
    admit(running) {
      caller = running;
    },
    async close() {
      questions.close();
      await endPoint.close();
    },
    gather: (outputs) => gather(directory, store, outputs),
  };
}

async function gather(
  directory: string,
  store: string,
  outputs: readonly Output[],
): Promise<string | undefined> {
  try {
    await gatherOutputs(
      directory,
      store,
      outputs.map(({ name }) => name),
    );
    return undefined;
  } catch (caught) {
    // The job may have taken its own rights away.
    return `what the pilot staged out cannot be moved: ${toCoPilotError(caught).message}`;
  }
}

/** Puts requests of one pilot to the adapter, one after the other. */
class Questions {
  readonly #options: PilotHostOptions;
  readonly #ask: AskAdapter;
  readonly #closing = new AbortController();
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(options: PilotHostOptions, ask: AskAdapter) {
    this.#options = options;
    this.#ask = ask;
  }

  async answer(request: PilotRequest): Promise<PilotReply> {
    const routed = routePanda(request);
    if (routed.kind === 'answer') return routed.reply;
    const shortened = shorten(routed.request);
    if (shortened.kind === 'too-large') return plainReply(500, 'ERROR : the request is too large');
    if (shortened.cut.length > 0)
      this.#options.log.warn({ method: routed.method, cut: shortened.cut }, 'a pilot said more than fits');
    return this.#inTurn(() => this.#put(routed.method, shortened.text));
  }

  close(): void {
    this.#closing.abort();
  }

  async #inTurn(put: () => Promise<PilotReply>): Promise<PilotReply> {
    if (this.#waiting >= MAX_WAITING) return plainReply(503, 'ERROR : too many requests at once');
    this.#waiting += 1;
    const mine = this.#last.then(put);
    this.#last = mine.catch(() => undefined); // whoever asked hears of it
    try {
      return await mine;
    } finally {
      this.#waiting -= 1;
    }
  }

  async #put(method: string, text: string): Promise<PilotReply> {
    const deadline = new AbortController();
    const { clock, answerWithinMs = ANSWER_WITHIN_MS } = this.#options;
    const cancel = clock.schedule(answerWithinMs, () => deadline.abort());
    try {
      const answer = await this.#ask(method, text, AbortSignal.any([deadline.signal, this.#closing.signal]));
      switch (answer.kind) {
        case 'answered':
          return replyOf(answer.message.body);
        case 'refused':
          if (answer.code === 'UNSUPPORTED') return forbidden(method);
          throw new CoPilotError('NOT_AUTHORIZED', `a call was refused: ${answer.code}`);
        case 'given-up':
          return plainReply(503, 'ERROR : no answer in time');
      }
    } finally {
      cancel();
    }
  }
}
