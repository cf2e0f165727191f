// What a client relies on, in types.

/** Body of `GET /api/v1/login`. */
export interface Ways {
  password: boolean;
  keycloak: Keycloak | null;
}

export interface Keycloak {
  issuer: string;
  client_id: string;
  authorization_endpoint: string;
  token_endpoint: string;
  end_session_endpoint: string;
}

/** Body of `POST /api/v1/session`. Times by RFC 3339. */
export interface Session {
  name: string;
  roles: string[];
  device: { id: string; name: string };
  lease_until: string;
}

/** Body of a 401 to a device that was reported lost: erase the local databases. Other members may be there. */
export interface Wipe {
  wipe: true;
}

/** A document that only its author gets: work that was refused. */
export interface RejectedChange {
  type: "rejected_change";
  user: string;
  docId: string;
  docType: unknown;
  rev: string;
  deleted: boolean;
  /** What was sent; null for a deletion, or where `omitted` names it. */
  document: Record<string, unknown> | null;
  attachments: string[];
  rule: string;
  /** Why, in English. */
  reason: string;
  /** Why, in German. */
  grund: string;
  fields: string[];
  /** For `/api/v1/quarantine/{id}`. */
  quarantineId: string;
  createdAt: string;
  omitted?: string[];
}

/** A document that only its author gets: two changes that a person has to unite. More members may come. */
export interface Conflict {
  type: "conflict";
  user: string;
  docId: string;
  docType: unknown;
  branchRev: string;
  winnerRev: string;
  fields: (string | { path: string | string[]; label?: string; base?: unknown; local?: unknown; server?: unknown })[];
  deleted: boolean;
  base: Record<string, unknown> | null;
  mine: Record<string, unknown> | null;
  theirs: Record<string, unknown> | null;
  createdAt: string;
  omitted?: string[];
}

type Storage = Pick<globalThis.Storage, "getItem" | "setItem" | "removeItem" | "key" | "length">;
type Fetch = typeof globalThis.fetch;

export class RefusedError extends Error {
  status: number;
  reason: string;
  answer: unknown;
}

export class Client extends EventTarget {
  constructor(given: {
    server: string;
    PouchDB: unknown;
    storage: Storage;
    appVersion: string;
    fetch?: Fetch;
    now?: () => number;
    options?: object;
  });
  readonly device: string;
  readonly user: string | null;
  readonly wiped: string | null;
  wiping: Promise<void> | null;
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<any>;
  remote(name?: string): any;
  ways(): Promise<Ways>;
  session(): Promise<Session | null>;
  logIn(proof: { name: string; password: string } | { token: string }): Promise<Session>;
  logOut(): Promise<void>;
  leaseUntil(user: string): number;
  isLocked(user: string): boolean;
  local(user: string): any;
  report(documents: number): Promise<void>;
  resume(): Promise<boolean>;
  wipe(): Promise<void>;
}

export function randomUuid(): string;

export class LoginFailedError extends Error {
  code: string;
}
export function beginLogin(
  keycloak: Keycloak,
  given: { redirectUri: string; storage: Storage; remember?: string; fresh?: boolean },
): Promise<string>;
export function isAnswer(fragment: string): boolean;
export function finishLogin(
  fragment: string,
  given: { storage: Storage; fetch?: Fetch },
): Promise<{ token: string; idToken: string; remember: string }>;
export function logoutUrl(keycloak: Keycloak, given: { redirectUri: string; idToken?: string }): string;

export type Phase = "active" | "idle" | "retry";

/** One direction; `begin` starts an attempt, live and without `retry`. */
export class Replication {
  constructor(begin: () => any, handlers?: Partial<Record<"change" | "denied" | "phase" | "failed", (detail?: any) => void>>);
  phase: Phase;
  error: Error | null;
  start(): void;
  stop(): void;
  again(): void;
}

/** Both directions; what is denied is followed by another pull. */
export class LiveSync {
  constructor(
    local: any,
    remote: any,
    handlers?: Partial<Record<"pulled" | "pushed" | "denied" | "phase" | "failed", (detail?: any) => void>>,
    options?: object,
  );
  readonly phase: Phase;
  readonly error: Error | null;
  running: boolean;
  start(): void;
  stop(): void;
}
