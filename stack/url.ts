import type { Server, ServerName } from './server.ts';

/** The environment variable that names a server of the person's own: `CROSSFADE_TEST_MYSQL_URL`. */
export function urlVariable(name: ServerName): string {
  return `CROSSFADE_TEST_${name.toUpperCase()}_URL`;
}

/** A server that somebody else runs: it has a URL and nothing that could be controlled. */
export function serverByUrl(name: ServerName, url: string): Server {
  const refuse = () =>
    Promise.reject(new Error(`${name} came by URL and is not ours to control; unset ${urlVariable(name)} for tests that kill servers`));
  return {
    name,
    via: 'url',
    url,
    dataDir: undefined,
    pid: undefined,
    start: refuse,
    stop: refuse,
    restart: refuse,
    kill: refuse,
    wipe: refuse,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
