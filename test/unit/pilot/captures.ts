import { CAPTURED, JOB_REPLY } from '../../doubles/panda/captured-pilot.ts';

/** What PanDA's pilot3 3.11.5.1 sent to a server, byte for byte, and what it was answered. Ports and node names are those of the recording. */
export interface Capture {
  readonly what: string;
  readonly method: string;
  /** Header lines as sent, without the empty one. */
  readonly head: readonly string[];
  readonly body: Buffer;
  readonly reply: string;
}

const AGENT = 'User-Agent: pilot/3.11.5.1 (Python 3.11.2; Linux x86_64)';

/** What the pilot's own parser makes of one request body: also the answer to a JSON one. */
const JOB_AS_JSON = `{"StatusCode": 0, "PandaID": 4001}`;

function compressed(method: keyof typeof CAPTURED, reply: string, more: readonly string[] = []): Capture {
  const body = Buffer.from(CAPTURED[method], 'base64');
  return {
    what: `${method}, compressed${more.length > 0 ? ', with a token' : ''}`,
    method,
    head: [
      `POST /server/panda/${method} HTTP/1.1`,
      'Accept-Encoding: identity',
      `Content-Length: ${body.length}`,
      'Host: 127.0.0.1:28080',
      ...more,
      AGENT,
      'Content-Type: application/json',
      'Connection: close',
    ],
    body,
    reply,
  };
}

const TOKEN_HEADERS = ['Authorization: Bearer e30.e30.c2ln', 'Origin: atlas.pilot'];
const FORM =
  'siteName=CP_TEST&computingElement=CP_TEST&prodSourceLabel=user&diskSpace=1000&workingGroup=&cpu=2596.124&mem=24105.56&node=vm&jobType=user&allowOtherCountry=False&harvester_id=cp_harvester&worker_id=501';

/** The requests that go on to the adapter. */
export const CAPTURES: readonly Capture[] = [
  compressed('getJob', JOB_REPLY),
  compressed('getJob', 'StatusCode=20', TOKEN_HEADERS),
  compressed('updateWorkerPilotStatus', 'StatusCode=0'),
  compressed('updateJob', 'StatusCode=0&command=NULL'),
  compressed('updateJob', 'StatusCode=0&command=tobekilled', TOKEN_HEADERS),
  {
    what: 'getJob, by the curl fallback',
    method: 'getJob',
    head: [
      'POST /server/panda/getJob HTTP/1.1',
      'Host: 127.0.0.1:28443',
      'Accept-Encoding: deflate, gzip, br, zstd',
      AGENT,
      'Accept: application/json',
      `Content-Length: ${FORM.length}`,
      'Content-Type: application/x-www-form-urlencoded',
    ],
    body: Buffer.from(FORM),
    reply: JOB_AS_JSON,
  },
];

/** Asks for a token at the start; sent as it is, with the token key in the query. */
export const TOKEN_REQUEST: readonly string[] = [
  'GET /server/panda/get_access_token?client_name=pilot_server&token_key=TOKENKEY123 HTTP/1.1',
  'Accept-Encoding: identity',
  'Host: 127.0.0.1:28443',
  ...TOKEN_HEADERS,
  AGENT,
  'Connection: close',
];
