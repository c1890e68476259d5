/** `crossfade rebuild`: by a person's order a service forgets how far it was, and replays the log from its start. */
import { type Config, loadConfig, type ServiceConfig } from '../config.ts';
import { CrossfadeError } from '../core/errors.ts';
import { type LogState, partitionId, type PartitionId } from '../core/ports.ts';
import { makeLogger } from '../runtime/observe.ts';
import { openLog, openSink } from '../wire.ts';
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
  const partitions = service.streams.flatMap((stream) =>
    Array.from({ length: stream.partitions }, (_, at) => partitionId(stream.topic, at)),
  );
  const records = replayable(config, service, partitions, await log.state());
  const question = `Replay ${records.toLocaleString('en-US')} records into service ${name} from the log's start?`;
  if (!flags.on('yes') && !(await output.confirm(question))) {
    if (output.live) output.err('nothing was changed\n');
    else throw usage('rebuild asks before it acts, and nobody can answer here: add --yes', 'crossfade rebuild --help');
    return 1;
  }
  await using sink = await openSink(config, service, logger);
  await sink.reset(partitions);
  await log.forget(name);
  if (flags.on('json')) output.out(`${JSON.stringify({ service: name, partitions: partitions.length, records })}\n`);
  else output.out(`service ${name} starts from the log's beginning: ${records.toLocaleString('en-US')} records to apply\n`);
  return 0;
}

/** The number of records that a replay applies; throws when the beginning is gone, for a replay would miss rows. */
function replayable(config: Config, service: ServiceConfig, partitions: readonly PartitionId[], { partitions: ranges }: LogState): number {
  const gone = partitions.filter((partition) => (ranges.get(partition)?.startOffset ?? 0) > 0);
  if (gone.length > 0) {
    throw new CrossfadeError({
      code: 'LOG_LOST_HISTORY',
      fault: 'fatal',
      message: `the log of pipeline ${config.pipeline} no longer holds the beginning of ${gone.length} partition(s) of service ${service.name}: ${gone[0]}`,
      remedy:
        'A replay would leave out the rows that retention has deleted. Start a new log with a copy of the source in the target; see the runbook.',
    });
  }
  return partitions.reduce((sum, partition) => sum + (ranges.get(partition)?.endOffset ?? 0), 0);
}
