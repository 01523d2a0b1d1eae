import type { AgentFleet, FleetAgent } from './agent-fleet.ts';
import type { Services } from './services.ts';

/** What is done to whom, and when, counted from the start of the campaign. */
interface Blow {
  readonly atMs: number;
  readonly strike: () => Promise<void>;
}

export interface ChaosOptions {
  readonly fleet: AgentFleet;
  readonly services: Services;
  readonly leaseMs: number;
  /** Says what happens; `agent` where its attempts are lost by it. */
  readonly onBlow: (text: string, agent: FleetAgent | undefined) => void;
  readonly signal: AbortSignal;
}

/** Beyond the lease, so that whatever was stopped has surely been leased again. */
const LEASES_STOPPED = 3;

/** Kills agents and the broker, and stops an agent for three leases, while the campaign runs. */
export async function runChaos(options: ChaosOptions): Promise<void> {
  const { fleet, services, leaseMs, onBlow, signal } = options;
  const started = performance.now();
  const agent = (index: number): FleetAgent | undefined => fleet.agents[index % fleet.agents.length];

  async function killFor(index: number, ms: number): Promise<void> {
    const victim = agent(index);
    if (victim === undefined) return;
    onBlow(`${victim.name} is killed (SIGKILL); back in ${ms / 1000} s`, victim);
    fleet.kill(victim);
    await pause(ms, signal);
    await fleet.restart(victim);
    onBlow(`${victim.name} is started again`, undefined);
  }

  async function stopFor(index: number, ms: number): Promise<void> {
    const victim = agent(index);
    if (victim === undefined) return;
    onBlow(`${victim.name} is stopped (SIGSTOP) for ${LEASES_STOPPED} leases`, victim);
    fleet.pause(victim);
    await pause(ms, signal);
    fleet.resume(victim);
    onBlow(`${victim.name} is continued (SIGCONT)`, undefined);
  }

  async function killBroker(): Promise<void> {
    onBlow('the broker is killed (SIGKILL); it is started again at once', undefined);
    services.kill('broker');
  }

  // The broker's deaths come when no attempt is about to run out: its return gives every lease a fresh start.
  const blows: readonly Blow[] = [
    { atMs: 4_000, strike: () => killFor(0, leaseMs * 1.5) },
    { atMs: 6_000, strike: () => stopFor(1, LEASES_STOPPED * leaseMs) },
    { atMs: 20_000, strike: killBroker },
    { atMs: 24_000, strike: () => killFor(2, 1_000) },
    { atMs: 34_000, strike: () => killFor(3, leaseMs * 1.5) },
    { atMs: 50_000, strike: killBroker },
  ];
  await Promise.all(
    blows.map(async ({ atMs, strike }) => {
      await pause(atMs - (performance.now() - started), signal);
      if (!signal.aborted) await strike();
    }),
  );
}

/** Resolves after that time, or at once when the signal is aborted. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, Math.max(0, ms));
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
}
