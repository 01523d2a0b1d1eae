import { decodeEnrolmentCode, ENROLMENT_PATHS } from '../../protocol/enrolment.ts';
import type { Runtime } from '../../protocol/runtime/runtime.ts';
import { SubjectUnavailable } from '../case.ts';
import { Failed } from '../expectation.ts';
import { codeOf } from '../peer/http.ts';
import { enrol, enrolmentRequest, type Membership, newKeys, post } from './membership.ts';
import type { BrokerSubject } from './subject.ts';

/** How a code was answered that came with a proof by another key than it named. */
export interface WrongProof {
  readonly status: number;
  readonly code: string;
}

export interface StageOptions {
  readonly runtime: Runtime;
  readonly subject: BrokerSubject;
  /** Every wait is multiplied by it. */
  readonly patience: number;
}

interface Waiter {
  readonly count: number;
  readonly serve: (members: readonly Membership[]) => void;
}

/** What all cases of a run share: three enrolled agents, each lent to one case at a time. */
export class Stage {
  readonly runtime: Runtime;
  readonly subject: BrokerSubject;
  readonly patience: number;
  readonly #free: Membership[] = [];
  readonly #waiting: Waiter[] = [];
  #ready: Promise<readonly Membership[]> | undefined;
  #wrongProof: WrongProof | undefined;

  constructor({ runtime, subject, patience }: StageOptions) {
    this.runtime = runtime;
    this.subject = subject;
    this.patience = patience;
  }

  get answerMs(): number {
    return 10_000 * this.patience;
  }

  /** Enrols the three agents, once. Rejects with `SubjectUnavailable` where that cannot be. */
  ready(signal: AbortSignal): Promise<readonly Membership[]> {
    this.#ready ??= this.#enrolAll(signal);
    return this.#ready;
  }

  get wrongProof(): WrongProof {
    if (this.#wrongProof === undefined) throw new Failed('no agent was enrolled');
    return this.#wrongProof;
  }

  url(member: Membership): string {
    const url = this.subject.address ?? member.bus.find((entry) => /^wss?:/.test(entry));
    if (url === undefined)
      throw new SubjectUnavailable('the enrolment names no WebSocket bus; give --address');
    return url;
  }

  /** So many agents at once, as soon as they are free; who asks first is served first. */
  async borrow(count: number, signal: AbortSignal): Promise<readonly Membership[]> {
    await this.ready(signal);
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { count, serve };
      const giveUp = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(new Failed('the case was ended while it waited for an agent'));
      };
      function serve(members: readonly Membership[]): void {
        signal.removeEventListener('abort', giveUp);
        resolve(members);
      }
      signal.addEventListener('abort', giveUp, { once: true });
      this.#waiting.push(waiter);
      this.#serve();
    });
  }

  giveBack(members: readonly Membership[]): void {
    this.#free.push(...members);
    this.#serve();
  }

  #serve(): void {
    for (;;) {
      const [first] = this.#waiting;
      if (first === undefined || first.count > this.#free.length) return;
      this.#waiting.shift();
      first.serve(this.#free.splice(0, first.count));
    }
  }

  async #enrolAll(signal: AbortSignal): Promise<readonly Membership[]> {
    const members: Membership[] = [];
    try {
      for (const text of this.subject.codes) members.push(await this.#enrolOne(text, signal));
    } catch (caught) {
      throw new SubjectUnavailable(
        `agent ${members.length + 1} of ${this.subject.codes.length} could not be enrolled: ${String(caught)}`,
        { cause: caught },
      );
    }
    this.#free.push(...members);
    return members;
  }

  /** With a wrong proof first: the code must still be good afterwards. */
  async #enrolOne(text: string, signal: AbortSignal): Promise<Membership> {
    const { crypto } = this.runtime;
    const code = decodeEnrolmentCode(text);
    const keys = newKeys(crypto);
    if (this.#wrongProof === undefined) {
      const other = await enrolmentRequest(crypto, code, newKeys(crypto), signal);
      const own = await enrolmentRequest(crypto, code, keys, signal);
      const answer = await post(code.url + ENROLMENT_PATHS.enrol, { ...own, proof: other['proof'] }, signal);
      this.#wrongProof = { status: answer.status, code: codeOf(answer) };
    }
    return enrol(crypto, code, keys, signal);
  }
}
