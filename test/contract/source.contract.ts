import { afterEach, beforeEach, describe } from 'vitest';
import { SourceFixture } from '../support/source-fixture.ts';
import type { SourceHarness } from '../support/source-harness.ts';
import { rowTests } from './source-rows.contract.ts';
import { sessionTests } from './source-sessions.contract.ts';

/** The promises of the Source port; `makeHarness` answers a server with three empty tables and its history so far. */
export function sourceContract(name: string, makeHarness: () => Promise<SourceHarness>): void {
  describe(`source contract: ${name}`, () => {
    const fixture = new SourceFixture(makeHarness);
    beforeEach(() => fixture.begin());
    afterEach(() => fixture.end());
    rowTests(fixture);
    sessionTests(fixture);
  });
}
