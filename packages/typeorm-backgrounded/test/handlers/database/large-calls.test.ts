import { expect } from 'chai'
import { Entity, PrimaryGeneratedColumn } from 'typeorm'
import { backgrounded, Backgrounded, withBackgrounded } from '../../../src'
import { BackgroundedJob, DatabaseHandler } from '../../../src/handlers/database'
import { mariaDb, postgres } from '../../support/stores'

@Entity()
class Parcel {
  @PrimaryGeneratedColumn() id!: number

  @Backgrounded()
  static send(_content: string): void {}
}

for (const store of [postgres, mariaDb]) {
  it(`Large calls that are made at the same time on ${store.name} are not sent in one statement`, async function () {
    await store.require(this)
    const { dataSource, drop } = await store.create([Parcel])
    await withBackgrounded(dataSource, { handler: new DatabaseHandler() }).initialize()
    const runner = dataSource.createQueryRunner()
    await runner.startTransaction()
    const sizes: number[] = []
    dataSource.logger.logQuery = (sql, values = []) => {
      if (sql.includes('INSERT INTO')) sizes.push(sql.length + values.join('').length)
    }
    const content = 'x'.repeat(300_000)
    await Promise.all(Array.from({ length: 10 }, () => backgrounded(Parcel, { manager: runner.manager }).send(content)))
    await runner.commitTransaction()
    await runner.release()
    expect(sizes).to.have.length(4)
    expect(Math.max(...sizes)).to.be.lessThan(1_100_000)
    expect(await dataSource.manager.count(BackgroundedJob)).to.equal(10)
    await drop()
  })
}
