import { jdlInteger, jdlList, jdlText, parseJdl } from '../../../protocol/jdl/index.ts';
import type { FrameworkHttp } from '../kit/framework-http.ts';
import type { AlienJob, Central, MatchAnswer, StatusAnswer } from './central.ts';
import { callSide, fieldsOf, type SideAnswer, sideFault, textIn } from './side-call.ts';

const MOST_LINES = 256;

/** JAliEn's task queue behind the side process, which alone can speak Java's serialised objects. */
export function createSideCentral(http: FrameworkHttp, host: string): Central {
  const ask = (job: AlienJob, change: object): Promise<SideAnswer> =>
    callSide(http, 'status', { queueId: job.id, token: job.token, ...change });
  return {
    savedState: 'DONE',
    async match(siteAd, ce) {
      return matchIn(await callSide(http, 'match', { siteMap: siteMap(siteAd) }), ce);
    },
    async setStatus(job, { from, to, detail = '', by }) {
      if (detail.startsWith('['))
        await callSide(http, 'results', { queueId: job.id, token: job.token, jdl: detail });
      const change = { to, node: host, ...(from !== undefined && { from }), ...(by !== undefined && { by }) };
      return resultIn(await ask(job, change));
    },
    async write(lines) {
      for (let at = 0; at < lines.length; at += MOST_LINES) {
        const some = lines.slice(at, at + MOST_LINES);
        await callSide(http, 'log', {
          lines: some.map(({ job, tag, text }) => ({ queueId: job.id, tag, text: text.slice(0, 4096) })),
        });
      }
    },
    // The side process has no word for it: a fetch shows it.
    offer: () => Promise.resolve(1),
    async census(jobs) {
      const counts = new Map<string, number>();
      for (const job of jobs) {
        const answer = await ask(job, {});
        const state = resultIn(answer) === 'over' ? 'over' : textIn(answer, 'state', 'status');
        counts.set(state, (counts.get(state) ?? 0) + 1);
      }
      return counts;
    },
    async isSaved(job, marker) {
      const answer = await ask(job, {});
      return /^DONE/.test(textIn(answer, 'state', 'status')) && answer.get('by') === marker;
    },
  };
}

/** The advertisement as JAliEn's map of a site. */
function siteMap(siteAd: string): Readonly<Record<string, string | number>> {
  const ad = parseJdl(siteAd);
  const ce = jdlText(ad, 'CE') ?? '';
  const joined = (name: string): string => `,${jdlList(ad, name).join(',,')},`;
  return {
    Localhost: jdlText(ad, 'Host') ?? '',
    Host: jdlText(ad, 'Host') ?? '',
    CE: ce,
    Site: ce.split('::')[1] ?? '',
    TTL: jdlInteger(ad, 'TTL') ?? 0,
    Disk: (jdlInteger(ad, 'LocalDiskSpace') ?? 0) * 1024,
    CPUCores: jdlInteger(ad, 'CPUCores') ?? 1,
    Platform: jdlText(ad, 'Platform') ?? '',
    Partition: joined('GridPartitions'),
    Packages: joined('Packages'),
    InstalledPackages: joined('InstalledPackages'),
    Extrasites: joined('CloseSE'),
  };
}

function matchIn(answer: SideAnswer, ce: string): MatchAnswer {
  const code = answer.get('code');
  const error = answer.get('error');
  const why = typeof error === 'string' ? error.slice(0, 200) : 'no job';
  if (code === 1) return jobIn(answer.get('job'), ce);
  if (code === -3) {
    const packages = answer.get('packages');
    const names = Array.isArray(packages) ? packages.filter((name) => typeof name === 'string') : [];
    return { kind: 'install', packages: names.slice(0, 64) };
  }
  if (typeof code !== 'number' || ![0, -1, -2, -6, -7].includes(code)) throw sideFault('match');
  return { kind: 'none', why };
}

function jobIn(value: unknown, ce: string): MatchAnswer {
  if (typeof value !== 'object' || value === null) throw sideFault('match');
  const [id, token, user, jdl] = ['queueId', 'token', 'user', 'jdl'].map((name) =>
    textIn(fieldsOf(value), name, 'match'),
  );
  const isJob =
    /^[1-9][0-9]{0,18}$/.test(id ?? '') &&
    /^[!-~]{1,256}$/.test(token ?? '') &&
    /^[A-Za-z0-9._-]{1,64}$/.test(user ?? '');
  if (!isJob) throw sideFault('match');
  return { kind: 'job', job: { id: id ?? '', token: token ?? '', user: user ?? '', ce }, jdl: jdl ?? '' };
}

function resultIn(answer: SideAnswer): StatusAnswer {
  const result = answer.get('result');
  if (result === 'ok' || result === 'over' || result === 'refused') return result;
  throw sideFault('status');
}
