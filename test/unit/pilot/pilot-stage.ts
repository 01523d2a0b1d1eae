import { connect } from 'node:net';
import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import { haveSocketOpen } from '../../../agent/executors/process-table.ts';
import type { Answer } from '../../../agent/loop/asks.ts';
import { createPilotHost } from '../../../agent/pilot/pilot-desk.ts';
import type { AskParts, CallAdapter, PilotDesk } from '../../../agent/pilot/pilot-host.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

/** A question as it came to the adapter. */
export interface Asked {
  readonly method: string;
  readonly contentType: string;
  readonly accept: string;
  readonly body: Buffer;
}

export type Adapter = (asked: Asked, signal: AbortSignal) => Promise<Answer<{ readonly body: string }>>;

/** An answer of the adapter with this body. */
export function answered(
  text: string,
  contentType = 'text/plain',
  status = 200,
): Answer<{ readonly body: string }> {
  const body = JSON.stringify({ status, contentType, body: Buffer.from(text).toString('base64') });
  return { kind: 'answered', message: { body } };
}

/** One desk over a real socket; this process is the job. */
export class PilotStage {
  readonly directory: string;
  readonly desk: PilotDesk;
  readonly asked: Asked[] = [];
  readonly texts: string[] = [];

  constructor(directory: string, desk: PilotDesk, record: { asked: Asked[]; texts: string[] }) {
    this.directory = directory;
    this.desk = desk;
    this.asked = record.asked;
    this.texts = record.texts;
  }

  get port(): number {
    const { COPILOT_PILOT_URL = this.desk.environment['COPILOT_PARTS_URL'] ?? '' } = this.desk.environment;
    return Number(new URL(COPILOT_PILOT_URL).port);
  }

  /** The answer to these bytes, whole; empty where the connection was closed without one. */
  exchange(head: readonly string[], body: Uint8Array = new Uint8Array()): Promise<string> {
    return new Promise((resolve) => {
      const chunks: Buffer[] = [];
      const socket = connect(this.port, '127.0.0.1');
      const end = (): void => resolve(Buffer.concat(chunks).toString('latin1'));
      socket.on('data', (chunk: Buffer) => chunks.push(chunk));
      socket.on('error', end);
      socket.on('close', end);
      socket.write(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]));
    });
  }

  async post(path: string, body: Uint8Array, headers: readonly string[] = []): Promise<string> {
    const head = [
      `POST ${path} HTTP/1.1`,
      'Host: 127.0.0.1',
      `Content-Length: ${body.length}`,
      ...headers,
      'Connection: close',
    ];
    return this.exchange(head, body);
  }

  async close(): Promise<void> {
    await this.desk.close();
    await removeDirectory(this.directory);
  }
}

export async function setPilotStage(
  adapter: Adapter,
  options: {
    readonly admit?: boolean;
    readonly answerWithinMs?: number;
    readonly isPilot?: boolean;
    /** Answers what is asked about parts; without it the job has none. */
    readonly parts?: AskParts;
  } = {},
): Promise<PilotStage> {
  const directory = await temporaryDirectory('pilot');
  const record = { asked: [] as Asked[], texts: [] as string[] };
  const call: CallAdapter = (method, text, signal) => {
    record.texts.push(text);
    const { contentType, accept, body } = JSON.parse(text) as Record<string, string>;
    const asked: Asked = {
      method,
      contentType: contentType ?? '',
      accept: accept ?? '',
      body: Buffer.from(body ?? '', 'base64'),
    };
    record.asked.push(asked);
    return adapter(asked, signal);
  };
  const { answerWithinMs } = options;
  const host = createPilotHost({
    clock: nodeClock,
    log: silentLog,
    ...(answerWithinMs !== undefined && { answerWithinMs }),
  });
  const { isPilot = true, parts } = options;
  const desk = await host.open({
    directory,
    isPilot,
    hasParts: parts !== undefined,
    call,
    parts: parts ?? (() => Promise.reject(new Error('the job has no parts'))),
  });
  if (options.admit !== false) desk.admit({ holdsSocket: (inode) => haveSocketOpen([process.pid], inode) });
  return new PilotStage(directory, desk, record);
}

/** The body of an answer as bytes on the wire. */
export function bodyOf(answer: string): string {
  return answer.slice(answer.indexOf('\r\n\r\n') + 4);
}
