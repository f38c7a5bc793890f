const {
  ALBUM_NAME = 'photo_album',
  PGHOST = '127.0.0.1',
  PGPORT = '5432',
  PGUSER = 'postgres',
  PGPASSWORD = 'postgres',
  REDIS_URL = 'redis://127.0.0.1:6379',
} = process.env

if (!/^[a-z][a-z0-9_]{0,62}$/.test(ALBUM_NAME)) {
  throw new Error(`ALBUM_NAME is "${ALBUM_NAME}": give a letter, and up to 62 letters, digits or "_", all small`)
}

/** Where the rows are, in a database of the album's own. */
export const postgres = {
  host: PGHOST,
  port: Number(PGPORT),
  username: PGUSER,
  password: PGPASSWORD,
  database: ALBUM_NAME,
}

/** Where the jobs are, below a prefix of the album's own. */
export const redis = { url: REDIS_URL, prefix: ALBUM_NAME }
