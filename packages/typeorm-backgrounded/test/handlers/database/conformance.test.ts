import { readdirSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { describe, it } from 'mocha'
import type { DataSource } from 'typeorm'
import { DatabaseHandler } from '../../../src/handlers/database'
import { handlerConformance } from '../../../src/testing'
import { mariaDb, postgres, sqliteFile, type TestStore } from '../../support/stores'

interface Subject {
  readonly store: TestStore
  readonly options?: object
  readonly forgetWorkers: (dataSource: DataSource) => Promise<void>
}

const subjects: readonly Subject[] = [
  { store: sqliteFile, forgetWorkers: removeLockFiles },
  ...[postgres, mariaDb]
    .filter(({ driver }) => new DatabaseHandler().entities(driver).length > 0)
    .map((store) => ({ store, options: { lease: '1s' }, forgetWorkers: deleteWorkers })),
]

for (const { store, options, forgetWorkers } of subjects) {
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
      handler: () => new DatabaseHandler(options),
      dataSource: async (entities) => {
        const created = await store.create(entities)
        drop = created.drop
        return created.dataSource
      },
      forgetWorkers,
    })
  })
}

/** The kernel frees a dead worker's lock, and whoever looks next removes its file. */
function removeLockFiles(dataSource: DataSource): Promise<void> {
  const file = dataSource.options.database as string
  for (const name of readdirSync(dirname(file))) {
    if (name.startsWith(`${basename(file)}-worker-`)) rmSync(join(dirname(file), name))
  }
  return Promise.resolve()
}

async function deleteWorkers(dataSource: DataSource): Promise<void> {
  await dataSource.query('DELETE FROM backgrounded_workers')
}
