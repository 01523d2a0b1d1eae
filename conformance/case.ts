/** How far an implementation goes. `core`: it works; `full`: every MUST; `robust`: every SHOULD too, and hostile peers. */
export type Level = (typeof LEVELS)[number];

export const LEVELS = ['core', 'full', 'robust'] as const;

/** What is tested. */
export type SubjectKind = (typeof SUBJECT_KINDS)[number];

export const SUBJECT_KINDS = ['agent', 'broker', 'adapter'] as const;

/**
 * When a case runs. `together`: at once with others; `alone`: when nothing else runs, after those; `last`: the same, after all
 * others, because it leaves the subject spent.
 */
export type Turn = 'together' | 'alone' | 'last';

/** One thing that can be right or wrong about a subject. `S` is what the suite lends a case to act on. */
export interface Case<S> {
  /** Stable: `AGT-S-013` stays the same case for ever. */
  readonly id: string;
  /** What a right subject does, as a sentence without its subject. */
  readonly title: string;
  /** Numbers of docs/protocol.md that it proves. */
  readonly requirements: readonly string[];
  readonly level: Level;
  /** Left out: `together`. */
  readonly turn?: Turn;
  /** Capabilities without which the case does not apply. */
  readonly needs?: readonly string[];
  /** The longest it may take, before patience; left out: 30 s. */
  readonly withinSeconds?: number;
  /** Resolves where the subject is right and throws where it is not. Everything it waits for ends with the signal. */
  readonly run: (subject: S, signal: AbortSignal) => Promise<void>;
}

/** What is known of a case without a subject. */
export type CaseFacts = Omit<Case<never>, 'run'>;

export type Outcome =
  | { readonly kind: 'passed' }
  | { readonly kind: 'failed'; readonly reason: string }
  /** The subject's manifest says that it cannot; never decided by what happened. */
  | { readonly kind: 'not-applicable'; readonly reason: string };

/** A subject lent to one case. */
export interface Lent<S> {
  readonly subject: S;
  /** Ends the loan, whatever became of the case. What was seen of the subject and helps to understand a failure is answered. */
  giveBack(outcome: Outcome): Promise<string>;
}

/** Cases, and how a subject for each is come by. */
export interface Suite<S> {
  readonly kind: SubjectKind;
  readonly cases: readonly Case<S>[];
  /** Why the subject lacks a capability, from its manifest; undefined where it has it. */
  lacks(capability: string): string | undefined;
  /** Rejects with `SubjectUnavailable` where there is no subject to be had. */
  lend(testCase: Case<S>, signal: AbortSignal): Promise<Lent<S>>;
  /** Ends what is left of all subjects. */
  close(): Promise<void>;
}

/** The subject cannot be started or reached at all: nothing is said about whether it is right. */
export class SubjectUnavailable extends Error {
  override readonly name = 'SubjectUnavailable';
}

/** Whether a case of `level` belongs to a run up to `upTo`. */
export function isWithin(level: Level, upTo: Level): boolean {
  return LEVELS.indexOf(level) <= LEVELS.indexOf(upTo);
}
