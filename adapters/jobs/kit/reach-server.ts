import type { FrameworkHttp } from './framework-http.ts';

/** Resolves with the status of any whole answer; rejects as `send` does where there is none. */
export async function reachServer(http: FrameworkHttp): Promise<number> {
  const { status } = await http.send({ method: 'GET', path: '/' });
  return status;
}
