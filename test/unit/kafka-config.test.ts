import { describe, expect, test } from 'vitest';
import { kafkaSchema } from '../../connectors/kafka/config.ts';
import { kafkaError, protocolCode } from '../../connectors/kafka/errors.ts';
import { ProtocolError } from '../../connectors/kafka/requests/request.ts';
import { parseConfig } from '../../src/config.ts';

const defaults = { tls: false, retention: { age: 168 } };

describe('what a person writes', () => {
  test('one line is enough', () => {
    expect(kafkaSchema.parse('k1:9092')).toEqual({ brokers: [{ host: 'k1', port: 9092 }], ...defaults });
    const both = [
      { host: 'k1', port: 9092 },
      { host: '::1', port: 9093 },
    ];
    expect(kafkaSchema.parse('k1:9092, [::1]:9093')).toEqual({ brokers: both, ...defaults });
    expect(kafkaSchema.parse({ brokers: ['k1:9092', '[::1]:9093'] })).toEqual({ brokers: both, ...defaults });
  });

  test.each(['k1', 'k1:0', 'k1:70000', 'kafka://k1:9092', 'user:secret@k1:9092', ''])(
    '%j is no broker, and the message does not repeat it',
    (text) => {
      const result = kafkaSchema.safeParse(text);
      expect(result.success).toBe(false);
      expect(JSON.stringify(result.error?.issues)).not.toContain('secret');
    },
  );

  test('more copies demanded than there are could never be written', () => {
    expect(kafkaSchema.safeParse({ brokers: 'k:1', replication: 2, minInsyncReplicas: 3 }).success).toBe(false);
    expect(kafkaSchema.safeParse({ brokers: 'k:1', replication: 3, minInsyncReplicas: 2 }).success).toBe(true);
  });

  test('changing one line of a pipeline changes its log', () => {
    const text = (log: string) => `pipeline: shop\nsource: { mysql: "mysql://u@h" }\nlog: ${log}\nstreams: { s: { tables: [a.b] } }\n`;
    const read = (log: string) => {
      const reading = parseConfig(text(log), '/etc/crossfade/shop.yaml', { environment: {}, readSecret: () => undefined });
      if ('problems' in reading) throw new Error(JSON.stringify(reading.problems));
      return reading.config.log;
    };
    expect(read('embedded')).toMatchObject({ kind: 'embedded', name: '/etc/crossfade/shop.crossfade.db' });
    expect(read('{ kafka: "k1:9092,k2:9092" }')).toMatchObject({ kind: 'kafka', name: 'kafka k1:9092,k2:9092' });
  });
});

describe('errors', () => {
  test.each([
    [6, 'LOG_UNREACHABLE', 'retry'],
    [19, 'LOG_UNREACHABLE', 'retry'],
    [56, 'LOG_FULL', 'retry'],
    [45, 'LOG_FAILED', 'retry'],
    [47, 'LOG_FENCED', 'retry'],
    [58, 'LOG_AUTH', 'fatal'],
    [29, 'LOG_PRIVILEGE', 'fatal'],
    [35, 'LOG_SETTING', 'fatal'],
    [10, 'LOG_RECORD_TOO_LARGE', 'fatal'],
    [12345, 'LOG_FAILED', 'fatal'],
  ])('code %i is %s, %s', (code, ours, fault) => {
    const error = kafkaError(new ProtocolError(code, 'Produce'), 'shop.orders#0');
    expect(error).toMatchObject({ code: ours, fault, message: expect.stringContaining('shop.orders#0') });
    expect(protocolCode(error)).toBe(code);
  });

  test("kafkajs's own, also inside another; a stranger's text is not repeated", () => {
    const inner = Object.assign(new Error('ECONNREFUSED'), { name: 'KafkaJSConnectionError' });
    const outer = Object.assign(new Error('gave up', { cause: inner }), { name: 'KafkaJSNonRetriableError' });
    expect(kafkaError(outer, 'x')).toMatchObject({ code: 'LOG_UNREACHABLE', fault: 'retry' });
    expect(kafkaError(new Error('password hunter2'), 'x').message).not.toContain('hunter2');
    expect(kafkaError(new Error('?'), 'x')).toMatchObject({ code: 'LOG_FAILED', fault: 'fatal' });
  });
});
