add_space: INSERT INTO "minidb"."spaces" (name, number) VALUES ($1::text, $2::bigint)
allot_ids: INSERT INTO "minidb"."ids" AS known (space, next) VALUES ($1::text, 1 + $2::bigint) ON CONFLICT (space) DO UPDATE SET next = known.next + $2::bigint RETURNING next
begin_read: BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY
begin_read_committed: BEGIN ISOLATION LEVEL READ COMMITTED
begin_read_on_standby: BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY
begin_state: INSERT INTO "minidb"."state" (generation, next_space) VALUES (0, 1)
begin_write: BEGIN ISOLATION LEVEL SERIALIZABLE
commit: COMMIT
drop_schema: DROP SCHEMA IF EXISTS "minidb" CASCADE
flush: None
forget_commits: DELETE FROM "minidb"."commits" WHERE key < $1
forget_dropped: DELETE FROM "minidb"."dropped" WHERE number = $1::bigint
forget_ids: DELETE FROM "minidb"."ids" WHERE space = $1::text
is_laid_out: SELECT EXISTS (SELECT FROM information_schema.schemata WHERE schema_name = $1::text), EXISTS (SELECT FROM information_schema.tables WHERE table_schema = $1::text AND table_name = 'marks')
lay_out[0]: CREATE TABLE "minidb"."state" (generation bigint NOT NULL, next_space bigint NOT NULL)
lay_out[1]: CREATE TABLE "minidb"."spaces" (name text NOT NULL PRIMARY KEY, number bigint NOT NULL)
lay_out[2]: CREATE TABLE "minidb"."dropped" (number bigint NOT NULL PRIMARY KEY, dropped_at timestamptz NOT NULL)
lay_out[3]: CREATE TABLE "minidb"."ids" (space text NOT NULL PRIMARY KEY, next bigint NOT NULL)
lay_out[4]: CREATE TABLE "minidb"."commits" (key bytea NOT NULL, value bytea NOT NULL, PRIMARY KEY (key))
lay_out[5]: CREATE TABLE "minidb"."probe" (key bytea NOT NULL, value bytea NOT NULL, PRIMARY KEY (key))
lay_out[6]: CREATE TABLE "minidb"."marks" (name text NOT NULL PRIMARY KEY, value text NOT NULL)
long_dropped: SELECT number FROM "minidb"."dropped" WHERE dropped_at < now() - $1::bigint * interval '1 second'
make_schema: CREATE SCHEMA "minidb"
note_commit: INSERT INTO "minidb"."commits" (key, value) VALUES ($1, $2)
note_dropped: INSERT INTO "minidb"."dropped" (number, dropped_at) VALUES ($1::bigint, now())
probe.add: INSERT INTO "minidb"."probe" (key, value) VALUES ($1, $2)
probe.begin: BEGIN ISOLATION LEVEL SERIALIZABLE
probe.read: SELECT value FROM "minidb"."probe" WHERE key = $1
probe.remove: DELETE FROM "minidb"."probe" WHERE key = ANY($1::bytea[])
probe.write: UPDATE "minidb"."probe" SET value = $2 WHERE key = $1
raise_generation: UPDATE "minidb"."state" SET generation = generation + $1::bigint, next_space = next_space + $2::bigint
read_marks: SELECT name, value FROM "minidb"."marks"
read_state: SELECT generation, next_space FROM "minidb"."state"
remove_space: DELETE FROM "minidb"."spaces" WHERE name = $1::text
set_mark: INSERT INTO "minidb"."marks" (name, value) VALUES ($1::text, $2::text) ON CONFLICT (name) DO UPDATE SET value = excluded.value
settle_commit: INSERT INTO "minidb"."commits" AS known (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = known.value RETURNING value
size: None
spaces: SELECT name, number FROM "minidb"."spaces"
space.clear: DELETE FROM "minidb"."space_7"
space.count: SELECT count(*) FROM "minidb"."space_7"
space.delete: DELETE FROM "minidb"."space_7" WHERE key = ANY($1::bytea[])
space.get: SELECT value FROM "minidb"."space_7" WHERE key = $1
space.get_many: SELECT key, value FROM "minidb"."space_7" WHERE key = ANY($1::bytea[])
space.insert: INSERT INTO "minidb"."space_7" (key, value) SELECT key, value FROM unnest($1::bytea[], $2::bytea[]) AS new (key, value)
space.newest: SELECT generation, (SELECT value FROM "minidb"."space_7" WHERE key = $1) FROM "minidb"."state"
space.number: 7
space.put: INSERT INTO "minidb"."space_7" (key, value) SELECT key, value FROM unnest($1::bytea[], $2::bytea[]) AS new (key, value) ON CONFLICT (key) DO UPDATE SET value = excluded.value
space.page(key, reverse=False, has_stop=False): SELECT key FROM "minidb"."space_7" WHERE key >= $1 ORDER BY key LIMIT $2::bigint
space.page(key, reverse=False, has_stop=True): SELECT key FROM "minidb"."space_7" WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3::bigint
space.page(key, reverse=True, has_stop=False): SELECT key FROM "minidb"."space_7" WHERE key >= $1 ORDER BY key DESC LIMIT $2::bigint
space.page(key, reverse=True, has_stop=True): SELECT key FROM "minidb"."space_7" WHERE key >= $1 AND key < $2 ORDER BY key DESC LIMIT $3::bigint
space.page(key, value, reverse=False, has_stop=False): SELECT key, value FROM "minidb"."space_7" WHERE key >= $1 ORDER BY key LIMIT $2::bigint
space.page(key, value, reverse=False, has_stop=True): SELECT key, value FROM "minidb"."space_7" WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3::bigint
space.page(key, value, reverse=True, has_stop=False): SELECT key, value FROM "minidb"."space_7" WHERE key >= $1 ORDER BY key DESC LIMIT $2::bigint
space.page(key, value, reverse=True, has_stop=True): SELECT key, value FROM "minidb"."space_7" WHERE key >= $1 AND key < $2 ORDER BY key DESC LIMIT $3::bigint
space.joined_page(VALUE, reverse=False, has_stop=False): SELECT entry.key, entry.referred, found.value FROM (SELECT key, value AS referred FROM "minidb"."space_7" WHERE key >= $1 ORDER BY key LIMIT $2::bigint) AS entry LEFT LOOKUP JOIN "minidb"."space_8" AS found ON found.key = entry.referred ORDER BY entry.key
space.joined_page(VALUE, reverse=False, has_stop=True): SELECT entry.key, entry.referred, found.value FROM (SELECT key, value AS referred FROM "minidb"."space_7" WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3::bigint) AS entry LEFT LOOKUP JOIN "minidb"."space_8" AS found ON found.key = entry.referred ORDER BY entry.key
space.joined_page(VALUE, reverse=True, has_stop=False): SELECT entry.key, entry.referred, found.value FROM (SELECT key, value AS referred FROM "minidb"."space_7" WHERE key >= $1 ORDER BY key DESC LIMIT $2::bigint) AS entry LEFT LOOKUP JOIN "minidb"."space_8" AS found ON found.key = entry.referred ORDER BY entry.key DESC
space.joined_page(VALUE, reverse=True, has_stop=True): SELECT entry.key, entry.referred, found.value FROM (SELECT key, value AS referred FROM "minidb"."space_7" WHERE key >= $1 AND key < $2 ORDER BY key DESC LIMIT $3::bigint) AS entry LEFT LOOKUP JOIN "minidb"."space_8" AS found ON found.key = entry.referred ORDER BY entry.key DESC
space.joined_page(KEY_END, reverse=False, has_stop=False): SELECT entry.key, entry.referred, found.value FROM (SELECT key, CASE WHEN get_byte(key, length(key) - 1) < 255 THEN substr(key, length(key) - get_byte(key, length(key) - 1), get_byte(key, length(key) - 1)) ELSE substr(key, length(key) - 2 - (256 * get_byte(key, length(key) - 3) + get_byte(key, length(key) - 2)), (256 * get_byte(key, length(key) - 3) + get_byte(key, length(key) - 2))) END AS referred FROM "minidb"."space_7" WHERE key >= $1 ORDER BY key LIMIT $2::bigint) AS entry LEFT LOOKUP JOIN "minidb"."space_8" AS found ON found.key = entry.referred ORDER BY entry.key
space.joined_page(KEY_END, reverse=False, has_stop=True): SELECT entry.key, entry.referred, found.value FROM (SELECT key, CASE WHEN get_byte(key, length(key) - 1) < 255 THEN substr(key, length(key) - get_byte(key, length(key) - 1), get_byte(key, length(key) - 1)) ELSE substr(key, length(key) - 2 - (256 * get_byte(key, length(key) - 3) + get_byte(key, length(key) - 2)), (256 * get_byte(key, length(key) - 3) + get_byte(key, length(key) - 2))) END AS referred FROM "minidb"."space_7" WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3::bigint) AS entry LEFT LOOKUP JOIN "minidb"."space_8" AS found ON found.key = entry.referred ORDER BY entry.key
space.joined_page(KEY_END, reverse=True, has_stop=False): SELECT entry.key, entry.referred, found.value FROM (SELECT key, CASE WHEN get_byte(key, length(key) - 1) < 255 THEN substr(key, length(key) - get_byte(key, length(key) - 1), get_byte(key, length(key) - 1)) ELSE substr(key, length(key) - 2 - (256 * get_byte(key, length(key) - 3) + get_byte(key, length(key) - 2)), (256 * get_byte(key, length(key) - 3) + get_byte(key, length(key) - 2))) END AS referred FROM "minidb"."space_7" WHERE key >= $1 ORDER BY key DESC LIMIT $2::bigint) AS entry LEFT LOOKUP JOIN "minidb"."space_8" AS found ON found.key = entry.referred ORDER BY entry.key DESC
space.joined_page(KEY_END, reverse=True, has_stop=True): SELECT entry.key, entry.referred, found.value FROM (SELECT key, CASE WHEN get_byte(key, length(key) - 1) < 255 THEN substr(key, length(key) - get_byte(key, length(key) - 1), get_byte(key, length(key) - 1)) ELSE substr(key, length(key) - 2 - (256 * get_byte(key, length(key) - 3) + get_byte(key, length(key) - 2)), (256 * get_byte(key, length(key) - 3) + get_byte(key, length(key) - 2))) END AS referred FROM "minidb"."space_7" WHERE key >= $1 AND key < $2 ORDER BY key DESC LIMIT $3::bigint) AS entry LEFT LOOKUP JOIN "minidb"."space_8" AS found ON found.key = entry.referred ORDER BY entry.key DESC
make_space[0]: DROP TABLE IF EXISTS "minidb"."space_7"
make_space[1]: CREATE TABLE "minidb"."space_7" (key bytea NOT NULL, value bytea NOT NULL, PRIMARY KEY (key))
drop_space: DROP TABLE IF EXISTS "minidb"."space_7"
