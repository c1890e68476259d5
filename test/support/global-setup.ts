import type { TestProject } from 'vitest/node';

import type { ServerName } from '../../stack/server.ts';
import { SERVER_NAMES } from '../../stack/server.ts';
import type { Stack, StackDescription } from '../../stack/stack.ts';
import { startStack } from '../../stack/stack.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The servers that all suites of this test run share; `test/support/servers.ts` hands out pieces of them. */
    stack: StackDescription;
  }
}

interface Shared {
  users: number;
  readonly stack: Promise<Stack>;
}

// Vitest loads this file once for every project that names it; the one place that they have in common is the process.
const SHARED = Symbol.for('crossfade.test.stack');
const home = globalThis as { [SHARED]?: Shared };

/** Starts the servers of a test run once: mysql, postgres and redis, or those of `CROSSFADE_TEST_SERVERS=mysql,kafka`. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const shared = (home[SHARED] ??= {
    users: 0,
    stack: startStack({ servers: wanted(), log: (line) => process.stderr.write(`stack: ${line}\n`) }),
  });
  shared.users++;
  const stack = await shared.stack;
  project.provide('stack', stack.description);
  return async () => {
    shared.users--;
    if (shared.users > 0) return;
    delete home[SHARED];
    await stack[Symbol.asyncDispose]();
  };
}

function wanted(): ServerName[] {
  const named = process.env['CROSSFADE_TEST_SERVERS'];
  if (!named) return ['mysql', 'postgres', 'redis'];
  const names = named.split(',').map((name) => name.trim());
  const unknown = names.filter((name) => !SERVER_NAMES.some((known) => known === name));
  if (unknown.length > 0) throw new Error(`CROSSFADE_TEST_SERVERS names an unknown server: ${unknown.join(', ')}`);
  return SERVER_NAMES.filter((name) => names.includes(name));
}
