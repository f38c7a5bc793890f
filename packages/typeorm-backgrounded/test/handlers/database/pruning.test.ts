import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { Entity, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
import { Backgrounded, createWorker, withBackgrounded } from '../../../src'
import { BackgroundedJob, DatabaseHandler } from '../../../src/handlers/database'
import { silent } from '../../support/program'
import { mariaDb, postgres, sqliteFile } from '../../support/stores'
import { until } from '../../support/worker-process'

@Entity()
class Letter {
  @PrimaryGeneratedColumn() id!: number
  @Backgrounded() post(): void {}
}

for (const store of [sqliteFile, postgres, mariaDb]) {
  describe(`A worker on ${store.name} that keeps completed jobs for an hour`, () => {
    let dataSource: DataSource
    let drop: (() => Promise<void>) | undefined

    before(async function () {
      await store.require(this)
    })
    beforeEach(async () => {
      ;({ dataSource, drop } = await store.create([Letter]))
      const handler = new DatabaseHandler({ lease: '1s' })
      await withBackgrounded(dataSource, { handler, keepCompleted: '1h', logger: silent }).initialize()
    })
    afterEach(() => drop?.())

    it('removes what was completed before that, and nothing that has failed', async () => {
      for (const state of ['completed', 'failed']) {
        await dataSource.query(
          `INSERT INTO backgrounded_jobs (id, entity, method, state, finished_at)
           VALUES ('${randomUUID()}', 'Letter', 'post', '${state}', 1)`,
        )
      }
      const worker = createWorker(dataSource, { pollInterval: 50 })
      const finished = worker.run()
      const left = () => dataSource.manager.find(BackgroundedJob)
      await until(async () => (await left()).length < 2)
      await worker.stop()
      await finished
      expect((await left()).map(({ state }) => state)).to.deep.equal(['failed'])
    })
  })
}
