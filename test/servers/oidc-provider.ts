import { createServer, type RequestListener, type Server } from 'node:http';
import { exportJWK, generateKeyPair, type JWK } from 'jose';
import Provider from 'oidc-provider';

/** A certified OpenID provider on the loopback interface, with one client that may ask for tokens of its own. */
export interface OidcProvider {
  readonly issuer: string;
  /** An access token of the client for an audience, as the provider's token end point gives it. */
  token(audience: string): Promise<string>;
  /** Its private key: what it could sign beside access tokens. */
  readonly key: JWK;
  /** Requests for its keys so far. */
  keyRequests(): number;
  stop(): Promise<void>;
  /** At the same address again. */
  start(): Promise<void>;
}

const ALGORITHM = 'ES256';
const CLIENT = {
  client_id: 'submitter',
  client_secret: 'a-secret-of-the-tests-alone',
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
  id_token_signed_response_alg: ALGORITHM,
};

/** Tokens that carry what they say need no store. */
class NoStore {
  find = async (): Promise<undefined> => undefined;
  upsert = async (): Promise<undefined> => undefined;
}

export async function startOidcProvider(groups: readonly string[]): Promise<OidcProvider> {
  const key = await newKey();
  let asked = 0;
  let port = 0;
  let issuer = '';
  let serve: RequestListener | undefined;
  let server: Server;

  const start = async (): Promise<void> => {
    server = createServer((request, response) => {
      if (request.url === '/jwks') asked += 1;
      serve?.(request, response);
    });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    const address = server.address();
    if (typeof address === 'object' && address !== null) port = address.port;
    issuer = `http://127.0.0.1:${port}`;
    serve ??= providerOf(issuer, key, groups).callback();
  };
  await start();

  return {
    issuer,
    key,
    keyRequests: () => asked,
    async token(audience) {
      const response = await fetch(`${issuer}/token`, {
        method: 'POST',
        headers: {
          authorization: `Basic ${btoa(`${CLIENT.client_id}:${CLIENT.client_secret}`)}`,
          'content-type': 'application/x-www-form-urlencoded',
        },
        body: new URLSearchParams({ grant_type: 'client_credentials', resource: audience, scope: 'enrol' }),
      });
      const answer = (await response.json()) as { readonly access_token?: string };
      if (answer.access_token === undefined) throw new Error(`no token: ${JSON.stringify(answer)}`);
      return answer.access_token;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
    start,
  };
}

async function newKey(): Promise<JWK> {
  const { privateKey } = await generateKeyPair(ALGORITHM, { extractable: true });
  return { ...(await exportJWK(privateKey)), kid: 'one', alg: ALGORITHM, use: 'sig' };
}

function providerOf(issuer: string, key: JWK, groups: readonly string[]): Provider {
  return new Provider(issuer, {
    adapter: NoStore,
    clients: [CLIENT],
    jwks: { keys: [key] },
    cookies: { keys: ['no cookie is ever set'] },
    ttl: { ClientCredentials: 600 },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context: unknown, audience: string) => ({
          scope: 'enrol',
          audience,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 600,
          jwt: { sign: { alg: ALGORITHM } },
        }),
      },
    },
    extraTokenClaims: () => ({ 'wlcg.groups': groups }),
  });
}
