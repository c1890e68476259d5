/** Histories in which targets refuse rows: what they refuse, and the person who looks after what is kept aside. */
import type { Refuse } from '../../connectors/memory/refusing.ts';
import type { Random } from '../support/random.ts';
import type { World } from './world.ts';

/** One key whose row may be poison, and perhaps a unique value that the source does not know of. */
export function refusalOf(random: Random): Refuse {
  const id = random.int(8);
  const every = random.pick([2, 3, 7]);
  const distinct = random.pick([0, 0, 40, 300]);
  return (table, key, row) => {
    if (row['id'] === id && Number(row['n']) % every === 0) return 'value';
    if (distinct === 0) return undefined;
    const taken = [...table].some(([other, { n }]) => other !== key && Number(n) % distinct === Number(row['n']) % distinct);
    return taken ? 'constraint' : undefined;
  };
}

/** Looks at what one service keeps aside, and tries some of it again or forgets it. Answers how many queues changed. */
export async function lookAfter(world: World, random: Random): Promise<number> {
  const service = random.pick(world.plan.services);
  const { quarantine } = world.open(service);
  const watch = world.watches.get(service.name);
  if (!quarantine || !watch) return 0;
  let changed = 0;
  for (const { id, version, behind } of await quarantine.list('heads')) {
    const draw = random.next();
    if (draw < 0.4) changed += (await quarantine.retry(id))?.left === 0 ? 1 : 0;
    else if (draw < 0.7 && behind > 0) {
      watch.discard(version);
      await quarantine.discard(id);
      changed += 1;
    } else continue;
    watch.tended();
  }
  if (changed > 0) world.note(`a person changed ${changed} queues of ${service.name}`);
  return changed;
}

/** The targets take everything from now on, and whatever is kept is tried again: answers how many changes were. */
export async function mend(world: World): Promise<number> {
  let applied = 0;
  for (const service of world.plan.services) {
    const store = world.stores.get(service.name);
    if (store) store.refuse = undefined;
    const { quarantine } = world.open(service);
    for (const { id } of (await quarantine?.list('heads')) ?? []) applied += (await quarantine?.retry(id))?.applied ?? 0;
    const left = (await quarantine?.list('all'))?.length ?? 0;
    if (left > 0) world.violate(`${service.name}: ${left} changes are still kept aside`);
    world.watches.get(service.name)?.tended();
  }
  return applied;
}
