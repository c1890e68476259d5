/** Before a log begins at the source's present: is it really the first one? Pure decisions over what the targets say. */
import { CrossfadeError } from '../core/errors.ts';
import type { PartitionId } from '../core/log-port.ts';
import type { Finding } from '../core/ports.ts';
import type { AppliedByOther, Progress } from '../core/sink-port.ts';

/** What one service's target says of this pipeline. */
export interface AppliedBefore {
  readonly service: string;
  readonly progress: ReadonlyMap<PartitionId, Progress>;
}

/**
 * Throws LOG_LOST_HISTORY when a target has rows of this pipeline that came from another log: a new one that began at the
 * source's end would never hold what was committed since, and nothing would show it. `startLine` writes, in the words of the
 * source's configuration, where everything behind a transaction begins; undefined where it cannot.
 */
export function refuseSecondLog(applied: readonly AppliedBefore[], startLine: (transactionId: string) => string | undefined): void {
  const known = applied.flatMap(({ service, progress }) => [...progress].map(([partition, each]) => ({ service, partition, ...each })));
  // Everything up to the one that is furthest behind is applied everywhere; what the others have beyond it comes again.
  const [earliest] = known.toSorted((one, other) => (one.version < other.version ? -1 : 1));
  if (earliest === undefined) return;
  const { service, partition, transactionId, committedAtUs } = earliest;
  const line = startLine(transactionId);
  const at = new Date(committedAtUs / 1000).toISOString();
  throw new CrossfadeError({
    code: 'LOG_LOST_HISTORY',
    fault: 'fatal',
    message: `the log is new and empty, but the target of ${[...new Set(known.map((each) => each.service))].join(', ')} was filled by this pipeline before; the least that is applied ends in ${partition} of ${service} with transaction ${transactionId}, committed ${at}`,
    remedy: `Nothing was written. Put the old log's file back where the configuration has it. If it is gone, say where the new one begins, under source.mysql: ${line === undefined ? '"start"' : `"${line}", if every table had rows by then; else a position`} from which on nothing is missing in the targets. Then start it again, and run \`crossfade rebuild -c FILE --service NAME --tables-loaded\` for each service that stops with TARGET_PROGRESS_FOREIGN.`,
  });
}

/**
 * For a service whose target knows nothing of this pipeline, but of others. Both may be right side by side (two sources of one
 * target), and rows may have been loaded since, so it is a warning: whether the new start leaves a gap, a person must say.
 */
export function otherPipelines(where: string, applied: readonly AppliedByOther[]): Finding[] {
  return applied.map(({ pipeline, transactionId, committedAtUs }) => ({
    level: 'warning',
    code: 'TARGET_PROGRESS_FOREIGN',
    where,
    message: `the target was filled by pipeline "${pipeline}" up to transaction ${transactionId}, committed ${new Date(committedAtUs / 1000).toISOString()}, and by "pipeline" of this configuration not yet. If this one takes its place, what the source committed behind that transaction and before the new "start" never arrives: "start" must not lie behind it, unless the tables were loaded again since`,
  }));
}
