import type { DataSource } from 'typeorm'
import { inDatabase } from './connections'

const TABLES = ['backgrounded_outbox', 'photo', 'album']

/** Creates the database, or drops what the last run left in it; refuses to touch one that holds anything else. */
export async function makeFreshDatabase(name: string): Promise<void> {
  await inDatabase('postgres', (server) => createMissing(server, name))
  await inDatabase(name, (album) => dropTables(album, name))
}

async function createMissing(server: DataSource, name: string): Promise<void> {
  const found = await server.query('SELECT 1 FROM pg_database WHERE datname = $1', [name])
  if (found.length === 0) await server.query(`CREATE DATABASE ${name}`)
}

async function dropTables(album: DataSource, name: string): Promise<void> {
  const tables = await namesOfTables(album)
  const strange = tables.filter((table) => !TABLES.includes(table))
  if (strange.length > 0 || (tables.length > 0 && !tables.includes('backgrounded_outbox'))) {
    throw new Error(`the database ${name} is not an album of this example: set ALBUM_NAME to another name`)
  }
  await album.query(`DROP TABLE IF EXISTS ${TABLES.join(', ')}`)
}

async function namesOfTables(database: DataSource): Promise<string[]> {
  const rows = await database.query<{ name: string }[]>(
    `SELECT tablename AS name FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
  )
  return rows.map(({ name }) => name)
}
