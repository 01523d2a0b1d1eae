import { createWorld, type World } from './world.ts';

export interface ScenarioResult {
  readonly faults: readonly string[];
  readonly lines: readonly string[];
  /** Simulated time until the last job was told. */
  readonly tookMs: number;
  readonly attempts: number;
  /** How often agents came to each bus. */
  readonly arrivals: readonly number[];
}

const AGENTS = 4;
const JOBS = 30;
const TROUBLE_MS = 8 * 60_000;
const LIMIT_MS = 90 * 60_000;
const STEP_MS = 5_000;

/** Runs one seed: trouble for a while, then peace, and every job must have ended as the framework was told. */
export async function runScenario(seed: number, buses: 1 | 2 = 1): Promise<ScenarioResult> {
  const world = createWorld({
    seed,
    agents: AGENTS,
    jobs: JOBS,
    buses,
    faults: { delayMs: [1, 80], drop: 0.03, duplicate: 0.03, reorder: 0.05 },
  });
  const jobs = world.submit(JOBS);
  await Promise.all([world.startBroker(), world.startJobs(), world.startStorage()]);
  await Promise.all(Array.from({ length: AGENTS }, (_, index) => world.startAgent(index)));
  const faults: string[] = [];
  const check = (): void => {
    for (const fault of world.faults()) if (!faults.includes(fault)) faults.push(fault);
  };
  while (world.clock.monotonicMs() < TROUBLE_MS && faults.length === 0) {
    await trouble(world);
    check();
  }
  await peace(world);
  while (!isOver(world, jobs) && world.clock.monotonicMs() < LIMIT_MS && faults.length === 0) {
    await world.clock.run(STEP_MS);
    check();
  }
  faults.push(...verdict(world, jobs));
  const attempts = [...world.ledgerStore.jobs.values()].reduce((sum, job) => sum + job.lastAttempt, 0);
  return {
    faults,
    lines: world.lines,
    tookMs: world.clock.monotonicMs(),
    attempts,
    arrivals: world.arrivals,
  };
}

function pick(world: World, below: number): number {
  return ((world.random.bytes(2)[0] ?? 0) * 256 + (world.random.bytes(1)[0] ?? 0)) % below;
}

/** One thing that goes wrong, and some time in which it stays wrong. */
async function trouble(world: World): Promise<void> {
  const agent = pick(world, AGENTS);
  const address = `agent.${agent}`;
  const whileMs = 200 + pick(world, 40_000);
  const run = (): Promise<void> => world.clock.run(whileMs);
  const network = one(world);
  world.lines.push(`${world.clock.monotonicMs()} --- trouble for ${whileMs} ms`);
  switch (pick(world, 12)) {
    case 0:
      world.crashBroker();
      await run();
      return world.startBroker();
    case 1:
      world.crashStorage();
      await run();
      return world.startStorage();
    case 2:
      world.crashJobs();
      await run();
      return world.startJobs();
    case 3:
    case 4:
      world.crashAgent(agent);
      await run();
      return world.startAgent(agent);
    case 5: {
      const heal = network.partition([address]);
      await run();
      heal();
      return;
    }
    case 6:
      world.process(address)?.pause();
      await run();
      world.process(address)?.resume();
      return;
    case 7:
      world.ledger().failNext('LEDGER_FULL');
      return run();
    case 8:
      world.ledger().crashAfterNextGroup();
      await run();
      world.crashBroker();
      return world.startBroker();
    case 9:
      world.storage.failNext(
        pick(world, 2) === 0 ? 'verify' : 'finalise',
        pick(world, 2) === 0 ? 'before' : 'after',
      );
      return run();
    case 10:
      network.disconnect(address);
      await run();
      network.reconnect(address);
      return;
    default:
      return run();
  }
}

/** The bus that something happens on. */
function one(world: World): World['network'] {
  return world.networks.length === 1 ? world.network : (world.networks[pick(world, 2)] ?? world.network);
}

async function peace(world: World): Promise<void> {
  world.lines.push(`${world.clock.monotonicMs()} --- peace`);
  for (const network of world.networks) network.setFaults({ delayMs: [1, 20] });
  await world.clock.run(1_000);
}

/** Every job ended, and its end was acknowledged by the framework. */
function isOver(world: World, jobs: readonly string[]): boolean {
  return jobs.every((id) => world.ledgerStore.jobs.get(id)?.told === true);
}

/** I3, I4 and I5 at the end: each job ended once, as the framework was told, with the result storage registered. */
function verdict(world: World, jobs: readonly string[]): readonly string[] {
  return jobs.flatMap((id) => {
    const row = world.ledgerStore.jobs.get(id);
    const record = world.framework.record(id);
    if (row === undefined || record === undefined) return [`I4 job ${id} was lost`];
    if (!row.told) return [`I4 job ${id} is ${row.state}, not told, after ${world.clock.monotonicMs()} ms`];
    const registered = world.storage.registered(id);
    if (row.state === 'failed')
      return registered === undefined ? [] : [`I3 job ${id} failed and has a result`];
    const committed = row.attempts.filter((attempt) => attempt.state === 'committed');
    if (committed.length !== 1) return [`I3 job ${id} has ${committed.length} committed attempts`];
    if (registered?.attempt !== committed[0]?.number)
      return [`I3 storage registered another attempt of ${id}`];
    const told = JSON.stringify(record.manifest);
    return told === JSON.stringify(registered?.files)
      ? []
      : [`I5 the framework was told another manifest of ${id}: ${told}`];
  });
}
