import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';

/** What a peer answers: each question takes one value and gives one, over IPC, hence plain data only. */
export type Questions<Q> = { readonly [K in keyof Q]: (argument: never) => unknown };

export interface Question {
  readonly number: number;
  readonly op: string;
  readonly argument: unknown;
}

export type PeerAnswer =
  | { readonly number: number; readonly value: unknown }
  | { readonly number: number; readonly fault: string };

/** A program in a process of its own, so that its processor time can be told from that of everybody else. */
export interface Peer<Q extends Questions<Q>> {
  ask<K extends keyof Q & string>(op: K, argument: Parameters<Q[K]>[0]): Promise<Awaited<ReturnType<Q[K]>>>;
  /** Lets it end by itself, and ends it where it does not. */
  stop(): Promise<void>;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

const STOP_MS = 15_000;

/** Starts a file of this folder; `execArgv` are flags for node. */
export function startPeer<Q extends Questions<Q>>(file: string, execArgv: readonly string[] = []): Peer<Q> {
  const child = fork(join(import.meta.dirname, file), { execArgv: [...execArgv], serialization: 'json' });
  const waiting = new Map<number, Waiting>();
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let lastNumber = 0;
  child.on('message', (answer: PeerAnswer) => {
    const asked = waiting.get(answer.number);
    waiting.delete(answer.number);
    if ('value' in answer) asked?.resolve(answer.value);
    else asked?.reject(new Error(`${file}: ${answer.fault}`));
  });
  child.once('exit', (code, signal) => {
    for (const { reject } of waiting.values()) reject(new Error(`${file} ended: ${code ?? signal}`));
    waiting.clear();
  });
  return {
    ask(op, argument) {
      return new Promise((resolve, reject) => {
        const number = ++lastNumber;
        // The answer is what the other end of the same type gave.
        waiting.set(number, { resolve: resolve as (value: unknown) => void, reject });
        child.send({ number, op, argument } satisfies Question);
      });
    },
    stop: () => end(child, ended),
  };
}

async function end(child: ChildProcess, ended: Promise<void>): Promise<void> {
  if (child.connected) child.disconnect();
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await ended;
  clearTimeout(timer);
}
