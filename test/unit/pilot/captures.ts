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

const BODIES = {
  getJob:
    'H4sIAIXR/2oC/12OwQqCQBCGX0X2HLJGCnUV6RIV6F1WndLadZbZXUWid283IqLb8H0z/z8PZgYLR6GA7SKWn+uqKCu2iliLSjs7' +
    'jNdCgoLR/mlN2JXoqIWDaEAG6wxQUN1g7qUWbUhMOOcezUh3H7UndDqsvgu08+M63WZxst54oEAFsEl4GqeZByN2768mFfZv2FSL' +
    'ht8mISXOJ9sD5ehGS4uXFyENeNcLmsBYoHrowk2r6y9in5e+MuUJe74AkgYxhwsBAAA=',
  updateWorkerPilotStatus:
    'H4sIAIXR/2oC/6tWKs8vyk4t8nRRslJQMjUwVNJRUMpILCpLLS6BiSYXxMNFQNLFJYklpcUgGSCrqCQ1BSyYWZIKEnIOiA9xDQ4B' +
    'CeXlp6TGZ6aARMtylWoBI1nBXGsAAAA=',
  updateJob:
    'H4sIAIXR/2oC/1WOwU7DMBBEf8XyNSTadZJWza0kPVSIKqIBwQmZxALT2I6cDSBR/p04ogeO83Zmdr75u3vZd7xgPANAfsX4SJJU' +
    'AH6yVtvXwEgbNXMzBC5ArGLEWEADWZFDgWkEUAAsaU3qIM1SUNbPze7YBGxdt6APE5QkUmagg58RhlD7prqpV35fBdNkT9Z92uAc' +
    'dO/oHz3Xd+c0QUzy5DLXU6OXj7je5JiDwDRZb9IVhO4v04d0sBpFspIkL7p1XpVusvQ3ox2m0tlxmqdpZ++tDgc+Rtvbiu3qp5Ih' +
    'iIzdXDMRl3OU1d61ahydZxgfXXtSFG0fHgX/+QW8cqwPVgEAAA==',
} as const;

const JOB_REPLY =
  'StatusCode=0&PandaID=4001&prodSourceLabel=user&swRelease=NULL&homepackage=NULL&transformation=http%3A%2F%2F127.0.0.1%3A28085%2Ftrf%2Fuser%2Fhello.sh&jobName=cp.test.0001&jobDefinitionID=11&cloud=WORLD&inFiles=&dispatchDblock=&dispatchDBlockToken=&dispatchDBlockTokenForOut=NULL%2CNULL&outFiles=user.cp.0001.out.txt%2Cuser.cp.0001.log.tgz&destinationDblock=user.cp.out%2Cuser.cp.log&destinationDBlockToken=NULL%2CNULL&prodDBlocks=&prodDBlockToken=&realDatasets=user.cp%3Auser.cp.out%2Cuser.cp%3Auser.cp.log&realDatasetsIn=&fileDestinationSE=CP_DISK%2CCP_DISK&logFile=user.cp.0001.log.tgz&logGUID=6cd7f2a0-0f7e-4a39-bb0b-1a3c9a7b0001&jobPars=--n+1&attemptNr=1&GUID=&checksum=&fsize=&scopeIn=&scopeOut=user.cp&scopeLog=user.cp&ddmEndPointIn=&ddmEndPointOut=CP_DISK%2CCP_DISK&destinationSE=CP_TEST&prodUserID=cp+robot&maxCpuCount=3600&minRamCount=1000&maxDiskCount=500&cmtConfig=&processingType=panda-client&transferType=NULL&sourceSite=NULL&currentPriority=1000&taskID=77&coreCount=1&jobsetID=88&reqID=99&nucleus=NULL&maxWalltime=3600&resource_type=SCORE&ioIntensity=None&ioIntensityUnit=None&nSent=0';

/** What the pilot's own parser makes of one request body: also the answer to a JSON one. */
const JOB_AS_JSON = `{"StatusCode": 0, "PandaID": 4001}`;

function compressed(method: keyof typeof BODIES, reply: string, more: readonly string[] = []): Capture {
  const body = Buffer.from(BODIES[method], 'base64');
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
