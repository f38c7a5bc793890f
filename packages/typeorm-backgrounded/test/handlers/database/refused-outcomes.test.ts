import { expect } from 'chai'
import { Entity, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
import { Backgrounded, backgrounded, createWorker, withBackgrounded, type Worker } from '../../../src'
import { BackgroundedJob, DatabaseHandler } from '../../../src/handlers/database'
import { mariaDb, postgres, sqliteFile, type TestStore } from '../../support/stores'
import { until } from '../../support/worker-process'

const logger = { debug() {}, info() {}, warn() {}, error() {} }
let gate: Promise<void>
let open = () => {}

@Entity()
class Customs {
  @PrimaryGeneratedColumn() id!: number
  /** All together, so that their outcomes go in one statement. */
  @Backgrounded({ attempts: 1 }) async declare(text: string): Promise<void> {
    await gate
    throw new Error(text)
  }
  @Backgrounded() async pass(): Promise<void> {
    await gate
  }
  @Backgrounded() async stuck(): Promise<void> {
    await gate
  }
}

/** Refuses texts with "contraband", and the end of jobs that are stuck. */
const TRIGGERS: ReadonlyMap<TestStore, readonly string[]> = new Map([
  [
    sqliteFile,
    [
      `CREATE TRIGGER texts BEFORE UPDATE ON backgrounded_jobs WHEN NEW.error LIKE '%contraband%' BEGIN SELECT RAISE(ABORT, 'refused'); END`,
      `CREATE TRIGGER ends BEFORE DELETE ON backgrounded_jobs WHEN OLD.method = 'stuck' BEGIN SELECT RAISE(ABORT, 'refused'); END`,
    ],
  ],
  [
    postgres,
    [
      `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$`,
      `CREATE TRIGGER texts BEFORE UPDATE ON backgrounded_jobs FOR EACH ROW WHEN (NEW.error LIKE '%contraband%') EXECUTE FUNCTION refuse()`,
      `CREATE TRIGGER ends BEFORE DELETE ON backgrounded_jobs FOR EACH ROW WHEN (OLD.method = 'stuck') EXECUTE FUNCTION refuse()`,
    ],
  ],
  [
    mariaDb,
    [
      `CREATE TRIGGER texts BEFORE UPDATE ON backgrounded_jobs FOR EACH ROW IF NEW.error LIKE '%contraband%' THEN SIGNAL SQLSTATE '45000'; END IF`,
      `CREATE TRIGGER ends BEFORE DELETE ON backgrounded_jobs FOR EACH ROW IF OLD.method = 'stuck' THEN SIGNAL SQLSTATE '45000'; END IF`,
    ],
  ],
])

for (const [store, triggers] of TRIGGERS) {
  describe(`an outcome that the database refuses, on ${store.name}`, () => {
    let dataSource: DataSource
    let drop: () => Promise<void>
    let worker: Worker
    let finished: Promise<void>

    before(async function () {
      await store.require(this)
    })
    beforeEach(async () => {
      const created = await store.create([Customs])
      drop = created.drop
      const handler = new DatabaseHandler()
      dataSource = await withBackgrounded(created.dataSource, { handler, logger }).initialize()
      for (const trigger of triggers) await dataSource.query(trigger)
      gate = new Promise((resolve) => (open = resolve))
      worker = createWorker(dataSource, { concurrency: 10, pollInterval: 20 })
      finished = worker.run()
    })
    afterEach(async () => {
      await worker.stop()
      await finished
      await drop()
    })
    const jobs = () => dataSource.manager.find(BackgroundedJob, { order: { enqueuedAt: 'ASC' } })
    async function allRun(number: number): Promise<void> {
      await until(async () => (await jobs()).filter(({ state }) => state === 'running').length === number)
      open()
    }

    it('because of its text is stored in plain characters, and its neighbours unchanged', async () => {
      const customs = await dataSource.manager.save(new Customs())
      for (const text of ['one', 'contraband', 'two', 'contraband too', 'three'])
        await backgrounded(customs).declare(text)
      await backgrounded(customs).pass()
      await allRun(6)
      await until(() => worker.counts.failed === 5 && worker.counts.completed === 1)
      const errors = (await jobs()).map(({ error }) => error?.split('\n', 1)[0])
      const plain = 'An error whose text the database does not take.'
      expect(errors).to.deep.equal(['Error: one', plain, 'Error: two', plain, 'Error: three'])
    })

    it('because of its job waits alone: its neighbours end, new jobs run, and it is stored when the database accepts it', async () => {
      const customs = await dataSource.manager.save(new Customs())
      await backgrounded(customs).pass()
      await backgrounded(customs).stuck()
      await backgrounded(customs).pass()
      await backgrounded(customs).declare('an error')
      await allRun(4)
      await until(() => worker.counts.completed === 2 && worker.counts.failed === 1)
      await backgrounded(customs).pass()
      await until(() => worker.counts.completed === 3)
      expect((await jobs()).map(({ method, state }) => `${method} ${state}`)).to.deep.equal([
        'stuck running',
        'declare failed',
      ])
      await dataSource.query(store === postgres ? 'DROP TRIGGER ends ON backgrounded_jobs' : 'DROP TRIGGER ends')
      await until(() => worker.counts.completed === 4)
    })
  })
}
