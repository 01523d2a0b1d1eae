import { createServer as createPlainServer, type IncomingMessage } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { Cancel } from '../../../protocol/runtime/runtime.ts';
import type { NewJob, Work } from '../job-adapter.ts';
import type { FrameworkAdapter, FrameworkParts } from '../kit/framework-adapter.ts';
import { createHandedJobs } from '../kit/handed-jobs.ts';
import { createInputStore } from '../kit/input-store.ts';
import { jobIdOf } from '../kit/job-id.ts';
import { createResultReader } from '../kit/result-reader.ts';
import { readCmsAtHomeOptions } from './cms-at-home-options.ts';
import { createDataBridgeFace, type FaceGuards } from './data-bridge-face.ts';
import { isJobId, openFileStore } from './file-store.ts';
import { BROKER, type HeldJob, openQueueStore } from './queue-store.ts';

/** Whether the authenticator is that volunteer's; given by whoever may ask BOINC's accounts. Rejects where nobody can say now. */
export type VolunteerCheck = FaceGuards['volunteer'];

export interface CmsAtHomeAdapter extends FrameworkAdapter {
  /** Where the DataBridge's clients find it. */
  readonly url: string;
}

export interface CmsAtHomeSurroundings {
  /** The adapter's own, 0700: the queue and its files. */
  readonly directory: string;
  readonly volunteer: VolunteerCheck;
  /** Instead of client certificates, where the test plays the producer. */
  readonly isProducer?: (request: IncomingMessage) => boolean;
}

const REMIND_MS = 10_000;
const REQUEST_MS = 3_600_000;
const OUTPUT = 'output.tgz';
const MAX_SCRIPT_BYTES = 16 * 1024 * 1024;
const MIB = 1024 * 1024;

/**
 * The queue of CMS@home: whoever put jobs in goes on to do so, and agents take them from the broker, volunteers' old clients from the queue
 * itself where they are served. Rejects with `INVALID_CONFIGURATION`, or one of the `QUEUE_…` codes.
 */
export async function createCmsAtHomeAdapter(
  parts: FrameworkParts,
  { directory, volunteer, isProducer }: CmsAtHomeSurroundings,
): Promise<CmsAtHomeAdapter> {
  const { clock, log, settings, bridge, ceiling, refused, credential } = parts;
  const options = readCmsAtHomeOptions(settings);
  if (bridge === undefined)
    throw new CoPilotError('INVALID_CONFIGURATION', 'the queue of CMS@home has to know the Data Bridge');
  const maxBytes = { input: MAX_SCRIPT_BYTES, output: options.maxOutputMiB * MIB };
  const files = await openFileStore(directory, maxBytes);
  const queue = openQueueStore(join(directory, 'cms-at-home.sqlite'), options.maxJobs);
  const isKnown = (request: IncomingMessage): boolean =>
    options.producers.includes(commonName(request) ?? '');
  const face = createDataBridgeFace({
    queue,
    files,
    guards: { volunteer, isProducer: isProducer ?? isKnown },
    servesVolunteers: options.servesVolunteers,
    leaseMs: options.leaseSeconds * 1000,
    maxPerVolunteer: options.maxPerVolunteer,
    clock,
    log,
  });
  const tls = credential.current().tls();
  const { caFile } = settings.credential;
  const ca = caFile === undefined ? {} : { ca: await readFile(caFile) };
  const server =
    tls === undefined
      ? createPlainServer({ requestTimeout: REQUEST_MS }, face)
      : createTlsServer(
          { ...tls, ...ca, requestCert: true, rejectUnauthorized: false, requestTimeout: REQUEST_MS },
          face,
        );
  if (tls === undefined && !/^(?:127\.|::1$|localhost$)/.test(options.host)) {
    queue.close();
    throw new CoPilotError(
      'INVALID_CONFIGURATION',
      'certificateFile and keyFile have to be set: authenticators travel here',
    );
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  }).catch((caught: unknown) => {
    queue.close();
    throw caught;
  });

  const inputs = createInputStore(bridge);
  const results = createResultReader(bridge);
  const handed = createHandedJobs({ clock });
  let handler: ((work: Work) => void) | undefined;
  let reminder: Cancel | undefined;
  let isStopped = false;
  const idOf = ({ id, round }: HeldJob): string => jobIdOf('cms-at-home', settings.url, id, String(round));
  const isWithBroker = ({ id, round }: HeldJob): boolean =>
    queue.heldByBroker().some((held) => held.id === id && held.round === round);
  const remind = (): void => {
    if (isStopped) return;
    queue.expire(clock.wallMs());
    const count = queue.counts().waiting;
    if (count > 0) handler?.({ kind: 'available', queue: options.queue, count });
    reminder = clock.schedule(REMIND_MS, remind);
  };

  /** Undefined for a job without its script: nobody could run it, and it stays with us until it comes. */
  async function newJob(held: HeldJob): Promise<NewJob | undefined> {
    const { id: name, round } = held;
    if (!(await files.has('input', name))) return undefined;
    const script = await inputs.put({ kind: 'file', path: files.path('input', name) });
    const driver = await inputs.put({ kind: 'file', path: join(import.meta.dirname, 'volunteer-job.sh') });
    const job: NewJob = {
      job: idOf(held),
      ref: name,
      owner: 'cms-at-home',
      site: options.site,
      campaign: 'cms-at-home',
      priority: 0,
      retries: settings.attempts - 1,
      description: {
        command: './volunteer-job.sh',
        arguments: [],
        environment: {},
        inputs: [
          { name: 'volunteer-job.sh', ...driver, executable: true },
          { name: 'job.sh', ...script },
        ],
        outputs: [{ name: OUTPUT, maxBytes: options.maxOutputMiB * MIB }],
        limits: { wallSeconds: options.wallSeconds, memoryMiB: options.memoryMiB, diskMiB: options.diskMiB },
        requirements: options.requirements,
      },
      state: `${name} ${round}`,
    };
    const fault = ceiling.fault(job);
    if (fault === undefined) return job;
    log.error({ job: name, reason: fault }, 'a job of CMS@home cannot be handed over');
    refused.note({ job: job.job, ref: name, reason: fault });
    queue.drop(name);
    return undefined;
  }

  /** The job that its state names, where that is one of ours. */
  const jobOf = (id: string, state: string): HeldJob | undefined => {
    const [name = '', round = ''] = state.split(' ');
    const job = { id: name, round: Number(round) };
    return isJobId(name) && idOf(job) === id ? job : undefined;
  };

  return {
    url: `${tls === undefined ? 'http' : 'https'}://${options.host}:${portOf(server.address())}`,
    async fetch(wanted, max, accepted) {
      handed.accept(accepted);
      if (wanted !== options.queue) return { jobs: [], more: false };
      queue.expire(clock.wallMs());
      const held = queue.heldByBroker();
      const free = ceiling.current().jobs - held.length;
      queue.takeForBroker(Math.max(0, Math.min(handed.wanted(wanted, max), free)));
      for (const one of queue.heldByBroker()) {
        if (handed.isKnown(idOf(one))) continue;
        const job = await newJob(one);
        if (job !== undefined) handed.offer(wanted, [job]);
      }
      const fetched = handed.take(wanted, max);
      return { jobs: fetched.jobs, more: fetched.more || queue.counts().waiting > 0 };
    },
    // Those who put jobs in ask for results alone.
    started: () => Promise.resolve(),
    renewed: () => Promise.resolve(),
    released: () => Promise.resolve(),
    async finished(id, attempt, manifest, _usage, state) {
      const job = jobOf(id, state);
      const output = manifest.find((file) => file.name === OUTPUT);
      if (job === undefined || output === undefined) return 'refused';
      const { id: name } = job;
      if (!isWithBroker(job)) return attempt > 0 && queue.attemptOf(job) === attempt ? 'ok' : 'refused';
      await results.save({ job: id, attempt, ...output }, files.path('output', `${name}.tgz`));
      handed.drop(id);
      queue.finish(name, BROKER, clock.wallMs(), attempt);
      await files.remove('input', name);
      return 'ok';
    },
    async failed(id, _outcome, reason, _attempts, state) {
      const job = jobOf(id, state);
      if (job === undefined || !isWithBroker(job)) return;
      log.warn({ job: job.id, reason }, 'a job of CMS@home failed');
      handed.drop(id);
      // Its script stays: whoever put it in puts it in again when it has waited long enough.
      queue.drop(job.id);
    },
    onWork(next) {
      handler = next;
      reminder ??= clock.schedule(0, remind);
    },
    unfinished: () => queue.heldByBroker().length,
    async stop() {
      if (isStopped) return;
      isStopped = true;
      reminder?.();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      queue.close();
    },
  };
}

function portOf(address: AddressInfo | string | null): number {
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Of a client certificate that an authority of ours vouches for. */
function commonName({ socket }: IncomingMessage): string | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const name: unknown = socket.getPeerCertificate().subject.CN;
  return typeof name === 'string' ? name : undefined;
}
