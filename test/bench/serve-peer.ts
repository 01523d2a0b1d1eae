import type { PeerAnswer, Question, Questions } from './peer.ts';

/** The child's end of `startPeer`: answers questions until the parent lets go, then cleans up and ends. */
export function servePeer<Q extends Questions<Q>>(answers: Q, stop: () => Promise<void>): void {
  process.on('message', (question: Question) => {
    answer(answers, question).then(send, (caught: unknown) =>
      send({ number: question.number, fault: caught instanceof Error ? String(caught.stack) : 'unknown' }),
    );
  });
  process.once('disconnect', () => {
    void stop();
  });
}

async function answer<Q extends Questions<Q>>(answers: Q, question: Question): Promise<PeerAnswer> {
  const known: Record<string, (argument: never) => unknown> = { ...answers };
  const value = await known[question.op]?.(question.argument as never);
  return { number: question.number, value: value ?? null };
}

function send(answer: PeerAnswer): void {
  process.send?.(answer);
}

/** Processor time of the whole process, its threads included, in microseconds. */
export function cpuMicroseconds(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
