import { bytesOf, newId } from '../../protocol/encoding.ts';
import type { Description } from '../../protocol/generated/types.ts';
import type { Runtime } from '../../protocol/runtime/runtime.ts';
import { expect, Failed, pause } from '../expectation.ts';
import { sha256Of } from '../peer/key-holder.ts';
import { askAnswer, beginHandshake, type HandshakeParts } from './handshake.ts';
import { type Line, openLine } from './line.ts';
import type { Membership } from './membership.ts';
import { type Held, Player, SUCCESS } from './player.ts';
import type { Stage } from './stage.ts';
import type { BrokerSubject, SubmittedJob } from './subject.ts';

/** An agent has at most 64 verdicts pending, and each answer carries what fits. */
const MAX_ROUNDS = 8;

/** How an agent of a case connects, where that is not as always. */
export interface ConnectOptions extends Partial<HandshakeParts> {
  /** A connection that is there already. */
  readonly line?: Line;
}

/** A job as a case wants it, where that is not as always. */
export interface JobWish extends Partial<Omit<Description, 'inputs'>> {
  /** Texts of the inputs by their names. */
  readonly inputs?: Readonly<Record<string, string>>;
  readonly retries?: number;
}

/** What one case acts on. Everything it opens, takes and leaves behind is put in order afterwards. */
export class Scene {
  readonly stage: Stage;
  #signal: AbortSignal;
  #isClosed = false;
  readonly #lent: Membership[] = [];
  readonly #lines: Line[] = [];
  readonly #players: Player[] = [];
  readonly #jobs: SubmittedJob[] = [];
  /** Agents that are not good for another case. */
  readonly #spent = new Set<Membership>();

  constructor(stage: Stage, signal: AbortSignal) {
    this.stage = stage;
    this.#signal = signal;
  }

  get signal(): AbortSignal {
    return this.#signal;
  }

  get runtime(): Runtime {
    return this.stage.runtime;
  }

  get subject(): BrokerSubject {
    return this.stage.subject;
  }

  get answerMs(): number {
    return this.stage.answerMs;
  }

  /** One of the three agents; every call lends another. */
  async member(): Promise<Membership> {
    const [member] = await this.members(1);
    if (member === undefined) throw new Failed('there is no agent to borrow');
    return member;
  }

  async members(count: number): Promise<readonly Membership[]> {
    const members = await this.stage.borrow(count, this.signal);
    this.#lent.push(...members);
    return members;
  }

  /** Agents are lent one by one nowhere else: two at once, or two cases could wait for each other. */
  async twoAgents(): Promise<readonly [Player, Player]> {
    const [one, other] = await this.members(2);
    if (one === undefined || other === undefined) throw new Failed('there are no two agents to borrow');
    return [await this.connect(one), await this.connect(other)];
  }

  async line(member: Membership): Promise<Line> {
    const line = await openLine(this.runtime, this.stage.url(member));
    this.#lines.push(line);
    return line;
  }

  /** An agent of the case's own, welcomed. */
  async agent(options: ConnectOptions = {}): Promise<Player> {
    return this.connect(await this.member(), options);
  }

  async connect(member: Membership, options: ConnectOptions = {}): Promise<Player> {
    return (await this.join(member, options)).greet();
  }

  /** As `connect`, and nothing of what the broker says has been heard yet. */
  async join(member: Membership, options: ConnectOptions = {}): Promise<Player> {
    const line = options.line ?? (await this.line(member));
    const start = options.start ?? this.newStart();
    const begun = beginHandshake({ ...options, runtime: this.runtime, member, start });
    const answered = await askAnswer(line, begun, this.answerMs, this.signal);
    const { runtime, answerMs, signal } = this;
    const player = new Player({ runtime, member, start, line, answered, answerMs, signal });
    this.#players.push(player);
    line.send(answered.proof);
    return player;
  }

  newStart(): string {
    return newId(this.runtime.random);
  }

  /** Waits until a right handshake on a connection of its own was served, which is as long as a wrong one could take. */
  async whileAnotherIsServed(member: Membership): Promise<void> {
    const other = await this.connect(member);
    await other.expectUndisturbed();
  }

  /** A job that only this case's agents are fit for. */
  async job(wish: JobWish = {}): Promise<SubmittedJob> {
    const { inputs: texts = {}, retries = 2, ...description } = wish;
    const tag = newId(this.runtime.random);
    const inputs = Object.entries(texts).map(([name, text]) => ({ name, content: bytesOf(text) }));
    const whole: Description = {
      command: 'generate',
      arguments: [],
      environment: {},
      inputs: inputs.map(({ name, content }) => ({ name, size: content.length, sha256: sha256Of(content) })),
      outputs: [{ name: 'events.dat' }],
      limits: { wallSeconds: 60, memoryMiB: 64, diskMiB: 1 },
      requirements: `other.ConformanceCase == "${tag}"`,
      ...description,
    };
    const id = await this.subject.submit({ description: whole, inputs, retries }, this.signal);
    const job = { id, ad: { OpSys: 'LINUX', Cpus: 1, ConformanceCase: tag } };
    this.#jobs.push(job);
    return job;
  }

  /** A job that was leased once and given back, so that the broker has it for certain. */
  async jobInReach(agent: Player, slot = 2): Promise<SubmittedJob> {
    const job = await this.job({ outputs: [] });
    const { job: id, attempt } = await agent.takeJob(job, slot);
    await agent.askFor('released', { kind: 'release', slot, job: id, attempt, reason: 'drain' });
    return job;
  }

  async cancel(job: Pick<SubmittedJob, 'id'>): Promise<void> {
    if (this.subject.cancel === undefined) throw new Failed('there is no way to cancel a job');
    await this.subject.cancel(job.id, this.signal);
  }

  /** Waits by the clock; what a lease runs out in cannot be waited for otherwise. */
  async wait(seconds: number): Promise<void> {
    await pause(seconds * 1000, this.signal);
  }

  /** The agent is revoked or quarantined: no other case gets it. */
  spend(member: Membership): void {
    this.#spent.add(member);
  }

  /** Everything the broker said was a right frame with a right message. */
  expectRightWords(): void {
    const violations = this.#players.flatMap((player) => player.violations);
    expect(violations.length === 0, violations.join('; '));
    const malformed = this.#lines.flatMap((line) => line.malformed);
    expect(malformed.length === 0, `${malformed.length} frames of the broker are not as H-1 says`);
  }

  /** Gives back what is held, sees what is pending, and makes up for failures; then the agents go back. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // The case's own time may be over.
    this.#signal = AbortSignal.timeout(2 * this.answerMs);
    try {
      for (const member of this.#lent) if (!this.#spent.has(member)) await this.#tidy(member);
    } finally {
      await Promise.all(this.#lines.map((line) => line.close()));
      this.stage.giveBack(this.#lent.filter((member) => !this.#spent.has(member)));
    }
  }

  async #tidy(member: Membership): Promise<void> {
    const players = this.#players.filter((player) => player.member === member);
    if (players.length === 0) return;
    const agent = await this.connect(member);
    for (const held of agent.welcome.held) await release(agent, held);
    await seeAll(agent);
    if (players.some(({ isStained }) => isStained)) await this.#redeem(agent);
  }

  /** A committed result clears the count of failures (L-15). */
  async #redeem(agent: Player): Promise<void> {
    const lease = await agent.takeJob(await this.job({ outputs: [] }));
    await agent.settle(lease, { exit: SUCCESS, manifest: [] });
    await seeAll(agent);
  }
}

async function release(agent: Player, { job, attempt }: Held): Promise<void> {
  await agent.ask({ kind: 'release', job, attempt, reason: 'drain' });
}

/** A broker that forgets what was seen is caught by a case; tidying up ends all the same. */
async function seeAll(agent: Player): Promise<void> {
  for (let rounds = 0; rounds < MAX_ROUNDS; rounds++) {
    const { verdicts } = await agent.askFor('renewed', { kind: 'renew', leases: [], seen: [] });
    if (verdicts.length === 0) return;
    const seen = verdicts.map(({ job, attempt }) => ({ job, attempt }));
    await agent.askFor('renewed', { kind: 'renew', leases: [], seen });
  }
}
