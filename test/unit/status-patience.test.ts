import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { askInTime } from '../../src/commands/status-patience.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const never = () => new Promise<never>(() => {});
const asked = { what: 'the target of service cache', code: 'TARGET_UNREACHABLE' } as const;

test('a server that hangs is unreachable after 5 s, also when its connection does not close', async () => {
  const answer = askInTime(asked, async () => ({ [Symbol.asyncDispose]: never }), never).catch((thrown: unknown) => thrown);
  await vi.advanceTimersByTimeAsync(5000);
  expect(await answer).toMatchObject({ code: 'TARGET_UNREACHABLE', message: 'the target of service cache did not answer within 5 s' });
});

test('an answer does not wait for the connection to close, and its failure there is nobody’s', async () => {
  for (const dispose of [never, () => Promise.reject(new Error('gone'))]) {
    expect(
      await askInTime(
        asked,
        async () => ({ [Symbol.asyncDispose]: dispose }),
        async () => 42,
      ),
    ).toBe(42);
  }
});
