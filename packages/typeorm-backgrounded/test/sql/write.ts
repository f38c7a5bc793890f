import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import 'reflect-metadata'
import { repositoryRoot } from '../support/repository-file'
import { DIALECTS, fileOf, finishedSql } from './finished-sql'

/** Writes docs/sql: `npm run sql`. */
async function write(): Promise<void> {
  for (const dialect of DIALECTS) {
    const file = join(repositoryRoot(), fileOf(dialect))
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, await finishedSql(dialect))
  }
}

void write()
