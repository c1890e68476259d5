import { invariant } from '../../src/core/assert.ts';
import type { TableId } from '../../src/core/change.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import type { Source } from '../../src/core/source-port.ts';
import type { SourceHarness, Statement } from './source-harness.ts';

/** A fresh server for each test of the Source contract, and short words for what is done to it. */
export class SourceFixture {
  readonly #make: () => Promise<SourceHarness>;
  #harness: SourceHarness | undefined;
  #sources: Source[] = [];

  constructor(make: () => Promise<SourceHarness>) {
    this.#make = make;
  }

  get harness(): SourceHarness {
    invariant(this.#harness, 'a test is running');
    return this.#harness;
  }
  async begin(): Promise<void> {
    this.#harness = await this.#make();
  }
  async end(): Promise<void> {
    for (const source of this.#sources.splice(0)) await source[Symbol.asyncDispose]();
    await this.#harness?.[Symbol.asyncDispose]();
  }

  readonly table = (name: string): TableId => ({ database: this.harness.database, table: name });
  readonly insert = (into: string, id: number, name = `n${id}`): Statement => ({
    op: 'insert',
    table: this.table(into),
    row: { id, name, score: id * 10 },
  });
  readonly set = (of: string, id: number, set: Readonly<Record<string, string | number | null>>): Statement => ({
    op: 'update',
    table: this.table(of),
    key: { id },
    set,
  });
  readonly remove = (from: string, id: number): Statement => ({ op: 'delete', table: this.table(from), key: { id } });
  readonly open = async (tables = ['people', 'orders'], options?: { batchBytes?: number }): Promise<Source> => {
    const source = await this.harness.open(tables.map(this.table), options);
    this.#sources.push(source);
    return source;
  };
}

export async function failureOf(work: Promise<unknown>): Promise<CrossfadeError> {
  try {
    await work;
  } catch (thrown) {
    if (thrown instanceof CrossfadeError) return thrown;
    throw new Error('it failed, but not with an error of ours', { cause: thrown });
  }
  throw new Error('it was expected to fail');
}
