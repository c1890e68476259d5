import { describe, expect, it, vi } from 'vitest';
import { asCrossfadeError, CrossfadeError, type Fault } from '../../src/core/errors.ts';
import { backOff, type LoopState, runLoop } from '../../src/runtime/loop.ts';

const error = (fault: Fault) => new CrossfadeError({ code: 'LOG_FAILED', fault, message: fault, remedy: 'none' });

function rig() {
  const stop = new AbortController();
  const said: string[] = [];
  const delays: number[] = [];
  const states: LoopState[] = [];
  const say = (_fields: object, message: string) => void said.push(message);
  return {
    stop,
    said,
    delays,
    states,
    options: {
      name: 'test',
      signal: stop.signal,
      logger: { debug: () => {}, info: () => {}, warn: say, error: say },
      random: () => 1,
      sleep: async (ms: number) => void delays.push(ms),
      onState: (state: LoopState) => void states.push(state),
    },
  };
}

/** A session that fails always; a loop that tries it again is stopped, so that its test fails instead of running for ever. */
function twice(stop: AbortController, thrown: Error): () => Promise<void> {
  let count = 0;
  return () => {
    count += 1;
    if (count > 2) stop.abort();
    return count > 2 ? Promise.resolve() : Promise.reject(thrown);
  };
}

describe('G13: an error that nobody foresaw', () => {
  it('never brings its own text along, through a thread neither', () => {
    const driver = Object.assign(new Error('Key (email)=(bob@example.com) already exists'), { code: '23505' });
    expect(asCrossfadeError(driver).message).toBe('unforeseen error: Error 23505');
    expect(asCrossfadeError('bob@example.com').message).not.toContain('bob');
    expect(asCrossfadeError(new TypeError("reading 'config' of null")).message).toContain("reading 'config'");
  });
});

describe('the loop', () => {
  it('backs off exponentially with a cap, and progress starts over', async () => {
    const { options, delays, stop } = rig();
    let count = 0;
    await runLoop(async (run) => {
      count += 1;
      if (count === 5) run.progressed();
      if (count === 8) stop.abort();
      throw error('retry');
    }, options);
    expect(delays).toEqual([100, 200, 400, 800, 100, 200, 400]);
    expect(backOff(50, () => 1)).toBe(10_000);
    expect(backOff(50, () => 0)).toBe(5_000);
  });

  it('progress of one partition does not end the streak of another', async () => {
    const { options, delays, stop } = rig();
    let count = 0;
    await runLoop(async (run) => {
      count += 1;
      run.progressed('orders#0');
      if (count === 4) run.progressed('stock#0');
      if (count === 6) stop.abort();
      throw error('retry').of('stock#0');
    }, options);
    expect(delays).toEqual([100, 200, 400, 100, 200]);
  });

  it('does not take a connection for progress: what failed behind it may fail again', async () => {
    const { options, delays, stop } = rig();
    let count = 0;
    await runLoop(async (run) => {
      count += 1;
      run.ready();
      if (count === 5) stop.abort();
      throw error('retry');
    }, options);
    expect(delays).toEqual([100, 200, 400, 800]);
  });

  it('throws what may not be retried, at once', async () => {
    for (const fault of ['fatal', 'poison'] as const) {
      const { options, delays, states, stop } = rig();
      await expect(runLoop(twice(stop, error(fault)), options)).rejects.toMatchObject({ fault });
      expect(delays).toEqual([]);
      expect(states.at(-1)).toBe('failed');
    }
  });

  it('takes the unknown for fatal', async () => {
    const { options, stop, delays } = rig();
    await expect(runLoop(twice(stop, new RangeError('x')), options)).rejects.toMatchObject({
      code: 'INTERNAL',
      fault: 'fatal',
    });
    expect(delays).toEqual([]);
  });

  it('says a long outage a few times, not a thousand', async () => {
    const { options, said, stop } = rig();
    let count = 0;
    await runLoop(async () => {
      count += 1;
      if (count === 1000) stop.abort();
      throw error('retry');
    }, options);
    expect(said.length).toBeLessThan(12);
  });

  it('does not call the noise of a teardown an error, but a verdict on the data yes', async () => {
    const quiet = rig();
    await runLoop(async () => {
      quiet.stop.abort();
      throw new TypeError('read after end');
    }, quiet.options);
    expect(quiet.said).toEqual([]);
    const plain = rig();
    const info = vi.fn();
    await runLoop(
      async ({ signal }) => {
        plain.stop.abort();
        signal.throwIfAborted();
      },
      { ...plain.options, logger: { ...plain.options.logger, info } },
    );
    expect(info).not.toHaveBeenCalled();
    const loud = rig();
    const session = async () => {
      loud.stop.abort();
      throw error('fatal');
    };
    await expect(runLoop(session, loud.options)).rejects.toMatchObject({ code: 'LOG_FAILED' });
    const poisoned = rig();
    const refused = async () => {
      poisoned.stop.abort();
      throw error('poison');
    };
    await expect(runLoop(refused, poisoned.options)).rejects.toMatchObject({ fault: 'poison' });
  });

  it('reports the first error when closing fails too', async () => {
    const { options, delays, stop } = rig();
    const fails = twice(stop, error('fatal'));
    const session = async () => {
      await using _broken = { [Symbol.asyncDispose]: () => Promise.reject(new TypeError('close')) };
      await fails();
    };
    await expect(runLoop(session, options)).rejects.toMatchObject({ code: 'LOG_FAILED' });
    expect(delays).toEqual([]);
  });
});
