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
  /** What it was started with. */
  configuration(): BrokerProgramOptions['configuration'];
}

export function createTracedBroker(traceFile: string): TracedBroker {
  let trace: (() => Promise<Trace>) | undefined;
  let started: BrokerProgramOptions['configuration'] | undefined;
  return {
    async start({ directory, controlSocket, configuration }) {
      const program = await startTraced({ script, arguments: [], root: directory, traceFile });
      trace = () => program.trace();
      started = configuration;
      const tell = (order: BrokerOrder): void => void program.child.send(order);
      tell({ directory, controlSocket, configuration });
      const urls = (await program.message()) as Pick<BrokerProgram, 'busUrl' | 'enrolmentUrl'>;
      return {
        ...urls,
        metricsUrl: undefined,
        async stop() {
          if (program.child.connected) tell('stop');
          await program.ended();
        },
      };
    },
    configuration() {
      if (started === undefined) throw new Error('the broker was not started');
      return started;
    },
    async trace() {
      if (trace === undefined) throw new Error('the broker was not started');
      return trace();
    },
  };
}
