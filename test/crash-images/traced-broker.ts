import type { BrokerProgram, BrokerProgramOptions } from '../../broker/main.ts';
import { startTraced, type Trace } from './traced-program.ts';

/** What the process is told. */
export type BrokerOrder =
  | Pick<BrokerProgramOptions, 'directory' | 'controlSocket' | 'configuration'>
  | 'stop';

const script = new URL('./broker-process.ts', import.meta.url);

/** A broker program under strace. */
export interface TracedBroker {
  start(options: BrokerProgramOptions): Promise<BrokerProgram>;
  /** What it did, once it has stopped. */
  trace(): Promise<Trace>;
}

export function createTracedBroker(traceFile: string): TracedBroker {
  let trace: (() => Promise<Trace>) | undefined;
  return {
    async start({ directory, controlSocket, configuration }) {
      const program = await startTraced({ script, arguments: [], root: directory, traceFile });
      trace = () => program.trace();
      const tell = (order: BrokerOrder): void => void program.child.send(order);
      tell({ directory, controlSocket, configuration });
      const urls = (await program.message()) as Pick<BrokerProgram, 'busUrl' | 'enrolmentUrl'>;
      return {
        ...urls,
        async stop() {
          if (program.child.connected) tell('stop');
          await program.ended();
        },
      };
    },
    async trace() {
      if (trace === undefined) throw new Error('the broker was not started');
      return trace();
    },
  };
}
