import { expect } from 'chai'
import { type DataSource, Entity, PrimaryGeneratedColumn } from 'typeorm'
import { backgrounded, Backgrounded, settled, withBackgrounded } from '../../src'
import { BullHandler } from '../../src/handlers/bull'
import { silent } from '../support/program'
import { redisUrl, removeKeys, requireRedis, uniquePrefix } from '../support/redis'
import { mariaDb, postgres, sqliteFile } from '../support/stores'
import { until } from '../support/worker-process'

/** Far more than fit into the seconds that the rows are the process's own. */
const CALLS = Number(process.env.OUTBOX_CALLS ?? 30_000)

@Entity()
class Letter {
  @PrimaryGeneratedColumn() id!: number

  @Backgrounded()
  post(): void {}
}

for (const store of [sqliteFile, postgres, mariaDb]) {
  describe(`${CALLS} calls in one long transaction, in the outbox of ${store.name}`, function () {
    this.timeout(180_000)
    let dataSource: DataSource
    let drop: (() => Promise<void>) | undefined
    let handler: BullHandler
    const prefix = uniquePrefix()

    before(async function () {
      await store.require(this)
      await requireRedis(this)
      const created = await store.create([Letter])
      drop = created.drop
      handler = new BullHandler({ redis: redisUrl, prefix })
      dataSource = await withBackgrounded(created.dataSource, { handler, logger: silent }).initialize()
    })

    after(async () => {
      await drop?.()
      await removeKeys(prefix)
    })

    it('are pushed by the process that made them, without any worker', async () => {
      const letter = await dataSource.manager.save(new Letter())
      await dataSource.transaction(async (manager) => {
        await backgrounded(letter, { manager }).post()
        const begin = Date.now()
        for (let left = CALLS - 1; left > 0; left -= 5_000) {
          const letters = Array<Letter>(Math.min(left, 5_000)).fill(letter)
          await backgrounded(letters, { manager }).post()
        }
        await until(() => Date.now() - begin > 5_500)
      })
      await settled(dataSource)
      const [counted] = await dataSource.query<{ number: number }[]>(
        'SELECT count(*) AS number FROM backgrounded_outbox',
      )
      expect(Number(counted?.number)).to.equal(0)
      expect(await handler.counts()).to.include({ waiting: CALLS })
    })
  })
}
