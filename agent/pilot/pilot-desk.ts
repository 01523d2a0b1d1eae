import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CoPilotError, toCoPilotError } from '../../protocol/errors.ts';
import type { Output } from '../../protocol/generated/types.ts';
import type { Clock, Log } from '../../protocol/runtime/runtime.ts';
import type { Answer } from '../loop/asks.ts';
import { openEndPoint } from './end-point.ts';
import { gatherOutputs } from './gather-outputs.ts';
import { DUMMY_TOKEN, forbidden, routePanda } from './panda-dialect.ts';
import { plainParts } from './parts-requests.ts';
import type { PartsQuestion } from './parts-requests.ts';
import { plainReply, replyOf } from './pilot-exchange.ts';
import type { PilotReply, PilotRequest } from './pilot-exchange.ts';
import type { Caller, DeskRequest, PilotDesk, PilotHost } from './pilot-host.ts';
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

/** Desks on the loopback: for pilots they speak PanDA's pilot API, for parts plain JSON. */
export function createPilotHost(options: PilotHostOptions): PilotHost {
  return { open: (request) => open(options, request) };
}

async function open(options: PilotHostOptions, request: DeskRequest): Promise<PilotDesk> {
  const { directory } = request;
  const store = join(directory, STORE);
  const questions = new Questions(options, request);
  const pilotEnvironment = request.isPilot ? await preparePilot(directory, store) : {};
  let caller: Caller | undefined;
  const endPoint = await openEndPoint({
    log: options.log,
    isOurs: (inode) => caller?.holdsSocket(inode) ?? false,
    answer: (asked) => questions.answer(asked),
  });
  const { port } = endPoint;
  const url = `http://127.0.0.1:${port}`;
  return {
    environment: {
      ...pilotEnvironment,
      ...(request.isPilot && { COPILOT_PILOT_URL: url, COPILOT_PILOT_PORT: String(port) }),
      ...(request.hasParts && { COPILOT_PARTS_URL: `${url}/v1/parts` }),
    },
    admit(running) {
      caller = running;
    },
    async close() {
      questions.close();
      await endPoint.close();
    },
    gather: async (outputs) => (request.isPilot ? gather(directory, store, outputs) : undefined),
  };
}

/** What a pilot finds in its directory, and the variables that say so. */
async function preparePilot(directory: string, store: string): Promise<Readonly<Record<string, string>>> {
  await mkdir(store, { recursive: true, mode: 0o700 });
  const tokenFile = join(directory, TOKEN_FILE);
  await writeFile(tokenFile, DUMMY_TOKEN, { mode: 0o600 });
  return {
    COPILOT_PILOT_OUTPUTS: store,
    // The pilot ends processes of its user that it takes for orphans; there is nothing of its own to find here.
    PILOT_NOKILL: 'True',
    OIDC_AUTH_TOKEN: tokenFile,
    OIDC_AUTH_ORIGIN: 'co-pilot.pilot',
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

/** Puts questions of one job to the broker, one after the other. */
class Questions {
  readonly #options: PilotHostOptions;
  readonly #desk: DeskRequest;
  readonly #closing = new AbortController();
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(options: PilotHostOptions, desk: DeskRequest) {
    this.#options = options;
    this.#desk = desk;
  }

  async answer(request: PilotRequest): Promise<PilotReply> {
    const { isPilot, hasParts } = this.#desk;
    const parts = hasParts ? plainParts(request) : undefined;
    if (parts !== undefined) return this.#part(parts);
    if (!isPilot) return forbidden(request.target);
    const routed = routePanda(request, hasParts);
    switch (routed.kind) {
      case 'answer':
        return routed.reply;
      case 'parts':
        return this.#part(routed.question);
      case 'ask':
        return this.#call(routed.method, routed.request);
    }
  }

  close(): void {
    this.#closing.abort();
  }

  async #call(method: string, request: PilotRequest): Promise<PilotReply> {
    const shortened = shorten(request);
    if (shortened.kind === 'too-large') return plainReply(500, 'ERROR : the request is too large');
    if (shortened.cut.length > 0)
      this.#options.log.warn({ method, cut: shortened.cut }, 'a pilot said more than fits');
    return this.#inTurn(
      (signal) => this.#desk.call(method, shortened.text, signal),
      ({ body }) => replyOf(body),
      method,
    );
  }

  async #part({ verb, ids, reply }: PartsQuestion): Promise<PilotReply> {
    if (verb === 'finish' && ids.length === 0) return reply([]);
    return this.#inTurn(
      (signal) => this.#desk.parts(verb, ids, signal),
      ({ parts }) => reply(parts),
      'parts',
    );
  }

  async #inTurn<A>(
    ask: (signal: AbortSignal) => Promise<Answer<A>>,
    reply: (answer: A) => PilotReply,
    what: string,
  ): Promise<PilotReply> {
    if (this.#waiting >= MAX_WAITING) return plainReply(503, 'ERROR : too many requests at once');
    this.#waiting += 1;
    const mine = this.#last.then(() => this.#put(ask));
    this.#last = mine.catch(() => undefined); // whoever asked hears of it
    try {
      return judged(await mine, reply, what);
    } finally {
      this.#waiting -= 1;
    }
  }

  async #put<A>(ask: (signal: AbortSignal) => Promise<Answer<A>>): Promise<Answer<A>> {
    const deadline = new AbortController();
    const { clock, answerWithinMs = ANSWER_WITHIN_MS } = this.#options;
    const cancel = clock.schedule(answerWithinMs, () => deadline.abort());
    try {
      return await ask(AbortSignal.any([deadline.signal, this.#closing.signal]));
    } finally {
      cancel();
    }
  }
}

function judged<A>(answer: Answer<A>, reply: (answer: A) => PilotReply, what: string): PilotReply {
  switch (answer.kind) {
    case 'answered':
      return reply(answer.message);
    case 'refused':
      if (answer.code === 'UNSUPPORTED') return forbidden(what);
      throw new CoPilotError('NOT_AUTHORIZED', `a question was refused: ${answer.code}`);
    case 'given-up':
      return plainReply(503, 'ERROR : no answer in time');
  }
}
