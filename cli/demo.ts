import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type FleetAgent, AgentFleet } from './agent-fleet.ts';
import { type Campaign } from './campaign/campaign.ts';
import { fitPeak } from './campaign/fit-peak.ts';
import { type Histogram, mergeHistograms, parseHistogram } from './campaign/histogram.ts';
import { loadCampaign } from './campaign/load.ts';
import { svgPlot, terminalPlot } from './campaign/picture.ts';
import { runChaos } from './chaos.ts';
import type { Line } from './child-program.ts';
import { EXIT } from './command-line.ts';
import { snapshotRole } from './backup/role-snapshot.ts';
import { askBroker, connect, type Connection } from './connection.ts';
import type { Configuration } from './configuration/load.ts';
import type { OutsideWork } from './framework-for-up.ts';
import { hereOf } from './configuration/role-configurations.ts';
import type { DemoView } from './demo-view.ts';
import { FleetView } from './fleet-view.ts';
import { controlSocket, type Installation, openInstallation, roleDirectory } from './installation.ts';
import { proveFromLedger } from './ledger-proof.ts';
import { Losses } from './losses.ts';
import { Services } from './services.ts';
import { submitCampaign, type SubmittedCampaign } from './submit.ts';
import { waitForCampaign } from './wait.ts';
import type { IsolationMethod } from '../agent/executors/index.ts';
import type { JobDetail } from '../adapters/jobs/local/queued-job.ts';

export interface DemoOptions {
  readonly directory: string;
  readonly configuration: Configuration;
  /** What was set on the command line. */
  readonly flags: readonly string[];
  /** The campaign to run at once; undefined runs none. */
  readonly campaignFile: string | undefined;
  /** Runs instead of a campaign, where there is one. */
  readonly work: OutsideWork | undefined;
  readonly agents: number;
  readonly method: IsolationMethod;
  readonly jobMethod: IsolationMethod | undefined;
  readonly port: number | undefined;
  /** End when the campaign has ended. */
  readonly once: boolean;
  readonly chaos: boolean;
  readonly view: DemoView;
  /** Prints what stays on the screen. */
  readonly print: (text: string) => void;
  readonly columns: number;
  readonly signal: AbortSignal;
}

const ROOT = dirname(import.meta.dirname);
export const EXAMPLE_CAMPAIGN = join(ROOT, 'examples/z-resonance/campaign.yaml');
const DEMO_QUEUE = 'demo';
const CODE_SECONDS = 3600;
const HISTOGRAM = 'histogram.json';

/** Everything of one machine: services, agents, a campaign, its results. Resolves with the exit code. */
export async function runDemo(options: DemoOptions): Promise<number> {
  const demo = new Demo(options);
  try {
    return await demo.run();
  } finally {
    await demo.stop();
  }
}

class Demo {
  readonly #options: DemoOptions;
  readonly #losses = new Losses(() => performance.now());
  readonly #fleetView: FleetView;
  /** Agent ids by the number of the agent in the fleet, as the broker names them. */
  readonly #agentIds = new Map<number, string>();
  #services: Services | undefined;
  #fleet: AgentFleet | undefined;

  constructor(options: DemoOptions) {
    this.#options = options;
    this.#fleetView = new FleetView((view) => options.view.agent(view));
  }

  async run(): Promise<number> {
    const { options, campaign, installation } = await this.#prepare();
    const { directory } = installation;
    await this.#startServices(directory);
    await this.#startAgents(directory);
    this.#say(installation);
    const code = await this.#runWork(directory, campaign);
    if (options.once || options.signal.aborted) return options.signal.aborted ? EXIT.interrupted : code;
    options.print(
      `\nStill running: submit your own jobs with \`co-pilot job submit campaign.yaml\` (docs/job-author.md). Ctrl-C ends everything.`,
    );
    await Promise.race([aborted(options.signal), this.#services?.broken]);
    return EXIT.ok;
  }

  async #runWork(directory: string, campaign: Campaign | undefined): Promise<number> {
    const { work } = this.#options;
    if (work !== undefined)
      return Promise.race([work(this.#options), this.#services?.broken ?? EXIT.internal]);
    return campaign === undefined ? EXIT.ok : this.#runCampaign(directory, campaign);
  }

  async #prepare(): Promise<{
    readonly options: DemoOptions;
    readonly campaign: Campaign | undefined;
    readonly installation: Installation;
  }> {
    const options = this.#options;
    // The file first: what is wrong with it is said before anything is started.
    const loaded = options.campaignFile === undefined ? undefined : await loadCampaign(options.campaignFile);
    const isDemo = options.campaignFile === EXAMPLE_CAMPAIGN || options.chaos;
    const campaign = loaded && isDemo ? { ...loaded, queue: DEMO_QUEUE } : loaded;
    const installation = await openInstallation({
      directory: options.directory,
      configuration: options.configuration,
      ...(options.port !== undefined && { port: options.port }),
    });
    return { options, campaign, installation };
  }

  async #startServices(directory: string): Promise<void> {
    const { view, flags, configuration } = this.#options;
    this.#services = new Services({
      directory,
      flags,
      logBounds: configuration.settings.log,
      frameworks: Object.keys(configuration.settings.frameworks),
      onLine: (_role, line) => this.#onBrokerLine(line),
      onRestart: (role, reason) => view.note(`the ${role} ended (${reason}); it is started again`),
    });
    await this.#services.start();
    view.note('broker, local job adapter and data bridge are up');
  }

  async #startAgents(directory: string): Promise<void> {
    const { agents, method, jobMethod, view } = this.#options;
    if (agents === 0) return;
    const fleet = new AgentFleet({
      directory: join(directory, 'agents'),
      method,
      jobMethod,
      issueCode: async (owner) => {
        const body = { owner, site: 'here', seconds: CODE_SECONDS };
        return (await askBroker<{ readonly code: string }>(directory, 'POST', '/v1/codes', body)).code;
      },
      onLine: (index, line) => this.#fleetView.line(index, line),
    });
    this.#fleet = fleet;
    await Promise.all(Array.from({ length: agents }, (_, index) => fleet.start(index)));
    view.note(
      `${agents} ${agents === 1 ? 'agent' : 'agents'} started, each a process of its own (isolation: ${method})`,
    );
  }

  #say({ directory, configurations }: Installation): void {
    const { busPort, buses, enrolmentPort } = configurations.broker;
    const host = hereOf(configurations.broker.host);
    const urls = buses.map((bus) => (bus.kind === 'websocket' ? `ws://${host}:${busPort}/bus` : bus.url));
    this.#options.print(
      [
        `Everything is in ${directory}`,
        `  bus       ${urls.join(' ')}   enrolment http://${host}:${enrolmentPort}   bridge http://${host}:${configurations.bridge.port}`,
        `  logs      ${roleDirectory(directory, 'broker')}/log and the like, agents in ${join(directory, 'agents')}`,
        `  control   ${controlSocket(directory, 'local')}`,
      ].join('\n'),
    );
  }

  async #runCampaign(directory: string, campaign: Campaign): Promise<number> {
    const { view, print, signal, chaos, once } = this.#options;
    const connection = await connect(directory);
    const submitted = await submitCampaign(connection, campaign, 'you');
    view.note(`campaign ${submitted.campaign}: ${submitted.jobs.length} jobs submitted`);
    const blows = new AbortController();
    const striking = chaos ? this.#strike(connection, blows.signal) : Promise.resolve();
    const waiting = waitForCampaign(
      connection.queue,
      submitted.campaign,
      (counts) => view.campaign(submitted.campaign, counts),
      signal,
    );
    const services = this.#services;
    const counts = await Promise.race([waiting, services?.broken ?? waiting]).finally(() => blows.abort());
    await striking;
    view.losses(this.#losses.all);
    view.finish();
    const isComplete = counts.states.finished === counts.total - counts.retried;
    print(
      `\n${counts.states.finished} of ${counts.total} jobs finished, ${counts.states.failed} failed, ${counts.states.cancelled} cancelled`,
    );
    await this.#showResults(connection, submitted, directory);
    const isProved = !chaos || (await this.#prove(directory, submitted.jobs, once));
    return isComplete && isProved ? EXIT.ok : EXIT.failed;
  }

  async #strike(connection: Connection, signal: AbortSignal): Promise<void> {
    const fleet = this.#fleet;
    const services = this.#services;
    if (fleet === undefined || services === undefined) return;
    const queue = connection.installation.configurations.broker.queues.find(
      ({ name }) => name === DEMO_QUEUE,
    );
    await runChaos({
      fleet,
      services,
      leaseMs: queue?.leaseMs ?? 0,
      signal,
      onBlow: (text, agent) => this.#onBlow(text, agent),
    });
  }

  #onBlow(text: string, agent: FleetAgent | undefined): void {
    this.#options.view.note(text);
    if (agent === undefined) return;
    const id = this.#agentIds.get(agent.index);
    if (id !== undefined) this.#losses.taken(id, text.split(';')[0] ?? text);
    this.#fleetView.say(agent.index, text.includes('killed') ? 'killed' : 'stopped');
    this.#options.view.losses(this.#losses.all);
  }

  /** What the broker says of attempts: who holds which, and what became of it. */
  #onBrokerLine(line: Line): void {
    const { job, attempt, agent, owner } = line;
    if (typeof job !== 'string' || typeof attempt !== 'number' || typeof agent !== 'string') return;
    if (line['event'] === 'leased') {
      const index = typeof owner === 'string' ? Number(owner.replace('agent-', '')) - 1 : -1;
      if (index >= 0) this.#agentIds.set(index, agent);
      this.#losses.leased(agent, job, attempt);
    }
    if (line['event'] === 'committed') this.#losses.ended(job, attempt);
    this.#options.view.losses(this.#losses.all);
  }

  async #showResults(connection: Connection, submitted: SubmittedCampaign, directory: string): Promise<void> {
    const { print, columns } = this.#options;
    const results = join(directory, 'results', submitted.campaign);
    const histograms: Histogram[] = [];
    let files = 0;
    for (const id of submitted.jobs) {
      const job = await connection.queue.show(id);
      for (const path of await fetchAll(connection, job, results)) {
        files += 1;
        if (path.endsWith(HISTOGRAM)) histograms.push(parseHistogram(await readFile(path, 'utf8')));
      }
    }
    print(`${files} output files are in ${results}`);
    if (histograms.length === 0) return;
    const merged = mergeHistograms(histograms);
    const fit = fitPeak(merged);
    const picture = join(results, 'mass.svg');
    await writeFile(picture, svgPlot(merged, fit));
    await writeFile(join(results, 'merged.json'), JSON.stringify(merged));
    print(
      [
        '',
        ...terminalPlot(merged, fit, { columns: Math.min(columns, 100), rows: 16, colour: false }),
        `picture: ${picture}`,
      ].join('\n'),
    );
  }

  /** With the broker stopped nobody writes: what the ledger says is what would survive. */
  async #prove(directory: string, jobs: readonly string[], once: boolean): Promise<boolean> {
    const { print } = this.#options;
    for (const { job, attempt, cause, end } of this.#losses.all) {
      const became =
        end === undefined
          ? 'its job ended before'
          : `${end.kind.replaceAll('-', ' ')} after ${(end.afterMs / 1000).toFixed(1)} s`;
      print(`attempt ${attempt} of job ${job.slice(0, 8)}: ${cause}: ${became}`);
    }
    await this.#services?.hold('broker');
    await using copy = await snapshotRole(directory, 'broker', () => undefined);
    const proof = proveFromLedger(copy.path('ledger.sqlite'), jobs);
    if (!once) await this.#services?.resume('broker');
    for (const fault of proof.faults) print(`NOT PROVED: ${fault}`);
    print(
      `ledger: ${proof.committedOnce} of ${proof.jobs} jobs committed exactly once, in ${proof.attempts} attempts of which ${proof.lost} were lost`,
    );
    return proof.faults.length === 0;
  }

  async stop(): Promise<void> {
    await this.#fleet?.stop();
    await this.#services?.stop();
  }
}

async function fetchAll(
  { results }: Connection,
  job: JobDetail,
  directory: string,
): Promise<readonly string[]> {
  const { result } = job;
  if (result === undefined) return [];
  await mkdir(directory, { recursive: true });
  const to = join(directory, safeName(job.label));
  return Promise.all(
    result.manifest.map((file) => results.fetch({ job: job.job, attempt: result.attempt }, file, to)),
  );
}

/** A folder for a job's files: the label without the campaign's name, whatever stands in it. */
function safeName(label: string): string {
  const [, ...own] = label.split('/');
  const text = (own.length === 0 ? label : own.join('_')).replaceAll(/[^\w=.,@+-]/g, '_');
  return text.replace(/^\.+/, '_') || 'job';
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
