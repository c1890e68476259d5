/**
 * The part of the sinks' contract about changes that a target refuses, for sinks that can keep them: held, poison,
 * quarantine. The harness's table of people refuses names of more than 40 characters for ever, and while `constrain` is on
 * two people with the same balance.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { faultPoints } from '../../src/core/fault-point.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import type { PoisonPolicy, Quarantine } from '../../src/core/quarantine-port.ts';
import type { Sink } from '../../src/core/sink-port.ts';
import { heldTests } from './sink-held.contract.ts';
import { byJson, History, insert, person, update } from './sink-histories.ts';
import type { SinkHarness } from './sink.contract.ts';

export interface RefusingHarness {
  /** `partitions`: all of the service. */
  open(options: { readonly onPoison: PoisonPolicy; readonly partitions: readonly PartitionId[] }): Promise<Sink>;
  /** No two people may have one balance from now on, or may again. */
  constrain(isOn: boolean): Promise<void>;
  /** All connections end now, as when their process dies. */
  cut(): void;
}

export interface QuarantineStage {
  partition(): PartitionId;
  people(): Promise<string[]>;
  harness(): Pick<SinkHarness, 'loseNextReply' | 'refusing'>;
  /** Disposed after the test. */
  keep(sink: Sink): void;
}

const tooLong = 'x'.repeat(41);

export function quarantineTests(stage: QuarantineStage): void {
  let p = '';
  let q = '';
  const refusing = (): RefusingHarness => {
    const { refusing: harness } = stage.harness();
    if (!harness) throw new Error('this harness refuses nothing');
    return harness;
  };
  const open = async (onPoison: PoisonPolicy = 'quarantine', partitions: readonly PartitionId[] = [p, q]) => {
    const sink = await refusing().open({ onPoison, partitions });
    stage.keep(sink);
    return sink;
  };
  const quarantineOf = (sink: Sink): Quarantine => sink.quarantine ?? expect.fail('the sink has no quarantine');
  const heads = (sink: Sink) => quarantineOf(sink).list('heads');

  beforeEach(() => {
    p = stage.partition();
    q = `${p.slice(0, -1)}1`;
  });

  // Whatever is left would be of the service's next partitions too.
  afterEach(async () => {
    await (await open()).reset([p, q]);
  });

  describe('poison', () => {
    test('G1: halt: nothing moves, and the error names the place and no value', async () => {
      const sink = await open('halt');
      await sink.claim([p]);
      const history = new History(p);
      const write = sink.write(history.batch([insert(person(1, 'good')), insert(person(2, tooLong)), insert(person(3, 'good'))]));
      const error = await write.then(
        () => expect.fail('it was written'),
        (thrown: unknown) => thrown as Error,
      );
      expect(error).toMatchObject({ code: 'TARGET_VALUE_REFUSED', fault: 'poison' });
      expect(error.message).toMatch(/people/);
      expect(error.message).not.toContain(tooLong);
      expect(await stage.people()).toEqual([]);
      expect((await sink.progress()).get(p)).toBeUndefined();
      expect(await heads(sink)).toEqual([]);
    });

    test('G1: among several partitions that are written together it sends all of them apart, and nothing is written', async () => {
      const sink = await open();
      await sink.claim([p, q]);
      const [left, right] = [new History(p), new History(q, { transaction: 500 })];
      const batches = [left.batch([insert(person(1, 'a'))]), right.batch([insert(person(2, tooLong)), insert(person(3, 'c'))])];
      expect(await sink.writeTogether?.(batches)).toBe('apart');
      expect(await stage.people()).toEqual([]);
      for (const batch of batches) expect(await sink.write(batch)).toBe('committed');
      expect(await stage.people()).toEqual(byJson([person(1, 'a'), person(3, 'c')]));
      expect(await heads(sink)).toMatchObject([{ state: 'quarantined', partition: q, version: batches[1]?.entries[0]?.event.version }]);
      // What comes behind the poison waits for it, wherever it is written from.
      const behind = [left.batch([update(person(1, 'a'), person(1, 'b'))]), right.batch([update(person(2, tooLong), person(2, 'short'))])];
      expect(await sink.writeTogether?.(behind)).toBe('apart');
      for (const batch of behind) expect(await sink.write(batch)).toBe('committed');
      expect(await stage.people()).toEqual(byJson([person(1, 'b'), person(3, 'c')]));
    });

    test('G1: quarantine: the poison is kept alone with its reason, everything else flows', async () => {
      const sink = await open();
      await sink.claim([p]);
      const history = new History(p);
      const batch = history.batch([insert(person(1, 'a')), insert(person(2, tooLong)), insert(person(3, 'c')), insert(person(4, tooLong))]);
      expect(await sink.write(batch)).toBe('committed');
      expect(await stage.people()).toEqual(byJson([person(1, 'a'), person(3, 'c')]));
      expect((await sink.progress()).get(p)).toEqual(batch.progress);
      const kept = await heads(sink);
      expect(kept).toMatchObject([
        { state: 'quarantined', source: 'shop.people', partition: p, op: 'insert', code: 'TARGET_VALUE_REFUSED', behind: 0 },
        { state: 'quarantined', source: 'shop.people', partition: p },
      ]);
      expect(kept[0]?.version).toBe(batch.entries[1]?.event.version);
      expect(JSON.stringify(kept)).not.toContain(tooLong);
      const shown = await quarantineOf(sink).show(kept[0]?.id ?? '');
      expect(shown?.event).toEqual(batch.entries[1]?.event);
      await sink.write(history.batch([insert(person(5, 'e'))]));
      expect(await stage.people()).toHaveLength(3);
      expect(await quarantineOf(sink).totals()).toMatchObject([{ source: 'shop.people', held: 0, quarantined: 2, behind: 0 }]);
    });

    test('G2: later changes of a quarantined key wait behind it in order; another key and a changed key do not', async () => {
      const sink = await open();
      await sink.claim([p]);
      const history = new History(p);
      await sink.write(history.batch([insert(person(1, 'a')), insert(person(2, 'b'))]));
      await sink.write(history.batch([update(person(1, 'a'), person(1, tooLong))]));
      await sink.write(history.batch([update(person(1, tooLong), person(1, 'fine')), update(person(2, 'b'), person(2, 'B'))]));
      expect(await stage.people()).toEqual(byJson([person(1, 'a'), person(2, 'B')]));
      // A change of the key: the delete of the old one waits, the insert of the new one does not.
      await sink.write(history.batch([update(person(1, 'fine'), person(9, 'fine'))]));
      expect(await stage.people()).toEqual(byJson([person(1, 'a'), person(2, 'B'), person(9, 'fine')]));
      const all = await quarantineOf(sink).list('all');
      expect(all.map(({ state, op, behind }) => [state, op, behind])).toEqual([
        ['quarantined', 'update', 2],
        ['behind', 'update', 0],
        ['behind', 'delete', 0],
      ]);
      expect(new Set(all.map(({ key }) => key)).size).toBe(1);
    });

    test('G3: retry applies the whole queue, and what was running goes on behind it', async () => {
      const sink = await open();
      await sink.claim([p]);
      const history = new History(p);
      await sink.write(history.batch([insert(person(1, tooLong))]));
      const operator = await open();
      const [head] = await heads(operator);
      const refused = await quarantineOf(operator).retry(head?.id ?? '');
      expect(refused).toMatchObject({ applied: 0, left: 1, code: 'TARGET_VALUE_REFUSED' });
      // Nothing changed, so nobody was fenced.
      await sink.write(history.batch([update(person(1, tooLong), person(1, 'short'))]));
      expect(await stage.people()).toEqual([]);
      expect(await quarantineOf(operator).retry(head?.id ?? '')).toMatchObject({ applied: 2, left: 0 });
      expect(await stage.people()).toEqual(byJson([person(1, 'short')]));
      expect(await heads(operator)).toEqual([]);
      // The worker knows of the queue by heart: it must read again before it puts anything behind it.
      const next = history.batch([update(person(1, 'short'), person(1, 'shorter'))]);
      await expect(sink.write(next)).rejects.toMatchObject({ code: 'TARGET_FENCED', fault: 'retry' });
      await sink.claim([p]);
      expect(await sink.write(next)).toBe('committed');
      expect(await stage.people()).toEqual(byJson([person(1, 'shorter')]));
      expect(await quarantineOf(operator).retry(head?.id ?? '')).toBeUndefined();
    });

    test('G3: discard forgets one change and applies what waited behind it', async () => {
      const sink = await open();
      await sink.claim([p]);
      const history = new History(p);
      await sink.write(history.batch([insert(person(1, tooLong)), insert(person(2, tooLong))]));
      await sink.write(history.batch([update(person(1, tooLong), person(1, 'short'))]));
      const [one, two] = await heads(sink);
      expect(await quarantineOf(sink).discard(one?.id ?? '')).toMatchObject({ applied: 1, left: 0 });
      expect(await stage.people()).toEqual(byJson([person(1, 'short')]));
      expect(await quarantineOf(sink).discard(two?.id ?? '')).toMatchObject({ applied: 0, left: 0 });
      expect(await heads(sink)).toEqual([]);
      expect(await quarantineOf(sink).discard(two?.id ?? '')).toBeUndefined();
      await sink.claim([p]);
      await sink.write(history.batch([insert(person(2, 'new'))]));
      expect(await stage.people()).toEqual(byJson([person(1, 'short'), person(2, 'new')]));
    });

    test('G3: a replay, a takeover and a lost answer keep every queue once and in order', async () => {
      const old = await open();
      await old.claim([p]);
      const history = new History(p);
      const first = history.batch([insert(person(1, tooLong)), insert(person(2, 'b'))]);
      stage.harness().loseNextReply();
      await expect(old.write(first)).rejects.toMatchObject({ fault: 'retry' });
      const young = await open();
      expect((await young.claim([p])).get(p)).toEqual(first.progress);
      await young.write(history.batch([update(person(1, tooLong), person(1, 'later')), update(person(2, 'b'), person(2, 'c'))]));
      expect(await stage.people()).toEqual(byJson([person(2, 'c')]));
      expect(await heads(young)).toMatchObject([{ state: 'quarantined', behind: 1 }]);
      await expect(old.write(history.batch([insert(person(3, tooLong))]))).rejects.toMatchObject({ fault: 'retry' });
      expect(await quarantineOf(young).list('all')).toHaveLength(2);
    });

    test.each(faultPoints.filter((point) => point.startsWith('sink:')))(
      'G3: a death at %s leaves poison and progress together, or neither',
      async (point) => {
        const dying = await open();
        await dying.claim([p]);
        const history = new History(p);
        const batch = history.batch([insert(person(1, 'a')), insert(person(2, tooLong))]);
        const die = () => refusing().cut();
        subscribe(`crossfade:${point}`, die);
        await dying.write(batch).catch(() => undefined);
        unsubscribe(`crossfade:${point}`, die);
        await dying[Symbol.asyncDispose]();
        const heir = await open();
        const stands = (await heir.claim([p])).get(p);
        expect(await heads(heir)).toHaveLength(stands === undefined ? 0 : 1);
        expect(await stage.people()).toHaveLength(stands === undefined ? 0 : 1);
        if (stands === undefined) await heir.write(batch);
        await heir.write(history.batch([update(person(2, tooLong), person(2, 'b'))]));
        expect(await heads(heir)).toMatchObject([{ behind: 1 }]);
        expect(await stage.people()).toEqual(byJson([person(1, 'a')]));
      },
    );

    test('section 9: a TRUNCATE discards the older quarantine of its table, and the keys are free again', async () => {
      const sink = await open('quarantine', [p]);
      await sink.claim([p]);
      const history = new History(p);
      await sink.write(history.batch([insert(person(1, tooLong)), insert(person(2, 'b'))]));
      const truncate = history.truncate(100);
      for (let asked = 0; asked < 10 && (await sink.write(truncate)) === 'waiting'; asked += 1);
      expect(await heads(sink)).toEqual([]);
      await sink.write(history.batch([insert(person(1, 'new'))]));
      expect(await stage.people()).toEqual(byJson([person(1, 'new')]));
    });

    test('a reset discards the quarantine of its partitions: the replay meets it again', async () => {
      const sink = await open();
      await sink.claim([p]);
      await sink.write(new History(p).batch([insert(person(1, tooLong))]));
      await sink.reset([p]);
      expect(await heads(sink)).toEqual([]);
      await sink.claim([p]);
      await sink.write(new History(p).batch([insert(person(1, tooLong))]));
      expect(await heads(sink)).toHaveLength(1);
    });
  });

  heldTests({ people: () => stage.people(), partitions: () => [p, q], open, constrain: (isOn) => refusing().constrain(isOn) });
}
