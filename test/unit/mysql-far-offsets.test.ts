/** Binlog files of more than 4 GiB: the binlog and the dump command say offsets with 32 bits, positions say the true ones. */
import { describe, expect, test } from 'vitest';
import { startOptions } from '../../connectors/mysql/stream/binlog.ts';
import { event, FakeStream, from, uuid } from '../support/binlog-bytes.ts';

const border = 2 ** 32;
const heartbeat = 27;

function transaction(stream: FakeStream, id: number): void {
  stream.begin(id);
  stream.tableMap();
  stream.insert(id);
  stream.xid();
}
const beat = (stream: FakeStream, offset: number) => {
  stream.at = offset;
  stream.raw(event(heartbeat, Buffer.from('binlog.000007'), offset));
};

/** Where each transaction began, by its version; and the position behind them all. */
async function offsets(stream: FakeStream): Promise<[begins: number[], position: number]> {
  const { changes, position } = await stream.outbox.next();
  const begins = changes.map(({ transaction }) => Number.parseInt(transaction.versionPrefix.slice(18, 34), 16));
  return [begins, (JSON.parse(position) as { pos: number }).pos];
}

describe('over the border', () => {
  test('by what the server left out: the next event is the first beyond it', async () => {
    const stream = new FakeStream(border - 100);
    stream.at = border + 40;
    transaction(stream, 1);
    transaction(stream, 2);
    const [begins, position] = await offsets(stream);
    expect(begins[0]).toBe(border + 40);
    expect(begins[1]).toBeGreaterThan(border + 140);
    expect(position).toBe(stream.at);
  });

  test('by a heartbeat', async () => {
    const stream = new FakeStream(border - 100);
    beat(stream, border + 50);
    transaction(stream, 1);
    expect(await offsets(stream)).toEqual([[border + 50], stream.at]);
  });

  test('by one event, by the next, and by a heartbeat a second time', async () => {
    const stream = new FakeStream(border - 100, { end: { file: 'binlog.000007', offset: 2 * border + 7 } });
    transaction(stream, 1);
    expect(stream.at).toBeGreaterThan(border);
    const first = stream.at;
    transaction(stream, 2);
    beat(stream, stream.at);
    // The place that the server was known to be at when we connected.
    beat(stream, 2 * border + 7);
    transaction(stream, 3);
    const [begins, position] = await offsets(stream);
    expect(begins).toEqual([border - 100, first, 2 * border + 7]);
    expect(position).toBe(stream.at);
  });
});

test('the dump command takes an offset of 32 bits: from beyond them it begins at the start of the file', () => {
  const position = (offset: number) => {
    const dumpFrom = { file: 'binlog.000007', offset };
    const plan = { from, uuid, epoch: 0, byGtid: false, seedGtids: false, prove: null, held: [], skipUntil: [], dumpGtids: '' };
    return startOptions({ plan: { ...plan, dumpFrom, end: dumpFrom }, serverId: 5 });
  };
  for (const offset of [4, 0xffffffff]) expect(position(offset)).toEqual({ serverId: 5, filename: 'binlog.000007', position: offset });
  for (const offset of [border, border + 4, 3 * border])
    expect(position(offset)).toEqual({ serverId: 5, filename: 'binlog.000007', position: 4 });
});
