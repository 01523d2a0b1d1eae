/** The body of an answer, undefined where it is longer than `maxBytes`; what comes after them is not read. */
export async function readBounded(response: Response, maxBytes: number): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const reader = response.body?.getReader();
  for (;;) {
    const next = await reader?.read();
    const chunk: unknown = next?.value;
    if (!(chunk instanceof Uint8Array)) return Buffer.concat(chunks);
    bytes += chunk.length;
    if (bytes > maxBytes) {
      await reader?.cancel();
      return undefined;
    }
    chunks.push(chunk);
  }
}
