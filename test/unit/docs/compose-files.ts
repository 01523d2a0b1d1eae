import { globSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { page, project } from './pages.ts';

/** What the tests look at of one service. */
export interface Service {
  readonly image: string;
  readonly user?: string;
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly volumes?: readonly string[];
  readonly depends_on?: Readonly<Record<string, object>>;
  readonly cap_drop: readonly string[];
  readonly cap_add?: readonly string[];
  readonly security_opt: readonly string[];
  readonly read_only: boolean;
  readonly privileged?: boolean;
  readonly ports?: readonly string[];
  readonly network_mode?: string;
  readonly healthcheck?: { readonly test?: readonly string[] };
  readonly build?: { readonly target: string };
}

interface ComposeFile {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, null>>;
}

type Environment = Readonly<Record<string, string>>;
type Part = Readonly<Record<string, unknown>>;
type Written = Part & { readonly extends?: { readonly file: string; readonly service: string } };

/** Those that a person names. */
export const composeFiles: readonly string[] = globSync('compose*.yaml', {
  cwd: join(project, 'compose'),
}).toSorted();

/** A compose file as compose itself reads it: what it includes and extends, with its variables. */
export function composed(file: string): ComposeFile {
  const { include } = read(file, {}) as { readonly include?: readonly { path: string; env_file: string }[] };
  const [included] = include ?? [];
  const environment = included ? variables(page(`compose/${included.env_file}`)) : {};
  const path = included?.path ?? file;
  const { services, volumes } = read(path, environment) as {
    readonly services: Readonly<Record<string, Written>>;
    readonly volumes: ComposeFile['volumes'];
  };
  const whole = Object.entries(services).map(
    ([name, service]) => [name, extended(service, environment)] as const,
  );
  return { services: Object.fromEntries(whole) as unknown as ComposeFile['services'], volumes };
}

function variables(text: string): Environment {
  return Object.fromEntries([...text.matchAll(/^(\w+)=(.*)$/gm)].map(([, name, value]) => [name, value]));
}

function read(file: string, environment: Environment): unknown {
  const text = page(`compose/${file}`).replaceAll(
    /\$\{(\w+):-([^}]*)\}/g,
    (_, name: string, otherwise: string) => environment[name] ?? otherwise,
  );
  return parse(text, { merge: true });
}

function extended({ extends: from, ...own }: Written, environment: Environment): Part {
  if (from === undefined) return own;
  const { services } = read(from.file, environment) as { services: Readonly<Record<string, Written>> };
  return merged(extended(services[from.service] ?? {}, environment), own);
}

/** Mappings are merged, volumes are added, everything else takes the place of what was there. */
function merged(base: Part, own: Part): Part {
  const both = Object.entries(own).map(([key, value]) => {
    const earlier = base[key];
    if (key === 'volumes' && Array.isArray(earlier) && Array.isArray(value))
      return [key, [...(earlier as unknown[]), ...(value as unknown[])]];
    const isMapping = typeof earlier === 'object' && !Array.isArray(earlier) && earlier !== null;
    return [key, isMapping ? { ...earlier, ...(value as object) } : value];
  });
  return { ...base, ...Object.fromEntries(both) };
}
