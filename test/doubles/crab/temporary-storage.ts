import type { IncomingMessage, ServerResponse } from 'node:http';

const PREFIX = '/webdav';

/** Temporary storage of a site, as WebDAV without anything but PUT, GET and HEAD. */
export interface TemporaryStorage {
  /** By LFN. */
  readonly files: ReadonlyMap<string, Buffer>;
  address(base: string): string;
  /** Whether the request was for it. */
  serve(request: IncomingMessage, response: ServerResponse, body: Buffer): boolean;
}

export function createTemporaryStorage(): TemporaryStorage {
  const files = new Map<string, Buffer>();
  return {
    files,
    address: (base) => `${base}${PREFIX}`,
    serve({ url = '', method }, response, body) {
      if (!url.startsWith(`${PREFIX}/`)) return false;
      const lfn = url.slice(PREFIX.length);
      if (method === 'PUT') {
        const isNew = !files.has(lfn);
        files.set(lfn, body);
        response.writeHead(isNew ? 201 : 204).end();
        return true;
      }
      const found = files.get(lfn);
      response.writeHead(found === undefined ? 404 : 200, { 'content-length': found?.length ?? 0 });
      response.end(method === 'HEAD' ? undefined : found);
      return true;
    },
  };
}
