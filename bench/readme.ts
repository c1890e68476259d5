/** The README's performance table: made from the figures of one whole run, between two markers. */
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';

import { type Figure, grouped, lessIsBetter } from './figure.ts';

const begin = '<!-- made by npm run bench -->';
const end = '<!-- end of what npm run bench made -->';

export interface Machine {
  readonly cores: number;
  readonly model: string;
  readonly memoryGb: number;
  readonly node: string;
  /** As `2026-11-21`. */
  readonly day: string;
}

export const thisMachine = (): Machine => ({
  cores: availableParallelism(),
  model: (cpus()[0]?.model ?? 'unknown').trim(),
  memoryGb: Math.round(totalmem() / 2 ** 30),
  node: process.versions.node,
  day: new Date().toISOString().slice(0, 10),
});

/** Replaces what stands between the markers; throws where they are missing. */
export function writeReadme(path: URL, figures: readonly Figure[], machine: Machine): void {
  const text = readFileSync(path, 'utf8');
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`README.md has no place for the table: ${begin} … ${end}`);
  writeFileSync(path, `${text.slice(0, from + begin.length)}\n\n${performanceText(figures, machine)}\n\n${text.slice(to)}`);
}

const titles: readonly (readonly [RegExp, (...words: string[]) => string])[] = [
  [/^decode\.(\w+)$/, (set) => `decoding the binlog alone, ${set}`],
  [/^mysql_to_(\w+)\.(\w+)$/, (log, set) => `MySQL → ${logName(log)}, ${set}`],
  [/^(\w+)_to_postgres\.(\w+)$/, (log, set) => `${logName(log)} → Postgres, ${set}`],
  [/^end_to_end_(\w+)\.(\w+)$/, (log, set) => `MySQL → ${logName(log)} → Postgres, ${set}`],
  [/^latency_(\w+)\.(\d+)_per_second$/, (log, rate) => `commit → visible, ${grouped(Number(rate))} rows/s, ${logName(log)}`],
  [/^produce\.(\w+)$/, (how) => `producing to Kafka alone, ${how?.replaceAll('_', ' ') ?? ''}`],
];
const logName = (log: string | undefined) => (log === 'kafka' ? 'Kafka' : 'embedded log');

function titleOf(prefix: string): string {
  for (const [pattern, title] of titles) {
    const found = pattern.exec(prefix);
    if (found) return title(...found.slice(1));
  }
  return prefix;
}

const heads = ['', 'reached', 'floor here', 'CPU of Crossfade', 'memory', 'against, in the same run'] as const;

/** One row for all figures of one prefix. */
export function performanceText(figures: readonly Figure[], machine: Machine): string {
  const groups = Map.groupBy(figures, ({ name }) => name.slice(0, name.lastIndexOf('.')));
  const rows = [...groups].map(([prefix, group]) => rowOf(titleOf(prefix), group));
  const { cores, model, memoryGb, node, day } = machine;
  return [
    `${day}: ${cores} cores (${model}), ${memoryGb} GB, Node ${node}; all servers, the tool and its load on these cores. ${verdictOf(figures)}`,
    tableOf([heads, ...rows]),
    leftOut,
  ].join('\n\n');
}

function verdictOf(figures: readonly Figure[]): string {
  const [held, missed] = [true, false].map((ok) => figures.filter((each) => each.floor !== null && each.isRight && each.ok === ok).length);
  const lacking = figures.filter(({ lacksFloor }) => lacksFloor).length;
  const wrong = figures.filter(({ isRight }) => !isRight).length;
  const counts = `of the floors ${held} held, ${missed} missed, ${lacking} not set`;
  if (figures.every(({ ok }) => ok)) return `Every result was proven right; ${counts}.`;
  const also = wrong === 0 ? '' : `; ${wrong} figures were proven wrong`;
  return `**✗ marks what missed its floor, has none because its reference was not at hand, or was proven wrong: ${counts}${also}.**`;
}

function rowOf(title: string, group: readonly Figure[]): readonly string[] {
  const named = (name: string) => group.find((each) => each.name.endsWith(`.${name}`));
  const valueOf = (name: string) => {
    const found = named(name);
    return found && `${grouped(found.value)} ${found.unit}`;
  };
  const p99sOf = () => {
    const [best, worst] = [named('p99_best'), named('p99_worst')];
    const between = best && worst ? ` (of ${grouped(best.value)} to ${grouped(worst.value)})` : '';
    return `p50 ${valueOf('p50')}, p99 ${valueOf('p99')}${between}, max ${valueOf('max')}`;
  };
  const main = named('rate') ?? named('p99');
  const rate = [valueOf('rate'), named('first_row') && `first row after ${valueOf('first_row')}`].filter(Boolean).join(', ');
  const reached = named('p99') ? p99sOf() : rate;
  const bound = main && typeof main.floor === 'number' ? `${lessIsBetter(main.unit) ? '≤' : '≥'} ${grouped(main.floor)}` : '';
  const floor = main?.lacksFloor ? 'could not be set' : bound;
  const isOk = group.every(({ ok }) => ok);
  const compared = main && main.ratio !== null ? `${main.ratio} × ${main.against}` : fromSending(named('sent_p99'), named('commit_p99'));
  const servers = (['source', 'broker', 'target'] as const)
    .map((server) => [{ source: 'MySQL', broker: 'Kafka', target: 'Postgres' }[server], named(`${server}_cpu`)?.value] as const)
    .flatMap(([server, us]) => (us === undefined ? [] : [`${server} ${us}`]));
  const cpu = named('cpu') ? `${named('cpu')?.value} µs${servers.length > 0 ? `; ${servers.join(', ')}` : ''}` : '';
  return [`${isOk ? '' : '✗ '}${title}`, reached, floor, cpu, valueOf('rss') ?? '', compared];
}

const fromSending = (sent: Figure | undefined, commit: Figure | undefined) =>
  sent && commit ? `from sending: p99 ${grouped(sent.value)} ms; MySQL's own commit: p99 ${grouped(commit.value)} ms` : '';

function tableOf(rows: readonly (readonly string[])[]): string {
  const widths = heads.map((_, column) => Math.max(3, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) => `| ${widths.map((width, column) => (row[column] ?? '').padEnd(width)).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  const [head = [], ...body] = rows;
  return [line(head), rule, ...body.map(line)].join('\n');
}

const leftOut = `**bulk** is 1,000,000 rows of 10 columns in inserts of 1,000 rows, **oltp** 282,875 changes (64 % insert, 27 % update, 9 % delete) in transactions of 1 to 5; one table, one partition, logs compressed with zstd level 1. CPU is per change, in user and kernel, of all threads; memory is the process's highest resident set. Capture is timed from the first row to the last one's durability, apply from the first delivery to the last commit, with progress in each transaction. The whole way is \`crossfade run\` with a backlog that was there before: timed, with the CPU of all, from the moment capture streams to the visibility of the last change, all changes counted; MySQL is held until the service has claimed its partitions, so the start of the program is not in it. Latency counts from MySQL's answer to the commit to the row's visibility (0 where a row is seen before the answer); from sending the INSERT it is in the last column, with MySQL's own part, which is what two cores shared by all make of it. It is measured in three windows of 10 s, of which the one with the middle p99 counts and the others' stand behind it. It begins 15 s after the first visible row, in short transactions of 5 rows on a connection for every 100 rows a second, in a Postgres that has log files to write on. Floors were set on a faster machine and are scaled by what \`mysqlbinlog --raw\` or psql's COPY + upsert reach here in the same run; so are the most milliseconds of latency (30 and 75 with the embedded log, 100 and 150 with Kafka, by the fastest of the run's psql).

**How often:** capture, apply and the whole way once each; latency is the middle of 3 windows; decoding is the best of 3 of either reader, producing the median of 4 runs of either producer after 50,000 records that do not count, \`mysqlbinlog\` the better of 2, psql the median of 3, each behind a checkpoint. **Checked:** of apply, the whole way and latency, count, sums and one ordered hash of the whole table on both sides; capture's log by the number of its records and by the table that apply makes of it; of decoding, one hash of all rows, in a run that is not timed; of producing, only the number of records.

**Left out:** networks between the servers, TLS, Kafka with replicas or several brokers, several workers or services, Redis, wide tables, secondary indexes and foreign keys in the target, transforms, data that compresses worse than this (real data does), slow disks, MariaDB, and runs of hours. Equal runs on one machine differ by up to 30 %: the ratios say more than the rates.`;
