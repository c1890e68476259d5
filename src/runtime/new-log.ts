/** Before a log begins at the source's present: is it really the first one? Pure decisions over what the targets say. */
import { CrossfadeError } from '../core/errors.ts';
import type { PartitionId } from '../core/log-port.ts';
import type { Finding } from '../core/ports.ts';
import type { AppliedByOther, Progress } from '../core/sink-port.ts';

/** What one service's target says of this pipeline, and of others where it knows nothing of this one. */
export interface AppliedBefore {
  readonly service: string;
  readonly progress: ReadonlyMap<PartitionId, Progress>;
  readonly others: readonly AppliedByOther[];
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
 * Throws TARGET_PROGRESS_FOREIGN when another pipeline filled a target: a successor that begins at the source's end never
 * brings what was committed between the two, and nothing would show it. Whether this one is a successor at all only a
 * person knows (two sources of one target are right side by side), who says it by naming the start.
 */
export function refuseOtherPipelines(applied: readonly AppliedBefore[], startLine: (transactionId: string) => string | undefined): void {
  const filled = applied.flatMap(({ service, others }) => {
    // Of several that came one after the other, the last is the one whose place this one may take.
    const [last] = others.toSorted((one, other) => other.committedAtUs - one.committedAtUs);
    return last ? [{ service, ...last }] : [];
  });
  const [earliest] = filled.toSorted((one, other) => one.committedAtUs - other.committedAtUs);
  if (earliest === undefined) return;
  const line = startLine(earliest.transactionId);
  const others = filled.map((each) => `that of service ${each.service} by ${untilWhere(each)}`);
  throw new CrossfadeError({
    code: 'TARGET_PROGRESS_FOREIGN',
    fault: 'fatal',
    message: `the log is new and would begin at the source's present, but targets were filled by another pipeline, and by this one never: ${others.join('; ')}. What the source committed behind that would not arrive`,
    remedy: `Nothing was written. Say under source.mysql where this pipeline begins. If it takes the other's place, let that one apply all that its log holds, then: ${line === undefined ? '"start"' : `"${line}",`} or an earlier place. If the two run side by side, or the tables were loaded again: "start" at the source's present (on MySQL SELECT @@GLOBAL.gtid_executed), or where the load was made.`,
  });
}

/**
 * The same where the start is named, or lies in the past: rows may have been loaded since, so it is a warning, and whether the
 * start leaves a gap, a person must say.
 */
export function otherPipelines(where: string, applied: readonly AppliedByOther[]): Finding[] {
  return applied.map((each) => ({
    level: 'warning',
    code: 'TARGET_PROGRESS_FOREIGN',
    where,
    message: `the target was filled by ${untilWhere(each)}, and by "pipeline" of this configuration not yet. If this one takes its place, what the source committed behind that transaction and before the new "start" never arrives: "start" must not lie behind it, unless the tables were loaded again since`,
  }));
}

const untilWhere = ({ pipeline, transactionId, committedAtUs }: AppliedByOther) =>
  `pipeline "${pipeline}" up to transaction ${transactionId}, committed ${new Date(committedAtUs / 1000).toISOString()}`;
