import { afterAll, beforeAll } from 'vitest';
import type { Stack } from '../../stack/stack.ts';
import { privateStack } from '../support/servers.ts';
import { sqlSourceHarness } from '../support/sql-source-harness.ts';
import { sourceContract } from './source.contract.ts';

/** A server of this suite's own: it is purged and its connections are cut. */
let stack: Stack<'mysql'>;
beforeAll(async () => {
  stack = await privateStack({ servers: ['mysql'] });
}, 120_000);
afterAll(() => stack[Symbol.asyncDispose]());

sourceContract('mysql', () => sqlSourceHarness({ url: stack.urls.mysql, status: 'SHOW BINARY LOG STATUS' }));
