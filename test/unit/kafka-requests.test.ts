import { expect, test } from 'vitest';
import { RequestWriter } from '../../connectors/kafka/requests/bytes.ts';
import { produceRequest } from '../../connectors/kafka/requests/produce.ts';
import { requestHead } from '../../connectors/kafka/requests/request.ts';

const large = Buffer.alloc(100_000, 'l');
const small = Buffer.alloc(100, 's');

test('pieces are the bytes of the request; large parts are handed on as they are, small ones together', () => {
  const out = new RequestWriter().int32(1).bytes(large).bytes(small).string('name').bytes(large);
  const pieces = out.toPieces();
  expect(Buffer.concat(pieces)).toEqual(out.toBuffer());
  expect(pieces.map(({ length }) => length)).toEqual([8, 100_000, 4 + 100 + 6 + 4, 100_000]);
  expect([pieces[1]?.buffer, pieces[3]?.buffer]).toEqual([large.buffer, large.buffer]);
});

test('a request to produce names each topic once, whoever comes first', () => {
  const request = produceRequest(
    [
      { topic: 'a', partition: 0, bytes: large },
      { topic: 'b', partition: 3, bytes: small },
      { topic: 'a', partition: 1, bytes: small },
    ],
    10_000,
  );
  const expected = new RequestWriter().string(null).int16(-1).int32(10_000).int32(2);
  expected.string('a').int32(2).int32(0).bytes(large).int32(1).bytes(small);
  expected.string('b').int32(1).int32(3).bytes(small);
  expect(Buffer.concat([request.encode()].flat<(Buffer | readonly Buffer[])[]>())).toEqual(expected.toBuffer());
});

test("the head is Kafka's request header v1 behind the length of all", () => {
  const head = requestHead({ apiKey: 0, apiVersion: 7, correlationId: 258, clientId: 'me' }, 1000);
  expect(head.toString('hex')).toBe(['000003f4', '0000', '0007', '00000102', '0002', '6d65'].join(''));
});
