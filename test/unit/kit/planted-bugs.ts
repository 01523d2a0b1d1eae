import { createHttpQueueAdapter } from '../../../adapters/jobs/http-queue/http-queue-adapter.ts';
import type { JobAdapter, NewJob } from '../../../adapters/jobs/job-adapter.ts';
import type {
  CreateFrameworkAdapter,
  FrameworkAdapter,
  FrameworkParts,
} from '../../../adapters/jobs/kit/framework-adapter.ts';
import type {
  FrameworkAnswer,
  FrameworkHttp,
  FrameworkRequest,
} from '../../../adapters/jobs/kit/framework-http.ts';
import { deafAccepted } from '../../doubles/deaf-accepted.ts';
import { newId } from '../../../protocol/encoding.ts';

/** An adapter that is wrong in one thing, and the case of the suite that finds it. */
export interface PlantedBug {
  readonly name: string;
  /** The title of the case begins so. */
  readonly caughtBy: string;
  readonly create: CreateFrameworkAdapter;
}

type Body = Readonly<Record<string, unknown>>;

/** The sample with something between it and the queue. */
function withHttp(change: (http: FrameworkHttp) => FrameworkHttp['send']): CreateFrameworkAdapter {
  return (parts) =>
    createHttpQueueAdapter({ ...parts, http: { send: change(parts.http), stop: () => parts.http.stop() } });
}

/** The sample with something between it and the broker. */
function withAdapter(
  change: (adapter: FrameworkAdapter, parts: FrameworkParts) => Partial<FrameworkAdapter>,
): CreateFrameworkAdapter {
  return async (parts) => {
    const adapter = await createHttpQueueAdapter(parts);
    return { ...adapter, ...change(adapter, parts) };
  };
}

/** Of one path: another body than the sample sends. */
function sending(path: string, change: (body: Body) => Body): CreateFrameworkAdapter {
  return withHttp((http) => (request) => {
    if (!request.path.startsWith(path)) return http.send(request);
    return http.send({ ...request, body: JSON.stringify(change(bodyOf(request))) });
  });
}

/** Of one path: what the sample reads instead of what came. */
function reading(
  path: string,
  change: (send: () => Promise<FrameworkAnswer>, request: FrameworkRequest) => Promise<FrameworkAnswer>,
): CreateFrameworkAdapter {
  return withHttp(
    (http) => (request) =>
      request.path.startsWith(path) ? change(() => http.send(request), request) : http.send(request),
  );
}

function bodyOf({ body }: FrameworkRequest): Body {
  return JSON.parse(String(body)) as Body;
}

function answer(value: object, status = 200): FrameworkAnswer {
  return { status, headers: {}, body: Buffer.from(JSON.stringify(value)) };
}

function jsonOf({ body }: FrameworkAnswer): Body {
  return JSON.parse(body.toString('utf8')) as Body;
}

const jobsOf =
  (adapter: JobAdapter, change: (jobs: readonly NewJob[]) => readonly NewJob[]): JobAdapter['fetch'] =>
  async (queue, max, accepted) => {
    const fetched = await adapter.fetch(queue, max, accepted);
    return { ...fetched, jobs: change(fetched.jobs) };
  };

/** What the queue would have answered an end that counts. */
const yes = (request: FrameworkRequest): FrameworkAnswer => {
  const { id, try: number, attempt, outcome } = bodyOf(request);
  return answer({ id, try: number, attempt, state: outcome, answer: 'ok' });
};

export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: 'takes twice what was asked for',
    caughtBy: 'takes no more from the framework than were asked for, asked again',
    create: sending('/v1/take', (body) => ({ ...body, max: Number(body['max']) * 2 })),
  },
  {
    name: 'takes as many again for every fetch, accepted or not',
    caughtBy: 'takes no more from the framework than were asked for, asked again',
    create: withAdapter((adapter, { http, settings, name }) => ({
      async fetch(queue, max, accepted) {
        const fetched = await adapter.fetch(queue, max, accepted);
        const body = JSON.stringify({ queue: settings.queues[queue], max, worker: name });
        await http.send({ method: 'POST', path: '/v1/take', body });
        return fetched;
      },
    })),
  },
  {
    name: 'two fetches at once do not know of each other',
    caughtBy: 'takes no more than were asked for when two ask at once',
    create: async (parts) => {
      // Each call by a sample of its own: as if nothing were shared while a call is under way.
      const [one, other] = [await createHttpQueueAdapter(parts), await createHttpQueueAdapter(parts)];
      let turn = 0;
      return {
        ...one,
        fetch: (...args) => (turn++ % 2 === 0 ? one : other).fetch(...args),
        stop: async () => {
          await one.stop();
          await other.stop();
        },
      };
    },
  },
  {
    name: 'adds the events of a job up whenever its result is told',
    caughtBy: 'says of how many events a job was',
    create: withAdapter((adapter) => {
      let told = 0;
      return {
        async finished(...args) {
          const answer = await adapter.finished(...args);
          return typeof answer === 'object' ? { events: (told += answer.events) } : answer;
        },
      };
    }),
  },
  {
    name: 'never says that there are more',
    caughtBy: 'says that there are more',
    create: withAdapter((adapter) => ({
      fetch: async (...args) => ({ ...(await adapter.fetch(...args)), more: false }),
    })),
  },
  {
    name: 'has no ceiling of unfinished jobs',
    caughtBy: 'has no more unfinished than its ceiling',
    create: (parts) =>
      createHttpQueueAdapter({
        ...parts,
        ceiling: { ...parts.ceiling, current: () => ({ ...parts.ceiling.current(), jobs: 1_000_000 }) },
      }),
  },
  {
    name: 'forgets after a restart how many jobs a broker has',
    caughtBy: 'counts what a broker has against its ceiling after a restart too',
    create: (parts) => createHttpQueueAdapter({ ...parts, accepted: deafAccepted }),
  },
  {
    name: 'never counts a job as ended',
    caughtBy: 'has no more unfinished than its ceiling',
    create: withAdapter((adapter) => {
      let handed = 0;
      return {
        async fetch(queue, max, accepted) {
          const fetched = await adapter.fetch(queue, Math.min(max, 3 - handed), accepted);
          handed += fetched.jobs.length;
          return fetched;
        },
      };
    }),
  },
  {
    name: 'believes that what was handed over once arrived',
    caughtBy: 'hands over again after 10 s',
    create: withAdapter((adapter) => {
      const sent = new Set<string>();
      return {
        fetch: jobsOf(adapter, (jobs) => {
          const fresh = jobs.filter(({ job }) => !sent.has(job));
          for (const { job } of fresh) sent.add(job);
          return fresh;
        }),
      };
    }),
  },
  {
    name: 'gives a job another id each time',
    caughtBy: 'hands the same job over again at once after a restart',
    create: withAdapter((adapter, { random }) => ({
      fetch: jobsOf(adapter, (jobs) => jobs.map((job) => ({ ...job, job: newId(random) }))),
    })),
  },
  {
    name: 'forgets what was taken before it was started again',
    caughtBy: 'hands the same job over again at once after a restart',
    create: reading('/v1/held', async (send) => answer({ ...jsonOf(await send()), held: [] })),
  },
  {
    name: 'takes others where an answer was lost',
    caughtBy: 'loses no job and takes none twice where the answer of the framework was lost',
    create: reading('/v1/held', async (send) => answer({ ...jsonOf(await send()), held: [] })),
  },
  {
    name: 'gives up its queue when it reads a page of HTML',
    caughtBy: 'gets every job, each once, though a call that takes jobs went wrong: html',
    create: withAdapter((adapter) => {
      let isBroken = false;
      return {
        async fetch(...args) {
          if (isBroken) return { jobs: [], more: false };
          return adapter.fetch(...args).catch((caught: unknown) => {
            isBroken = true;
            throw caught;
          });
        },
      };
    }),
  },
  {
    name: 'hands a job over twice where the queue gave it twice',
    caughtBy: 'hands over what the framework has, each job once',
    create: withAdapter((adapter, { random }) => ({
      fetch: jobsOf(adapter, (jobs) =>
        jobs.flatMap((job) => [job, { ...job, job: newId(random) }]).slice(0, 3),
      ),
    })),
  },
  {
    name: 'waits for ever',
    caughtBy: 'gives up a call that hangs, and gets its jobs afterwards',
    create: withHttp((http) => (request) => http.send({ ...request, timeoutMs: 1_000_000_000 })),
  },
  {
    name: 'never says that jobs wait',
    caughtBy: 'says unasked that jobs wait, and says it again',
    create: withAdapter((adapter) => ({
      onWork: (handler) => adapter.onWork((work) => (work.kind === 'kill' ? handler(work) : undefined)),
    })),
  },
  {
    name: 'tries a payload that fails again and again, unasked',
    caughtBy: 'gives a payload that fails as many attempts as were set, and one',
    create: withAdapter((adapter) => ({
      fetch: jobsOf(adapter, (jobs) => jobs.map((job) => ({ ...job, retries: 5 }))),
    })),
  },
  {
    name: 'does not heed how many attempts were set',
    caughtBy: 'gives a payload that fails three attempts',
    create: (parts) => createHttpQueueAdapter({ ...parts, settings: { ...parts.settings, attempts: 1 } }),
  },
  {
    name: 'tells that a job runs with the next beat only',
    caughtBy: 'tells the framework at once that a job runs',
    create: withAdapter((adapter) => ({
      started: (job, attempt, _agent, state) => adapter.renewed(job, attempt, 0, state),
    })),
  },
  {
    name: 'never beats',
    caughtBy: 'keeps a job alive in the framework while its agent renews',
    create: withAdapter(() => ({ renewed: async () => undefined })),
  },
  {
    name: 'forgets jobs that wait with us',
    caughtBy: 'keeps a job that waits with us for an agent',
    create: reading('/v1/held', async () => answer({ waiting: 0, held: [], unwanted: [] })),
  },
  {
    name: 'beats only for what it saw begin',
    caughtBy: 'keeps alive after a restart what it did not see begin',
    create: withAdapter((adapter) => {
      const seen = new Set<string>();
      return {
        started(job, ...rest) {
          seen.add(job);
          return adapter.started(job, ...rest);
        },
        renewed: async (job, ...rest) => (seen.has(job) ? adapter.renewed(job, ...rest) : undefined),
      };
    }),
  },
  {
    name: 'tells a lost attempt as the end of the job',
    caughtBy: 'keeps a job whose attempt was lost',
    create: withAdapter((adapter) => ({
      released: (job, attempt, reason, state) =>
        adapter.failed(job, 'failed', reason, [{ attempt, reason, logTail: '' }], state),
    })),
  },
  {
    name: 'believes the last news, not the newest attempt',
    caughtBy: 'is not moved by old news that come late',
    create: withAdapter((adapter) => ({
      released: (job, attempt, reason, state) => adapter.released(job, attempt + 1, reason, state),
    })),
  },
  {
    name: 'asks for the end of what has ended, when news of it come late',
    caughtBy: 'lets nothing run again that has ended',
    create: withAdapter((adapter) => {
      let tell: Parameters<JobAdapter['onWork']>[0] = () => undefined;
      const ended = new Set<string>();
      return {
        onWork(handler) {
          tell = handler;
          adapter.onWork(handler);
        },
        async finished(job, ...rest) {
          ended.add(job);
          return adapter.finished(job, ...rest);
        },
        async started(job, ...rest) {
          if (ended.has(job)) tell({ kind: 'kill', job, reason: 'it has ended' });
          return adapter.started(job, ...rest);
        },
      };
    }),
  },
  {
    name: 'takes a success that was none for a beat, and then beats no more',
    caughtBy: 'takes a success that was none for none',
    create: withHttp((http) => {
      let hasBeaten = false;
      return async (request) => {
        if (!request.path.startsWith('/v1/beat')) return http.send(request);
        if (!hasBeaten) await http.send(request);
        hasBeaten = true;
        const beats = bodyOf(request)['beats'] as readonly Body[];
        return answer({ heard: beats.map(({ id, try: number }) => ({ id, try: number, state: 'running' })) });
      };
    }),
  },
  {
    name: 'gives up a job when the queue is away while it beats',
    caughtBy: 'goes on after the framework was away for an hour',
    create: withAdapter((adapter, { http }) => ({
      async finished(job, attempt, files, usage, state) {
        const isThere = await http.send({ method: 'GET', path: '/v1/jobs' }).then(
          () => true,
          () => false,
        );
        return isThere ? adapter.finished(job, attempt, files, usage, state) : 'refused';
      },
    })),
  },
  {
    name: 'asks for the end of a job once',
    caughtBy: 'asks for the end of a running job',
    create: withAdapter((adapter) => {
      const asked = new Set<string>();
      return {
        onWork: (handler) =>
          adapter.onWork((work) => {
            if (work.kind === 'kill' && asked.has(work.job)) return;
            if (work.kind === 'kill') asked.add(work.job);
            handler(work);
          }),
      };
    }),
  },
  {
    name: 'hears of a kill with beats alone',
    caughtBy: 'asks for the end of a job that waits with us',
    create: reading('/v1/held', async (send) => answer({ ...jsonOf(await send()), unwanted: [] })),
  },
  {
    name: 'asks for the end of every job when one is to end',
    caughtBy: 'asks for the end of nobody’s job but the one',
    create: reading('/v1/beat', async (send) => {
      const heard = jsonOf(await send())['heard'] as readonly Body[];
      const isAny = heard.some(({ state }) => state === 'unwanted');
      return answer({ heard: heard.map((one) => (isAny ? { ...one, state: 'unwanted' } : one)) });
    }),
  },
  {
    name: 'beats by the wall clock',
    caughtBy: 'is not confused by a wall clock that jumps a day',
    create: withAdapter((adapter, { clock }) => {
      const fromMs = clock.wallMs();
      return {
        renewed: async (...args) =>
          clock.wallMs() - fromMs > 3_600_000 ? undefined : adapter.renewed(...args),
      };
    }),
  },
  {
    name: 'says yes before the queue did',
    caughtBy:
      'never says that a result counts before it does, though the call that ends a job went wrong: down',
    create: withAdapter((adapter) => ({
      finished: async (...args) => adapter.finished(...args).catch(() => 'ok' as const),
    })),
  },
  {
    name: 'takes a page of HTML with 200 for a yes',
    caughtBy:
      'never says that a result counts before it does, though the call that ends a job went wrong: html',
    create: reading('/v1/end', async (send, request) => {
      const came = await send();
      return came.status === 200 && came.body.toString().startsWith('<') ? yes(request) : came;
    }),
  },
  {
    name: 'reads “ok” and not the state beside it',
    caughtBy:
      'never says that a result counts before it does, though the call that ends a job went wrong: lie',
    create: reading('/v1/end', async (send, request) => {
      const came = await send();
      return jsonOf(came)['answer'] === 'ok' ? yes(request) : came;
    }),
  },
  {
    name: 'takes an overloaded queue for one that will not have the result',
    caughtBy:
      'never says that a result counts before it does, though the call that ends a job went wrong: busy',
    create: withAdapter((adapter) => ({
      finished: async (...args) => adapter.finished(...args).catch(() => 'refused' as const),
    })),
  },
  {
    name: 'says “refused” when the same end is told again',
    caughtBy: 'brings a result to the framework, and the same answer',
    create: withAdapter((adapter) => {
      const told = new Set<string>();
      return {
        async finished(job, ...rest) {
          if (told.has(job)) return 'refused';
          told.add(job);
          return adapter.finished(job, ...rest);
        },
      };
    }),
  },
  {
    name: 'needs to have heard of a job before it brings its result',
    caughtBy: 'brings a result of which the framework heard nothing before',
    create: withAdapter((adapter) => {
      const seen = new Set<string>();
      return {
        started(job, ...rest) {
          seen.add(job);
          return adapter.started(job, ...rest);
        },
        finished: async (job, ...rest) => (seen.has(job) ? adapter.finished(job, ...rest) : 'refused'),
      };
    }),
  },
  {
    name: 'sends every result as that of the first attempt',
    caughtBy: 'I3 keeps the first result against another attempt',
    create: withAdapter((adapter) => ({
      finished: (job, _attempt, ...rest) => adapter.finished(job, 1, ...rest),
    })),
  },
  {
    name: 'keeps the reason to itself',
    caughtBy: 'keeps a failure against a late result, and tells its reason',
    create: sending('/v1/end', (body) => ({ ...body, reason: '' })),
  },
  {
    name: 'says nothing of a job that comes back without its state',
    caughtBy: 'tells the framework of a job that the broker never took',
    create: withAdapter((adapter) => ({
      failed: async (...args) => (args[4] === '' ? undefined : adapter.failed(...args)),
    })),
  },
  {
    name: 'says “ok” to a result that the queue refuses',
    caughtBy: 'says “refused”, and only that',
    create: withAdapter((adapter) => ({
      finished: async (...args) => {
        await adapter.finished(...args);
        return 'ok';
      },
    })),
  },
  {
    name: 'ends a failure without waiting for the queue',
    caughtBy: 'never says that a failure is known before it is',
    create: withAdapter((adapter) => ({
      failed: async (...args) => adapter.failed(...args).catch(() => undefined),
    })),
  },
  {
    name: 'says “ok” to a result of a job that it never had',
    caughtBy: 'takes news of jobs that it does not know without harm',
    create: withAdapter((adapter) => ({
      finished: async (...args) => (args[4] === '' ? 'ok' : adapter.finished(...args)),
    })),
  },
  {
    name: 'passes a broken description over, silently',
    caughtBy: 'refuses every hostile or broken description',
    create: reading('/v1/end', async (send, request) =>
      bodyOf(request)['attempt'] === 0 ? yes(request) : send(),
    ),
  },
  {
    name: 'hands over whatever the queue says it may',
    caughtBy: 'refuses a job above its ceiling',
    create: (parts) =>
      createHttpQueueAdapter({ ...parts, ceiling: { ...parts.ceiling, fault: () => undefined } }),
  },
  {
    name: 'reads its credential once',
    caughtBy: 'works again when a credential that ended was renewed',
    create: withHttp((http) => {
      let isOut = false;
      return async (request) => {
        if (isOut) return answer({ error: 'the token does not count' }, 401);
        const came = await http.send(request);
        isOut = came.status === 401;
        return came;
      };
    }),
  },
  {
    name: 'fails its jobs when its credential ends',
    caughtBy: 'works again when a credential that ended was renewed',
    create: withHttp((http) => async (request) => {
      const came = await http.send(request);
      if (came.status !== 401 || !request.path.startsWith('/v1/end')) return came;
      return answer({ ...bodyOf(request), state: 'failed', answer: 'refused' });
    }),
  },
  {
    name: 'writes what it sends to its log',
    caughtBy: 'I10 writes its credential into no log',
    create: (parts) => {
      const { http, log, credential } = parts;
      const send: FrameworkHttp['send'] = (request) => {
        log.info({ request, authorization: credential.current().bearer() }, 'asking the queue');
        return http.send(request);
      };
      return createHttpQueueAdapter({ ...parts, http: { send, stop: () => http.stop() } });
    },
  },
  {
    name: 'tells the broker what it sent when something went wrong',
    caughtBy: 'I10 writes its credential into no log',
    create: (parts) => {
      const { http, credential } = parts;
      const send: FrameworkHttp['send'] = async (request) => {
        const came = await http.send(request);
        if (came.status === 401) throw new TypeError('refused');
        return came;
      };
      return withAdapter((adapter) => ({
        finished: async (...args) =>
          adapter.finished(...args).catch((cause: unknown) => {
            parts.log.warn({ cause, sent: credential.current().bearer() }, 'the end was not told');
            throw cause;
          }),
      }))({ ...parts, http: { send, stop: () => http.stop() } });
    },
  },
  {
    name: 'goes on looking after it was stopped',
    caughtBy: 'leaves no timer when it is stopped',
    create: withAdapter(() => ({ stop: async () => undefined })),
  },
];
