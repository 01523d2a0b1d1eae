import { FRAMEWORK_KINDS } from '../framework-kinds.ts';
import { type CrossFault, known } from './cross-fault.ts';
import { isSafe } from './safe-address.ts';
import type { FrameworkEntry, Settings } from './settings.ts';

/** Names of programs that are there in any case. */
const TAKEN = ['broker', 'local', 'bridge'];

/** What does not go together in the frameworks. */
export function frameworkFaults(settings: Settings): readonly CrossFault[] {
  return Object.entries(settings.frameworks).flatMap(([name, entry]) => {
    const at = (...path: readonly string[]): readonly string[] => ['frameworks', name, ...path];
    return [
      ...(TAKEN.includes(name) ? [{ path: at(), message: 'is the name of another program' }] : []),
      ...known(entry.kind, { what: 'kind of framework', names: Object.keys(FRAMEWORK_KINDS) }, at('kind')),
      ...(isSafe(entry.url)
        ? []
        : [{ path: at('url'), message: 'leaves this machine without TLS; write https:// or wss://' }]),
      ...queueFaults(settings, name, entry),
      ...credentialFaults(entry).map(([key, message]) => ({ path: at(key), message })),
    ];
  });
}

/** A queue has one adapter: the one that it names. */
function queueFaults({ queues }: Settings, name: string, entry: FrameworkEntry): readonly CrossFault[] {
  return Object.keys(entry.queues).flatMap((queue) =>
    queues[queue]?.jobAdapter === name
      ? []
      : [
          {
            path: ['frameworks', name, 'queues', queue],
            message: `is no queue of this adapter; set queues.${queue}.jobAdapter to ${name}`,
          },
        ],
  );
}

function credentialFaults(entry: FrameworkEntry): readonly (readonly [string, string])[] {
  const { certificateFile, keyFile, proxyFile } = entry;
  const isPair = (certificateFile === undefined) === (keyFile === undefined);
  return [
    ...(isPair ? [] : [['certificateFile', 'takes keyFile beside it, and keyFile takes it'] as const]),
    ...(proxyFile === undefined || certificateFile === undefined
      ? []
      : [['proxyFile', 'is instead of certificateFile and keyFile'] as const]),
  ];
}
