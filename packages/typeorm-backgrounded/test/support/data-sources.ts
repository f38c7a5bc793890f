import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DataSource, type DataSourceOptions } from 'typeorm'

type Entities = NonNullable<DataSourceOptions['entities']>

export function inMemory(entities: Entities): DataSource {
  return new DataSource({ type: 'better-sqlite3', database: ':memory:', entities, synchronize: true })
}

/** A SQLite file in a directory of its own, removed after the suite. */
export function inFile(entities: Entities, file = temporaryFile()): DataSource {
  return new DataSource({ type: 'better-sqlite3', database: file, entities, synchronize: true })
}

const directories: string[] = []

export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'typeorm-backgrounded-'))
  directories.push(directory)
  return directory
}

export function temporaryFile(): string {
  return join(temporaryDirectory(), 'test.sqlite')
}

process.on('exit', () => {
  // A server that was ended just now may be writing its last file.
  for (const directory of directories)
    rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 })
})
