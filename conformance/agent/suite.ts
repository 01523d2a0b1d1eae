import type { Case, Lent, Outcome, Suite } from '../case.ts';
import { SubjectUnavailable } from '../case.ts';
import { splitWords } from '../command-words.ts';
import { Failed } from '../expectation.ts';
import { type AgentCase, CAPABILITIES, type Capability } from './agent-case.ts';
import { agentCases } from './cases.ts';
import { anotherAddress, OpenStage, type Stage } from './stage.ts';
import { CoPilotError } from '../../protocol/errors.ts';

export interface AgentSuiteOptions {
  /** Starts the agent; its words may have placeholders. */
  readonly command: string;
  /** Capabilities it lacks though it may have them. */
  readonly without: readonly string[];
  /** Every deadline is multiplied by it. */
  readonly patience: number;
}

const MAX_EVIDENCE = 4000;

/** The cases for agents, each lent an installation of the suite's own with an agent in it. */
export function openAgentSuite(options: AgentSuiteOptions): Suite<Stage> {
  return new AgentSuite(options);
}

class AgentSuite implements Suite<Stage> {
  readonly kind = 'agent';
  readonly cases = agentCases;
  readonly #words: readonly string[];
  readonly #patience: number;
  readonly #without: ReadonlySet<Capability>;
  readonly #open = new Set<OpenStage>();
  /** Agents that wait for work on a stage where nothing else happens. */
  readonly #warm: OpenStage[] = [];
  #hasWorked = false;

  constructor(options: AgentSuiteOptions) {
    this.#words = splitWords(options.command);
    this.#patience = options.patience;
    this.#without = new Set(options.without.map(capabilityOf));
  }

  lacks(capability: string): string | undefined {
    if (capability === 'another-address')
      return anotherAddress() === undefined ? 'this machine has no address but loopback' : undefined;
    return this.#without.has(capabilityOf(capability)) ? `the agent is without ${capability}` : undefined;
  }

  async lend(testCase: Case<Stage>, signal: AbortSignal): Promise<Lent<Stage>> {
    const wanted = agentCaseOf(testCase);
    const { start = 'warm', pingEveryMs, hasTwoUrls } = wanted;
    const isOwn = pingEveryMs !== undefined || hasTwoUrls === true;
    const stage =
      start === 'cold' || isOwn ? await this.#newStage(signal, wanted) : await this.#warmStage(signal);
    stage.begin(signal);
    if (start !== 'cold' && isOwn) await this.#startOn(stage);
    return { subject: stage, giveBack: (outcome) => this.#takeBack(stage, start, outcome) };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open].map((stage) => this.#end(stage)));
  }

  async #newStage(signal: AbortSignal, wanted: Wanted = {}): Promise<OpenStage> {
    const { pingEveryMs, hasTwoUrls } = wanted;
    const stage = new OpenStage({
      words: this.#words,
      patience: this.#patience,
      ...(pingEveryMs !== undefined && { pingEveryMs }),
      ...(hasTwoUrls && { hasTwoUrls }),
    });
    await stage.open();
    this.#open.add(stage);
    stage.begin(signal);
    return stage;
  }

  async #warmStage(signal: AbortSignal): Promise<OpenStage> {
    const waiting = this.#warm.pop();
    if (waiting !== undefined) return waiting;
    const stage = await this.#newStage(signal);
    await this.#startOn(stage);
    return stage;
  }

  /** An agent that has never worked is no subject; one that has, and does not now, is at fault. */
  async #startOn(stage: OpenStage): Promise<void> {
    try {
      await stage.start();
      await stage.ready();
      this.#hasWorked = true;
    } catch (caught) {
      await this.#end(stage);
      if (this.#hasWorked || caught instanceof SubjectUnavailable || !(caught instanceof Failed))
        throw caught;
      throw new SubjectUnavailable(`the agent does not connect: ${caught.message}`, { cause: caught });
    }
  }

  async #takeBack(stage: OpenStage, start: AgentCase['start'], outcome: Outcome): Promise<string> {
    const evidence = outcome.kind === 'failed' ? stage.output.slice(-MAX_EVIDENCE) : '';
    const isReusable = start !== 'cold' && start !== 'spent' && outcome.kind === 'passed';
    if (isReusable && (await stage.settles())) this.#warm.push(stage);
    else await this.#end(stage);
    return evidence;
  }

  async #end(stage: OpenStage): Promise<void> {
    this.#open.delete(stage);
    await stage.close();
  }
}

type Wanted = Pick<AgentCase, 'start' | 'pingEveryMs' | 'hasTwoUrls'>;

function agentCaseOf(testCase: Case<Stage>): Wanted {
  return agentCases.find(({ id }) => id === testCase.id) ?? {};
}

/** Throws `INVALID_REQUEST` for what is none. */
function capabilityOf(text: string): Capability {
  const capability = CAPABILITIES.find((entry) => entry === text);
  if (capability !== undefined) return capability;
  throw new CoPilotError(
    'INVALID_REQUEST',
    `there is no capability ${text}; there are ${CAPABILITIES.join(', ')}`,
  );
}
