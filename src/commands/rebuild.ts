/** `crossfade rebuild`: by a person's order a service forgets how far it was, and replays the log from its start. */
import { type Config, loadConfig, type ServiceConfig } from '../config.ts';
import { CrossfadeError } from '../core/errors.ts';
import { partitionsOf } from '../core/partition.ts';
import type { LogState } from '../core/log-state.ts';
import type { Logger } from '../core/ports.ts';
import type { PartitionId, StartRecord } from '../core/log-port.ts';
import type { Progress } from '../core/sink-port.ts';
import { makeLogger } from '../runtime/observe.ts';
import { openLog, openSink, openSource } from '../wire.ts';
import type { ExitCode, Invocation } from './command.ts';
import { serviceNamed } from './run.ts';
import { usage } from './usage.ts';

export async function rebuild({ flags, output }: Invocation): Promise<ExitCode> {
  const config = loadConfig(flags.text('config') ?? 'crossfade.yaml');
  const name = flags.text('service');
  if (name === undefined) throw usage('rebuild needs to know which service: --service NAME', 'crossfade rebuild --help');
  const service = serviceNamed(config, name);
  const logger = makeLogger({ level: 'silent', format: 'json', write: () => {} });
  await using log = await openLog(config, config.streams, logger);
  const partitions = service.streams.flatMap(partitionsOf);
  const state = await log.state();
  const { records, start } = replayable(config, service, partitions, state);
  await using sink = await openSink(config, service, logger);
  const holds = await whatTheLogHolds(config, start, logger);
  if (!flags.on('tables-loaded')) expectOwnRows(service, partitions, state, await sink.progress(), holds);
  const question = `${holds}\nReplay ${records.toLocaleString('en-US')} records into service ${name} from the log's start?`;
  if (!flags.on('yes') && !(await output.confirm(question))) {
    if (output.live) output.err('nothing was changed\n');
    else throw usage('rebuild asks before it acts, and nobody can answer here: add --yes', 'crossfade rebuild --help');
    return 1;
  }
  await sink.reset(partitions);
  await log.forget(name);
  if (flags.on('json')) output.out(`${JSON.stringify({ service: name, partitions: partitions.length, records })}\n`);
  else
    output.out(
      `service ${name} starts from the log's beginning: ${records.toLocaleString('en-US')} records to apply. Start it again where it does not run.\n${holds}\n`,
    );
  return 0;
}

async function whatTheLogHolds(config: Config, { position, writtenAtMs }: StartRecord, logger: Logger): Promise<string> {
  await using source = await openSource(config, logger);
  const since = `${source.describe(position)}, ${new Date(writtenAtMs).toISOString()}`;
  return `The log holds only what happened in the source since ${since}. Rows from before must be in the target's tables: if they are gone, load them again first.`;
}

/**
 * Progress of this very log says that the target's rows are those that a replay goes on from. Where it is of another log, or
 * gone though there was some, nobody but a person knows what the tables hold.
 */
function expectOwnRows(
  { name }: ServiceConfig,
  partitions: readonly PartitionId[],
  { partitions: ranges, groups }: LogState,
  progress: ReadonlyMap<PartitionId, Progress>,
  holds: string,
): void {
  const foreign = partitions.find((partition) => {
    const { logId } = progress.get(partition) ?? {};
    return logId !== undefined && logId !== ranges.get(partition)?.logId;
  });
  const lost = partitions.find((partition) => !progress.has(partition) && (groups.get(name)?.get(partition) ?? 0) > 0);
  const partition = foreign ?? lost;
  if (partition === undefined) return;
  const what = foreign === undefined ? 'is gone' : 'belongs to another log';
  throw new CrossfadeError({
    code: foreign === undefined ? 'TARGET_PROGRESS_LOST' : 'TARGET_PROGRESS_FOREIGN',
    fault: 'fatal',
    message: `service ${name}: the target's progress for ${partition} ${what}, so its tables may lack rows that a replay does not bring back. ${holds}`,
    remedy: `Load the tables as they were at that position or later, or make sure that nothing is missing there; then \`crossfade rebuild -c FILE --service ${name} --tables-loaded\`.`,
  });
}

/** The number of records that a replay applies; throws when the beginning is gone, for a replay would miss rows. */
function replayable(
  config: Config,
  service: ServiceConfig,
  partitions: readonly PartitionId[],
  { partitions: ranges, start }: LogState,
): { readonly records: number; readonly start: StartRecord } {
  if (start === undefined) {
    throw new CrossfadeError({
      code: 'LOG_LOST_HISTORY',
      fault: 'fatal',
      message: `the log of pipeline ${config.pipeline} is empty: nothing was captured into it yet, so there is nothing to replay`,
      remedy: 'Put the old log back, or start `crossfade run capture` first: it says whether a new log may begin here.',
    });
  }
  const gone = partitions.filter((partition) => (ranges.get(partition)?.startOffset ?? 0) > 0);
  if (gone.length > 0) {
    throw new CrossfadeError({
      code: 'LOG_LOST_HISTORY',
      fault: 'fatal',
      message: `the log of pipeline ${config.pipeline} no longer holds the beginning of ${gone.length} partition(s) of service ${service.name}: ${gone[0]}`,
      remedy:
        'A replay would leave out the rows that retention has deleted. Empty the tables of the service in its target, load them from a dump of the source, and start a new pipeline at the position of that dump (see the runbook).',
    });
  }
  return { records: partitions.reduce((sum, partition) => sum + (ranges.get(partition)?.endOffset ?? 0), 0), start };
}
