import { readdirSync, readFileSync } from 'node:fs';

const closeOnExec = 0o2000000;
/** Above this nothing is looked for: every element of `stdio` costs. */
const highestDescriptor = 65_535;

function leaks(descriptor: number): boolean {
  try {
    const flags = /^flags:\s+([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & closeOnExec) === 0;
  } catch {
    return false; // closed since it was listed
  }
}

/** Descriptors above 2 that whoever started us left open and that every child of ours would get; empty where /proc is missing. */
function inheritedDescriptors(): number[] {
  let names: string[];
  try {
    names = readdirSync('/proc/self/fdinfo');
  } catch {
    return [];
  }
  const open = names.map(Number).filter((descriptor) => descriptor > 2 && descriptor <= highestDescriptor);
  return open.filter(leaks);
}

/**
 * `stdio` for a child that must see none of them: each is covered by `nullDescriptor`, an open /dev/null. Node can neither
 * close nor mark them.
 */
export function coverInherited<T>(stdio: readonly T[], nullDescriptor: number): (T | number | 'ignore')[] {
  const covered: (T | number | 'ignore')[] = [...stdio];
  for (const descriptor of inheritedDescriptors()) {
    if (descriptor < stdio.length) continue;
    while (covered.length < descriptor) covered.push('ignore');
    covered[descriptor] = nullDescriptor;
  }
  return covered;
}
