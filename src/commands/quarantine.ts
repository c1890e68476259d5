/** `crossfade quarantine`: what the targets refuse, looked at and dealt with by a person. */
import { type Config, loadConfig, type ServiceConfig } from '../config.ts';
import { describeTarget } from '../config-targets.ts';
import type { Quarantine, QueuedChange, QueueOutcome } from '../core/quarantine-port.ts';
import type { Logger } from '../core/ports.ts';
import { makeLogger } from '../runtime/observe.ts';
import { openSink } from '../wire.ts';
import type { ExitCode, Invocation } from './command.ts';
import { plural } from './output.ts';
import { changeJson, changeText, listText, lossText, outcomeText } from './quarantine-text.ts';
import { serviceNamed } from './run.ts';
import { usage } from './usage.ts';

const see = 'crossfade quarantine --help';

export async function quarantine(invocation: Invocation): Promise<ExitCode> {
  const { flags, words } = invocation;
  const config = loadConfig(flags.text('config') ?? 'crossfade.yaml');
  const [action, id] = words;
  if (action === 'list') return list(invocation, config);
  if (action === 'show' || action === 'retry' || action === 'discard') {
    const service = serviceOf(config, flags.text('service'));
    if (id !== undefined && !/^\d{1,18}$/.test(id))
      throw usage(`"${id}" is not the id of a change: \`crossfade quarantine list\` shows them`, see);
    return withQuarantine(config, service, (kept) => {
      if (action === 'show') return show(invocation, kept, needed(id, action), service);
      return action === 'retry' ? retry(invocation, kept, id, service) : discard(invocation, kept, needed(id, action), service);
    });
  }
  throw usage(`quarantine knows list, show, retry and discard, not "${action}"`, see);
}

async function list({ flags, output }: Invocation, config: Config): Promise<ExitCode> {
  const name = flags.text('service');
  const services = name === undefined ? config.services.filter(keeps) : [serviceOf(config, name)];
  const found: (QueuedChange & { readonly service: string })[] = [];
  for (const service of services) {
    await withQuarantine(config, service, async (kept) => {
      const changes = await kept.list(flags.on('all') ? 'all' : 'heads');
      found.push(...changes.filter(inTable(flags.text('table'))).map((change) => ({ service: service.name, ...change })));
      return 0;
    });
  }
  output.out(flags.on('json') ? `${JSON.stringify(found)}\n` : `${listText(found, Date.now(), output)}\n`);
  return 0;
}

async function show({ flags, output }: Invocation, kept: Quarantine, id: string, service: ServiceConfig): Promise<ExitCode> {
  const change = await kept.show(id);
  if (!change) throw unknown(id, service);
  const withValues = flags.on('values');
  output.out(flags.on('json') ? `${changeJson(change, withValues)}\n` : `${changeText(change, withValues, output)}\n`);
  return 0;
}

/** One queue, or all of a table or of the service; 1 where something stays. */
async function retry({ flags, output }: Invocation, kept: Quarantine, id: string | undefined, service: ServiceConfig): Promise<ExitCode> {
  const table = flags.text('table');
  if (id === undefined && table === undefined && !flags.on('all')) throw usage('retry needs an id, --table TABLE or --all', see);
  const heads = id === undefined ? (await kept.list('heads')).filter(inTable(table)).map((head) => head.id) : [id];
  const outcomes: (QueueOutcome & { readonly id: string })[] = [];
  for (const head of heads) {
    const outcome = await kept.retry(head);
    // Of several, one may have gone meanwhile by itself.
    if (!outcome && id !== undefined) {
      // No wrong usage: a retry before, or the service itself, may have applied it.
      output.err(
        `service ${service.name} keeps no change ${id}: it was applied or discarded before, or the id is not one of \`crossfade quarantine list\`\n`,
      );
      return 1;
    }
    if (outcome) outcomes.push({ id: head, ...outcome });
  }
  output.out(flags.on('json') ? `${JSON.stringify(outcomes)}\n` : `${outcomeText(outcomes, output)}\n`);
  return outcomes.some(({ left }) => left > 0) ? 1 : 0;
}

async function discard({ flags, output }: Invocation, kept: Quarantine, id: string, service: ServiceConfig): Promise<ExitCode> {
  const change = await kept.show(id);
  if (!change) throw unknown(id, service);
  const loss = lossText(change);
  if (!flags.on('yes') && !(await output.confirm(`${loss}\nDiscard it for ever?`))) {
    if (!output.live) throw usage(`discard asks before it acts, and nobody can answer here: add --yes. ${loss}`, see);
    output.err('nothing was changed\n');
    return 1;
  }
  const outcome = await kept.discard(id);
  if (!outcome) throw unknown(id, service);
  const behind =
    outcome.applied > 0
      ? `; ${plural(outcome.applied, 'later change')} of its key applied`
      : outcome.left > 0
        ? `; ${plural(outcome.left, 'change')} of its key still there`
        : '';
  output.out(
    flags.on('json')
      ? `${JSON.stringify({ id, ...outcome })}\n`
      : `discarded ${id}${behind}\n${outcome.reason === undefined ? '' : `${outcome.reason}\n`}`,
  );
  return 0;
}

const inTable =
  (table: string | undefined) =>
  ({ source }: QueuedChange) =>
    table === undefined || source === table;
const keeps = ({ target }: ServiceConfig) => describeTarget(target.kind).noQuarantine === undefined;

function needed(id: string | undefined, action: string): string {
  if (id === undefined) throw usage(`${action} needs the id of a change: \`crossfade quarantine list\` shows them`, see);
  return id;
}

/** The one that is named, or the only one that can have a quarantine. */
function serviceOf(config: Config, name: string | undefined): ServiceConfig {
  const able = config.services.filter(keeps);
  if (name === undefined && able.length === 1 && able[0]) return able[0];
  if (name === undefined)
    throw usage(
      able.length === 0
        ? 'no service of this configuration has a quarantine: only Postgres does'
        : `which service: --service ${able.map((each) => each.name).join(' or ')}`,
      see,
    );
  const service = serviceNamed(config, name);
  if (!keeps(service)) throw usage(`service ${name} has no quarantine: what Redis cannot take stops the service`, see);
  return service;
}

function unknown(id: string, { name }: ServiceConfig) {
  return usage(`service ${name} has no change ${id} in quarantine (or it was applied meanwhile)`, 'crossfade quarantine list');
}

async function withQuarantine(config: Config, service: ServiceConfig, work: (kept: Quarantine) => Promise<ExitCode>): Promise<ExitCode> {
  const logger: Logger = makeLogger({ level: 'silent', format: 'json', write: () => {} });
  await using sink = await openSink(config, service, logger);
  if (!sink.quarantine) throw usage(`service ${service.name} has no quarantine`, see);
  return await work(sink.quarantine);
}
