import { kafka } from './kafka.ts';
import { mariadb } from './mariadb.ts';
import { mysql } from './mysql.ts';
import { postgres } from './postgres.ts';
import { redis } from './redis.ts';
import type { Recipe, ServerName } from './server.ts';

/** How each server is had. */
export const recipes: Readonly<Record<ServerName, Recipe>> = { mysql, mariadb, postgres, redis, kafka };
