export function missingPackages(root: string, kind: 'run' | 'dev'): readonly string[];
export function lackingHere(
  lock: {
    readonly packages: Readonly<
      Record<string, { readonly optionalDependencies?: Readonly<Record<string, string>> }>
    >;
  },
  platform: string,
  arch: string,
): readonly string[];
