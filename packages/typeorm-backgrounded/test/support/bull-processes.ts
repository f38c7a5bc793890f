import type { DataSource } from 'typeorm'
import { withBackgrounded } from '../../src'
import { BullHandler } from '../../src/handlers/bull'
import { Task } from '../integration/fixtures/task'
import { createPostgres } from './postgres'
import { connectionOf, endingAfterEach, Program, silent } from './program'
import { redisUrl, removeKeys, uniquePrefix } from './redis'

interface Options {
  readonly redis?: string
  /** Bull's settings of every process. */
  readonly settings?: object
  readonly outbox?: boolean
  /** Connections are made by a function of the program's. */
  readonly createClient?: boolean
  readonly source?: string
  readonly prefix?: string
}

/** A program on Postgres and Redis. */
export class BullProgram extends Program {
  private constructor(
    dataSource: DataSource,
    readonly handler: BullHandler,
    env: Record<string, string>,
    cleanUp: () => Promise<void>,
  ) {
    super(dataSource, 'bull-data-source.js', env, cleanUp)
  }

  static async start(options: Options = {}): Promise<BullProgram> {
    const {
      redis = redisUrl,
      settings = {},
      outbox = true,
      createClient = false,
      source,
      prefix = uniquePrefix(),
    } = options
    const { dataSource, drop } = await createPostgres([Task])
    const handler = new BullHandler({ redis, prefix, settings })
    await withBackgrounded(dataSource, { handler, outbox, source, logger: silent }).initialize()
    const env = {
      REDIS_URL: redis,
      REDIS_PREFIX: prefix,
      BULL_SETTINGS: JSON.stringify(settings),
      OUTBOX: outbox ? '1' : '0',
      CREATE_CLIENT: createClient ? '1' : '0',
      DATABASE: JSON.stringify(connectionOf(dataSource)),
      ...(source === undefined ? {} : { SOURCE: source }),
    }
    const cleanUp = async () => {
      await drop()
      if (redis === redisUrl) await removeKeys(prefix)
    }
    return new BullProgram(dataSource, handler, env, cleanUp)
  }

  /** No job waits, runs or is kept, here or in the outbox. */
  async isDone(): Promise<boolean> {
    const { waiting, running } = await this.handler.counts()
    return waiting + running === 0 && (await this.leftovers()) === 0
  }

  /** How many rows the outbox has. */
  async leftovers(): Promise<number> {
    if (this.env.OUTBOX === '0') return 0
    const [{ number }] = await this.dataSource.query('SELECT count(*)::int AS number FROM backgrounded_outbox')
    return number as number
  }

  /** How many pushes the outbox has not let Redis forget. */
  async rememberedPushes(): Promise<number> {
    return await this.handler.queue().client.zcard(`${this.env.REDIS_PREFIX}:${this.env.SOURCE ?? 'default'}:pushed`)
  }
}

/** Starts programs for the tests of a suite, and ends them after each. */
export function programsOfSuite(): (options?: Options) => Promise<BullProgram> {
  return endingAfterEach((options) => BullProgram.start(options))
}
