import type { Bus } from '../../protocol/bindings/bus.ts';

/** Counts the frames that go either way. */
export function counted(bus: Bus, frames: { count: number }): Bus {
  return {
    ...bus,
    start: () => bus.start(),
    stop: () => bus.stop(),
    onConnection: (handler) => bus.onConnection(handler),
    onGone: (handler) => bus.onGone(handler),
    send(to, frame) {
      frames.count += 1;
      return bus.send(to, frame);
    },
    onFrame: (handler) =>
      bus.onFrame((from, frame) => {
        frames.count += 1;
        return handler(from, frame);
      }),
  };
}
