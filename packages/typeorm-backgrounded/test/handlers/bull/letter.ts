import { Column, Entity, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
import { Backgrounded, currentJob, DiscardJob, SnoozeJob, withBackgrounded } from '../../../src'
import type { BackgroundedOptions } from '../../../src'
import { BullHandler, type BullHandlerOptions } from '../../../src/handlers/bull'
import { inMemory } from '../../support/data-sources'
import { redisUrl, removeKeys, uniquePrefix } from '../../support/redis'
import { until } from '../../support/worker-process'

/** What the methods have done, in order. */
export const ran: string[] = []

@Entity()
export class Letter {
  @PrimaryGeneratedColumn() id!: number
  @Column({ default: '' }) text!: string

  @Backgrounded({ backoff: 0 })
  post(text = ''): void {
    ran.push(text)
  }

  @Backgrounded({ attempts: 2, backoff: 0 })
  fail(): void {
    ran.push(`fail ${currentJob().attempt}`)
    throw new Error('no stamp\nand no letterbox')
  }

  @Backgrounded()
  discard(): void {
    throw new DiscardJob('not wanted any more')
  }

  @Backgrounded()
  snooze(): void {
    throw new SnoozeJob('1h', 'too early')
  }

  @Backgrounded()
  async tell(): Promise<void> {
    currentJob().progress({ written: 0.5 })
    await new Promise((resolve) => setImmediate(resolve))
  }

  /** Heeds nothing, until the test says so. */
  @Backgrounded({ backoff: 0 })
  async linger(): Promise<void> {
    ran.push('linger')
    await until(() => ran.includes('go on'))
  }

  @Backgrounded()
  async wait(): Promise<void> {
    ran.push('wait')
    await new Promise<void>((resolve) => currentJob().signal.addEventListener('abort', () => resolve()))
  }
}

export const quiet = { debug() {}, info() {}, warn() {}, error() {} }

/** A data source in memory, jobs on the shared Redis below a prefix of the test's own. */
export class PostOffice {
  private constructor(
    readonly dataSource: DataSource,
    readonly handler: BullHandler,
    readonly letter: Letter,
    readonly prefix: string,
  ) {}

  static async open(options: BullHandlerOptions = {}, plugin: Partial<BackgroundedOptions> = {}): Promise<PostOffice> {
    if (!options.prefix) ran.length = 0
    const prefix = options.prefix ?? uniquePrefix()
    const handler = new BullHandler({ redis: redisUrl, ...options, prefix })
    const dataSource = inMemory([Letter])
    await withBackgrounded(dataSource, { handler, logger: quiet, outbox: false, ...plugin }).initialize()
    const letter = await dataSource.manager.save(new Letter())
    return new PostOffice(dataSource, handler, letter, prefix)
  }

  async close(): Promise<void> {
    if (this.dataSource.isInitialized) await this.dataSource.destroy()
    await removeKeys(this.prefix)
  }
}
