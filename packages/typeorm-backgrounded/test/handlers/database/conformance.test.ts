import { randomUUID } from 'node:crypto'
import { readdirSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { describe, it } from 'mocha'
import type { DataSource } from 'typeorm'
import { DatabaseHandler } from '../../../src/handlers/database'
import { handlerConformance } from '../../../src/testing'
import { mariaDb, postgres, sqliteFile } from '../../support/stores'

const subjects = [
  { store: sqliteFile, forgetWorkers: removeLockFiles },
  { store: postgres, forgetWorkers: killWorkers },
  { store: mariaDb, forgetWorkers: killWorkers },
]

for (const { store, forgetWorkers } of subjects) {
  describe(`on ${store.name}`, () => {
    let drop: (() => Promise<void>) | undefined

    before(async function () {
      await store.require(this)
    })

    afterEach(async () => {
      await drop?.()
    })

    handlerConformance({
      describe,
      it,
      name: `database on ${store.name}`,
      handler: () => new DatabaseHandler({ lease: '1s' }),
      dataSource: async (entities) => {
        const created = await store.create(entities)
        drop = created.drop
        return created.dataSource
      },
      forgetWorkers,
    })
  })
}

/** The kernel frees a dead worker's lock, and the next worker that checks removes its file. */
function removeLockFiles(dataSource: DataSource): Promise<void> {
  const file = dataSource.options.database as string
  for (const name of readdirSync(dirname(file))) {
    if (name.startsWith(`${basename(file)}-worker-`)) rmSync(join(dirname(file), name))
  }
  return Promise.resolve()
}

/** Leaves what they hold to a worker that is dead: removed only, they would be back on the list with the next beat. */
async function killWorkers(dataSource: DataSource): Promise<void> {
  await dataSource.query(`UPDATE backgrounded_jobs SET worker = '${randomUUID()}' WHERE state = 'running'`)
  await dataSource.query('DELETE FROM backgrounded_workers')
}
