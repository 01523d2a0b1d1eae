import type { HostClass } from '../matching/host-class.ts';
import type { Clock } from '../../protocol/runtime/runtime.ts';

/** An agent that asked for work: on what machine, and what became of its wish. */
export interface SeenAgent {
  readonly agent: string;
  readonly owner: string;
  readonly host: HostClass;
  readonly atMs: number;
  /** `leased`, `none`, or the code it was refused with. */
  readonly answer: string;
}

/** An agent that is not served. */
export interface SentAway {
  readonly agent: string;
  readonly owner: string;
  readonly code: string;
  readonly atMs: number;
}

/** Who asked for work lately, for people who ask why a job waits; lost with the process. */
export interface SeenAgents {
  asked(seen: Omit<SeenAgent, 'atMs'>): void;
  sentAway(agent: string, owner: string, code: string): void;
  readonly agents: Iterable<SeenAgent>;
  readonly away: Iterable<SentAway>;
}

const MAX_AGENTS = 16_384;
const MAX_AWAY = 1024;

/** At the bound the one that was silent for longest is forgotten. */
export function createSeenAgents(clock: Clock): SeenAgents {
  const agents = new Map<string, SeenAgent>();
  const away = new Map<string, SentAway>();
  return {
    asked(seen) {
      away.delete(seen.agent);
      remember(agents, seen.agent, { ...seen, atMs: clock.monotonicMs() }, MAX_AGENTS);
    },
    sentAway(agent, owner, code) {
      remember(away, agent, { agent, owner, code, atMs: clock.monotonicMs() }, MAX_AWAY);
    },
    get agents() {
      return agents.values();
    },
    get away() {
      return away.values();
    },
  };
}

function remember<T>(map: Map<string, T>, key: string, value: T, bound: number): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (oldest !== undefined && map.size > bound) map.delete(oldest);
}
