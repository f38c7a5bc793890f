import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DataSource, type DataSourceOptions } from 'typeorm'

type Entities = NonNullable<DataSourceOptions['entities']>

export function inMemory(entities: Entities, options: object = {}): DataSource {
  return new DataSource({ type: 'better-sqlite3', database: ':memory:', entities, synchronize: true, ...options })
}

/** A SQLite file in a directory of its own, removed after the suite. */
export function inFile(entities: Entities, file = temporaryFile(), options: object = {}): DataSource {
  return new DataSource({ type: 'better-sqlite3', database: file, entities, synchronize: true, ...options })
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
