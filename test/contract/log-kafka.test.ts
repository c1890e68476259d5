import { kafkaAddress } from '../support/servers.ts';
import { KafkaHarness } from './kafka-harness.ts';
import { logContract } from './log.contract.ts';

logContract('Kafka', async (streams) => new KafkaHarness(streams, await kafkaAddress()));
