import 'reflect-metadata'
import { Column, DataSource, Entity, PrimaryGeneratedColumn } from 'typeorm'
import { Backgrounded, NullHandler, withBackgrounded } from '../../src'
import { temporaryFile } from '../support/data-sources'

/**
 * What attaching the plugin costs `save` and `find`, for a class with a marked method and one without.
 * Two data sources take turns, plain and attached; printed are the median of the pairs' ratios and their spread.
 */
const PAIRS = 41
const SAVES = 200

@Entity()
class Plain {
  @PrimaryGeneratedColumn() id!: number
  @Column() name!: string
  @Column() email!: string
}

@Entity()
class Marked {
  @PrimaryGeneratedColumn() id!: number
  @Column() name!: string
  @Column() email!: string
  @Backgrounded() greet(): void {}
}

async function open(database: string, isAttached: boolean): Promise<DataSource> {
  const dataSource = new DataSource({
    type: 'better-sqlite3',
    database,
    enableWAL: database !== ':memory:',
    entities: [Plain, Marked],
    synchronize: true,
  })
  if (isAttached) withBackgrounded(dataSource, { handler: new NullHandler() })
  await dataSource.initialize()
  for (const entity of [Plain, Marked]) {
    const rows = Array.from({ length: 1_000 }, (_, index) => ({ name: `name ${index}`, email: `${index}@example.org` }))
    await dataSource.createQueryBuilder().insert().into(entity).values(rows).execute()
  }
  return dataSource
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const start = process.hrtime.bigint()
  await work()
  return Number(process.hrtime.bigint() - start) / 1e9
}

async function compare(title: string, plain: () => Promise<unknown>, attached: () => Promise<unknown>): Promise<void> {
  for (let round = 0; round < 5; round++) await Promise.all([await plain(), await attached()])
  const ratios: number[] = []
  for (let pair = 0; pair < PAIRS; pair++) {
    const [first, second] = pair % 2 ? [attached, plain] : [plain, attached]
    const [a, b] = [await seconds(first), await seconds(second)]
    ratios.push(pair % 2 ? a / b : b / a)
  }
  ratios.sort((a, b) => a - b)
  const at = (share: number) => `${((ratios[Math.floor(share * (PAIRS - 1))] as number) * 100 - 100).toFixed(1)} %`
  console.log(`| ${title} | ${at(0.5)} | ${at(0.25)} … ${at(0.75)} |`)
}

async function measure(store: string, newDatabase: () => string): Promise<void> {
  const [plain, attached] = [await open(newDatabase(), false), await open(newDatabase(), true)]
  console.log(`\nNode ${process.version}, better-sqlite3 ${store}, ${PAIRS} pairs\n`)
  console.log('| | median overhead | middle half |\n|---|---|---|')
  for (const entity of [Plain, Marked]) {
    const kind = entity === Plain ? 'unmarked' : 'marked'
    const save = (dataSource: DataSource) => async () => {
      const repository = dataSource.getRepository<Plain | Marked>(entity)
      const rows = Array.from({ length: SAVES }, () => Object.assign(new entity(), { name: 'n', email: 'e' }))
      for (const row of rows) await repository.save(row)
      await repository.delete(rows.map(({ id }) => id))
    }
    const find = (dataSource: DataSource) => async () => {
      for (let round = 0; round < 5; round++) await dataSource.getRepository(entity).find()
    }
    const findInTransaction = (dataSource: DataSource) => () =>
      dataSource.transaction(async (manager) => {
        for (let round = 0; round < 5; round++) await manager.find(entity)
      })
    await compare(`${SAVES} × save, ${kind}`, save(plain), save(attached))
    await compare(`find of 1,000, ${kind}`, find(plain), find(attached))
    await compare(`find of 1,000 in a transaction, ${kind}`, findInTransaction(plain), findInTransaction(attached))
  }
  await Promise.all([plain.destroy(), attached.destroy()])
}

async function main(): Promise<void> {
  await measure('in memory', () => ':memory:')
  await measure('in a file', temporaryFile)
}

void main()
