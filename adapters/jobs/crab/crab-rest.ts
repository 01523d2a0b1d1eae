import type { FrameworkHttp } from '../kit/framework-http.ts';
import { APP, CrabRefusal, rowsOf } from './rest-answer.ts';

/** Parameters of a call; a list is sent as repeated keys. */
export type Parameters = Readonly<Record<string, string | number | readonly (string | number)[]>>;

/** Calls of the server's REST interface, by the API's name. */
export interface CrabRest {
  /** Rows of the answer. Rejects with a `CrabRefusal`, or with `UNREACHABLE` or `TIMEOUT` where another try may do. */
  get(api: string, parameters: Parameters): Promise<readonly unknown[]>;
  post(api: string, parameters: Parameters): Promise<readonly unknown[]>;
  put(api: string, parameters: Parameters): Promise<readonly unknown[]>;
}

/** As the stock worker names itself; the server counts calls by it. */
const AGENT = 'CRABTaskWorker/v3.co-pilot';

export function createCrabRest(http: FrameworkHttp): CrabRest {
  const headers = { accept: '*/*', 'user-agent': AGENT };
  const withBody = (method: 'POST' | 'PUT') => async (api: string, parameters: Parameters) =>
    rowsOf(
      await http.send({
        method,
        path: `/${api}`,
        headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
        body: encoded(parameters),
      }),
    );
  return {
    get: async (api, parameters) =>
      rowsOf(await http.send({ method: 'GET', path: `/${api}?${encoded(parameters)}`, headers })),
    post: withBody('POST'),
    put: withBody('PUT'),
  };
}

function encoded(parameters: Parameters): string {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters))
    for (const item of typeof value === 'object' ? value : [value]) form.append(name, String(item));
  return form.toString();
}

/** Whether the server has no such task or row. */
export function isMissing(caught: unknown): boolean {
  return caught instanceof CrabRefusal && caught.appCode === APP.missingObject;
}
