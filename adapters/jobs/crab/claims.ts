import type { CrabRest } from './crab-rest.ts';

/** What a worker does to tasks as rows: `workflowdb` and `task` of the server, docs/crab.md. */
export interface Claims {
  /** Rows that this worker holds now, after it took what waited: at most `free` new tasks, and commands for any. */
  take(free: number): Promise<readonly unknown[]>;
  /** Rows of this worker in that state, of the last two months. */
  held(status: string): Promise<readonly unknown[]>;
  state(task: string, command: string, status: string): Promise<void>;
  /** Ends a command without success; the text is for the task's user. */
  failure(task: string, status: string, why: string): Promise<void>;
  success(task: string, cluster: number): Promise<void>;
  schedd(task: string, name: string): Promise<void>;
  webdir(task: string, url: string): Promise<void>;
  warn(task: string, warning: string): Promise<void>;
}

/** Rows asked for at a time. */
const MOST = 100;
/** As the stock worker asks. */
const MONTHS = 2;
/** The server keeps 1,100 characters. */
const MAX_WHY = 1000;

export function createClaims(rest: CrabRest, worker: string): Claims {
  const take = async (getstatus: string, status: string, limit: number): Promise<void> => {
    await rest.post('workflowdb', { subresource: 'process', workername: worker, getstatus, limit, status });
  };
  const held = (getstatus: string): Promise<readonly unknown[]> =>
    rest.get('workflowdb', { workername: worker, getstatus, limit: MOST, months: MONTHS });
  const post = async (
    api: string,
    task: string,
    parameters: Readonly<Record<string, string | number>>,
  ): Promise<void> => void (await rest.post(api, { workflow: task, ...parameters }));

  return {
    async take(free) {
      if (free > 0) await take('WAITING', 'NEW', Math.min(free, MOST));
      await take('NEW', 'HOLDING', MOST);
      return held('HOLDING');
    },
    held,
    state: (task, command, status) => post('workflowdb', task, { subresource: 'state', command, status }),
    failure: (task, status, why) =>
      post('workflowdb', task, { subresource: 'failure', status, failure: why.slice(0, MAX_WHY) }),
    success: (task, cluster) =>
      post('workflowdb', task, { subresource: 'success', status: 'SUBMITTED', clusterid: cluster }),
    schedd: (task, name) => post('task', task, { subresource: 'updateschedd', scheddname: name }),
    webdir: (task, url) => post('task', task, { subresource: 'addwebdir', webdirurl: url }),
    warn: (task, warning) =>
      post('task', task, { subresource: 'addwarning', warning: warning.slice(0, MAX_WHY) }),
  };
}
