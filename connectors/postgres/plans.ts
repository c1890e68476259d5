/** The plans of one sink's mappings, made when the first row of a shape arrives. */
import { invariant } from '../../src/core/assert.ts';
import type { TableSchema } from '../../src/core/change.ts';
import type { Entry, Mapping } from '../../src/core/sink-port.ts';
import { Alterations } from './alterations.ts';
import { readTable } from './catalog.ts';
import { quotedTarget, targetOf } from './identifiers.ts';
import { planTable, type TablePlan } from './plan.ts';
import type { Session } from './session.ts';
import { valuePolicies } from './config.ts';

export class Plans {
  readonly #mappings: readonly Mapping[];
  /** By mapping, then by the shape itself and not its id: a transform may give two shapes one id. */
  readonly #byShape: WeakMap<TableSchema, TablePlan>[];
  #count = 0;
  #mayStage: boolean | undefined;
  /** What the policies changed since it was last asked. */
  readonly alterations = new Alterations();

  constructor(mappings: readonly Mapping[]) {
    this.#mappings = mappings;
    this.#byShape = mappings.map(() => new WeakMap());
  }

  /** Whether this user may create temporary tables. */
  get mayStage(): boolean {
    return this.#mayStage ?? false;
  }

  of({ mapping, event }: Entry): TablePlan {
    const plan = this.#byShape[mapping]?.get(event.schema);
    invariant(plan, `a plan exists for mapping ${mapping}`);
    return plan;
  }

  /** Whether all that these entries need was read already; a TRUNCATE is nothing to make ready. */
  know(entries: readonly Entry[]): boolean {
    let last: Entry | undefined;
    for (const entry of entries) {
      if (entry.event.schema === last?.event.schema && entry.mapping === last.mapping) continue;
      last = entry;
      if (entry.event.op === 'truncate' || this.#byShape[entry.mapping]?.has(entry.event.schema) !== true) return false;
    }
    return true;
  }

  /** Another mapping that is written to the same table. */
  sharing(index: number): Mapping | undefined {
    const [name] = this.#mappings.slice(index, index + 1).map((mapping) => quotedTarget(targetOf(mapping)));
    return this.#mappings.find((mapping, other) => other !== index && quotedTarget(targetOf(mapping)) === name);
  }

  /** Reads the target's shape once per mapping and row shape; inside an open transaction too. */
  async prepare(session: Session, entries: readonly Entry[]): Promise<void> {
    let last: Entry | undefined;
    for (const entry of entries) {
      if (entry.event.schema === last?.event.schema && entry.mapping === last.mapping) continue;
      last = entry;
      await this.#make(session, entry.mapping, entry.event.schema);
    }
  }

  async #make(session: Session, index: number, schema: TableSchema): Promise<void> {
    const mapping = this.#mappings[index];
    const plans = this.#byShape[index];
    invariant(mapping && plans, `a batch names mapping ${index}, which does not exist`);
    if (plans.has(schema)) return;
    const name = targetOf(mapping);
    this.#mayStage ??= await mayStage(session);
    const policies = valuePolicies(mapping.options);
    const policyOf = (column: string, title: string) => ({ ...policies.of(column), altered: this.alterations.counter(title) });
    plans.set(schema, planTable(String((this.#count += 1)), name, await readTable(session, name), schema, policyOf));
  }
}

async function mayStage(session: Session): Promise<boolean> {
  const rows = await session.query('asking for privileges', `SELECT has_database_privilege(current_database(), 'TEMP')`);
  return rows[0]?.[0] === 't';
}
