import { request } from 'node:https';

/** Who speaks to the DataBridge, and how it is reached. */
export interface DataBridgePlace {
  readonly port: number;
  /** In PEM, who vouches for the server. */
  readonly ca: string;
  /** Of a producer. */
  readonly certificate?: { readonly cert: string; readonly key: string };
  /** Of a volunteer: his number and his authenticator. */
  readonly account?: { readonly user: number; readonly authenticator: string };
}

export interface DataBridgeAnswer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

/** The calls of the DataBridge’s clients, with the headers, queries and forms that theirs have (curl and Python’s requests). */
export interface DataBridgeClient {
  getJob(): Promise<DataBridgeAnswer>;
  input(job: string): Promise<DataBridgeAnswer>;
  putOutput(job: string, archive: string): Promise<DataBridgeAnswer>;
  putJobOut(job: string): Promise<DataBridgeAnswer>;
  putInput(job: string, script: string): Promise<DataBridgeAnswer>;
  putJob(job: string): Promise<DataBridgeAnswer>;
  getJobOut(): Promise<DataBridgeAnswer>;
  output(job: string): Promise<DataBridgeAnswer>;
  queryJob(): Promise<DataBridgeAnswer>;
}

interface Sent {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

const BOUNDARY = '------------------------8e3b1c5a0f6d2e47';

export function dataBridgeClient({ port, ca, certificate, account }: DataBridgePlace): DataBridgeClient {
  const identified: Readonly<Record<string, string>> =
    account === undefined
      ? {}
      : {
          authorization: `Basic ${Buffer.from(`${account.user}:${account.authenticator}`).toString('base64')}`,
          userID: String(account.user),
        };

  function call(method: string, path: string, { headers = {}, body }: Sent = {}): Promise<DataBridgeAnswer> {
    return new Promise((resolve, reject) => {
      const asked = request(
        {
          ...{ host: '127.0.0.1', port, path, method, ca, agent: false },
          ...certificate,
          headers: { 'user-agent': 'curl/7.29.0', accept: '*/*', ...identified, ...headers },
        },
        (answer) => {
          let text = '';
          answer.setEncoding('latin1');
          answer.on('data', (chunk: string) => (text += chunk));
          answer.once('error', reject);
          answer.once('end', () =>
            resolve({ status: answer.statusCode ?? 0, type: answer.headers['content-type'] ?? '', text }),
          );
        },
      );
      asked.once('error', reject);
      asked.end(body);
    });
  }

  /** As `curl -F userdata=JOB -X PUT` sends it. */
  const form = (job: string, headers: Readonly<Record<string, string>> = {}): Sent => {
    const part = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="userdata"\r\n\r\n${job}\r\n`;
    const body = `${part}--${BOUNDARY}--\r\n`;
    const type = `multipart/form-data; boundary=${BOUNDARY}`;
    return { headers: { ...headers, 'content-type': type, 'content-length': String(body.length) }, body };
  };

  return {
    getJob: () => call('GET', '/boinc-client/get-job.cgi'),
    input: (job) => call('GET', `/myfed/t4t-boinc/input/${job}`),
    putOutput: (job, body) =>
      call('PUT', `/myfed/t4t-boinc/output/${job}.tgz?userdata=exitcode=0&vmid=4d0f&`, { body }),
    putJobOut: (job) => call('PUT', '/boinc-client/put-jobout.cgi', form(job)),
    putInput: (job, body) => call('PUT', `/myfed/t4t-boinc/input/${job}`, { body }),
    putJob: (job) => call('PUT', '/job-queue/put-job.cgi', form(job, { jobID: job })),
    getJobOut: () => call('GET', '/job-queue/get-jobout.cgi'),
    output: (job) => call('GET', `/myfed/t4t-boinc/output/${job}.tgz`),
    queryJob: () => call('GET', '/job-queue/query-job.cgi'),
  };
}
