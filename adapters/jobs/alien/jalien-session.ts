import { CoPilotError } from '../../../protocol/errors.ts';
import type { Clock } from '../../../protocol/runtime/runtime.ts';
import type { CredentialFiles } from '../kit/credential-files.ts';
import { oneAtATime } from '../kit/one-at-a-time.ts';
import { jalienRefusal, jalienReply, type JalienRow } from './jalien-reply.ts';
import { type JalienSocket, openJalienSocket } from './jalien-socket.ts';

/** Commands of JAliEn, one at a time: replies carry no number, only their order says which command they are of. */
export interface JalienSession {
  /**
   * Resolves with the results. Rejects with what the error number means (`jalien-reply.ts`); with `UNREACHABLE` or `TIMEOUT` where there
   * was no whole reply: what was asked may have been done.
   */
  command(name: string, options: readonly string[]): Promise<readonly JalienRow[]>;
  stop(): Promise<void>;
}

export interface JalienSessionOptions {
  readonly clock: Clock;
  readonly url: string;
  readonly credential: CredentialFiles;
  readonly ca: string | undefined;
  readonly timeoutMs: number;
}

interface Pending {
  resolve(text: string): void;
  reject(error: CoPilotError): void;
}

/** Connects at the first command, and again after the server ended an idle session. */
export function createJalienSession(options: JalienSessionOptions): JalienSession {
  const { clock, url, credential, ca, timeoutMs } = options;
  const inTurn = oneAtATime();
  let line: { readonly socket: JalienSocket; readonly version: number } | undefined;
  let pending: Pending | undefined;
  let isStopped = false;

  const drop = (error: CoPilotError): void => {
    const [old, waiting] = [line, pending];
    line = undefined;
    pending = undefined;
    old?.socket.close();
    waiting?.reject(error);
  };
  const connected = async (): Promise<JalienSocket> => {
    if (isStopped) throw new CoPilotError('UNREACHABLE', 'the session with JAliEn has ended');
    const now = credential.current();
    if (line !== undefined && line.version === now.version) return line.socket;
    drop(new CoPilotError('UNREACHABLE', 'the credential was renewed'));
    const mine: { socket?: JalienSocket } = {};
    const isMine = (): boolean => line !== undefined && line.socket === mine.socket;
    mine.socket = await openJalienSocket({
      url,
      tls: now.tls(),
      ca,
      onMessage(text) {
        if (!isMine()) return;
        const waiting = pending;
        pending = undefined;
        // A reply too many: from here on nobody knows whose the next one is.
        if (waiting === undefined) drop(new CoPilotError('UNREACHABLE', 'JAliEn answers what nobody asked'));
        else waiting.resolve(text);
      },
      onClose(why) {
        if (isMine()) drop(new CoPilotError('UNREACHABLE', `JAliEn ended the session: ${why}`));
      },
    });
    line = { socket: mine.socket, version: now.version };
    return mine.socket;
  };
  const exchange = async (text: string): Promise<string> => {
    const socket = await connected();
    return new Promise<string>((resolve, reject) => {
      const cancel = clock.schedule(timeoutMs, () =>
        drop(new CoPilotError('TIMEOUT', 'JAliEn does not answer in time')),
      );
      pending = {
        resolve(reply) {
          cancel();
          resolve(reply);
        },
        reject(error) {
          cancel();
          reject(error);
        },
      };
      socket.send(text);
    });
  };

  return {
    command: (name, given) =>
      inTurn(async () => {
        const text = await exchange(JSON.stringify({ command: name, options: [...given, '-nomsg'] }));
        try {
          const reply = jalienReply(text);
          if (reply.exitcode !== 0) throw jalienRefusal(name, reply);
          return reply.rows;
        } catch (caught) {
          // After half a reply the other half may come as the next one.
          if (caught instanceof CoPilotError && caught.code === 'UNREACHABLE') drop(caught);
          throw caught;
        }
      }),
    async stop() {
      isStopped = true;
      drop(new CoPilotError('UNREACHABLE', 'the session with JAliEn has ended'));
      await inTurn(() => Promise.resolve());
    },
  };
}
