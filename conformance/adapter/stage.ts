import { createWebSocketHub, type WebSocketHub } from '../../protocol/bindings/websocket-server.ts';
import { base64url, hex, newId } from '../../protocol/encoding.ts';
import type { Description, Grant } from '../../protocol/generated/types.ts';
import { storeKey } from '../../protocol/runtime/key-file.ts';
import type { PrivateKey, Runtime } from '../../protocol/runtime/runtime.ts';
import { decodeHeader, type Header } from '../../protocol/session/header.ts';
import { signGrant, thumbprint } from '../../protocol/tokens.ts';
import { SubjectUnavailable } from '../case.ts';
import { Failed, pause } from '../expectation.ts';
import { Mailbox } from '../peer/mailbox.ts';
import { type Ik, type IkParts, beginIk } from './ik.ts';
import type { AdapterSubject } from './subject.ts';
import { Talk } from './talk.ts';

export interface StageOptions {
  readonly runtime: Runtime;
  readonly subject: AdapterSubject;
  readonly patience: number;
  /** Where the suite's bus listens; any free port of this machine where it is left out. */
  readonly listen?: { readonly host: string; readonly port: number };
}

const INSTALLATION = 'conformance';
const NAME = 'adapter';
const ADDRESS = `service.${NAME}`;
const KEY_ID = 1;
const GRANT_SECONDS = 600;
const CONNECT_MS = 30_000;
const LOOK_EVERY_MS = 50;
/** An adapter answers one handshake of an address in 10 s, once five came at once (X). */
const HANDSHAKE_EVERY_MS = 1_000;

/** Bus, broker and keys in one; the adapter is started once for all cases. */
export class AdapterStage {
  readonly runtime: Runtime;
  readonly subject: AdapterSubject;
  readonly queue = 'conformance';
  readonly frames = new Mailbox<Header>();
  readonly #options: StageOptions;
  readonly #brokerKey: PrivateKey;
  readonly #adapterKey: PrivateKey;
  readonly #grantKey: PrivateKey;
  readonly #hub: WebSocketHub;
  readonly #secret: string;
  #takers: ((header: Header) => boolean)[] = [];
  #running: Promise<() => Promise<void>> | undefined;
  #talk: Talk | undefined;

  constructor(options: StageOptions) {
    const { runtime, subject, listen } = options;
    this.#options = options;
    this.runtime = runtime;
    this.subject = subject;
    this.#brokerKey = runtime.crypto.generate('x25519');
    this.#adapterKey = runtime.crypto.generate('x25519');
    this.#grantKey = runtime.crypto.generate('ed25519');
    this.#secret = base64url(runtime.random.bytes(24));
    this.#hub = createWebSocketHub({
      host: listen?.host ?? '127.0.0.1',
      port: listen?.port ?? 0,
      services: new Map([[NAME, this.#secret]]),
      ...runtime,
    });
    this.#hub.onFrame((from, frame) => {
      if (from === ADDRESS) this.#receive(frame);
    });
  }

  get answerMs(): number {
    return 10_000 * this.#options.patience;
  }

  /** Starts bus and adapter, once. */
  async ready(): Promise<void> {
    this.#running ??= this.#start();
    try {
      await this.#running;
    } catch (caught) {
      throw new SubjectUnavailable(`the adapter could not be started: ${String(caught)}`, { cause: caught });
    }
  }

  async close(): Promise<void> {
    const stop = await this.#running?.catch(() => undefined);
    await stop?.();
    await this.#hub.stop();
  }

  async send(frame: Uint8Array): Promise<void> {
    await this.#hub.send(ADDRESS, frame);
  }

  ik(change: Partial<IkParts> = {}): Ik {
    return beginIk({
      runtime: this.runtime,
      staticKey: this.#brokerKey,
      responder: this.#adapterKey.publicKey,
      keyId: KEY_ID,
      prologue: { installation: INSTALLATION, responderRole: `adapter ${NAME}` },
      start: newId(this.runtime.random),
      ...change,
    });
  }

  /** The session all cases share. */
  async talk(signal: AbortSignal): Promise<Talk> {
    this.#talk ??= await this.newTalk(signal);
    return this.#talk;
  }

  /** A new session, which is the shared one from now on; message 1 is sent until it is answered. */
  async newTalk(signal: AbortSignal): Promise<Talk> {
    const ik = this.ik();
    for (const deadlineMs = performance.now() + 3 * this.answerMs; performance.now() < deadlineMs; ) {
      await this.send(ik.frame).catch(() => undefined); // not connected yet
      const header = await this.frames.take((frame) => ik.isAnswer(frame), HANDSHAKE_EVERY_MS, signal);
      if (header === undefined) continue;
      const talk = new Talk({
        send: (bytes) => this.send(bytes),
        channel: ik.read(header).channel,
        signal,
        answerMs: this.answerMs,
      });
      this.#takers = [...this.#takers, (frame) => talk.receive(frame)];
      await this.send(talk.channel.confirmation());
      this.#talk = talk;
      return talk;
    }
    throw new Failed('message 1 was not answered');
  }

  /** A grant of one attempt for somebody's key, signed by the broker's key unless told. */
  grant(
    key: PrivateKey,
    change: Partial<Grant> = {},
    signer = this.#grantKey,
  ): { readonly claims: Grant; readonly token: string } {
    const { crypto, clock, random } = this.runtime;
    const iat = Math.floor(clock.wallMs() / 1000);
    const claims: Grant = {
      iss: 'broker-1',
      job: newId(random),
      attempt: 1,
      jkt: thumbprint(crypto, key.publicKey.raw),
      get: [],
      put: [{ name: 'events.dat', maxBytes: 4096 }],
      totalBytes: 8192,
      iat,
      exp: iat + GRANT_SECONDS,
      ...change,
    };
    return { claims, token: signGrant(crypto, signer, claims) };
  }

  async submit(signal: AbortSignal, queue = this.queue): Promise<string> {
    if (this.subject.submit === undefined) throw new Failed('there is no way to submit a job');
    const job: Description = {
      command: 'generate',
      arguments: [],
      environment: {},
      inputs: [],
      outputs: [{ name: 'events.dat' }],
      limits: { wallSeconds: 60, memoryMiB: 64, diskMiB: 1 },
      requirements: '',
    };
    return this.subject.submit(job, queue, signal);
  }

  async #start(): Promise<() => Promise<void>> {
    await this.#hub.start();
    const { host, port } = this.#hub.address();
    const { crypto } = this.runtime;
    const stop = await this.subject.start({
      installation: INSTALLATION,
      name: NAME,
      key: storeKey(crypto, this.#adapterKey),
      keyId: KEY_ID,
      brokers: [hex(this.#brokerKey.publicKey.raw)],
      busUrl: `ws://${host}:${port}/bus`,
      busSecret: this.#secret,
      grantKey: hex(this.#grantKey.publicKey.raw),
    });
    try {
      await this.#connected();
    } catch (caught) {
      await stop();
      throw caught;
    }
    return stop;
  }

  /** Until it is on the bus nobody may give it work; a frame of one byte is dropped unread (H-1). */
  async #connected(): Promise<void> {
    const signal = AbortSignal.timeout(CONNECT_MS * this.#options.patience);
    while (!signal.aborted) {
      const isThere = await this.send(new Uint8Array(1)).then(
        () => true,
        () => false,
      );
      if (isThere) return;
      const ended = this.subject.ended?.();
      if (ended !== undefined) throw new Failed(ended);
      await pause(LOOK_EVERY_MS, signal).catch(() => undefined);
    }
    throw new Failed('it did not come to the bus under its name and secret');
  }

  #receive(frame: Uint8Array): void {
    const header = decodeHeader(new Uint8Array(frame));
    if (header !== undefined && !this.#takers.some((take) => take(header))) this.frames.push(header);
  }
}

/** Long enough for an answer that is not to come. */
export async function quiet(signal: AbortSignal): Promise<void> {
  await pause(300, signal);
}
