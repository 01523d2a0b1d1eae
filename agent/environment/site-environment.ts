import { stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { CoPilotError, toCoPilotError } from '../../protocol/errors.ts';
import type { Clock, Crypto, Log } from '../../protocol/runtime/runtime.ts';
import { cvmfsWay, parrotWords } from './cvmfs.ts';
import type { EnvironmentSettings, WebProxySettings } from './environment-file.ts';
import type { Jail } from './jail.ts';
import type { Admission, JobEnvironment, JobExtras } from './job-environment.ts';
import { openValidation } from './validation.ts';
import type { Validation } from './validation.ts';
import { WebProxies } from './web-proxies.ts';
import type { Share } from './web-proxies.ts';
import { createWpad } from './wpad.ts';

export interface SiteEnvironmentOptions {
  readonly jail: Jail;
  /** The strongest network bound the jail can hold. */
  readonly network: 'host' | 'none';
  readonly clock: Clock;
  readonly crypto: Pick<Crypto, 'sha256'>;
  readonly log: Log;
  /** Where repositories are mounted; default `/cvmfs`. */
  readonly cvmfsRoot?: string;
}

const ANSWER_WITHIN_MS = 3_000;
const NOT_BY_PROXY = 'localhost,127.0.0.1,::1';
const SYSTEM_TREES = /^\/(?:usr|bin|sbin|lib|lib64)(?:\/|$)/;

/** What an operator's file says, at work. Throws `INVALID_CONFIGURATION` where it names what is not there. */
export async function openSiteEnvironment(
  settings: EnvironmentSettings,
  options: SiteEnvironmentOptions,
): Promise<JobEnvironment> {
  await checkSiteconf(settings.siteconf);
  const { validation: checks, webProxies } = settings;
  const validation = checks && (await openValidation(checks, options.jail, options.crypto));
  const proxies = webProxies && openProxies(webProxies, options);
  const site = new SiteEnvironment(settings, options, validation, proxies);
  return site;
}

class SiteEnvironment implements JobEnvironment {
  readonly #settings: EnvironmentSettings;
  readonly #options: SiteEnvironmentOptions;
  readonly #validation: Validation | undefined;
  readonly #proxies: WebProxies | undefined;
  /** Checks of the same host do not run beside each other. */
  #checking: Promise<unknown> = Promise.resolve();

  constructor(
    settings: EnvironmentSettings,
    options: SiteEnvironmentOptions,
    validation: Validation | undefined,
    proxies: WebProxies | undefined,
  ) {
    this.#settings = settings;
    this.#options = options;
    this.#validation = validation;
    this.#proxies = proxies;
  }

  get examines(): boolean {
    return this.#validation !== undefined;
  }

  async admit(signal: AbortSignal): Promise<Admission> {
    let leave = (): void => undefined;
    try {
      const share = await this.#share(signal);
      if (share.kind === 'given-up') return share;
      if (share.kind === 'none') return { kind: 'unfit', reason: share.reason };
      if (share.kind === 'proxy') ({ leave } = share);
      const admission = await this.#admitWith(share, leave, signal);
      if (admission.kind !== 'fit') leave();
      return admission;
    } catch (caught) {
      leave();
      return { kind: 'unfit', reason: toCoPilotError(caught).message };
    }
  }

  async #share(signal: AbortSignal): Promise<Share> {
    return this.#proxies === undefined ? { kind: 'direct' } : this.#proxies.take(signal);
  }

  async #admitWith(share: Share, leave: () => void, signal: AbortSignal): Promise<Admission> {
    const extras = await this.#extras(share.kind === 'proxy' ? share.url : undefined);
    if (typeof extras === 'string') return { kind: 'unfit', reason: extras };
    const mine = this.#checking.then(() =>
      signal.aborted ? '' : this.#validation?.whyUnfit(extras, signal),
    );
    this.#checking = mine.catch(() => undefined); // whoever asked hears of it
    const reason = await mine;
    if (signal.aborted) return { kind: 'given-up' };
    return reason === undefined ? { kind: 'fit', extras, leave } : { kind: 'unfit', reason };
  }

  /** Or why they cannot be had. */
  async #extras(proxy: string | undefined): Promise<JobExtras | string> {
    const { variables, siteconf, cvmfs } = this.#settings;
    const way = cvmfs && (await cvmfsWay(cvmfs, this.#options.cvmfsRoot));
    if (way?.kind === 'missing') return `CVMFS: ${way.reason}`;
    const wrap = way?.kind === 'parrot' && cvmfs ? parrotWords(way.program, cvmfs, proxy) : [];
    return {
      variables: {
        ...variables,
        ...(siteconf !== undefined && { SITECONFIG_PATH: siteconf }),
        ...(proxy !== undefined && {
          http_proxy: proxy,
          HTTP_PROXY: proxy,
          no_proxy: NOT_BY_PROXY,
          NO_PROXY: NOT_BY_PROXY,
        }),
      },
      readOnly: [
        ...(siteconf === undefined ? [] : [siteconf]),
        ...(way?.kind === 'mounted' ? way.paths : []),
        ...(way?.kind === 'parrot' && !SYSTEM_TREES.test(way.program) ? [dirname(way.program)] : []),
      ],
      wrap,
    };
  }
}

function openProxies(settings: WebProxySettings, options: SiteEnvironmentOptions): WebProxies {
  const { source, direct, jobsPerProxy } = settings;
  const found = source.kind === 'wpad' ? createWpad({ ...options, ...source }) : undefined;
  return new WebProxies({
    jobsPerProxy,
    answers,
    async offer() {
      if (source.kind === 'list') return { proxies: source.proxies, direct };
      const offer = await found?.();
      return { proxies: offer?.proxies ?? [], direct: direct || offer?.direct === true };
    },
  });
}

async function checkSiteconf(path: string | undefined): Promise<void> {
  if (path === undefined) return;
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() !== true)
    throw new CoPilotError('INVALID_CONFIGURATION', `the environment file: siteconf ${path} is no directory`);
}

/** Whether somebody takes connections there. */
function answers(proxy: string): Promise<boolean> {
  const { hostname, port } = new URL(proxy);
  return new Promise((resolve) => {
    const socket = connect({
      host: hostname,
      port: port === '' ? 80 : Number(port),
      timeout: ANSWER_WITHIN_MS,
    });
    const end = (isThere: boolean): void => {
      socket.destroy();
      resolve(isThere);
    };
    socket.once('connect', () => end(true));
    socket.once('timeout', () => end(false));
    socket.once('error', () => end(false));
  });
}
