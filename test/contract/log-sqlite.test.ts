import { logContract } from './log.contract.ts';
import { SqliteHarness } from './sqlite-harness.ts';

logContract('embedded log', async (streams) => new SqliteHarness(streams));
