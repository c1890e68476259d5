/** Every column type that a server knows, with the options that change how it is stored or described. */
const integers = ['TINYINT', 'SMALLINT', 'MEDIUMINT', 'INT', 'BIGINT'];
const digits = [0, 1, 2, 3, 4, 5, 6];
const spatial = ['GEOMETRY', 'POINT', 'LINESTRING', 'POLYGON', 'MULTIPOINT', 'MULTILINESTRING', 'MULTIPOLYGON', 'GEOMETRYCOLLECTION'];

const common: readonly string[] = [
  integers.flatMap((type) => [type, `${type} UNSIGNED`, `${type}(3) UNSIGNED ZEROFILL`]),
  'TINYINT(1)',
  'BOOLEAN',
  ['DECIMAL', 'DECIMAL(5)', 'DECIMAL(65,30)', 'DECIMAL(1,1)', 'NUMERIC(20,4) UNSIGNED', 'DECIMAL(9,2) ZEROFILL'],
  ['FLOAT', 'FLOAT UNSIGNED', 'FLOAT(7,3)', 'FLOAT(24)', 'FLOAT(53)', 'DOUBLE', 'DOUBLE(10,2) UNSIGNED', 'REAL'],
  ['BIT', 'BIT(1)', 'BIT(8)', 'BIT(9)', 'BIT(64)'],
  ['DATE', 'YEAR'],
  digits.flatMap((count) => [`TIME(${count})`, `DATETIME(${count})`, `TIMESTAMP(${count})`]),
  ['CHAR', 'CHAR(0)', 'CHAR(255)', 'CHAR(63)', 'CHAR(64)', 'VARCHAR(0)', 'VARCHAR(63)', 'VARCHAR(64)', 'VARCHAR(300)'],
  ['BINARY', 'BINARY(0)', 'BINARY(4)', 'BINARY(16)', 'BINARY(255)', 'VARBINARY(0)', 'VARBINARY(255)', 'VARBINARY(256)'],
  ['TINYBLOB', 'BLOB', 'MEDIUMBLOB', 'LONGBLOB', 'TINYTEXT', 'TEXT', 'MEDIUMTEXT', 'LONGTEXT', 'TEXT(300)', 'BLOB(70000)'],
  ['NCHAR(3)', 'NVARCHAR(3)', 'CHAR(4) BYTE', 'VARCHAR(20) COLLATE utf8mb4_bin'],
  spatial,
  [
    "ENUM('a','b,c','it''s','back\\\\slash','')",
    "SET('x','y z','ü')",
    "ENUM('ü','日本') CHARACTER SET ujis",
    "SET('ä') CHARACTER SET swe7",
  ],
  ["ENUM('a','ü') CHARACTER SET binary", "ENUM('€') CHARACTER SET utf16", "SET('x COMPRESSED') CHARACTER SET latin1"],
  ["ENUM('new\\nline','tab\\t','nul\\0','quote\"')", `ENUM(${Array.from({ length: 256 }, (_, index) => `'l${index}'`).join(',')})`],
  'JSON',
  ['INT AS (id + 1) VIRTUAL', 'VARCHAR(20) AS (CONCAT(id)) STORED', 'INT INVISIBLE'],
].flat();

const ofMysql: readonly string[] = [
  'POINT SRID 4326',
  'VECTOR',
  'VECTOR(3)',
  "ENUM('中') CHARACTER SET gb18030",
  'VARCHAR(9) CHARACTER SET gb18030',
].flat();
const ofMariadb: readonly string[] = [
  ['UUID', 'INET4', 'INET6', 'VARCHAR(20) COMPRESSED', 'VARCHAR(63) COMPRESSED', 'VARCHAR(64) COMPRESSED'],
  ['VARBINARY(254) COMPRESSED', 'VARBINARY(255) COMPRESSED', 'TINYTEXT COMPRESSED', 'TEXT COMPRESSED', 'LONGTEXT COMPRESSED'],
  ['TINYBLOB COMPRESSED', 'BLOB COMPRESSED', 'MEDIUMBLOB COMPRESSED', 'VARCHAR(9) COLLATE utf8mb4_uca1400_ai_ci'],
  ['CHAR(9) CHARACTER SET ucs2 COLLATE uca1400_as_cs', "ENUM('ö') COLLATE utf8mb3_uca1400_german2_as_ci", 'POINT REF_SYSTEM_ID=4326'],
].flat();

/** For a table of utf8mb4. */
export const allTypes = (server: 'mysql' | 'mariadb'): readonly string[] => [...common, ...(server === 'mysql' ? ofMysql : ofMariadb)];

/** All character sets of both servers but binary; gb18030 is MySQL's alone. */
export const characterSets: readonly string[] =
  'armscii8 ascii big5 cp1250 cp1251 cp1256 cp1257 cp850 cp852 cp866 cp932 dec8 eucjpms euckr gb18030 gb2312 gbk geostd8 greek hebrew hp8 keybcs2 koi8r koi8u latin1 latin2 latin5 latin7 macce macroman sjis swe7 tis620 ucs2 ujis utf16 utf16le utf32 utf8mb3 utf8mb4'.split(
    ' ',
  );
