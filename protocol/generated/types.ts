// Generated from protocol/schemas by `npm run generate`; do not edit.

/**
 * A session as its receiver knows it: 8 bytes in lower-case hex.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "SessionId".
 */
export type SessionId = string;
/**
 * Version of this protocol.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Version".
 */
export type Version = number;
/**
 * A random id of one start of a program: 128 bits in lower-case base32.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "StartId".
 */
export type StartId = string;
/**
 * A stable code; docs/errors.md lists them.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "ErrorCode".
 */
export type ErrorCode = string;
/**
 * A sentence for people; never parsed.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Text".
 */
export type Text = string;
/**
 * A job, as the ledger names it: 128 bits in lower-case base32.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "JobId".
 */
export type JobId = string;
/**
 * A queue, installation, service or owner.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Name".
 */
export type Name = string;
/**
 * A relative name: segments of letters, digits and ._+=,@- that do not start with a dot, joined by single slashes.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "FileName".
 */
export type FileName = string;
/**
 * Bytes; at most 1 TiB.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Size".
 */
export type Size = number;
/**
 * SHA-256 in lower-case hex.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Sha256".
 */
export type Sha256 = string;
/**
 * Opaque to the broker.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "CallBody".
 */
export type CallBody = string;
/**
 * The framework's own name of a sub-unit.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "PartId".
 */
export type PartId = string;
/**
 * Where a file is put or fetched.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Url".
 */
export type Url = string;
/**
 * A compact token: base64url parts joined by dots.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Token".
 */
export type Token = string;
/**
 * Capabilities of one attempt.
 *
 * @maxItems 32
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "CapabilityList".
 */
export type CapabilityList = readonly Capability[];
/**
 * Adler-32 (RFC 1950), eight lower-case hex digits.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Adler32".
 */
export type Adler32 = string;
/**
 * MD5 (RFC 1321) in lower-case hex.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Md5".
 */
export type Md5 = string;
/**
 * Output files as storage found them.
 *
 * @maxItems 64
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "StoredManifest".
 */
export type StoredManifest = readonly StoredFile[];
/**
 * One try of a job; also the fencing token.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "AttemptNumber".
 */
export type AttemptNumber = number;
/**
 * An agent: 128 bits in lower-case base32.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "AgentId".
 */
export type AgentId = string;
/**
 * What the adapter handed over with the job as its `state`; left out where that was nothing.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "AdapterState".
 */
export type AdapterState = string;
/**
 * The last lines of the job's output.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "LogTail".
 */
export type LogTail = string;
/**
 * What became of the process.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Exit".
 */
export type Exit = Exit0 | Exit1 | Exit2 | Exit3;
/**
 * A method that the job's adapter allows.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "CallMethod".
 */
export type CallMethod = string;
/**
 * Whether sub-units are wanted or done.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "PartsVerb".
 */
export type PartsVerb = 'take' | 'finish';
/**
 * Output files with size and digest.
 *
 * @maxItems 64
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Manifest".
 */
export type Manifest = readonly File[];
/**
 * Which of the agent's slots speaks; 0 is for renewals only.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Slot".
 */
export type Slot = number;
/**
 * Rises with every new message of the slot; a resend carries the same value.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Counter".
 */
export type Counter = number;
/**
 * What became of a report.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Verdict".
 */
export type Verdict = 'verifying' | 'waiting' | 'committed' | 'refused';
/**
 * Verdicts the agent has not named as seen, oldest first.
 *
 * @maxItems 64
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Verdicts".
 */
export type Verdicts = readonly VerdictItem[];
/**
 * A raw 32-byte public key in base64url.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Key".
 */
export type Key = string;
/**
 * Seconds; at most a year.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Seconds".
 */
export type Seconds = number;
/**
 * A 64-byte signature in base64url.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Signature".
 */
export type Signature = string;
/**
 * Attempts whose verdict the agent has taken note of.
 *
 * @maxItems 64
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Seen".
 */
export type Seen = readonly Attempt[];
/**
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "EnvironmentName".
 */
export type EnvironmentName = string;

/**
 * Payload of handshake message 3 (XX): who the agent is.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "AgentHello".
 */
export interface AgentHello {
  readonly kind: 'agent-hello';
  /**
   * The identity: an ES256 JWT.
   */
  readonly identity: string;
  readonly session: SessionId;
  readonly version: Version;
  readonly start: StartId;
}
/**
 * Trusted side: answers to some items of earlier batches, in any order.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Answers".
 */
export interface Answers {
  readonly kind: 'answers';
  /**
   * @minItems 1
   * @maxItems 256
   */
  readonly items: readonly (
    | ResultOk
    | ResultRefused
    | ResultJobs
    | ResultCalled
    | ResultParts
    | ResultCapabilities
    | ResultVerified
    | ResultMismatch
  )[];
}
/**
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "ResultOk".
 */
export interface ResultOk {
  readonly result: 'ok';
  /**
   * Names an item within the session; answered once by the same number.
   */
  readonly item: number;
  /**
   * Of `finished` alone: of how many events the framework's job was; left out where the framework counts none.
   */
  readonly events?: number;
}
/**
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "ResultRefused".
 */
export interface ResultRefused {
  readonly result: 'refused';
  /**
   * Names an item within the session; answered once by the same number.
   */
  readonly item: number;
  readonly code: ErrorCode;
  readonly message: Text;
}
/**
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "ResultJobs".
 */
export interface ResultJobs {
  readonly result: 'jobs';
  /**
   * Names an item within the session; answered once by the same number.
   */
  readonly item: number;
  /**
   * @maxItems 64
   */
  readonly jobs: readonly NewJob[];
  readonly more: boolean;
}
/**
 * A job as a job adapter hands it over.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "NewJob".
 */
export interface NewJob {
  readonly job: JobId;
  /**
   * The framework's own name.
   */
  readonly ref: string;
  readonly owner: Name;
  readonly site: Name;
  readonly campaign: Name;
  readonly priority: number;
  readonly retries: number;
  readonly description: Description;
  /**
   * Opaque to the broker.
   */
  readonly state?: string;
}
/**
 * What to run; at most 12 KiB as JSON.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Description".
 */
export interface Description {
  /**
   * Program: a name on the path, or an input by its name with ./ before it.
   */
  readonly command: string;
  /**
   * @maxItems 256
   */
  readonly arguments: readonly string[];
  readonly environment: DescriptionEnvironment;
  /**
   * @maxItems 16
   */
  readonly inputs: readonly Input[];
  /**
   * @maxItems 16
   */
  readonly outputs: readonly Output[];
  readonly limits: Limits;
  /**
   * A ClassAd expression over the host ad; empty: any host.
   */
  readonly requirements: string;
  readonly pilot?: Pilot;
  /**
   * The job takes and finishes sub-units while it runs.
   */
  readonly parts?: true;
}
export interface DescriptionEnvironment {
  readonly [k: string]: string | undefined;
}
/**
 * A file the job needs before it starts.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Input".
 */
export interface Input {
  readonly name: FileName;
  readonly size: Size;
  readonly sha256: Sha256;
  readonly executable?: boolean;
}
/**
 * A file the job is expected to leave.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Output".
 */
export interface Output {
  readonly name: FileName;
  readonly optional?: boolean;
  readonly maxBytes?: Size;
}
/**
 * Bounds the agent enforces.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Limits".
 */
export interface Limits {
  readonly wallSeconds: number;
  readonly cpuSeconds?: number;
  readonly memoryMiB: number;
  readonly diskMiB: number;
  readonly processes?: number;
}
/**
 * The job is a framework's own pilot: the agent answers it on the loopback and asks the adapter by call.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Pilot".
 */
export interface Pilot {
  readonly dialect: 'panda';
}
/**
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "ResultCalled".
 */
export interface ResultCalled {
  readonly result: 'called';
  /**
   * Names an item within the session; answered once by the same number.
   */
  readonly item: number;
  readonly body: CallBody;
}
/**
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "ResultParts".
 */
export interface ResultParts {
  readonly result: 'parts';
  /**
   * Names an item within the session; answered once by the same number.
   */
  readonly item: number;
  /**
   * @maxItems 64
   */
  readonly parts: readonly Part[];
}
/**
 * A sub-unit of a job.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Part".
 */
export interface Part {
  readonly id: PartId;
  /**
   * What the payload needs to know of it; opaque to the broker.
   */
  readonly body: string;
}
/**
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "ResultCapabilities".
 */
export interface ResultCapabilities {
  readonly result: 'capabilities';
  /**
   * Names an item within the session; answered once by the same number.
   */
  readonly item: number;
  readonly capabilities: CapabilityList;
}
/**
 * The right to move one file, for the attempt's own key.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Capability".
 */
export interface Capability {
  readonly verb: 'get' | 'put';
  readonly name: FileName;
  readonly url: Url;
  readonly token: Token;
}
/**
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "ResultVerified".
 */
export interface ResultVerified {
  readonly result: 'verified';
  /**
   * Names an item within the session; answered once by the same number.
   */
  readonly item: number;
  readonly files: StoredManifest;
}
/**
 * One output file as storage found it; Adler-32 and MD5 where it computes them.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "StoredFile".
 */
export interface StoredFile {
  readonly name: FileName;
  readonly size: Size;
  readonly sha256: Sha256;
  readonly adler32?: Adler32;
  readonly md5?: Md5;
}
/**
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "ResultMismatch".
 */
export interface ResultMismatch {
  readonly result: 'mismatch';
  /**
   * Names an item within the session; answered once by the same number.
   */
  readonly item: number;
  readonly reason: Text;
}
/**
 * Trusted side: a batch of items, either way.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Ask".
 */
export interface Ask {
  readonly kind: 'ask';
  /**
   * @minItems 1
   * @maxItems 256
   */
  readonly items: readonly (
    | OpFetch
    | OpStarted
    | OpRenewed
    | OpReleased
    | OpFinished
    | OpFailed
    | OpCall
    | OpParts
    | OpGrant
    | OpVerify
    | OpFinalise
    | OpDiscard
    | OpAvailable
    | OpKill
  )[];
}
/**
 * Job adapter: hand over jobs.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "OpFetch".
 */
export interface OpFetch {
  readonly op: 'fetch';
  /**
   * Names an item within the session; answered once by the same number.
   */
  readonly item: number;
  readonly queue: Name;
  readonly max: number;
  /**
   * Jobs of earlier answers that are in the ledger now.
   *
   * @maxItems 512
   */
  readonly accepted: readonly JobId[];
}
/**
 * Job adapter: an attempt began.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "OpStarted".
 */
export interface OpStarted {
  readonly op: 'started';
  /**
   * Names an item within the session; answered once by the same number.
   */
  readonly item: number;
  readonly job: JobId;
  readonly attempt: AttemptNumber;
  readonly agent: AgentId;
  readonly state?: AdapterState;
}
/**
 * Job adapter: an attempt is alive.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "OpRenewed".
 */
export interface OpRenewed {
  readonly op: 'renewed';
  /**
   * Names an item within the session; answered once by the same number.
   */
  readonly item: number;
  readonly job: JobId;
  readonly attempt: AttemptNumber;
  readonly progress: number;
  readonly state?: AdapterState;
}
/**
 * Job adapter: an attempt ended without a result; the job waits again.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "OpReleased".
 */
export interface OpReleased {
  readonly op: 'released';
  /**
   * Names an item within the session; answered once by the same number.
   */
  readonly item: number;
  readonly job: JobId;
  readonly attempt: AttemptNumber;
  readonly reason: Text;
  readonly state?: AdapterState;
}
/**
 * Job adapter: the job has its result.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "OpFinished".
 */
export interface OpFinished {
  readonly op: 'finished';
  /**
   * Names an item within the session; answered once by the same number.
   */
  readonly item: number;
  readonly job: JobId;
  readonly attempt: AttemptNumber;
  readonly manifest: StoredManifest;
  readonly usage: Usage;
  readonly state?: AdapterState;
}
/**
 * What the attempt used so far.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Usage".
 */
export interface Usage {
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  readonly memoryMiB: number;
  readonly diskMiB: number;
}
/**
 * Job adapter: the job will have no result.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "OpFailed".
 */
export interface OpFailed {
  readonly op: 'failed';
  /**
   * Names an item within the session; answered once by the same number.
   */
  readonly item: number;
  readonly job: JobId;
  readonly outcome: 'failed' | 'cancelled';
  readonly reason: Text;
  /**
   * The last attempts.
   *
   * @maxItems 8
   */
  readonly attempts: readonly OpFailedAttempts[];
  readonly state?: AdapterState;
}
export interface OpFailedAttempts {
  readonly attempt: AttemptNumber;
  readonly reason: Text;
  readonly logTail: LogTail;
  readonly exit?: Exit;
}
export interface Exit0 {
  readonly kind: 'exited';
  readonly code: number;
}
export interface Exit1 {
  readonly kind: 'signalled';
  readonly signal: string;
}
export interface Exit2 {
  readonly kind: 'limit';
  readonly limit: 'wall' | 'cpu' | 'memory' | 'disk' | 'files' | 'output';
}
export interface Exit3 {
  readonly kind: 'failed';
  /**
   * Why the job could not be run or its files not be moved.
   */
  readonly reason: string;
}
/**
 * Job adapter: a call of the live attempt's payload.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "OpCall".
 */
export interface OpCall {
  readonly op: 'call';
  /**
   * Names an item within the session; answered once by the same number.
   */
  readonly item: number;
  readonly job: JobId;
  readonly attempt: AttemptNumber;
  readonly method: CallMethod;
  readonly body: CallBody;
  readonly state?: AdapterState;
}
/**
 * Job adapter: sub-units for the live attempt, or what became of some.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "OpParts".
 */
export interface OpParts {
  readonly op: 'parts';
  /**
   * Names an item within the session; answered once by the same number.
   */
  readonly item: number;
  readonly job: JobId;
  readonly attempt: AttemptNumber;
  readonly verb: PartsVerb;
  /**
   * @maxItems 64
   */
  readonly parts: readonly PartId[];
  readonly state?: AdapterState;
}
/**
 * Storage adapter: mint capabilities.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "OpGrant".
 */
export interface OpGrant {
  readonly op: 'grant';
  /**
   * Names an item within the session; answered once by the same number.
   */
  readonly item: number;
  /**
   * Compact JWS signed by the broker.
   */
  readonly grant: string;
}
/**
 * Storage adapter: compare what was uploaded.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "OpVerify".
 */
export interface OpVerify {
  readonly op: 'verify';
  /**
   * Names an item within the session; answered once by the same number.
   */
  readonly item: number;
  readonly job: JobId;
  readonly attempt: AttemptNumber;
  readonly manifest: Manifest;
}
/**
 * One output file as the agent sees it.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "File".
 */
export interface File {
  readonly name: FileName;
  readonly size: Size;
  readonly sha256: Sha256;
}
/**
 * Storage adapter: register the attempt's files as the result.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "OpFinalise".
 */
export interface OpFinalise {
  readonly op: 'finalise';
  /**
   * Names an item within the session; answered once by the same number.
   */
  readonly item: number;
  readonly job: JobId;
  readonly attempt: AttemptNumber;
  readonly manifest: Manifest;
}
/**
 * Storage adapter: remove the attempt's files and never finalise it.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "OpDiscard".
 */
export interface OpDiscard {
  readonly op: 'discard';
  /**
   * Names an item within the session; answered once by the same number.
   */
  readonly item: number;
  readonly job: JobId;
  readonly attempt: AttemptNumber;
}
/**
 * Jobs wait in a queue of the adapter.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "OpAvailable".
 */
export interface OpAvailable {
  readonly op: 'available';
  /**
   * Names an item within the session; answered once by the same number.
   */
  readonly item: number;
  readonly queue: Name;
  readonly count: number;
}
/**
 * The framework ends a job.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "OpKill".
 */
export interface OpKill {
  readonly op: 'kill';
  /**
   * Names an item within the session; answered once by the same number.
   */
  readonly item: number;
  readonly job: JobId;
  readonly reason: Text;
}
/**
 * Payload of handshake message 2 (XX): who this broker instance is.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "BrokerHello".
 */
export interface BrokerHello {
  readonly kind: 'broker-hello';
  /**
   * Compact JWS that binds the instance's session key to the installation.
   */
  readonly certificate: string;
  readonly session: SessionId;
  /**
   * Versions served.
   *
   * @minItems 1
   * @maxItems 8
   */
  readonly versions: readonly Version[];
  readonly maxSlots: number;
}
/**
 * An opaque call to the job's adapter; live attempt only.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Call".
 */
export interface Call {
  readonly kind: 'call';
  readonly slot: Slot;
  readonly counter: Counter;
  readonly job: JobId;
  readonly attempt: AttemptNumber;
  readonly method: CallMethod;
  readonly body: CallBody;
}
/**
 * Answer to a call.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Called".
 */
export interface Called {
  readonly kind: 'called';
  readonly slot: Slot;
  readonly counter: Counter;
  readonly job: JobId;
  readonly attempt: AttemptNumber;
  readonly body: CallBody;
}
/**
 * Answer to outputs.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Capabilities".
 */
export interface Capabilities {
  readonly kind: 'capabilities';
  readonly slot: Slot;
  readonly counter: Counter;
  readonly job: JobId;
  readonly attempt: AttemptNumber;
  readonly capabilities: CapabilityList;
  readonly verdicts: Verdicts;
}
/**
 * A verdict not yet named as seen.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "VerdictItem".
 */
export interface VerdictItem {
  readonly job: JobId;
  readonly attempt: AttemptNumber;
  readonly verdict: Verdict;
  readonly reason: Text;
}
/**
 * Claims of a broker instance's certificate.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Certificate".
 */
export interface Certificate {
  readonly iss: Name;
  readonly instance: Name;
  readonly kex: Key;
  /**
   * The instance's own bus address.
   */
  readonly address: string;
  readonly iat: number;
  readonly exp: number;
}
/**
 * One attempt.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Attempt".
 */
export interface Attempt {
  readonly job: JobId;
  readonly attempt: AttemptNumber;
}
/**
 * What the machine offers, literals only.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "HostAd".
 */
export interface HostAd {
  readonly [k: string]: string | number | boolean | undefined;
}
/**
 * The right to run one attempt until a deadline.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Lease".
 */
export interface Lease {
  readonly job: JobId;
  readonly attempt: AttemptNumber;
  readonly queue: Name;
  /**
   * The lease runs this long from each renewal.
   */
  readonly leaseSeconds: number;
  /**
   * The first renewal is due within this time.
   */
  readonly firstRenewSeconds: number;
  readonly description: Description;
  readonly capabilities: CapabilityList;
}
/**
 * Why there is no job now, and when to ask again.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "NoWork".
 */
export interface NoWork {
  reason:
    | 'no-work'
    | 'no-match'
    | 'cooling-down'
    | 'too-many-attempts'
    | 'draining'
    | 'busy'
    | 'storage-unavailable';
  readonly retryAfterSeconds: number;
}
/**
 * The message changed nothing.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Error".
 */
export interface Error {
  readonly kind: 'error';
  readonly slot: Slot;
  readonly counter: Counter;
  readonly code: ErrorCode;
  readonly message: Text;
}
/**
 * The broker will not serve this agent; the reason is final for this start.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Farewell".
 */
export interface Farewell {
  readonly kind: 'farewell';
  readonly code: ErrorCode;
  readonly message: Text;
}
/**
 * Claims of a grant: what the broker says one attempt may do with storage.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Grant".
 */
export interface Grant {
  readonly iss: Name;
  readonly job: JobId;
  readonly attempt: AttemptNumber;
  /**
   * RFC 7638 thumbprint of the agent's signing key.
   */
  readonly jkt: string;
  /**
   * @maxItems 16
   */
  readonly get: readonly Input[];
  /**
   * @maxItems 16
   */
  readonly put: readonly GrantPut[];
  readonly totalBytes: Size;
  readonly iat: number;
  readonly exp: number;
}
export interface GrantPut {
  readonly name: FileName;
  readonly maxBytes: Size;
  readonly sha256?: Sha256;
}
/**
 * Claims of an identity.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Identity".
 */
export interface Identity {
  readonly iss: Name;
  readonly sub: AgentId;
  readonly owner: Name;
  readonly site: Name;
  readonly tier: 'untrusted' | 'semi-trusted' | 'trusted';
  readonly sig: Key;
  readonly kex: Key;
  readonly iat: number;
  readonly exp: number;
}
/**
 * Answer to a request: a lease.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Job".
 */
export interface Job {
  readonly kind: 'job';
  readonly slot: Slot;
  readonly counter: Counter;
  readonly lease: Lease;
  readonly verdicts: Verdicts;
}
/**
 * Answer to a request: no job now.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "None".
 */
export interface None {
  readonly kind: 'none';
  readonly slot: Slot;
  readonly counter: Counter;
  readonly none: NoWork;
  readonly verdicts: Verdicts;
}
/**
 * Advisory push, no answer.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Notice".
 */
export interface Notice {
  readonly kind: 'notice';
  readonly command: 'renew-now' | 'drain';
}
/**
 * Asks for upload capabilities of files that were not declared, or again after the first ones expired.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Outputs".
 */
export interface Outputs {
  readonly kind: 'outputs';
  readonly slot: Slot;
  readonly counter: Counter;
  readonly job: JobId;
  readonly attempt: AttemptNumber;
  readonly verb: 'get' | 'put';
  /**
   * At most 16 at a time.
   *
   * @minItems 1
   * @maxItems 16
   */
  readonly files: readonly File[];
}
/**
 * Answer to parts: the sub-units taken; none where some were finished.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Parted".
 */
export interface Parted {
  readonly kind: 'parted';
  readonly slot: Slot;
  readonly counter: Counter;
  readonly job: JobId;
  readonly attempt: AttemptNumber;
  /**
   * @maxItems 64
   */
  readonly parts: readonly Part[];
}
/**
 * Takes or finishes sub-units under the attempt's fence.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Parts".
 */
export interface Parts {
  readonly kind: 'parts';
  readonly slot: Slot;
  readonly counter: Counter;
  readonly job: JobId;
  readonly attempt: AttemptNumber;
  readonly verb: PartsVerb;
  /**
   * @maxItems 64
   */
  readonly parts: readonly PartId[];
}
/**
 * Gives an attempt back.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Release".
 */
export interface Release {
  readonly kind: 'release';
  readonly slot: Slot;
  readonly counter: Counter;
  readonly job: JobId;
  readonly attempt: AttemptNumber;
  readonly reason: 'drain' | 'lost' | 'unable' | 'shutdown';
}
/**
 * Answer to a release.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Released".
 */
export interface Released {
  readonly kind: 'released';
  readonly slot: Slot;
  readonly counter: Counter;
  readonly job: JobId;
  readonly attempt: AttemptNumber;
  readonly verdicts: Verdicts;
}
/**
 * Keeps leases alive.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Renew".
 */
export interface Renew {
  readonly kind: 'renew';
  readonly slot: Slot;
  readonly counter: Counter;
  /**
   * @maxItems 64
   */
  readonly leases: readonly RenewLeases[];
  readonly seen: Seen;
}
export interface RenewLeases {
  readonly job: JobId;
  readonly attempt: AttemptNumber;
  readonly progress: number;
  readonly usage?: Usage;
  readonly logTail?: string;
}
/**
 * Answer to a renewal: how long each lease runs from now.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Renewed".
 */
export interface Renewed {
  readonly kind: 'renewed';
  readonly slot: Slot;
  readonly counter: Counter;
  /**
   * @maxItems 64
   */
  readonly leases: readonly RenewedLeases[];
  readonly verdicts: Verdicts;
}
export interface RenewedLeases {
  readonly job: JobId;
  readonly attempt: AttemptNumber;
  readonly order: 'continue' | 'cancel' | 'drain';
  readonly leaseSeconds: number;
}
/**
 * Says how the attempt ended, and may ask for the next job in the same message.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Report".
 */
export interface Report {
  readonly kind: 'report';
  readonly slot: Slot;
  readonly counter: Counter;
  readonly job: JobId;
  readonly attempt: AttemptNumber;
  readonly exit: Exit;
  readonly manifest: Manifest;
  readonly usage: Usage;
  readonly logTail: LogTail;
  readonly signature: Signature;
  readonly next?: HostAd;
  readonly seen: Seen;
}
/**
 * Answer to a report: the verdict as far as it is known, and the next lease if one was asked for.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Reported".
 */
export interface Reported {
  readonly kind: 'reported';
  readonly slot: Slot;
  readonly counter: Counter;
  readonly job: JobId;
  readonly attempt: AttemptNumber;
  readonly verdict: Verdict;
  readonly reason: Text;
  readonly next?: Lease | NoWork;
  readonly verdicts: Verdicts;
}
/**
 * Asks for work in a slot; may be parked.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Request".
 */
export interface Request {
  readonly kind: 'request';
  readonly slot: Slot;
  readonly counter: Counter;
  readonly ad: HostAd;
  readonly seen: Seen;
}
/**
 * Payload of handshake message 1 (IK): a broker opens a session to an adapter.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "ServiceHello".
 */
export interface ServiceHello {
  readonly kind: 'service-hello';
  readonly session: SessionId;
  /**
   * Versions served.
   *
   * @minItems 1
   * @maxItems 8
   */
  readonly versions: readonly Version[];
  readonly start: StartId;
}
/**
 * Payload of handshake message 2 (IK).
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "ServiceWelcome".
 */
export interface ServiceWelcome {
  readonly kind: 'service-welcome';
  readonly session: SessionId;
  readonly version: Version;
  readonly start: StartId;
}
/**
 * First frame of a session: where each slot stands.
 *
 * This interface was referenced by `Bundle`'s JSON-Schema
 * via the `definition` "Welcome".
 */
export interface Welcome {
  readonly kind: 'welcome';
  readonly agent: AgentId;
  /**
   * Last counter taken in each slot that was ever used.
   *
   * @maxItems 64
   */
  readonly slots: readonly WelcomeSlots[];
  /**
   * Attempts the agent still holds live.
   *
   * @maxItems 64
   */
  readonly held: readonly Attempt[];
  readonly verdicts: Verdicts;
}
export interface WelcomeSlots {
  readonly slot: Slot;
  readonly counter: Counter;
}
