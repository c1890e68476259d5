import { describe, expect, test } from 'vitest';
import type { Fault } from '../../src/core/errors.ts';
import type { LogState } from '../../src/core/log-state.ts';
import { liveness, readiness, troublesOf } from '../../src/runtime/health.ts';
import { makeMeters } from '../../src/runtime/observe.ts';

const log = (more: Partial<LogState> = {}): LogState => ({
  partitions: new Map(),
  groups: new Map(),
  members: new Map([['orders', [{ who: 'pid 2 on b', silentSeconds: 1 }]]]),
  troubles: new Map(),
  waits: new Map(),
  leader: { who: 'pid 1 on a', silentSeconds: 1 },
  ...more,
});
function asked(tell: (state: ReturnType<typeof makeMeters>['state']) => void, of: LogState | undefined = log(), silentTicks = 0) {
  const observed = makeMeters();
  tell(observed.state);
  return readiness({
    parts: ['capture', 'apply orders'],
    totals: observed.totals,
    threads: [{ name: 'apply orders', silentTicks }],
    log: of,
    self: 'pid 3 on c',
  });
}

describe('G10 G11: /readyz', () => {
  test('yes when every part runs', () => {
    const said = asked((state) => {
      state.state('capture', 'running');
      state.state('apply orders', 'running');
    });
    expect(said).toEqual({ ok: true, reasons: [] });
  });
  test('no before anybody said anything, with a reason for each part', () => {
    expect(asked(() => {})).toEqual({ ok: false, reasons: ['capture: starting', 'apply orders: starting'] });
  });
  test('no while a part waits, with its code', () => {
    const said = asked((state) => {
      state.state('capture', 'waiting', 'SOURCE_UNREACHABLE');
      state.state('apply orders', 'running');
    });
    expect(said).toEqual({ ok: false, reasons: ['capture: waiting (SOURCE_UNREACHABLE)'] });
  });
  test.each([undefined, 'LOG_HELD', 'LOG_FENCED'])('a standby (%s) that knows its leader is ready, one that knows none is not', (code) => {
    const standby = (state: ReturnType<typeof makeMeters>['state']) => {
      state.state('capture', code === undefined ? 'starting' : 'waiting', code);
      state.state('apply orders', 'running');
    };
    expect(asked(standby).ok).toBe(true);
    const { leader: _, ...leaderless } = log();
    expect(asked(standby, leaderless).ok).toBe(false);
    expect(asked(standby, log({ leader: { who: 'pid 1 on a', silentSeconds: 30 } })).ok).toBe(false);
    // Elected and not through with its takeover: nobody captures.
    for (const who of ['pid 3 on c', 'pid 3 on c, term 0'])
      expect(asked(standby, log({ leader: { who, silentSeconds: 0 } })).ok).toBe(false);
    expect(asked(standby, log({ leader: { who: 'pid 3 on cc, term 2', silentSeconds: 0 } })).ok).toBe(true);
  });
  test('no with a thread that is stuck', () => {
    const run = (state: ReturnType<typeof makeMeters>['state']) => {
      state.state('capture', 'running');
      state.state('apply orders', 'running');
    };
    expect(asked(run, log(), 9).ok).toBe(true);
    expect(asked(run, log(), 10).reasons).toEqual(['thread apply orders: stuck for 10 s']);
  });
});

test('G10: /livez fails for a thread that does not turn, and for nothing else', () => {
  expect(liveness([{ name: 'apply orders', silentTicks: 9 }]).ok).toBe(true);
  expect(liveness([{ name: 'apply orders', silentTicks: 10 }])).toEqual({ ok: false, reasons: ['thread apply orders: stuck for 10 s'] });
});

describe('G11: what an alert calls dead', () => {
  const totals = (tell: (state: ReturnType<typeof makeMeters>['state']) => void = () => {}) => {
    const observed = makeMeters();
    tell(observed.state);
    return observed.totals;
  };
  test('nothing where all is well', () => expect(troublesOf('orders', totals(), log(), 500)).toEqual([]));
  test('our own parts by their code, others as the log tells', () => {
    const own = totals((state) => state.state('apply orders', 'waiting', 'TARGET_UNREACHABLE'));
    const of = log({
      leader: { who: 'pid 1 on a', silentSeconds: 9 },
      troubles: new Map([
        ['capture', { code: 'SOURCE_UNREACHABLE', fault: 'retry', message: 'm', sinceMs: 0 }],
        ['apply orders', { code: 'TARGET_UNREACHABLE', fault: 'retry', message: 'm', sinceMs: 0 }],
        ['apply other', { code: 'TARGET_FULL', fault: 'retry', message: 'm', sinceMs: 0 }],
      ]),
    });
    expect(troublesOf('orders', own, of, 500)).toEqual([
      'apply orders: TARGET_UNREACHABLE',
      'capture: pid 1 on a shows no sign of life',
      'capture: SOURCE_UNREACHABLE',
    ]);
  });
  test('an apply that nobody runs is dead, unless what ended its session is waited out: the fault says so, not the name of the code', () => {
    const met = (code: string, fault: Fault) =>
      troublesOf(
        'orders',
        totals(),
        log({ members: new Map(), troubles: new Map([['apply orders', { code, fault, message: 'm', sinceMs: 0 }]]) }),
        500,
      );
    expect(met('TARGET_FULL', 'retry')).toEqual(['apply orders: TARGET_FULL']);
    expect(met('TARGET_FAILED', 'retry')).toEqual(['apply orders: TARGET_FAILED']);
    expect(met('TARGET_UNREACHABLE', 'fatal')).toEqual(['apply orders: nobody applies', 'apply orders: TARGET_UNREACHABLE']);
    expect(met('TARGET_VALUE_REFUSED', 'poison')).toEqual(['apply orders: nobody applies', 'apply orders: TARGET_VALUE_REFUSED']);
  });
  test('nobody there, a log that does not answer, a full disk', () => {
    const { leader: _, ...nobody } = log({ members: new Map() });
    expect(troublesOf('orders', totals(), nobody, 500)).toEqual(['capture: nobody captures', 'apply orders: nobody applies']);
    expect(troublesOf('orders', totals(), log(), 20_000)).toEqual(['log: does not answer']);
    expect(troublesOf('orders', totals(), undefined, 0)).toEqual(['log: does not answer']);
    const room = { level: 'error', code: 'LOG_FULL', where: 'log', message: 'm' } as const;
    expect(troublesOf('orders', totals(), log({ room }), 0)).toEqual(['log: LOG_FULL']);
  });
});
