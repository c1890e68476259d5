import { expect, test } from 'vitest';
import { InTurn } from '../../connectors/mysql/stream/in-turn.ts';

function made() {
  const said: string[] = [];
  const inTurn = new InTurn({
    pause: () => said.push('pause'),
    resume: () => said.push('resume'),
    failed: (error) => said.push(`failed ${(error as Error).message}`),
  });
  return { said, inTurn };
}

test('what needs no time runs at once', () => {
  const { said, inTurn } = made();
  inTurn.run(() => void said.push('a'));
  expect(said).toEqual(['a']);
  expect(inTurn.busy).toBe(false);
});

test('what comes behind a slow step waits for it, in order, and slow ones among it too', async () => {
  const { said, inTurn } = made();
  const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  inTurn.run(() => first.promise);
  inTurn.run(() => void said.push('a'));
  inTurn.run(() => second.promise.then(() => void said.push('b')));
  inTurn.run(() => void said.push('c'));
  expect(said).toEqual(['pause']);
  first.resolve();
  await expect.poll(() => said).toContain('a');
  expect(said).not.toContain('c');
  second.resolve();
  await expect.poll(() => inTurn.busy).toBe(false);
  expect(said).toEqual(['pause', 'a', 'b', 'c', 'resume']);
});

test('a failure ends it: nothing behind it runs, and nobody is asked to go on', async () => {
  const { said, inTurn } = made();
  const slow = Promise.withResolvers<void>();
  inTurn.run(() => slow.promise);
  inTurn.run(() => void said.push('a'));
  slow.reject(new Error('x'));
  await expect.poll(() => said).toContain('failed x');
  expect(said).toEqual(['pause', 'failed x']);
  const other = made();
  other.inTurn.run(() => {
    throw new Error('y');
  });
  expect(other.said).toEqual(['failed y']);
});
