import { expect } from 'chai'
import { Column, Entity, PrimaryColumn, type DataSource } from 'typeorm'
import { Backgrounded, backgrounded, drain, reference, withBackgrounded } from '../../src'
import { FakeHandler } from '../../src/testing'
import { silent } from '../support/program'
import { mariaDb, postgres, sqliteInMemory } from '../support/stores'

const ran: string[] = []

abstract class Numbered {
  @Column() note!: string
  @Backgrounded() tell(asked: string): void {
    ran.push(`${asked} on ${this.note}`)
  }
}

@Entity()
class Whole extends Numbered {
  @PrimaryColumn({ type: 'bigint' }) id!: unknown
}
@Entity()
class Decimal extends Numbered {
  @PrimaryColumn({ type: 'decimal', precision: 30, scale: 0 }) id!: unknown
}

/** A double rounds the second one to the first one. */
const EVEN = '9007199254740992'
const ODD = '9007199254740993'

for (const store of [sqliteInMemory, postgres, mariaDb]) {
  describe(`keys above 2^53 on ${store.name}`, () => {
    let dataSource: DataSource
    let drop: () => Promise<void>

    before(async function () {
      await store.require(this)
      ;({ dataSource, drop } = await store.create([Whole, Decimal]))
      await withBackgrounded(dataSource, { handler: new FakeHandler(), logger: silent }).initialize()
    })
    after(() => drop?.())

    for (const entity of [Whole, Decimal]) {
      describe(`in a ${entity === Whole ? 'bigint' : 'decimal'} column`, () => {
        beforeEach(async () => {
          ran.length = 0
          await dataSource.manager.clear(entity)
        })

        const add = (id: string) => dataSource.manager.insert(entity, { id, note: id })

        /** The jobs are loaded in one batch. */
        async function runOn(...keys: string[]): Promise<string[]> {
          for (const key of keys) await backgrounded(reference(entity, key)).tell(key)
          await drain(dataSource, { concurrency: keys.length })
          return [...ran].sort()
        }

        for (const [there, gone] of [
          [ODD, EVEN],
          [EVEN, ODD],
        ] as const) {
          it(`do not run the job of ${gone}, which is gone, on ${there}`, async () => {
            await add(there)
            expect(await runOn(gone, there, '5')).to.deep.equal([`${there} on ${there}`])
          })
        }
        it('find the row of each where both are there', async () => {
          await add(EVEN)
          await add(ODD)
          expect(await runOn(ODD, EVEN)).to.deep.equal([`${EVEN} on ${EVEN}`, `${ODD} on ${ODD}`])
        })
        it('find the row of one job alone', async () => {
          await add(EVEN)
          await add(ODD)
          expect(await runOn(ODD)).to.deep.equal([`${ODD} on ${ODD}`])
        })
        if (store === sqliteInMemory && entity === Decimal) {
          it('find the row where SQLite keeps fewer digits than were written', async () => {
            const long = '12345678901234567890.12'
            await add(long)
            expect(await runOn(long, '5')).to.deep.equal([`${long} on ${long}`])
          })
        }
        it('are refused at the call as a number, which may have been rounded', async () => {
          for (const receiver of [reference(entity, Number(ODD)), Object.assign(new entity(), { id: Number(ODD) })]) {
            const error: unknown = await backgrounded(receiver as Numbered)
              .tell('')
              .catch((each: unknown) => each)
            expect(error).to.have.property('code', 'INVALID_KEY')
            expect(error).to.have.property('message').that.includes('give the key as a text')
          }
        })
      })
    }
  })
}
