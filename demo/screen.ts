/** What the person sees, as text: pure, so that it can be tested and turned into a picture. */
import { styleText } from 'node:util';

export interface View {
  readonly elapsedSeconds: number;
  /** Seconds still to go; undefined when it runs until Ctrl-C. */
  readonly leftSeconds?: number;
  readonly phase: string;
  readonly source: { readonly perSecond: number; readonly total: number; readonly sparkline: string };
  readonly applied: { readonly perSecond: number; readonly total: number; readonly sparkline: string };
  readonly lags: readonly Lag[];
  readonly rows: readonly TableRows[];
  readonly processes: readonly { readonly name: string; readonly pid: number | undefined }[];
  readonly folder: string;
  /** Newest last, without control characters. */
  readonly events: readonly string[];
}

interface Lag {
  readonly target: string;
  readonly nowMs: number | undefined;
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
}

export interface TableRows {
  readonly table: string;
  readonly mysql: number | undefined;
  readonly postgres: number | undefined;
  /** null: this table does not go there. */
  readonly redis: number | undefined | null;
}

export interface Size {
  readonly columns: number;
  readonly rows: number;
  readonly isColoured: boolean;
}

type Style = Parameters<typeof styleText>[0];

/** The lines of one frame, none wider than the terminal, never more than it has rows. */
export function frame(view: View, size: Size): string[] {
  const paint = (style: Style, text: string) => (size.isColoured ? styleText(style, text, { validateStream: false }) : text);
  const width = Math.min(size.columns, 100);
  const clock = view.leftSeconds === undefined ? duration(view.elapsedSeconds) : `${duration(view.leftSeconds)} left`;
  const title = ` crossfade demo · ${view.phase}`;
  const lines: string[] = [
    paint('bold', fit(title, width - clock.length - 1).padEnd(width - clock.length - 1)) + paint('dim', clock),
    '',
    ...speeds(view, width, paint),
    ...view.lags.map((lag) => lagLine(lag, width, paint)),
    '',
    ...rowLines(view.rows, width, paint),
    '',
    ...tryLines(view, width, paint),
  ];
  const events = view.events.slice(-Math.max(1, Math.min(6, size.rows - lines.length - 4)));
  if (events.length > 0) lines.push('', ...events.map((event) => paint('yellow', fit(` ${event}`, width))));
  lines.push('', paint('dim', ' Ctrl-C stops everything'));
  return airless(lines, size.rows - 1).slice(0, Math.max(1, size.rows - 1));
}

/** On a low terminal empty lines go first, from below, so that no other has to. */
function airless(lines: readonly string[], most: number): readonly string[] {
  let tooMany = lines.length - most;
  return lines
    .toReversed()
    .filter((line) => line !== '' || tooMany-- <= 0)
    .toReversed();
}

type Paint = (style: Style, text: string) => string;

/** Before the first change has reached both targets. */
const notYet = 'starting: crossfade connects and claims its partitions';

function speeds({ source, applied }: View, width: number, paint: Paint): string[] {
  const line = (label: string, rate: View['source'], style: Style) => {
    const text = ` ${label.padEnd(10)}${count(rate.perSecond).padStart(7)} changes/s ${count(rate.total).padStart(11)} in all  `;
    // A speed of 0 would look like a pipeline that stands still.
    if (label === 'applied' && rate.total === 0) return ` ${label.padEnd(10)}${paint('dim', fit(notYet, width - 11))}`;
    return text + paint(style, rate.sparkline.slice(-Math.max(0, width - text.length - 1)));
  };
  return [line('MySQL', source, 'cyan'), line('applied', applied, 'green')];
}

function lagLine(lag: Lag, width: number, paint: Paint): string {
  const style: Style = lag.nowMs === undefined ? 'dim' : lag.nowMs < 250 ? 'green' : lag.nowMs < 2000 ? 'yellow' : 'red';
  const now = lag.nowMs === undefined ? 'no figure yet' : milliseconds(lag.nowMs);
  const rest = lag.p99Ms === undefined ? '' : `   p50 ${milliseconds(lag.p50Ms ?? 0)}, p99 ${milliseconds(lag.p99Ms)}`;
  const label = ` lag to ${lag.target}`.padEnd(18);
  return label + paint(style, now.padStart(10)) + paint('dim', fit(rest, width - label.length - Math.max(10, now.length)));
}

const rowLine = (name: string, values: readonly string[]) => ` ${name.padEnd(15)}${values.map((value) => value.padStart(12)).join('')}`;
const rowCount = (value: number | undefined | null) => (value === null ? '-' : value === undefined ? '?' : count(value));

function rowLines(rows: readonly TableRows[], width: number, paint: Paint): string[] {
  return [
    paint('dim', fit(rowLine('rows', ['MySQL', 'Postgres', 'Redis']), width)),
    ...rows.map(({ table, mysql, postgres, redis }) => fit(rowLine(table, [mysql, postgres, redis].map(rowCount)), width)),
  ];
}

function tryLines({ processes, folder }: View, width: number, paint: Paint): string[] {
  const kills = processes.map(({ name, pid }) =>
    pid === undefined ? `   ${name} is down` : `   kill -9 ${String(pid).padEnd(8)} ${name}`,
  );
  return [
    paint('dim', ' try this in another terminal:'),
    ...kills.map((line) => fit(line, width)),
    // Never cut: a person copies it.
    `   cd ${folder} && ./crossfade status`,
  ];
}

/** One line a second for a pipe or a log file; at most 60 columns while the numbers are of a demo's size. */
export function plainLine(view: View): string {
  const lag = view.lags.map(({ target, nowMs }) => `${target} ${nowMs === undefined ? '-' : milliseconds(nowMs)}`).join(', ');
  const out = view.applied.total === 0 ? 'starting' : `${count(view.applied.perSecond)}/s`;
  return `${duration(view.elapsedSeconds)} in ${count(view.source.perSecond)}/s out ${out} lag ${lag}`;
}

export const count = (value: number) => Math.round(value).toLocaleString('en-US');

export function milliseconds(value: number): string {
  return value < 9_950 ? (value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`) : `${count(value / 1000)} s`;
}

export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

/** Cut to the width with a sign that it was. */
export function fit(text: string, width: number): string {
  return text.length <= width ? text : width < 2 ? '' : `${text.slice(0, width - 1)}…`;
}
