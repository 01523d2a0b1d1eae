/** What is used of the XMPP client and component libraries, which come without types. */

declare module '@xmpp/client' {
  export interface Element {
    readonly name: string;
    readonly attrs: Readonly<Record<string, string | undefined>>;
    is(name: string, namespace?: string): boolean;
    getChild(name: string, namespace?: string): Element | undefined;
    getChildElements(): readonly Element[];
    /** The first child of that name, if there is one. */
    remove(name: string, namespace: string): void;
    text(): string;
  }

  /** A connection; it is offline until it is told to connect, and reconnects by itself unless that is stopped. */
  export interface Entity {
    socket: unknown;
    readonly reconnect: { stop(): void };
    readonly middleware: object;
    on(event: string, listener: (...values: readonly unknown[]) => void): void;
    prependListener(event: string, listener: (...values: readonly unknown[]) => void): void;
    connect(service: string): Promise<void>;
    open(options: { readonly domain: string }): Promise<Element>;
    send(element: Element): Promise<void>;
    isSecure(): boolean;
    disconnect(): Promise<unknown>;
    _onData(data: string | Uint8Array): void;
  }

  /** XEP-0198, as the library keeps it. */
  export interface StreamManagement {
    id: string;
    inbound: number;
    outbound: number;
    outbound_q: unknown[];
    on(event: 'resumed', listener: () => void): void;
  }

  export type Authenticate = (
    credentials: { readonly username: string; readonly password: string },
    mechanism: string,
  ) => Promise<void>;

  export interface ClientOptions {
    readonly service: string;
    readonly domain: string;
    readonly username: string;
    readonly resource: string;
    readonly timeout: number;
    readonly credentials: (
      authenticate: Authenticate,
      mechanisms: readonly string[],
      fast: unknown,
      entity: Entity,
    ) => Promise<void>;
  }

  export function client(options: ClientOptions): Entity & { readonly streamManagement: StreamManagement };
  export function xml(
    name: string,
    attributes?: Readonly<Record<string, string | undefined>>,
    ...children: readonly (Element | string)[]
  ): Element;
}

declare module '@xmpp/component' {
  import type { Entity } from '@xmpp/client';

  export function component(options: {
    readonly service: string;
    readonly domain: string;
    readonly password: string;
  }): Entity & { timeout: number };
}
