import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isFinal } from '../alien/job-states.ts';
import type { SiteAd } from '../alien/site-ad.ts';
import { jdlOf } from '../alien/task-queue.ts';
import { Refusal } from '../jalien/file-catalogue.ts';
import type { JalienDouble } from '../jalien/jalien-double.ts';

/** The side process over the queue and catalogue of a JAliEn double. */
export interface SideDouble {
  readonly url: string;
  readonly calls: readonly { readonly operation: string; readonly body: Fields; readonly answer: object }[];
  /** Members that were registered, with their physical names. */
  readonly members: ReadonlyMap<string, string>;
  /** Answers `match` with this once, instead of asking the queue. */
  answerMatch(answer: object): void;
  stop(): Promise<void>;
}

type Fields = Readonly<Record<string, unknown>>;

export interface SideDoubleOptions {
  readonly jalien: JalienDouble;
  readonly token: string;
}

export async function startSideDouble({ jalien, token }: SideDoubleOptions): Promise<SideDouble> {
  const { queue, files } = jalien;
  const calls: { operation: string; body: Fields; answer: object }[] = [];
  const members = new Map<string, string>();
  const by = new Map<string, string>();
  let planned: object | undefined;
  const text = (body: Fields, name: string): string => {
    const value = body[name];
    return typeof value === 'string' ? value : '';
  };

  const isOurs = (body: Fields): boolean => queue.row(Number(body['queueId']))?.token === body['token'];
  const operations: Readonly<Record<string, (body: Fields) => object>> = {
    match(body) {
      const answer = planned;
      planned = undefined;
      if (answer !== undefined) return answer;
      const matched = queue.match(siteOf(body['siteMap'] as Fields));
      if (matched.kind === 'install')
        return { code: -3, error: 'packages are missing', packages: matched.packages };
      if (matched.kind === 'closed') return { code: 0, error: 'Queue is not open! Check queueinfo' };
      if (matched.kind === 'none') return { code: -2, error: 'Nothing to run :-(' };
      const { row } = matched;
      return {
        code: 1,
        job: { queueId: String(row.id), token: matched.token, user: row.user, jdl: jdlOf(row) },
      };
    },
    status(body) {
      const id = text(body, 'queueId');
      const to = text(body, 'to');
      const state = (): string => queue.row(Number(id))?.status ?? 'KILLED';
      const said = (): object => ({ state: state(), ...(by.has(id) && { by: by.get(id) }) });
      if (!isOurs(body) || isFinal(state())) return { result: 'over', ...said() };
      if (to === '') return { result: 'ok', ...said() };
      const fault = queue.change({
        id: Number(id),
        from: text(body, 'from') || '%',
        to,
        node: text(body, 'node'),
      });
      if (fault === undefined && text(body, 'by') !== '') by.set(id, text(body, 'by'));
      return { result: fault === undefined ? 'ok' : 'refused', ...said() };
    },
    log(body) {
      for (const line of body['lines'] as readonly Fields[]) {
        const id = Number(text(line, 'queueId'));
        if (text(line, 'tag') === 'proc') queue.procInfo(id, text(line, 'text'));
        else queue.log(id, text(line, 'tag'), text(line, 'text'));
      }
      return {};
    },
    results(body) {
      const row = queue.row(Number(body['queueId']));
      if (row !== undefined && isOurs(body)) row.resultsJdl = text(body, 'jdl');
      return {};
    },
    envelope(body) {
      const wanted = {
        lfn: text(body, 'lfn'),
        size: String(body['size']),
        md5: text(body, 'md5'),
        job: text(body, 'queueId'),
        specs: text(body, 'storage').split(','),
      };
      const known = files.file(wanted.lfn);
      if (known?.md5 === wanted.md5)
        return {
          result: 'registered',
          places: known.pfns.map(({ se, pfn }) => ({ url: pfn, se, guid: known.guid, envelope: '' })),
        };
      try {
        const places = files
          .write(wanted)
          .map(({ turl, se, guid, envelope }) => ({ url: turl, se, guid, envelope }));
        return { result: 'ok', places };
      } catch (caught) {
        if (!(caught instanceof Refusal)) throw caught;
        return { result: 'refused', places: [], why: caught.message };
      }
    },
    register(body) {
      const places = body['places'] as readonly { url: string; se: string; guid: string; envelope: string }[];
      const about = [String(body['size']), text(body, 'lfn'), '644', '0'];
      const registered = places.filter(({ url, se, guid, envelope }) =>
        files.commit([envelope, ...about, url, se, guid, text(body, 'md5')]),
      );
      if (registered.length > 0)
        for (const member of body['members'] as readonly Fields[])
          members.set(
            text(member, 'lfn'),
            `guid:///${registered[0]?.guid ?? ''}?ZIP=${text(member, 'name')}`,
          );
      return { registered: registered.map(({ url }) => url) };
    },
  };

  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const operation = (request.url ?? '').replace('/v1/', '');
      const run = Object.hasOwn(operations, operation) ? operations[operation] : undefined;
      const isKnown = request.headers.authorization === `Bearer ${token}`;
      if (!isKnown || run === undefined) return void response.writeHead(isKnown ? 404 : 401).end();
      const body = JSON.parse(Buffer.concat(chunks).toString()) as Fields;
      const answer = run(body);
      calls.push({ operation, body, answer });
      return void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    members,
    answerMatch(answer) {
      planned = answer;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function siteOf(map: Fields): SiteAd {
  const list = (name: string): readonly string[] =>
    (typeof map[name] === 'string' ? map[name] : '').split(',').filter((word) => word !== '');
  return {
    ce: typeof map['CE'] === 'string' ? map['CE'] : '',
    ttl: Number(map['TTL']),
    disk: Number(map['Disk']),
    packages: list('Packages'),
    installed: list('InstalledPackages'),
    partitions: list('Partition'),
    price: 1,
    users: [],
  };
}
