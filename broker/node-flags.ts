/**
 * What node is told when it runs the broker. What is under way lives for some tens of milliseconds, which is longer than a small
 * young generation lasts at load: every collection would copy all of it (docs/adr/0012). Costs up to 192 MiB of memory a thread.
 */
export const BROKER_FLAGS: readonly string[] = ['--max-semi-space-size=64', '--min-semi-space-size=16'];
