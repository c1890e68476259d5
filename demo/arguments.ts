import { parseArgs } from 'node:util';

export interface DemoArguments {
  /** A real Kafka as the log, started by the demo, instead of the embedded one. */
  readonly isOnKafka: boolean;
  /** Undefined: until Ctrl-C. */
  readonly seconds: number | undefined;
  readonly changesPerSecond: number;
  readonly seed: number;
  readonly isPlain: boolean;
  /** The demo kills crossfade, Postgres, Redis and the broker with -9 in turn, one this often; undefined: never. */
  readonly killEverySeconds: number | undefined;
  /** Where the frame of two thirds of the time goes as text with its colours, for a picture. */
  readonly framePath: string | undefined;
}

export const demoUsage = `usage: npm run demo -- [--kafka] [--seconds N] [--rate N] [--kill-every N] [--seed N] [--plain]

Starts real MySQL, Postgres and Redis, a shop at work in MySQL, and crossfade,
and shows what happens until Ctrl-C.

  --kafka         the log is a real Kafka that the demo starts, not the embedded one
  --seconds N     ends by itself after N seconds of work, compares every row,
                  and exits 0 only when all sides are equal
  --rate N        changes a second in MySQL; 300
  --kill-every N  kills with -9 every N seconds while the shop is open: crossfade,
                  Postgres, Redis, and Kafka where it is the log, in turn
  --seed N        repeats the choices of an earlier run
  --plain         one line a second, also on a terminal`;

/** A string is what is wrong with the command line; undefined asks for help. */
export function parseArguments(argv: readonly string[]): DemoArguments | string | undefined {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        kafka: { type: 'boolean', default: false },
        seconds: { type: 'string' },
        rate: { type: 'string', default: '300' },
        'kill-every': { type: 'string' },
        seed: { type: 'string' },
        plain: { type: 'boolean', default: false },
        frame: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help) return undefined;
    return {
      isOnKafka: values.kafka,
      seconds: number('seconds', values.seconds, 1),
      changesPerSecond: number('rate', values.rate, 1) ?? 300,
      killEverySeconds: number('kill-every', values['kill-every'], 1),
      seed: number('seed', values.seed, 0) ?? Date.now() % 1_000_000,
      isPlain: values.plain,
      framePath: values.frame,
    };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function number(name: string, text: string | undefined, lowest: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < lowest)
    throw new RangeError(`--${name} must be a number from ${lowest}, not "${text}"`);
  return value;
}
