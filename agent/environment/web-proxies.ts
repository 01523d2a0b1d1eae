/** What may be used now, best first. */
export interface Offer {
  readonly proxies: readonly string[];
  /** Whether a job may go without. */
  readonly direct: boolean;
}

export interface WebProxiesOptions {
  /** Rejects where nobody says what there is. */
  readonly offer: () => Promise<Offer>;
  /** Whether the proxy takes connections. */
  readonly answers: (proxy: string) => Promise<boolean>;
  readonly jobsPerProxy: number;
}

export type Share =
  | { readonly kind: 'proxy'; readonly url: string; readonly leave: () => void }
  | { readonly kind: 'direct' }
  | { readonly kind: 'none'; readonly reason: string }
  | { readonly kind: 'given-up' };

/** Shares web proxies among jobs: the first that answers and has room; where all are full, the next that is left. */
export class WebProxies {
  readonly #options: WebProxiesOptions;
  readonly #jobs = new Map<string, number>();
  #change = Promise.withResolvers<undefined>();

  constructor(options: WebProxiesOptions) {
    this.#options = options;
  }

  async take(signal: AbortSignal): Promise<Share> {
    for (;;) {
      if (signal.aborted) return { kind: 'given-up' };
      const change = this.#change.promise;
      const offer = await this.#options.offer();
      const found = await this.#find(offer.proxies);
      if (found.kind === 'proxy') return found;
      if (offer.direct) return { kind: 'direct' };
      if (found.kind === 'dead') return { kind: 'none', reason: `no web proxy answers: ${found.asked}` };
      await Promise.race([change, aborted(signal)]);
    }
  }

  async #find(proxies: readonly string[]) {
    let full = 0;
    for (const proxy of proxies) {
      if (this.#jobsOf(proxy) >= this.#options.jobsPerProxy) full += 1;
      else if ((await this.#options.answers(proxy)) && this.#jobsOf(proxy) < this.#options.jobsPerProxy)
        return this.#enter(proxy);
    }
    if (full > 0) return { kind: 'full' } as const;
    return { kind: 'dead', asked: proxies.length === 0 ? 'none is named' : proxies.join(', ') } as const;
  }

  #enter(url: string) {
    this.#jobs.set(url, this.#jobsOf(url) + 1);
    let isLeft = false;
    const leave = (): void => {
      if (isLeft) return;
      isLeft = true;
      this.#jobs.set(url, this.#jobsOf(url) - 1);
      if (this.#jobsOf(url) === 0) this.#jobs.delete(url);
      this.#change.resolve(undefined);
      this.#change = Promise.withResolvers();
    };
    return { kind: 'proxy', url, leave } as const;
  }

  #jobsOf(proxy: string): number {
    return this.#jobs.get(proxy) ?? 0;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
