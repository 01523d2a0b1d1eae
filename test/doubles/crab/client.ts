import { createHash } from 'node:crypto';
import { makeArchive, type Member } from './archive.ts';

/** What a user's client does: upload a sandbox, submit, resubmit, kill. */
export interface CrabClient {
  /** Uploads the sandbox where it is not there, and answers its name. */
  upload(members: readonly Member[]): Promise<string>;
  /** Answers the task's name. */
  submit(request: string, parameters: Parameters): Promise<string>;
  resubmit(task: string, ids?: readonly string[]): Promise<void>;
  kill(task: string): Promise<void>;
  status(task: string): Promise<TaskStatus>;
  /** Names of tasks in that state. */
  tasksIn(status: string): Promise<readonly string[]>;
}

export type Parameters = Readonly<Record<string, string | number | readonly string[]>>;

export interface TaskStatus {
  readonly status: string;
  readonly command: string;
  readonly webdirPath: string;
  readonly taskFailureMsg: string;
}

const SANDBOX: readonly Member[] = [{ name: 'PSet.py', content: 'import FWCore\n' }];

const SIMULATION: Parameters = {
  jobtype: 'PrivateMC',
  jobsw: 'CMSSW_13_0_3',
  jobarch: 'el8_amd64_gcc11',
  nonprodsw: 0,
  splitalgo: 'EventBased',
  algoargs: 10,
  totalunits: 10,
  savelogsflag: 0,
  publication: 0,
  primarydataset: 'MinBias',
  asyncdest: 'T2_CH_CERN',
  dbsurl: 'https://cmsweb.invalid/dbs/prod/global/DBSReader/',
  edmoutfiles: ['out.root'],
};

export function createCrabClient(url: string, token?: () => string): CrabClient {
  const call = async (method: string, api: string, parameters: Parameters): Promise<readonly unknown[]> => {
    const form = new URLSearchParams();
    for (const [name, value] of Object.entries(parameters))
      for (const one of Array.isArray(value) ? value : [value]) form.append(name, String(one));
    const isInQuery = method === 'GET' || method === 'DELETE';
    const response = await fetch(`${url}/${api}${isInQuery ? `?${form.toString()}` : ''}`, {
      method,
      ...(token !== undefined && { headers: { authorization: `Bearer ${token()}` } }),
      ...(!isInQuery && { body: form }),
    });
    if (!response.ok)
      throw new Error(`${method} ${api}: ${response.status} ${response.headers.get('x-error-info') ?? ''}`);
    return ((await response.json()) as { readonly result: readonly unknown[] }).result;
  };
  const client: CrabClient = {
    async upload(members) {
      const bytes = makeArchive(members);
      const name = `${createHash('sha256').update(bytes).digest('hex')}.tar.gz`;
      const parameters = { subresource: 'upload', objecttype: 'sandbox', tarballname: name };
      const [target, fields] = await call('GET', 'cache', parameters);
      if (target === '') return name;
      const form = new FormData();
      for (const [key, value] of Object.entries(fields as Readonly<Record<string, string>>))
        form.append(key, value);
      form.append('file', new Blob([new Uint8Array(bytes)]), name);
      const response = await fetch(String(target), { method: 'POST', body: form });
      if (!response.ok) throw new Error(`the sandbox was refused with ${response.status}`);
      return name;
    },
    async submit(request, parameters) {
      const cachefilename = parameters['cachefilename'] ?? (await client.upload(SANDBOX));
      const [answer] = await call('PUT', 'workflow', {
        ...SIMULATION,
        ...parameters,
        cachefilename,
        workflow: request,
      });
      return String((answer as { readonly RequestName: unknown }).RequestName);
    },
    async resubmit(task, ids = []) {
      await call('POST', 'workflow', { subresource: 'resubmit2', workflow: task, jobids: ids });
    },
    async kill(task) {
      await call('DELETE', 'workflow', { workflow: task });
    },
    async status(task) {
      const [status] = await call('GET', 'task', { subresource: 'status', workflow: task });
      return status as TaskStatus;
    },
    async tasksIn(taskstatus) {
      const rows = await call('GET', 'task', { subresource: 'taskbystatus', taskstatus });
      return rows.map((row) => String((row as readonly unknown[])[0]));
    },
  };
  return client;
}
