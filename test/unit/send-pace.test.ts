import { describe, expect, it } from 'vitest';
import { SendPace } from '../../src/runtime/send-pace.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

/** A pace whose sends cost what the test says, in virtual time. */
function rig(leastMs = 0) {
  const clock = new VirtualClock(0);
  let offsetMs = 0;
  const due: number[] = [];
  const timers: { atMs: number; fire: () => void; isOff: boolean }[] = [];
  const now = () => clock.now() + offsetMs;
  const pace = new SendPace(
    {
      now,
      at(delayMs, fire) {
        const timer = { atMs: now() + delayMs, fire, isOff: false };
        timers.push(timer);
        return () => (timer.isOff = true);
      },
    },
    leastMs,
    () => due.push(now()),
  );
  const pass = (ms: number) => {
    offsetMs += ms;
    for (const timer of timers) {
      if (timer.isOff || timer.atMs > now()) continue;
      timer.isOff = true;
      timer.fire();
    }
  };
  return { pace, due, pass, send: (costMs: number) => pace.during(() => pass(costMs)) };
}

describe('when collected records go to the log', () => {
  it('the first goes at once, and so does what comes behind a rest', () => {
    const { pace, pass, send } = rig();
    expect(pace.mustWait()).toBe(false);
    send(2);
    pass(6);
    expect(pace.mustWait()).toBe(false);
  });

  it('what follows at once waits three times as long as the last took, and is called once', () => {
    const { pace, pass, due, send } = rig();
    send(2);
    expect([pace.mustWait(), pace.mustWait()]).toEqual([true, true]);
    pass(5);
    expect(due).toEqual([]);
    pass(1);
    expect(due).toEqual([8]);
  });

  it('never longer than 20 ms, however slow the disk is', () => {
    const { pace, pass, due, send } = rig();
    send(500);
    expect(pace.mustWait()).toBe(true);
    pass(20);
    expect(due).toEqual([520]);
  });

  it('a rest that is asked for is kept, and never shortens another', () => {
    const { pace, pass, due, send } = rig();
    send(2);
    pace.rest(20);
    pace.rest(1);
    expect(pace.mustWait()).toBe(true);
    pass(19);
    expect(due).toEqual([]);
    pass(1);
    expect(due).toEqual([22]);
  });

  it('a batch that is full meanwhile takes the call back', () => {
    const { pace, pass, due, send } = rig();
    send(2);
    pace.mustWait();
    send(2);
    pass(4);
    expect(due).toEqual([]);
  });

  it('after its end nothing is called', () => {
    const { pace, pass, due, send } = rig(10);
    send(0);
    expect(pace.mustWait()).toBe(true);
    pace[Symbol.dispose]();
    pass(100);
    expect(due).toEqual([]);
  });
});
