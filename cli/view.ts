import type { DemoView } from './demo-view.ts';

export function createView(stream: NodeJS.WriteStream): DemoView {
  let last = '';
  return {
    note: (text) => stream.write(`${text}\n`),
    campaign: (name, counts) => {
      const line = `${name}: ${counts.states.finished}/${counts.total} finished`;
      if (line !== last) stream.write(`${line}\n`);
      last = line;
    },
    agent: () => undefined,
    losses: () => undefined,
    finish: () => undefined,
  };
}
