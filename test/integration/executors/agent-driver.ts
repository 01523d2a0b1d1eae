/** A process that stands for the agent: launches jobs as told line by line on its standard input, answers on its standard output. */
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { detectIsolation } from '../../../agent/executors/detect-isolation.ts';
import type {
  IsolationMethod,
  JobSignal,
  Launcher,
  LaunchSpec,
  Running,
} from '../../../agent/executors/launcher.ts';
import { createProcessLauncher } from '../../../agent/executors/process-launcher.ts';
import { toCoPilotError } from '../../../protocol/errors.ts';
import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';

export type DriverRequest =
  | {
      readonly kind: 'launch';
      readonly id: number;
      readonly method: IsolationMethod;
      readonly spec: LaunchSpec;
    }
  | { readonly kind: 'signal'; readonly job: number; readonly signal: JobSignal }
  | { readonly kind: 'read'; readonly id: number; readonly path: string }
  | {
      readonly kind: 'detect';
      readonly id: number;
      readonly method: IsolationMethod;
      readonly readOnly: readonly string[];
      readonly directory: string;
    };

const launchers = new Map<IsolationMethod, Launcher>();
const jobs = new Map<number, Running>();

const answer = (id: number, event: string, value: unknown): void => {
  process.stdout.write(`${JSON.stringify({ id, event, value })}\n`);
};

async function launch(request: Extract<DriverRequest, { kind: 'launch' }>): Promise<void> {
  const { id, method, spec } = request;
  try {
    const launcher = launchers.get(method) ?? createProcessLauncher(method, { clock: nodeClock });
    launchers.set(method, launcher);
    const running = launcher.launch(spec);
    jobs.set(id, running);
    answer(id, 'launched', running.pid);
    answer(id, 'exit', await running.exited);
  } catch (caught) {
    const { code, message } = toCoPilotError(caught);
    answer(id, 'refused', { code, message });
  }
}

const canRead = (path: string): Promise<boolean> =>
  readFile(path).then(
    () => true,
    () => false,
  );

async function handle(request: DriverRequest): Promise<void> {
  if (request.kind === 'launch') await launch(request);
  else if (request.kind === 'signal') jobs.get(request.job)?.signal(request.signal);
  else if (request.kind === 'read') answer(request.id, 'read', await canRead(request.path));
  else
    answer(request.id, 'detected', await detectIsolation(request.method, { ...request, clock: nodeClock }));
}

for await (const line of createInterface({ input: process.stdin })) {
  void handle(JSON.parse(line) as DriverRequest);
}
