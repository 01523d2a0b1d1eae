/** One call as the services' own command line makes it. */
export async function rpcCall(url: string, method: string, params: readonly unknown[]): Promise<unknown> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ version: '1.1', method, params }),
  });
  const { result } = (await answer.json()) as { readonly result?: unknown };
  if (result === undefined) throw new Error(`${method} failed`);
  return result;
}

/** Where `submit.ts` writes down what it submitted: the queue lists jobs by number alone. */
export const SUBMITTED_FILE = 'submitted.json';
